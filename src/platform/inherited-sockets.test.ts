// Which sockets a process takes for its own.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { takeInheritedSockets } from './inherited-sockets.ts';

describe('inherited sockets', () => {
  it('are those from descriptor 3 on, with their names, and are taken once', () => {
    const environment = { LISTEN_FDS: '3', LISTEN_PID: '42', LISTEN_FDNAMES: 'kiln.socket:second', LISTEN_PIDFDID: '1', HOME: '/' };
    assert.deepEqual(takeInheritedSockets(environment, 42), [
      { fd: 3, name: 'kiln.socket' },
      { fd: 4, name: 'second' },
      { fd: 5, name: 'unknown' },
    ]);
    assert.deepEqual(environment, { HOME: '/' });
    assert.deepEqual(takeInheritedSockets(environment, 42), []);
  });

  it('are not those of another process, whose children must not believe in them either', () => {
    for (const environment of [{ LISTEN_FDS: '1', LISTEN_PID: '41' }, { LISTEN_FDS: '1' }, {}]) {
      assert.deepEqual(takeInheritedSockets(environment, 42), []);
      assert.deepEqual(environment, {});
    }
  });

  for (const count of ['', 'one', '-1', '1.5', '257', '99999']) {
    it(`refuses LISTEN_FDS=${JSON.stringify(count)}`, () => {
      assert.throws(() => takeInheritedSockets({ LISTEN_FDS: count, LISTEN_PID: '42' }, 42), { code: 'invalid_argument', message: /LISTEN_FDS is .*\nleave it/ });
    });
  }
});
