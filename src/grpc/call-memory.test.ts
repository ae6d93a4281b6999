// What calls keep in memory: counted from where something waits, bounded by the budget, and given back by every end.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { gzipSync } from 'node:zlib';
import { ByteBudget, unboundedByteBudget } from '../base/byte-budget.ts';
import type { StreamHandler } from '../h2/stream.ts';
import { StreamingInputCallRequestSchema, StreamingInputCallResponseSchema, SimpleRequestSchema, SimpleResponseSchema } from '../proto/gen/grpc/testing/messages_pb.ts';
import { TestService } from '../proto/gen/grpc/testing/test_pb.ts';
import { FakeServerStream, headerBlock } from '../testing/fake-server-stream.ts';
import { decoded, encoded, settle } from '../testing/grpc-harness.ts';
import { ManualClock } from '../testing/manual-clock.ts';
import { RecordedLog } from '../testing/recorded-log.ts';
import { seededRandom } from '../testing/seeded-random.ts';
import type { SeededRandom } from '../testing/seeded-random.ts';
import { defaultGrpcLimits } from './limits.ts';
import { partialBytesMin, wholeBytesMax } from './message-buffer.ts';
import { GrpcRouter } from './router.ts';
import { implementService } from './service.ts';
import type { Handlers } from './service.ts';

const mebibyte = 1024 * 1024;
const unaryPath = '/grpc.testing.TestService/UnaryCall';
const inputPath = '/grpc.testing.TestService/StreamingInputCall';
const duplexPath = '/grpc.testing.TestService/FullDuplexCall';

/** Answers with the number of bytes that came; a unary call whose request names a user waits to be let go. */
class Served {
  readonly clock = new ManualClock();
  readonly budget: ByteBudget;
  readonly router: GrpcRouter;
  readonly #held: (() => void)[] = [];

