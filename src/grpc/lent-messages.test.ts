// Messages lent from the transport's input: any cut, parts, pauses, bounds, and every end. The input is written over
// after each piece, as the transport does.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { gzipSync } from 'node:zlib';
import { ByteBudget, unboundedByteBudget } from '../base/byte-budget.ts';
import { CacheError } from '../base/cache-error.ts';
import type { MaybePromise } from '../base/maybe-promise.ts';
import type { WritePiece } from '../proto/byte-stream-codec.ts';
import { ByteStream, WriteRequestSchema } from '../proto/gen/google/bytestream/bytestream_pb.ts';
import { FakeServerStream, headerBlock } from '../testing/fake-server-stream.ts';
import { encoded, framed, settle } from '../testing/grpc-harness.ts';
import { ManualClock } from '../testing/manual-clock.ts';
import { RecordedLog } from '../testing/recorded-log.ts';
import { seededRandom } from '../testing/seeded-random.ts';
import type { SeededRandom } from '../testing/seeded-random.ts';
import { defaultGrpcLimits } from './limits.ts';
import { MessageLane } from './message-lane.ts';
import { GrpcRouter } from './router.ts';
import { implementService } from './service.ts';
import type { ServiceImplementation } from './service.ts';

const mebibyte = 1024 * 1024;

interface Upload {
  readonly stream: FakeServerStream;
  send(wire: Uint8Array, cutAt?: (left: number) => number): void;
  end(): void;
  idle(): Promise<void>;
}

/** A call whose handler lends all of its request to `visit`, after `first` messages that it takes one by one. */
function upload(visit: (piece: WritePiece) => MaybePromise<void>, options: { readonly budget?: ByteBudget; readonly first?: number } = {}): Upload {
  const service = implementService(ByteStream, {
    async write(requests) {
      for (let count = 0; count < (options.first ?? 0); count += 1) await visit((await requests[Symbol.asyncIterator]().next()).value as WritePiece);
      await requests.lend(visit);
      return { committedSize: 7 };
    },
  });
  return open(service, options.budget ?? unboundedByteBudget());
}

function open(service: ServiceImplementation, budget: ByteBudget): Upload {
  const router = new GrpcRouter([service], { timers: new ManualClock(), log: new RecordedLog(), budget });
  const stream = new FakeServerStream();
  const headers = { ':method': 'POST', ':scheme': 'http', ':path': '/google.bytestream.ByteStream/Write', 'content-type': 'application/grpc', 'grpc-encoding': 'gzip', te: 'trailers' };
  const handler = router.onStream(stream, headerBlock(headers));
  stream.handler = handler;
  return {
    stream,
    send(wire, cutAt = (left) => left) {
      for (let at = 0; at < wire.byteLength; ) {
        const length = cutAt(wire.byteLength - at);
        const input = wire.slice(at, at + length);
        handler.onData(input);
        input.fill(0xee);
        at += length;
      }
    },
    end: () => handler.onEnd(undefined),
    idle: () => router.idle(),
  };
}

/** What pieces say together: each part that opens a message begins an entry. */
class Seen {
  readonly messages: { resourceName: string; writeOffset: bigint; finishWrite: boolean; data: Buffer }[] = [];
  parts = 0;
  #continues = false;

  add({ resourceName, writeOffset, finishWrite, data, continues }: WritePiece): void {
    this.parts += 1;
    const open = this.messages.at(-1);
    if (this.#continues && open !== undefined) {
      assert.equal(resourceName, '');
      assert.equal(BigInt(writeOffset), open.writeOffset + BigInt(open.data.byteLength));
      open.data = Buffer.concat([open.data, data]);
      open.finishWrite = finishWrite;
    } else this.messages.push({ resourceName, writeOffset: BigInt(writeOffset), finishWrite, data: Buffer.from(data) });
    if (continues) assert.equal(finishWrite, false);
    this.#continues = continues;
  }
}

function randomRequest(random: SeededRandom) {
  const sizes = [0, 1, 100, 5_000, 70_000, 200_000];
  return {
    resourceName: random.integer(0, 3) === 0 ? 'uploads/x/blobs/y/1' : '',
    writeOffset: [0n, 5n, 2n ** 40n, 2n ** 53n - 2n, 2n ** 62n, -1n][random.integer(0, 5)] ?? 0n,
    finishWrite: random.integer(0, 1) === 1,
    data: random.bytes(random.integer(0, sizes[random.integer(0, sizes.length - 1)] ?? 0)),
  };
}

