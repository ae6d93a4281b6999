// How a connection watches its server, where several connections or long waits matter; the rest is in grpc-pool.test.ts.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { errorCode } from '../h2/error-code.ts';
import { TestService } from '../proto/gen/grpc/testing/test_pb.ts';
import { FakeSessions, turn } from '../testing/fake-grpc-session.ts';
import { grpcChannelTo } from '../testing/grpc-channel-to.ts';
import { ManualClock } from '../testing/manual-clock.ts';
import type { GrpcChannel } from './grpc-channel.ts';
import type { GrpcChannelLimits } from './grpc-limits.ts';

const { emptyCall } = TestService.method;

class Bench {
  readonly clock = new ManualClock();
  readonly sessions = new FakeSessions();
  readonly channel: GrpcChannel;

  constructor(limits: Partial<GrpcChannelLimits>) {
    this.sessions.streamsMax = 1;
    const options = { openSession: this.sessions.open, limits: { attemptsMax: 1, ...limits } };
    this.channel = grpcChannelTo({ address: { kind: 'tcp', host: 'fake', port: 1 } }, options, { clock: this.clock, timers: this.clock });
  }

  call(): void {
    this.channel.unary(emptyCall, {}).catch(() => {});
  }

  async advance(seconds: number): Promise<void> {
    for (let second = 0; second < seconds; second += 1) {
      this.clock.advance(1_000);
      await turn();
    }
  }
}

describe('GrpcConnection', () => {
  it('asks less on all connections once one of them is told too_many_pings', async () => {
    const bench = new Bench({ connectionsMax: 2, keepaliveMs: 2_000, keepaliveTimeoutMs: 60_000 });
    bench.call();
    const first = await bench.sessions.accept();
    bench.call();
    const second = await bench.sessions.accept();
    await bench.advance(20);
    const before = second.pings;
    assert.ok(before >= 3, `${before} pings in 20 s`);
    first.goAway(0, errorCode.enhanceYourCalm, 'too_many_pings');
    await bench.advance(140);
    assert.ok(second.pings - before <= 1, `${second.pings - before} pings in 140 s`);
  });

  it('asks nobody when it is told so, and closes all the same when it has nothing to do', async () => {
    const bench = new Bench({ keepaliveMs: Infinity, idleMs: 60_000 });
    bench.call();
    const session = await bench.sessions.accept();
    await bench.advance(600);
    assert.deepEqual([session.pings, session.ending], [0, undefined]);
    session.streams[0]?.answer();
    await bench.advance(121);
    assert.ok(session.ending !== undefined);
    assert.deepEqual([bench.channel.state.connections, bench.clock.pendingTimers], [0, 0]);
  });
});