  constructor(budget: ByteBudget) {
    this.budget = budget;
    const handlers: Handlers<typeof TestService> = {
      unaryCall: (request) => {
        const answer = { payload: request.payload };
        return request.fillUsername ? new Promise((resolve) => this.#held.push(() => resolve(answer))) : answer;
      },
      streamingInputCall: async (requests) => {
        let aggregatedPayloadSize = 0;
        for await (const { payload } of requests) {
          aggregatedPayloadSize += payload?.body.byteLength ?? 0;
          await Promise.resolve();
        }
        return { aggregatedPayloadSize };
      },
      async *fullDuplexCall(requests) {
        for await (const _ of requests) yield {};
      },
    };
    this.router = new GrpcRouter([implementService(TestService, handlers)], { timers: this.clock, log: new RecordedLog(), limits: { ...defaultGrpcLimits, messageBytesMax: 8 * mebibyte }, budget });
  }

  open(path: string, headers: Readonly<Record<string, string>> = {}): { readonly stream: FakeServerStream; readonly handler: StreamHandler } {
    const stream = new FakeServerStream();
    const block = headerBlock({ ':method': 'POST', ':scheme': 'http', ':path': path, 'content-type': 'application/grpc', te: 'trailers', ...headers });
    const handler = this.router.onStream(stream, block);
    stream.handler = handler;
    return { stream, handler };
  }

  /** The unary calls that wait are answered. */
  async letGo(): Promise<void> {
    for (const go of this.#held.splice(0)) go();
    await settle();
  }
}

const unary = (bytes: number, waits = false): Uint8Array => encoded(SimpleRequestSchema, { payload: { body: new Uint8Array(bytes) }, fillUsername: waits });
const input = (bytes: number): Uint8Array => encoded(StreamingInputCallRequestSchema, { payload: { body: new Uint8Array(bytes).fill(3) } });

/** The first five bytes of a message of that length. */
function prefix(length: number, flag = 0): Uint8Array {
  const bytes = Buffer.alloc(5);
  bytes[0] = flag;
  bytes.writeUInt32BE(length, 1);
  return new Uint8Array(bytes);
}

describe('memory of calls', () => {
  it('is nothing for a small call that is answered in its turn', () => {
    const served = new Served(unboundedByteBudget());
    const { stream, handler } = served.open(unaryPath);
    handler.onData(unary(100));
    handler.onEnd(undefined);
    assert.equal(stream.status('grpc-status'), '0');
    assert.equal(served.budget.usedBytes, 0);
  });

  it('is the request while its end or its handler is waited for', async () => {
    const served = new Served(unboundedByteBudget());
    const { stream, handler } = served.open(unaryPath);
    const message = unary(1_000, true);
    handler.onData(message);
    assert.equal(served.budget.usedBytes, message.byteLength);
    handler.onEnd(undefined);
    assert.equal(served.budget.usedBytes, message.byteLength);
    await served.letGo();
    assert.equal(stream.status('grpc-status'), '0');
    assert.equal(served.budget.usedBytes, 0);
  });

  it('is what a compressed request unfolds to, until its handler is done', async () => {
    const served = new Served(unboundedByteBudget());
    const zipped = gzipSync(unary(mebibyte, true).subarray(5));
    const { stream, handler } = served.open(unaryPath, { 'grpc-encoding': 'gzip' });
    handler.onData(Buffer.concat([prefix(zipped.byteLength, 1), zipped]));
    handler.onEnd(undefined);
    assert.ok(served.budget.usedBytes < 10_000, 'as it came');
    while (served.budget.usedBytes < mebibyte) await settle();
    await served.letGo();
    assert.equal(stream.status('grpc-status'), '0');
    assert.equal(served.budget.usedBytes, 0);

    const lost = served.open(unaryPath, { 'grpc-encoding': 'gzip' });
    lost.handler.onData(Buffer.concat([prefix(zipped.byteLength, 1), zipped]));
    lost.stream.lose({ code: 8, byPeer: true });
    await served.router.idle();
    assert.equal(served.budget.usedBytes, 0);
  });

  it('does not follow from a length that a client announces: 2,000 that send no more take a beginning each', () => {
    const served = new Served(unboundedByteBudget());
    for (const path of [unaryPath, inputPath]) {
      const calls = Array.from({ length: 1_000 }, () => served.open(path));
      for (const { handler } of calls) handler.onData(prefix(8 * mebibyte));
      assert.equal(served.budget.usedBytes, 1_000 * partialBytesMin);
      for (const { stream } of calls) stream.lose({ code: 8, byPeer: true });
      assert.equal(served.budget.usedBytes, 0);
    }
  });

  it('of a message that is not large is all of it, but while memory is scarce no more than its beginning', () => {
    const served = new Served(new ByteBudget({ maxBytes: 32 * mebibyte, waitersMax: 100 }));
    for (const path of [unaryPath, inputPath]) {
      const open = (length: number) => {
        const call = served.open(path);
        call.handler.onData(prefix(length));
        return call.stream;
      };
      const whole = open(wholeBytesMax);
      assert.equal(served.budget.usedBytes, wholeBytesMax);
      const large = open(wholeBytesMax + 1);
      assert.equal(served.budget.usedBytes, wholeBytesMax + partialBytesMin);
      served.budget.take(25 * mebibyte);
      const scarce = open(wholeBytesMax);
      assert.equal(served.budget.usedBytes, 25 * mebibyte + wholeBytesMax + 2 * partialBytesMin);
      for (const stream of [whole, large, scarce]) stream.lose({ code: 8, byPeer: true });
      served.budget.give(25 * mebibyte);
      assert.equal(served.budget.usedBytes, 0);
    }
  });

  it('ERR-4: is refused for what comes in parts once little is left, and the client told when to come again', async () => {
    const served = new Served(new ByteBudget({ maxBytes: 32 * mebibyte, waitersMax: 100 }));
    served.budget.take(28 * mebibyte);
    for (const path of [unaryPath, inputPath]) {
      const { stream, handler } = served.open(path);
      handler.onData(prefix(10_000));
      await settle();
      assert.equal(stream.status('grpc-status'), '14');
      assert.ok(stream.status('grpc-status-details-bin') !== undefined, 'RetryInfo');
    }
    const { stream, handler } = served.open(unaryPath);
    handler.onData(unary(10_000));
    handler.onEnd(undefined);
    assert.equal(stream.status('grpc-status'), '0', 'what is whole in its turn needs no memory');
    const tiny = unary(100);
    const split = served.open(unaryPath);
    split.handler.onData(tiny.subarray(0, 30));
    split.handler.onData(tiny.subarray(30));
    split.handler.onEnd(undefined);
    assert.equal(split.stream.status('grpc-status'), '0', 'a question may come in parts');
    assert.equal(served.budget.usedBytes, 28 * mebibyte);
  });

  for (const [kind, path, encode] of [['unary', unaryPath, unary], ['client streaming', inputPath, input]] as const) {
    it(`of a large ${kind} message is reserved as a whole; without room its sender gets no credit until there is`, async () => {
      const served = new Served(new ByteBudget({ maxBytes: 32 * mebibyte, waitersMax: 100 }));
      served.budget.take(20 * mebibyte);
      const message = encode(6 * mebibyte);
      const first = served.open(path);
      first.handler.onData(message.subarray(0, 5));
      first.handler.onData(message.subarray(5, 100_000));
      assert.equal(served.budget.usedBytes, 20 * mebibyte + 100_000 - 5, 'in line, with what came');
      assert.equal(served.budget.waiterCount, 1);
      const creditBefore = first.stream.consumedBytes;
      first.handler.onData(message.subarray(100_000, 400_000));
      assert.equal(first.stream.consumedBytes, creditBefore, 'no credit');
      served.budget.give(10 * mebibyte);
      await settle();
      assert.equal(served.budget.usedBytes, 10 * mebibyte + message.byteLength - 5);
      assert.equal(first.stream.consumedBytes, 400_000, 'all of it');
      first.handler.onData(message.subarray(400_000));
      first.handler.onEnd(undefined);
      await settle();
      assert.equal(first.stream.status('grpc-status'), '0');
      assert.equal(served.budget.usedBytes, 10 * mebibyte);
      const { data } = first.stream;
      const answered = kind === 'unary' ? decoded(SimpleResponseSchema, data)[0]?.payload?.body.byteLength : decoded(StreamingInputCallResponseSchema, data)[0]?.aggregatedPayloadSize;
      assert.equal(answered, 6 * mebibyte);
    });
  }

  it('of a message in line is given up when it is refused, and the call with it', async () => {
    const served = new Served(new ByteBudget({ maxBytes: 32 * mebibyte, waitersMax: 100 }));
    served.budget.take(24 * mebibyte);
    const calls = [unaryPath, inputPath].map((path) => served.open(path));
    for (const { handler } of calls) {
      handler.onData(prefix(6 * mebibyte));
      handler.onData(new Uint8Array(200_000));
    }
    assert.equal(served.budget.waiterCount, 2);
    for (let looks = 0; looks < 2; looks += 1) served.budget.look(1);
    await settle();
    for (const { stream } of calls) assert.equal(stream.status('grpc-status'), '14');
    assert.equal(served.budget.usedBytes, 24 * mebibyte);
    const { stream, handler } = served.open(inputPath);
    handler.onData(prefix(6 * mebibyte));
    handler.onData(new Uint8Array(200_000));
    assert.equal(served.budget.waiterCount, 1);
    stream.lose({ code: 8, byPeer: true });
    assert.equal(served.budget.waiterCount, 0);
    assert.equal(served.budget.usedBytes, 24 * mebibyte);
  });

  it('is given back when its handler asks for the next message, although that one may never come', async () => {
    const served = new Served(unboundedByteBudget());
    for (const path of [inputPath, duplexPath]) {
      const { stream, handler } = served.open(path);
      handler.onData(input(10_000));
      await settle();
      assert.equal(served.budget.usedBytes, 0);
      stream.lose({ code: 8, byPeer: true });
    }
  });

  it('ERR-4: that only its client could free is freed when others wait for it, with a status that says to come again', async () => {
    const served = new Served(unboundedByteBudget());
    for (const path of [unaryPath, inputPath, duplexPath]) {
      const { stream, handler } = served.open(path);
      assert.equal(handler.awaitsPeer, false);
      handler.onData(prefix(1_000));
      assert.equal(handler.awaitsPeer, true);
      handler.onEvicted?.();
      await settle();
      assert.equal(stream.status('grpc-status'), '14');
      assert.equal(served.budget.usedBytes, 0);
    }
  });
});

/** Sends a request in random parts and ends the call in a random way; resolves when both are done. */
async function randomCall(served: Served, random: SeededRandom): Promise<void> {
  const path = random.pick([unaryPath, inputPath, duplexPath]);
  const ending = random.pick(['finish', 'finish', 'reset', 'lost', 'deadline', 'evicted', 'half', 'cut off', 'too much']);
  const { stream, handler } = served.open(path, ending === 'deadline' ? { 'grpc-timeout': '1S' } : {});
  const size = (): number => random.pick([0, 10, 5_000, 70_000, 300_000, 1_000_000]);
  const messages = path === unaryPath ? [unary(size(), random.integer(0, 1) === 0)] : Array.from({ length: random.integer(0, 4) }, () => input(size()));
  const wire = Buffer.concat(messages);
  const stopAt = ending === 'finish' || ending === 'too much' ? wire.byteLength : random.integer(0, wire.byteLength);
  for (let offset = 0; offset < stopAt && !stream.closed; ) {
    const end = Math.min(stopAt, offset + random.integer(1, 100_000));
    handler.onData(new Uint8Array(wire.subarray(offset, end)));
    offset = end;
    if (random.integer(0, 2) === 0) await settle();
  }
  if (stream.closed) return;
  if (ending === 'reset' || ending === 'lost') stream.lose({ code: 8, byPeer: ending === 'reset' });
  else if (ending === 'evicted') handler.onEvicted?.();
  else if (ending === 'cut off') handler.onCutOff?.();
  else if (ending === 'too much') handler.onData(prefix(100 * mebibyte));
  if (random.integer(0, 1) === 0) await settle();
  if (!stream.closed && ending !== 'reset' && ending !== 'lost' && ending !== 'deadline') handler.onEnd(undefined);
}

describe('memory of calls under random schedules', () => {
  it('balances to nothing after every kind of end, and leaves nobody waiting', async (t) => {
    const random = seededRandom(t);
    for (let round = 0; round < 8; round += 1) {
      const served = new Served(new ByteBudget({ maxBytes: 32 * mebibyte, waitersMax: 1_000 }));
      const elsewhere = random.integer(0, 27) * mebibyte;
      served.budget.take(elsewhere);
      const calls = Promise.all(Array.from({ length: 60 }, () => randomCall(served, random)));
      for (let done = false; !done; ) {
        done = await Promise.race([calls.then(() => true), settle().then(() => false)]);
        if (random.integer(0, 4) === 0) await served.letGo();
        if (random.integer(0, 9) === 0) served.budget.look(3);
      }
      for (let looks = 0; looks < 5; looks += 1) served.budget.look(3);
      served.clock.advance(120_000);
      await served.letGo();
      await settle();
      assert.equal(served.budget.usedBytes, elsewhere, `round ${round}`);
      assert.equal(served.budget.waiterCount, 0);
      await served.router.idle();
    }
  });
});
