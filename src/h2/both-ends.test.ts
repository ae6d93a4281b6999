// Both ends of this house against each other, without sockets: random limits, bodies, resets and chunk sizes. Whatever
// they are, every byte arrives once and in order, both ends agree on how each exchange ended, and no credit is lost.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { setImmediate } from 'node:timers/promises';
import { unboundedByteBudget } from '../base/byte-budget.ts';
import { ManualClock } from '../testing/manual-clock.ts';
import { SeededRandom } from '../testing/seeded-random.ts';
import { ClientConnection } from './client-connection.ts';
import { errorCode } from './error-code.ts';
import { http2Limits } from './limits.ts';
import type { Http2Limits } from './limits.ts';
import type { Outlet } from './outlet.ts';
import { ServerConnection } from './server-connection.ts';
import type { HeaderBlock, OpenStream, ResponseHandler, ServerStream, StreamHandler } from './stream.ts';

/** Sends a body piece by piece, no more before the last is gone, and takes what comes, returning credit late. */
class Talker {
  readonly received: Buffer[] = [];
  readonly heard: string[] = [];
  readonly sent: Buffer[] = [];
  stream: OpenStream | undefined = undefined;
  #left: number;
  #unconsumed = 0;
  readonly #random: SeededRandom;

  constructor(random: SeededRandom, bodyBytes: number) {
    this.#random = random;
    this.#left = bodyBytes;
  }

  get body(): Buffer {
    return Buffer.concat(this.received);
  }

