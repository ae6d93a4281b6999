// The line of a call.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { RecordedLog } from '../testing/recorded-log.ts';
import { LoggedCalls } from './call-log.ts';
import type { CallObserver, EndedCall } from './call-observer.ts';

const call: EndedCall = {
  path: '/a.B/C',
  status: 5,
  atOnce: true,
  durationMs: 1.23456,
  receivedBytes: 10,
  sentBytes: 20,
  observation: 'mine',
  traceparent: undefined,
  header: (name) => (name === 'user-agent' ? 'grpc-test/1' : undefined),
};

describe('the log of calls', () => {
  it('K11-07: passes everything on, and has a line per call at debug only', () => {
    const log = new RecordedLog();
    const ended: EndedCall[] = [];
    const inner: CallObserver = { started: () => 'mine', ended: (one) => void ended.push(one) };
    const calls = new LoggedCalls(inner, log);
    log.debugEnabled = false;
    assert.equal(calls.started(call), 'mine');
    calls.ended(call);
    assert.deepEqual(log.lines, []);
    log.debugEnabled = true;
    calls.ended(call);
    assert.deepEqual(ended, [call, call]);
    assert.deepEqual(log.lines, ['debug call {"path":"/a.B/C","status":"NOT_FOUND","durationMs":1.235,"receivedBytes":10,"sentBytes":20,"client":"grpc-test/1"}']);
  });

  it('needs nobody else', () => {
    const log = new RecordedLog();
    const calls = new LoggedCalls(undefined, log);
    assert.equal(calls.started(call), undefined);
    calls.ended(call);
    assert.equal(log.lines.length, 1);
  });
});