const request = (data: Uint8Array, writeOffset = 0n, finishWrite = false) => encoded(WriteRequestSchema, { writeOffset, data, finishWrite });

describe('lent messages', () => {
  it('HT-5: say what was sent, however it is cut, with pauses at any time, also behind messages that were taken', async (t) => {
    const random = seededRandom(t);
    for (let round = 0; round < 40; round += 1) {
      const sent = Array.from({ length: random.integer(1, 8) }, () => randomRequest(random));
      const wires = sent.map((message) => {
        const wire = encoded(WriteRequestSchema, message);
        return random.integer(0, 5) === 0 ? framed(new Uint8Array(gzipSync(wire.subarray(5))), 1) : wire;
      });
      const seen = new Seen();
      const pauses = random.integer(0, 2);
      const visit = (piece: WritePiece): MaybePromise<void> => {
        seen.add(piece);
        if (pauses > 0 && random.integer(0, 3 * pauses) === 0) return pauses === 1 ? Promise.resolve() : settle();
        return undefined;
      };
      const call = upload(visit, { first: random.integer(0, 1) });
      const wire = new Uint8Array(Buffer.concat(wires));
      const cutMax = [3, 300, 16_384, wire.byteLength][random.integer(random.integer(0, 2) === 0 || wire.byteLength < 5_000 ? 0 : 1, 3)] ?? 1;
      for (let at = 0; at < wire.byteLength; ) {
        const end = Math.min(wire.byteLength, at + random.integer(1, 100_000));
        call.send(wire.subarray(at, end), (left) => Math.min(left, random.integer(1, cutMax)));
        if (random.integer(0, 1) === 0) await settle();
        at = end;
      }
      call.end();
      await call.idle();
      assert.equal(call.stream.status('grpc-status'), '0', call.stream.status('grpc-message') ?? 'no message');
      assert.deepEqual(seen.messages, sent.map(({ data, ...others }) => ({ ...others, data: Buffer.from(data) })));
      assert.equal(call.stream.consumedBytes, wire.byteLength);
    }
  });

  it('come in parts while they are received, and are held nowhere', async () => {
    const seen = new Seen();
    const budget = new ByteBudget({ maxBytes: mebibyte, waitersMax: 1 });
    const call = upload((piece) => seen.add(piece), { budget });
    const wire = request(Buffer.alloc(3 * mebibyte, 1), 0n, true);
    await settle();
    for (let at = 0; at < wire.byteLength; at += 16_384) {
      const part = wire.subarray(at, at + 16_384);
      call.send(part);
      assert.equal(budget.usedBytes, 0);
      assert.equal(call.stream.consumedBytes, at + part.byteLength, 'and their credit is returned at once');
    }
    call.end();
    await call.idle();
    assert.equal(seen.parts, 193);
    assert.equal(seen.messages[0]?.data.byteLength, 3 * mebibyte);
    assert.equal(call.stream.status('grpc-status'), '0');
  });

  it('HT-4: what comes during a pause waits without credit, is counted, and comes behind it', async () => {
    const gate = Promise.withResolvers<void>();
    const seen = new Seen();
    const budget = unboundedByteBudget();
    const call = upload((piece) => (seen.add(piece), seen.parts === 1 ? gate.promise : undefined), { budget });
    await settle();
    const wire = request(Buffer.alloc(300_000, 1));
    call.send(wire.subarray(0, 10_000));
    call.send(wire.subarray(10_000), () => 16_384);
    await settle();
    assert.equal(seen.parts, 1);
    assert.equal(call.stream.consumedBytes, 10_000);
    assert.equal(budget.usedBytes, wire.byteLength - 10_000);
    gate.resolve();
    await settle();
    assert.equal(seen.messages[0]?.data.byteLength, 300_000);
    assert.equal(call.stream.consumedBytes, wire.byteLength);
    assert.equal(budget.usedBytes, 0);
    call.end();
    await call.idle();
    assert.equal(call.stream.status('grpc-status'), '0');
  });

  it('end with what the visitor throws, at once or by its pause, and nothing is visited after it', async () => {
    for (const fails of [() => { throw new CacheError('out_of_range', 'enough'); }, () => Promise.reject(new CacheError('out_of_range', 'enough'))]) {
      let visited = 0;
      const budget = unboundedByteBudget();
      const call = upload(() => ((visited += 1), fails()), { budget });
      await settle();
      const wire = Buffer.concat([request(new Uint8Array(10)), request(new Uint8Array(100_000)), request(new Uint8Array(10))]);
      call.send(wire, (left) => Math.min(left, 20_000));
      await call.idle();
      assert.equal(call.stream.status('grpc-status'), '11');
      assert.equal(visited, 1);
      assert.equal(budget.usedBytes, 0);
    }
  });

  it('end with what the visitor throws for what had waited during a pause, and give back what came and no more', async () => {
    const gate = Promise.withResolvers<void>();
    let visited = 0;
    const budget = unboundedByteBudget();
    const visit = () => {
      visited += 1;
      if (visited === 1) return gate.promise;
      throw new CacheError('out_of_range', 'enough');
    };
    const call = upload(visit, { budget });
    await settle();
    const wire = new Uint8Array(Buffer.concat([request(new Uint8Array(10)), request(new Uint8Array(1_000)), request(new Uint8Array(10))]));
    call.send(wire, (left) => Math.min(left, 600));
    gate.resolve();
    await call.idle();
    assert.equal(call.stream.status('grpc-status'), '11');
    assert.equal(visited, 2);
    assert.equal(budget.usedBytes, 0);
    assert.equal(call.stream.consumedBytes, wire.byteLength);
  });

  it('end with INTERNAL when the request ends inside one, also behind a pause', async () => {
    for (const paused of [false, true]) {
      const call = upload(() => (paused ? settle() : undefined));
      await settle();
      call.send(request(new Uint8Array(100_000)).subarray(0, 50_000), () => 16_384);
      call.end();
      await call.idle();
      assert.equal(call.stream.status('grpc-status'), '13');
      assert.match(call.stream.status('grpc-message') ?? '', /middle of a message/);
    }
  });

  it('HT-1: keep the limits: of a message, of its flag, and of large ones when memory is short', async () => {
    const call = (budget?: ByteBudget) => upload(() => undefined, budget && { budget });
    const short = new ByteBudget({ maxBytes: mebibyte, waitersMax: 1 });
    short.take(mebibyte - 1);
    const cases: [Upload, Uint8Array, string][] = [
      [call(), Uint8Array.of(0, 0, 255, 255, 255), '8'],
      [call(), Uint8Array.of(2, 0, 0, 0, 1, 0), '13'],
      [call(), Uint8Array.of(0, 0, 0, 0, 1, 0xff), '3'],
      [call(short), request(new Uint8Array(100_000)).subarray(0, 1_000), '14'],
    ];
    for (const [opened, wire, status] of cases) {
      await settle();
      opened.send(wire);
      await opened.idle();
      assert.equal(opened.stream.status('grpc-status'), status);
    }
  });

  it('HT-8: a reset ends the lending, also in a pause, and gives back what is held', async () => {
    const budget = unboundedByteBudget();
    const call = upload(() => new Promise(() => undefined), { budget });
    await settle();
    call.send(request(new Uint8Array(100_000)), () => 16_384);
    assert.ok(budget.usedBytes > 0);
    call.stream.handler?.onReset({ code: 8, byPeer: true });
    await call.idle();
    assert.equal(budget.usedBytes, 0);
  });

  it('HT-9: are counted while they are inflated, and not visited when the call ends meanwhile', async () => {
    for (const isReset of [false, true]) {
      const visited: number[] = [];
      const budget = unboundedByteBudget();
      const plain = Promise.withResolvers<Uint8Array>();
      const lane = new MessageLane(new FakeServerStream(), {
        limits: defaultGrpcLimits,
        budget,
        decode: (bytes) => bytes.byteLength,
        inflate: () => plain.promise,
        onFault: assert.fail,
      });
      const used = Promise.withResolvers<void>();
      const lent = lane.lend((bytes) => (visited.push(Number(bytes)), used.promise)).then(() => 'whole', String);
      lane.push(framed(new Uint8Array(100), 1));
      lane.end();
      assert.equal(budget.usedBytes, 105);
      if (isReset) lane.close(new CacheError('cancelled', 'over'));
      assert.equal(budget.usedBytes, isReset ? 0 : 105);
      plain.resolve(new Uint8Array(3_000));
      await settle();
      assert.equal(budget.usedBytes, isReset ? 0 : 3_105);
      used.resolve();
      assert.match(await lent, isReset ? /over/ : /^whole$/);
      assert.deepEqual(visited, isReset ? [] : [3_000]);
      assert.equal(budget.usedBytes, 0);
    }
  });

  it('K6-09: that came during a pause and wait for memory after it keep no window of their connection', async () => {
    const budget = new ByteBudget({ maxBytes: 4 * mebibyte, waitersMax: 10 });
    const stream = { consumedBytes: 0, setAsideBytes: 0, consumed: (bytes: number) => void (stream.consumedBytes += bytes), setAside: (bytes: number) => void (stream.setAsideBytes += bytes) };
    const lane = new MessageLane(stream, { limits: defaultGrpcLimits, budget, decode: (bytes) => bytes.byteLength, inflate: () => assert.fail('nothing is compressed'), onFault: assert.fail });
    const visited: unknown[] = [];
    const written = Promise.withResolvers<void>();
    const lent = lane.lend((length) => (visited.push(length) === 1 ? written.promise : undefined));
    const large = framed(new Uint8Array(300_000));
    lane.push(framed(new Uint8Array(10)));
    lane.push(large.subarray(0, 150_000));
    budget.take(3_000_000);
    assert.deepEqual([stream.consumedBytes, stream.setAsideBytes], [15, 0], 'it waits for its visitor');
    written.resolve();
    await settle();
    assert.deepEqual([stream.consumedBytes, stream.setAsideBytes], [15, 150_000]);
    lane.push(large.subarray(150_000, 200_000));
    assert.deepEqual([stream.consumedBytes, stream.setAsideBytes], [15, 200_000], 'each byte once');
    budget.give(3_000_000);
    await settle();
    assert.deepEqual([stream.consumedBytes, stream.setAsideBytes], [200_015, 200_000]);
    lane.push(large.subarray(200_000));
    lane.end();
    await lent;
    assert.deepEqual(visited, [10, 300_000]);
    assert.deepEqual([stream.consumedBytes, stream.setAsideBytes, budget.usedBytes], [300_020, 200_000, 0]);
  });

  it('let their visitor count what it keeps, until the call has ended', async () => {
    const budget = unboundedByteBudget();
    let keep: (bytes: number) => void = () => undefined;
    const service = implementService(ByteStream, {
      async write(requests) {
        keep = (bytes) => requests.keep(bytes);
        await requests.lend(({ data }) => requests.keep(data.byteLength));
        return { committedSize: 0 };
      },
    });
    const call = open(service, budget);
    await settle();
    call.send(request(new Uint8Array(1_000)));
    assert.equal(budget.usedBytes, 1_000);
    call.send(request(new Uint8Array(300)));
    assert.equal(budget.usedBytes, 300);
    call.end();
    await call.idle();
    assert.equal(budget.usedBytes, 0);
    keep(5);
    assert.equal(budget.usedBytes, 0, 'whoever is late is not counted for ever');
  });

  it('say whether they wait for their client: not in a pause', async () => {
    const gate = Promise.withResolvers<void>();
    let wait = true;
    const call = upload(() => (wait ? gate.promise : undefined));
    await settle();
    const { handler } = call.stream;
    assert.deepEqual([handler?.awaitsPeer, handler?.awaitsRequest], [false, true]);
    const wire = request(new Uint8Array(100_000));
    call.send(wire.subarray(0, 50_000));
    assert.deepEqual([handler?.awaitsPeer, handler?.awaitsRequest], [false, false]);
    wait = false;
    gate.resolve();
    await settle();
    assert.deepEqual([handler?.awaitsPeer, handler?.awaitsRequest], [true, true]);
    call.send(wire.subarray(50_000));
    assert.deepEqual([handler?.awaitsPeer, handler?.awaitsRequest], [false, true]);
    call.end();
    await call.idle();
  });
});
