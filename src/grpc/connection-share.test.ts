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
/** Of a call whose request is one message, and of one whose request is a stream of them. */
type CallName = 'UnaryCall' | 'StreamingInputCall';

function requestHeaders(call: CallName = 'UnaryCall') {
  return [[':method', 'POST'], [':scheme', 'http'], [':path', `/grpc.testing.TestService/${call}`], ['content-type', 'application/grpc'], ['te', 'trailers']] as const;
}

/** Takes all messages of the request. */
async function taken(requests: AsyncIterable<unknown>): Promise<object> {
  for await (const _ of requests);
  return {};
}

/** A connection to a server of its own whose budget is everybody's. */
class Client {
  readonly #connection: ServerConnection;

  constructor(budget: ByteBudget) {
    const clock = new ManualClock();
    const handlers = { unaryCall: () => ({}), streamingInputCall: taken, async *fullDuplexCall() {} };
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
    this.send(headers(streamId, false, requestHeaders()), ...dataFrames(streamId, body, false));
  }
  /** Types of the frames that came for the stream. */
  take(streamId: number): readonly number[] {
    return parseFrames(Buffer.concat(this.#connection.outlet.take())).filter((one) => one.streamId === streamId).map(({ type }) => type);
  }
  /** Sends `count` messages in turns as far as the windows let them out. Gives the calls answered with a message, and all that were answered. */
  async sendAll(count: number, length: number, name: CallName): Promise<{ readonly ok: readonly number[]; readonly answered: readonly number[] }> {
    const body = encoded(SimpleRequestSchema, { payload: { body: new Uint8Array(length) } });
    const calls = new Map(Array.from({ length: count }, (_, index) => [2 * index + 1, { sent: 0, window: http2Limits.streamWindowBytes }]));
    const [ok, answered]: [number[], number[]] = [[], []];
    let window = 65_535;
    for (const id of calls.keys()) this.send(headers(id, false, requestHeaders(name)));
    for (let moved = true; moved; ) {
      for (const { type, flags, streamId, payload } of parseFrames(Buffer.concat(this.#connection.outlet.take()))) {
        const call = calls.get(streamId);
        if (type === 8 && call !== undefined) call.window += payload.readUInt32BE(0);
        else if (type === 8) window += payload.readUInt32BE(0);
        else if (type === 0) ok.push(streamId);
        else if (type === 1 && (flags & 1) !== 0) answered.push(streamId);
      }
      moved = false;
      for (const [id, call] of calls) {
        const bytes = Math.min(16_384, body.length - call.sent, call.window, window);
        if (bytes === 0 || answered.includes(id)) continue;
        const isLast = call.sent + bytes === body.length;
        this.send(frame(0, isLast ? 1 : 0, id, body.subarray(call.sent, call.sent + bytes)));
        call.sent += bytes;
        call.window -= bytes;
        window -= bytes;
        moved = true;
      }
      await settle();
      this.#connection.outlet.onBacklog(0);
    }
    return { ok, answered };
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
    other.send(headers(1, false, requestHeaders()), ...dataFrames(1, body, true));
    await settle();
    assert.ok(other.take(1).includes(1), 'the answer to a message that needs room');
    attacker.leave();
    await settle();
    assert.equal(budget.usedBytes, 0);
  });

  for (const name of ['UnaryCall', 'StreamingInputCall'] as const) {
    it(`K6-09: those that wait for the share do not use up the window of the connection, and all come to their end: ${name}`, async () => {
      const budget = new ByteBudget({ maxBytes: 64 * mebibyte, waitersMax: 1_000 });
      const { ok } = await new Client(budget).sendAll(15, 3_000_000, name);
      assert.equal(ok.length, 15);
      assert.equal(budget.usedBytes, 0);
    });

    it(`K6-09: what is kept for them is bounded: the others are refused, and nobody waits for ever: ${name}`, async () => {
      const budget = new ByteBudget({ maxBytes: 32 * mebibyte, waitersMax: 1_000 });
      const { ok, answered } = await new Client(budget).sendAll(40, 3_000_000, name);
      assert.equal(answered.length, 40);
      assert.ok(ok.length >= 2 && ok.length < 40, `${ok.length} were served`);
      assert.equal(budget.usedBytes, 0);
    });
  }
});
