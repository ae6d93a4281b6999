// What a connection holds that nothing is asked of: with ten thousand of them it counts (docs/limits.md has the figure).
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { ByteBudget } from '../base/byte-budget.ts';
import type { Socket, SocketHandler } from '../base/socket.ts';
import { frame, headers, settings } from '../testing/http2-peer.ts';
import { ManualClock } from '../testing/manual-clock.ts';
import { RecordedLog } from '../testing/recorded-log.ts';
import { clientPreface } from './frames.ts';
import { http2Limits } from './limits.ts';
import { serveHttp2 } from './session.ts';
import type { Http2Session } from './session.ts';
import type { ServerStream, StreamHandler } from './stream.ts';

setFlagsFromString('--expose-gc');
const collect = runInNewContext('gc') as () => void;

/** Takes everything at once and keeps nothing. */
class WideSocket implements Socket {
  readonly peerName = 'fake';
  readonly queuedBytes = 0;
  readonly traffic = { receivedBytes: 0, sentBytes: 0 };
  handler: SocketHandler | undefined;
  start(handler: SocketHandler): void {
    this.handler = handler;
  }
  write(): void {}
  pause(): void {}
  resume(): void {}
  end(): void {}
  destroy(): void {}
}

/** Sixty calls at a time, each answered with half a kilobyte that is copied into the buffer of the connection. */
const callsAtOnce = 60;

const preface = Buffer.concat([clientPreface, settings(), frame(4, 1, 0)]);
const calls = Buffer.concat(Array.from({ length: callsAtOnce }, (_, index) => headers(2 * index + 1, true)));

class Crowd {
  readonly budget = new ByteBudget({ maxBytes: 1024 ** 3, waitersMax: 1 });
  readonly sessions: Http2Session[] = [];
  readonly #log = new RecordedLog();
  readonly #clock = new ManualClock();

  /** A connection on which calls were made, and have ended. */
  join(): void {
    const socket = new WideSocket();
    const onStream = (stream: ServerStream): StreamHandler => ({
      onData: () => {},
      onEnd() {
        stream.sendHeaders([[':status', '200']], false);
        stream.sendData([Buffer.alloc(512)], true);
      },
      onReset: () => {},
      onDrained: () => {},
    });
    const { budget } = this;
    this.sessions.push(serveHttp2(socket, { onStream }, http2Limits, { clock: this.#clock, log: this.#log, budget }));
    socket.handler?.onData(preface);
    socket.handler?.onData(calls);
  }

  look(nowMs: number): void {
    for (const session of this.sessions) session.look(nowMs, false);
  }
}

/** Memory of buffers is given back some time after their collection. */
async function bytesInUse(): Promise<number> {
  for (let rounds = 0; rounds < 3; rounds += 1) {
    collect();
    await new Promise((resolve) => setImmediate(resolve));
  }
  const { heapUsed, arrayBuffers } = process.memoryUsage();
  return heapUsed + arrayBuffers;
}

describe('idle connections', () => {
  it('K6-04: hold some kilobytes each after the next look, whatever they were used for', async () => {
    const count = 1_000;
    const before = await bytesInUse();
    const crowd = new Crowd();
    for (let index = 0; index < count; index += 1) crowd.join();
    const busyBytes = ((await bytesInUse()) - before) / count;
    assert.ok(busyBytes > 20_000, `${busyBytes} bytes: the calls did not need what this test is about`);
    assert.ok(crowd.budget.usedBytes > 10_000 * count, 'what is kept to make frames in counts in the budget');
    crowd.look(1_000);
    assert.equal(crowd.budget.usedBytes, 0);
    const idleBytes = ((await bytesInUse()) - before) / count;
    assert.ok(idleBytes < 12_000, `${idleBytes} bytes for each of ${crowd.sessions.length} connections`);
  });
});
