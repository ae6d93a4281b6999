// What a client that keeps every rule may send, in random order and in every form the format allows: the seeds of
// the fuzzer, and the input that other implementations must understand in the same way as ours.
import { clientPreface, frameBytesDefault, windowBytesDefault } from '../../src/h2/frames.ts';
import type { Http2Limits } from '../../src/h2/limits.ts';
import { frame, uint32 } from '../../src/testing/http2-peer.ts';
import type { SeededRandom } from '../../src/testing/seeded-random.ts';
import { HpackWriter } from './hpack-writer.ts';
import type { Field } from './hpack-writer.ts';

/** One request as it was sent. */
export interface SentRequest {
  readonly id: number;
  readonly fields: readonly Field[];
  /** DATA so far, without and with its padding. */
  body: Buffer;
  frameBytes: number;
  trailers: readonly Field[] | undefined;
  /** How it stands: the client may go on, has ended it, or has reset it. */
  state: 'open' | 'ended' | 'reset';
}

export interface ClientSession {
  /** The preface, then one frame each; a split header block is one item. */
  readonly frames: readonly Buffer[];
  readonly requests: readonly SentRequest[];
}

const methods = ['GET', 'POST', 'PUT', 'HEAD', 'DELETE', 'OPTIONS'];
const paths = ['/', '/index.html', '/a.Service/Method', '/cas/0123456789', '/%00?q=~'];
const names = ['accept', 'user-agent', 'cookie', 'authorization', 'te', 'x', 'x-a', 'x-a', 'x-long-name-that-nobody-knows', 'grpc-timeout', 'via', '!#$%&\'*+-.^_`|~09'];

export interface SessionOptions {
  /** Things done by the client, at most. */
  readonly steps: number;
  /** Leave out what only resets and ends calls early, so that every request can be compared. */
  readonly completes?: boolean;
}

/** A session that a server with these limits has nothing to say against, but that it may refuse streams. */
export function clientSession(random: SeededRandom, limits: Http2Limits, options: SessionOptions): ClientSession {
  return new SessionWriter(random, limits, options).write();
}

class SessionWriter {
  readonly #random: SeededRandom;
  readonly #limits: Http2Limits;
  readonly #options: SessionOptions;
  readonly #hpack: HpackWriter;
  readonly #frames: Buffer[] = [Buffer.from(clientPreface)];
  readonly #requests: SentRequest[] = [];
  #connectionLeftBytes = windowBytesDefault; // what a prepared session can count on, since it cannot wait for more
  /** Told to the server by WINDOW_UPDATE, all in all: windows must stay below 2^31. */
  #grantedBytes = 0;
  #nextId = 1;

  constructor(random: SeededRandom, limits: Http2Limits, options: SessionOptions) {
    this.#random = random;
    this.#limits = limits;
    this.#options = options;
    this.#hpack = new HpackWriter(random);
  }

