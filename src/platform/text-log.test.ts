// The lines of the log.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { CacheError } from '../base/cache-error.ts';
import type { LogLevel } from '../base/log.ts';
import { createTextLog } from './text-log.ts';

const clock = { nowMs: () => Date.UTC(2026, 10, 21, 9, 30, 0, 7) };

function capture(level: LogLevel) {
  let text = '';
  const log = createTextLog((written) => (text += written), clock, level);
  return { log, text: () => text };
}

describe('text log', () => {
  it('writes one line with time, level, message and fields', () => {
    const { log, text } = capture('info');
    log.info('listening', { address: '127.0.0.1:9092', connections: 0, ready: true, absent: undefined });
    assert.equal(text(), '2026-11-21T09:30:00.007Z info  listening address=127.0.0.1:9092 connections=0 ready=true\n');
  });

  it('quotes values that would not read back', () => {
    const { log, text } = capture('info');
    log.warn('refused', { path: '/a b', text: 'x=y', quoted: 'say "no"', empty: '' });
    assert.match(text(), / warn {2}refused path="\/a b" text="x=y" quoted="say \\"no\\"" empty=""\n$/);
  });

  it('keeps a message that a peer chose on its line', () => {
    const { log, text } = capture('info');
    log.info('bad path /x\r\n2026 error all is lost', { name: 'a\nb' });
    assert.equal(text().split('\n').length, 2);
  });

  it('leaves out what is below the level', () => {
    const { log, text } = capture('warn');
    log.debug('d');
    log.info('i');
    assert.equal(text(), '');
    log.warn('w');
    log.error('e');
    assert.equal(text().split('\n').length, 3);
  });

  it('prints the stack of an error and the chain of its causes', () => {
    const { log, text } = capture('error');
    const disk = Object.assign(new Error('no space left'), { code: 'ENOSPC' });
    log.error('cannot store', new CacheError('resource_exhausted', 'the disk is full', { cause: disk }), { blob: 'abc' });
    const lines = text().split('\n');
    assert.match(lines[0] ?? '', / error cannot store blob=abc$/);
    assert.match(lines[1] ?? '', /^ {4}CacheError: the disk is full$/);
    assert.ok(lines.some((line) => /^ {8}at .*text-log\.test\.ts/.test(line)));
    assert.ok(lines.some((line) => line.startsWith('    caused by: Error: no space left')));
    assert.match(text(), /\[ENOSPC\]\n$/);
  });

  it('survives a chain of causes that is a loop, and causes that are no errors', () => {
    const { log, text } = capture('error');
    const loop = new Error('again');
    loop.cause = loop;
    log.error('looping', loop);
    log.error('odd', 'a text');
    assert.ok(text().split('caused by:').length <= 8);
    assert.match(text(), /error odd\n {4}a text\n$/);
  });
});
