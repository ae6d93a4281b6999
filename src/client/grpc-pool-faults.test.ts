// What a fault in one call may do to the others of its pool, and to the process: nothing.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { Random } from '../base/random.ts';
import { FakeSessions } from '../testing/fake-grpc-session.ts';
import { ManualClock } from '../testing/manual-clock.ts';
import { RecordedLog } from '../testing/recorded-log.ts';
import { grpcChannelLimits } from './grpc-limits.ts';
import { GrpcPool } from './grpc-pool.ts';
import type { StreamWaiter } from './grpc-pool.ts';

describe('GrpcPool: faults of our own', () => {
  it('a call that throws when it gets its connection ends alone: those behind it get theirs, and the process goes on', async () => {
    const [clock, sessions] = [new ManualClock(), new FakeSessions()];
    const random: Random = { bytes: () => Uint8Array.of(0, 0) };
    const pool = new GrpcPool('fake', sessions.open, { timers: clock, random, log: new RecordedLog() }, { ...grpcChannelLimits, connectionsMax: 1 });
    const told: string[] = [];
    const waiter = (name: string, onConnection: () => void): StreamWaiter => ({
      waitsForReady: false,
      onConnection: () => {
        told.push(`${name}: connection`);
        onConnection();
      },
      onRefused: ({ code }, final) => void told.push(`${name}: ${code}, ${final}`),
    });
    const faulty = () => {
      throw new TypeError('a fault');
    };
    pool.request(waiter('first', faulty));
    pool.request(waiter('second', () => {}));
    await sessions.accept(); // an unhandled rejection would fail the test
    pool.request(waiter('third', faulty));
    assert.deepEqual(told, ['first: connection', 'first: internal, true', 'second: connection', 'third: connection', 'third: internal, true']);
    await pool.close();
  });
});
