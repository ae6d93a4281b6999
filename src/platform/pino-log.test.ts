// The lines of the log, as JSON and as text.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { CacheError } from '../base/cache-error.ts';
import type { LogLevel } from '../base/log.ts';
import { ManualClock } from '../testing/manual-clock.ts';
import type { OutputChannel } from './output-channel.ts';
import { PinoLog } from './pino-log.ts';
import type { LogFormat } from './pino-log.ts';

function open(format: LogFormat, level: LogLevel = 'info') {
  const clock = new ManualClock(Date.UTC(2026, 10, 21, 9, 30, 0, 7));
  let text = '';
  const take = (bytes: Uint8Array): number => {
    text += Buffer.from(bytes).toString();
    return bytes.byteLength;
  };
  const channel: OutputChannel = { descriptor: -1, hanging: false, write: take, writeAtEnd: take };
  const log = new PinoLog(channel, { level, format }, { wallClock: clock, clock, timers: clock });
  const written = (): string => {
    log.end();
    return text;
  };
  return { log, clock, written, objects: () => written().trimEnd().split('\n').map((line) => JSON.parse(line) as Record<string, unknown>) };
}

const disk = Object.assign(new Error('no space left'), { code: 'ENOSPC' });

describe('log as JSON', () => {
  it('writes one object per line with time, level, fields and message', () => {
    const { log, written } = open('json');
    log.info('listening', { address: '127.0.0.1:9092', connections: 0, ready: true, absent: undefined });
    assert.equal(written(), '{"level":"info","time":"2026-11-21T09:30:00.007Z","address":"127.0.0.1:9092","connections":0,"ready":true,"message":"listening"}\n');
  });

  it('writes an error with its code, its stack and the chain of its causes', () => {
    const { log, objects } = open('json');
    log.error('cannot store', new CacheError('internal', 'the disk is full', { cause: disk }), { blob: 'abc' });
    const [line] = objects();
    const err = line?.['err'] as { name: string; code: string; stack: string; cause: { code: string; message: string } };
    assert.equal(line?.['blob'], 'abc');
    assert.equal(err.name, 'CacheError');
    assert.equal(err.code, 'internal');
    assert.match(err.stack, /pino-log\.test\.ts/);
    assert.equal(err.cause.code, 'ENOSPC');
  });

  it('keeps line breaks of peers inside of the object', () => {
    const { log, written } = open('json');
    log.info('bad path\n{"level":"error"}', { name: 'a\nb' });
    assert.equal(written().split('\n').length, 2);
  });
});

describe('log as text', () => {
  it('writes one line with time, level, message and fields', () => {
    const { log, written } = open('text');
    log.info('listening', { address: '127.0.0.1:9092', connections: 0, ready: true, absent: undefined });
    assert.equal(written(), '2026-11-21T09:30:00.007Z info  listening address=127.0.0.1:9092 connections=0 ready=true\n');
  });

  it('quotes values that would not read back', () => {
    const { log, written } = open('text');
    log.warn('refused', { path: '/a b', text: 'x=y', quoted: 'say "no"', empty: '' });
    assert.match(written(), / warn {2}refused path="\/a b" text="x=y" quoted="say \\"no\\"" empty=""\n$/);
  });

  it('keeps a message that a peer chose on its line, and its control characters from the terminal', () => {
    const { log, written } = open('text');
    log.error('bad path /x\r\n2026 error all is lost', new Error('\u001b[2Jgone'), { name: 'a\nb' });
    assert.equal(written().split('\n')[0]?.includes('all is lost name="a\\nb"'), true);
    assert.equal(written().includes('\u001b'), false);
  });

  it('prints a stack below the line, and errors with the chain of their causes', () => {
    const { log, written } = open('text');
    log.warn('stood still', { forMs: 7, stack: 'at one\nat two' });
    log.error('cannot store', new CacheError('internal', 'the disk is full', { cause: disk }), { blob: 'abc' });
    assert.match(written(), / warn {2}stood still forMs=7\n {4}at one\n {4}at two\n/);
    assert.match(written(), / error cannot store blob=abc\n {4}CacheError: the disk is full\n {8}at .*pino-log\.test\.ts/);
    assert.match(written(), /\n {4}caused by: Error: no space left\n/);
    assert.match(written(), /\[ENOSPC\]\n$/);
  });

  it('survives a chain of causes that is a loop, and causes that are no errors', () => {
    const { log, written } = open('text');
    const loop = new Error('again');
    loop.cause = loop;
    log.error('looping', loop);
    log.error('odd', 'a text');
    assert.ok(written().split('caused by:').length <= 8);
    assert.match(written(), /error odd\n {4}a text\n$/);
  });
});

describe('log', () => {
  it('K11-07: leaves out what is below the level, which may change while it runs', () => {
    const { log, written } = open('text', 'warn');
    assert.equal(log.debugEnabled, false);
    log.debug('d1');
    log.info('i1');
    log.level = 'debug';
    assert.equal(log.debugEnabled, true);
    log.debug('d2');
    log.level = 'error';
    assert.equal(log.debugEnabled, false);
    log.warn('w3');
    log.error('e3');
    assert.deepEqual(written().trimEnd().split('\n').map((line) => line.slice(25)), ['debug d2', 'error e3']);
  });

  it('leaves out most lines of a flood of the same message, and says how many', () => {
    const { log, clock, written } = open('text', 'debug');
    for (let count = 0; count < 500; count += 1) log.warn('a peer is odd', { count });
    for (let count = 0; count < 50; count += 1) log.debug('wanted, all of it');
    clock.advance(10_000);
    const lines = written().trimEnd().split('\n');
    assert.equal(lines.filter((line) => line.includes('a peer is odd count=')).length, 20);
    assert.equal(lines.filter((line) => line.includes('wanted')).length, 50);
    assert.match(lines.at(-1) ?? '', /warn {2}a peer is odd \(more of these were left out\) lines=480$/);
    assert.equal(log.counts.suppressedLines, 480);
  });

  for (const format of ['json', 'text'] as const) {
    it(`shows no secret as ${format}, wherever it comes from`, () => {
      const { log, written } = open(format);
      const header = `Basic ${Buffer.from('user:hunter2hunter2').toString('base64')}`;
      log.info('fields', { authorization: header, token: 'sEcReT-1', password: 'sEcReT-2' });
      log.info(`a header of a library: authorization: ${header}`);
      log.error('cannot reach https://user:sEcReT-3@host/path', new Error('Bearer sEcReT-4-abcdefgh was refused', { cause: new Error('password="sEcReT-5"') }));
      log.info('in a field', { url: 'https://user:sEcReT-6@host/', text: 'api_key=sEcReT-7' });
      log.info(`somebody wrote kiln_${'sEcReT-'.repeat(6)}8 into a URL`);
      log.info('a request', { target: '/status?token=sEcReT-9&auth_token=sEcReT-10' });
      assert.doesNotMatch(written(), /sEcReT/);
      assert.equal(written().includes(header.slice(6)), false);
      assert.match(written(), /@host\/path/);
    });
  }

  it('leaves ordinary text alone', () => {
    const { log, written } = open('text');
    const text = 'basic checks of grpc://127.0.0.1:9092 and http://[::1]:9092/cas/abc by tokens-file, mail a@b.example';
    log.info(text);
    assert.ok(written().includes(text));
  });
});