  onData(bytes: Uint8Array): void {
    this.received.push(Buffer.from(bytes));
    this.#unconsumed += bytes.length;
    if (this.#random.integer(0, 2) > 0) this.returnCredit();
  }

  returnCredit(): void {
    if (this.#unconsumed > 0) this.stream?.consumed(this.#unconsumed);
    this.#unconsumed = 0;
  }

  /** Sends what may go now; the end comes with the last piece, empty, or with trailers. */
  talk(): void {
    const { stream } = this;
    while (stream !== undefined && !stream.closed && stream.queuedBytes === 0 && this.#left >= 0) {
      const count = Math.min(this.#left, this.#random.pick([1, 100, 5_000, 40_000]));
      const piece = this.#random.bytes(count);
      this.sent.push(Buffer.from(piece));
      this.#left -= count;
      const how = this.#left > 0 ? 'more' : this.#random.pick(['with it', 'empty', 'trailers']);
      stream.sendData([piece.subarray(0, count >> 1), piece.subarray(count >> 1)], how === 'with it');
      if (how === 'more') continue;
      this.#left = -1;
      if (how === 'empty') stream.sendData([], true);
      if (how === 'trailers') stream.sendTrailers([['sum', String(Buffer.concat(this.sent).length)]]);
    }
  }

  onEnd(trailers: HeaderBlock | undefined): void {
    if (trailers !== undefined) assert.equal(trailers.get('sum'), String(this.body.length));
    this.heard.push('end');
  }

  onReset({ code }: { readonly code: number }): void {
    this.heard.push(`reset ${code}`);
  }

  onDrained(): void {
    this.talk();
  }
}

function randomLimits(random: SeededRandom): Http2Limits {
  return {
    ...http2Limits,
    streamWindowBytes: random.pick([1_000, 65_535, 1_048_576]),
    connectionWindowBytes: random.pick([65_535, 100_000, 1_048_576]),
    frameBytesMax: random.pick([16_384, 20_000, 100_000]),
    headerTableBytesMax: random.pick([0, 100, 4_096, 65_536]),
    concurrentStreamsMax: random.pick([3, 100]),
    outputBytesMax: random.pick([10_000, 1_048_576]),
    // Windows of 1,000 bytes let answers out in small frames, and credit for each is right.
    idleFramesBurst: 1_000_000,
  };
}

/** What waits on the way of each end to the other. */
class Wire {
  #bytes = Buffer.alloc(0);
  readonly #outlet: Outlet;
  readonly #take: () => void;

  constructor(outlet: Outlet, take: () => void) {
    this.#outlet = outlet;
    this.#take = take;
  }

  /** Moves up to `count` bytes to the other end; false when there was nothing. */
  move(count: number, to: { receive(bytes: Uint8Array): void }): boolean {
    this.#take();
    const slices = this.#outlet.take();
    if (slices.length > 0) this.#bytes = Buffer.concat([this.#bytes, ...slices]);
    this.#outlet.onBacklog(this.#bytes.length);
    const chunk = Buffer.from(this.#bytes.subarray(0, count));
    this.#bytes = this.#bytes.subarray(chunk.length);
    if (chunk.length === 0) return false;
    to.receive(chunk);
    chunk.fill(0xee); // the transport uses it again
    return true;
  }
}

function converse(seed: number): void {
  const random = new SeededRandom(seed);
  const clock = new ManualClock();
  const served: Talker[] = [];
  const asked: Talker[] = [];
  const parts = { clock, budget: unboundedByteBudget(), wake: () => {} };
  const acceptor = {
    onStream: (stream: ServerStream, block: HeaderBlock): StreamHandler => {
      const talker = new Talker(random, Number(block.get('answer')));
      talker.stream = stream;
      served[Number(block.get('number'))] = talker;
      if (random.integer(0, 3) === 0) stream.sendHeaders([[':status', '103']], false);
      stream.sendHeaders([[':status', '200']], false);
      talker.talk();
      return talker;
    },
  };
  const server = new ServerConnection({ ...parts, acceptor, limits: randomLimits(random) });
  const client = new ClientConnection({ ...parts, limits: randomLimits(random) });
  const toServer = new Wire(client.outlet, () => client.onTake());
  const toClient = new Wire(server.outlet, () => {});
  const exchanges = random.integer(1, 25);
  const resetBy = new Map<number, 'client' | 'server'>();
  for (let turn = 0; turn < 200_000; turn++) {
    while (asked.length < exchanges && client.freeStreams > 0 && random.integer(0, 2) > 0) {
      const talker = new Talker(random, random.pick([0, 1, 3_000, 200_000]));
      const handler: ResponseHandler = Object.assign(talker, { onHeaders: (head: HeaderBlock) => assert.equal(head.get(':status'), '200') });
      const number = asked.push(talker) - 1;
      const answer = random.pick([0, 1, 3_000, 200_000]);
      const extra: [string, string] = ['x-long', 'y'.repeat(random.pick([1, 100, 30_000]))];
      talker.stream = client.open([[':method', 'POST'], [':scheme', 'http'], [':path', '/'], ['number', String(number)], ['answer', String(answer)], extra], false, handler);
      talker.talk();
    }
    if (random.integer(0, 400) === 0) {
      const number = random.integer(0, asked.length);
      const who = random.pick(['client', 'server'] as const);
      const talker = who === 'client' ? asked[number] : served[number];
      if (talker?.stream?.closed === false) {
        resetBy.set(number, who);
        talker.stream.reset(errorCode.cancel);
      }
    }
    const moved = [toServer.move(random.pick([1, 9, 1_000, 100_000]), server), toClient.move(random.pick([1, 9, 1_000, 100_000]), client)];
    if (moved.includes(true)) continue;
    for (const talker of [...asked, ...served]) talker?.returnCredit();
    if (toServer.move(100_000, server) || toClient.move(100_000, client)) continue;
    if (asked.length === exchanges) break;
  }
  assert.equal(client.isOver || server.isOver, false, 'neither finds fault with the other');
  for (const [number, talker] of asked.entries()) {
    const other = served[number];
    // Opened before the client knew how many the server takes, and given back as not processed.
    if (other === undefined && talker.heard[0] === `reset ${errorCode.refusedStream}`) continue;
    assert.ok(other !== undefined || resetBy.has(number), `exchange ${number} was served`);
    if (resetBy.has(number)) {
      // What was received before is the beginning of what was sent.
      if (other !== undefined) assert.ok(Buffer.concat(other.sent).subarray(0, talker.body.length).equals(talker.body));
      continue;
    }
    assert.deepEqual([talker.heard, other?.heard], [['end'], ['end']], `exchange ${number}`);
    assert.ok(talker.body.equals(Buffer.concat(other?.sent ?? [])), `answer ${number}`);
    assert.ok(other?.body.equals(Buffer.concat(talker.sent)), `request ${number}`);
  }
  assert.deepEqual([client.streamCount, server.streamCount], [0, 0]);
}

describe('both ends of HTTP/2 against each other', () => {
  for (let seed = 0; seed < 16; seed++) {
    it(`seed ${seed}: every byte arrives once, in order, and all exchanges end alike at both ends`, async () => {
      converse(seed);
      await setImmediate(); // lets the runner tell of it
    });
  }
});