  write(): ClientSession {
    const random = this.#random;
    this.#settings();
    if (random.integer(0, 1) === 0) this.#acknowledge();
    else this.#request();
    for (let step = random.integer(1, this.#options.steps); step > 0; step--) this.#step();
    if (this.#options.completes === true) for (const request of this.#open()) this.#end(request);
    return { frames: this.#frames, requests: this.#requests };
  }

  /** Our SETTINGS are acknowledged once: from here on a smaller table must be kept to. */
  #acknowledge(): void {
    this.#push(frame(4, 1, 0));
    this.#hpack.limit(this.#limits.headerTableBytesMax);
  }

  #step(): void {
    const steps: (() => void)[] = [() => this.#request(), () => this.#request(), () => this.#control(), () => this.#credit()];
    const open = this.#open();
    if (open.length > 0) {
      const request = this.#random.pick(open);
      steps.push(() => this.#data(request), () => this.#data(request), () => this.#end(request));
      if (this.#options.completes !== true) steps.push(() => this.#reset(request));
    }
    this.#random.pick(steps)();
  }

  #open(): SentRequest[] {
    return this.#requests.filter(({ state }) => state === 'open');
  }

  #push(...frames: Buffer[]): void {
    this.#frames.push(Buffer.concat(frames));
  }

  #settings(): void {
    const random = this.#random;
    const values: readonly (readonly [number, number])[] = [
      [1, random.pick([0, 50, 4_096, 65_536])],
      [2, random.integer(0, 1)],
      [3, random.pick([0, 1, 100])],
      [4, random.pick(this.#options.completes === true ? [1_000, 65_535, 1_000_000] : [0, 1, 1_000, 65_535, 1_000_000])],
      [5, random.pick([16_384, 20_000, 16_777_215])],
      [6, random.pick([100, 16_384])],
      [random.pick([7, 8, 9, 0xf0f0]), random.integer(0, 1)],
    ];
    const chosen = values.filter(() => random.integer(0, 2) === 0);
    this.#push(frame(4, 0, 0, Buffer.concat(chosen.map(([id, value]) => Buffer.concat([Buffer.from([id >> 8, id & 0xff]), uint32(value)])))));
  }

  #request(): void {
    const random = this.#random;
    const id = this.#nextId;
    this.#nextId += 2 * random.pick([1, 1, 1, 2, 5]);
    const fields: Field[] = [[':method', random.pick(methods)], [':scheme', random.pick(['http', 'https'])], [':path', random.pick(paths)]];
    // Not required by RFC 9113 §8.3.1, but by others: nghttp2 refuses a request that names no host at all.
    if (this.#options.completes === true || random.integer(0, 1) === 0) fields.push([':authority', random.pick(['localhost', '127.0.0.1:80'])]);
    const pseudo = fields.splice(0).toSorted(() => random.integer(-1, 1));
    fields.push(...pseudo, ...this.#someFields());
    const endStream = random.integer(0, 2) === 0;
    this.#block(id, endStream, fields);
    this.#requests.push({ id, fields, body: Buffer.alloc(0), frameBytes: 0, trailers: undefined, state: endStream ? 'ended' : 'open' });
  }

  #someFields(): Field[] {
    const random = this.#random;
    return Array.from({ length: random.pick([0, 1, 2, 5]) }, () => {
      const name = random.pick(names);
      return [name, name === 'te' ? 'trailers' : this.#value()] as const;
    });
  }

  #value(): string {
    const random = this.#random;
    const known = random.pick(['', 'a', 'gzip, deflate', 'trailers', 'a b\tc', '\xe9\xff\x80', '~'.repeat(40)]);
    if (random.integer(0, 2) > 0) return known;
    return Array.from({ length: random.integer(1, 60) }, () => String.fromCharCode(random.integer(0x21, 0x7e))).join('');
  }

  /** HEADERS with padding and priority by chance, in up to five pieces. */
  #block(id: number, endStream: boolean, fields: readonly Field[]): void {
    const random = this.#random;
    const block = this.#hpack.block(fields);
    const cuts = random.integer(0, 3) === 0 ? Array.from({ length: random.integer(1, 4) }, () => random.integer(0, block.length)).toSorted((a, b) => a - b) : [];
    const pieces = [0, ...cuts].map((from, index) => block.subarray(from, cuts[index] ?? block.length));
    const priority = random.integer(0, 7) === 0 ? Buffer.concat([uint32(random.pick([0, id + 2, 0x8000_0000 + id + 4])), Buffer.from([random.integer(0, 255)])]) : undefined;
    const padding = random.integer(0, 7) === 0 ? random.integer(0, 100) : undefined;
    const frames = pieces.map((piece, index) => {
      const endHeaders = index === pieces.length - 1 ? 0x4 : 0;
      if (index > 0) return frame(9, endHeaders, id, piece);
      const flags = (endStream ? 0x1 : 0) | endHeaders | (padding === undefined ? 0 : 0x8) | (priority === undefined ? 0 : 0x20);
      const before = padding === undefined ? [] : [Buffer.from([padding])];
      return frame(1, flags, id, Buffer.concat([...before, priority ?? Buffer.alloc(0), piece, Buffer.alloc(padding ?? 0)]));
    });
    this.#push(...frames);
  }

  #data(request: SentRequest, endStream = false): void {
    const random = this.#random;
    const left = Math.min(this.#limits.streamWindowBytes - request.frameBytes, this.#connectionLeftBytes, frameBytesDefault, windowBytesDefault - request.frameBytes);
    const pad = random.integer(0, 5) === 0 && left >= 256 ? random.pick([0, 1, 255]) : undefined;
    const overhead = pad === undefined ? 0 : pad + 1;
    const count = Math.min(random.pick([0, 1, 72, 500, 5_000]), left - overhead);
    if (count === 0 && !endStream) return; // empty DATA that ends nothing is idle chatter
    const content = Buffer.alloc(count, random.integer(0, 255));
    this.#connectionLeftBytes -= count + overhead;
    request.frameBytes += count + overhead;
    const payload = pad === undefined ? content : Buffer.concat([Buffer.from([pad]), content, Buffer.alloc(pad)]);
    this.#push(frame(0, (endStream ? 0x1 : 0) | (pad === undefined ? 0 : 0x8), request.id, payload));
    request.body = Buffer.concat([request.body, content]);
  }

  #end(request: SentRequest): void {
    if (this.#random.integer(0, 1) === 0) {
      this.#data(request, true);
    } else {
      request.trailers = this.#someFields();
      this.#block(request.id, true, request.trailers);
    }
    request.state = 'ended';
  }

  #reset(request: SentRequest): void {
    this.#push(frame(3, 0, request.id, uint32(this.#random.pick([0, 5, 8, 0xbeef]))));
    request.state = 'reset';
  }

  #control(): void {
    const random = this.#random;
    const anyId = random.integer(0, 1) === 0 ? this.#nextId : Math.max(1, this.#nextId - 2);
    const kinds: (() => void)[] = [
      () => this.#push(frame(6, 0, 0, random.bytes(8))),
      () => this.#push(frame(2, 0, anyId, Buffer.concat([uint32(anyId + 2), Buffer.from([16])]))),
      () => this.#push(frame(random.pick([0xa, 0xb, 0xfe]), random.integer(0, 255), random.pick([0, 1, anyId]), random.bytes(random.integer(0, 20)))),
    ];
    if (this.#options.completes !== true) kinds.push(() => this.#settings(), () => this.#push(frame(7, 0, 0, Buffer.concat([uint32(0, 0), Buffer.from('bye')]))));
    random.pick(kinds)();
  }

  #credit(): void {
    const random = this.#random;
    const increment = random.pick([1, 100, 70_000, 10_000_000]);
    if (this.#grantedBytes + increment > 0x7000_0000) return;
    this.#grantedBytes += increment;
    const ids = [0, ...this.#requests.filter(({ state }) => state !== 'reset').map(({ id }) => id)];
    this.#push(frame(8, 0, random.pick(ids), uint32(increment)));
  }
}
