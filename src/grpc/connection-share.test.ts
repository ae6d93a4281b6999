// One connection that lets large messages trickle in, beside another one: over the engine, with one budget for both.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { ByteBudget } from '../base/byte-budget.ts';
import { clientPreface } from '../h2/frames.ts';
import { http2Limits } from '../h2/limits.ts';
import { ServerConnection } from '../h2/server-connection.ts';
import { SimpleRequestSchema } from '../proto/gen/grpc/testing/messages_pb.ts';
import { TestService } from '../proto/gen/grpc/testing/test_pb.ts';
import { encoded, settle } from '../testing/grpc-harness.ts';
import { frame, headers, parseFrames, settings } from '../testing/http2-peer.ts';
import { ManualClock } from '../testing/manual-clock.ts';
import { RecordedLog } from '../testing/recorded-log.ts';
import { GrpcRouter } from './router.ts';
import { implementService } from './service.ts';

const mebibyte = 1024 * 1024;
const requestHeaders = [[':method', 'POST'], [':scheme', 'http'], [':path', '/grpc.testing.TestService/UnaryCall'], ['content-type', 'application/grpc'], ['te', 'trailers']] as const;

/** A connection to a server of its own whose budget is everybody's. */
class Client {
  readonly #connection: ServerConnection;

  constructor(budget: ByteBudget) {
    const clock = new ManualClock();
    const handlers = { unaryCall: () => ({}), streamingInputCall: async () => ({}), async *fullDuplexCall() {} };
    const acceptor = new GrpcRouter([implementService(TestService, handlers)], { timers: clock, log: new RecordedLog(), budget });
    this.#connection = new ServerConnection({ acceptor, limits: http2Limits, clock, budget, wake: () => {} });
    this.send(clientPreface, settings(), frame(4, 1, 0));
  }
  send(...bytes: readonly Uint8Array[]): void {
    this.#connection.receive(Buffer.concat(bytes));
  }
  /** The beginning of a call with a message of `length` bytes, of which `sent` come. */
  begin(streamId: number, length: number, sent: number): void {
    const body = encoded(SimpleRequestSchema, { payload: { body: new Uint8Array(length) } }).subarray(0, sent);
    this.send(headers(streamId, false, requestHeaders), ...dataFrames(streamId, body, false));
  }
  /** Types of the frames that came for the stream. */
  take(streamId: number): readonly number[] {
    return parseFrames(Buffer.concat(this.#connection.outlet.take())).filter((one) => one.streamId === streamId).map(({ type }) => type);
  }
  /** The peer is gone. */
  leave(): void {
    this.#connection.abort();
  }
}

function dataFrames(streamId: number, body: Uint8Array, endStream: boolean): Buffer[] {
  const frames: Buffer[] = [];
  for (let at = 0; at < body.length; at += 16_384) {
    const isLast = at + 16_384 >= body.length;
    frames.push(frame(0, endStream && isLast ? 1 : 0, streamId, body.subarray(at, at + 16_384)));
  }
  return frames;
}

describe('the memory of connections', () => {
  it('K6-09: an attacker who lets large messages trickle in keeps nobody else from sending one', async () => {
    const budget = new ByteBudget({ maxBytes: 64 * mebibyte, waitersMax: 1_000 });
    const [attacker, other] = [new Client(budget), new Client(budget)];
    for (let call = 0; call < 40; call += 1) attacker.begin(2 * call + 1, 7 * mebibyte, 100_000);
    await settle();
    assert.ok(budget.usedBytes < 24 * mebibyte, `${budget.usedBytes} bytes are held by one connection`);
    assert.equal(budget.isPressed, false);
    const body = encoded(SimpleRequestSchema, { payload: { body: new Uint8Array(900_000) } });
    other.send(headers(1, false, requestHeaders), ...dataFrames(1, body, true));
    await settle();
    assert.ok(other.take(1).includes(1), 'the answer to a message that needs room');
    attacker.leave();
    await settle();
    assert.equal(budget.usedBytes, 0);
  });
});
