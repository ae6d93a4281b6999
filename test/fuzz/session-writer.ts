// What both ends that keep every rule write alike: header blocks in every form, DATA within the windows that the other
// end announces first, and frames about the connection.
import { clientPreface, frameBytesDefault, windowBytesDefault } from '../../src/h2/frames.ts';
import type { Http2Limits } from '../../src/h2/limits.ts';
import { frame, uint32 } from '../../src/testing/http2-peer.ts';
import type { SeededRandom } from '../../src/testing/seeded-random.ts';
import { HpackWriter } from './hpack-writer.ts';
import type { Field } from './hpack-writer.ts';

/** What was sent on one stream. */
export interface SentMessage {
  readonly id: number;
  readonly fields: readonly Field[];
  /** DATA so far, without and with its padding. */
  body: Buffer;
  frameBytes: number;
  trailers: readonly Field[] | undefined;
  /** How it stands: the sender may go on, has ended it, or has reset it. */
  state: 'open' | 'ended' | 'reset';
}

export interface SessionOptions {
  /** Things done by the sender, at most. */
  readonly steps: number;
  /** Leave out what only resets and ends calls early, so that everything can be compared. */
  readonly completes?: boolean;
}

/** Pseudo-headers, counted as RFC 9113 §6.5.2 has it. */
const headBytesMax = 260;
const names = ['accept', 'user-agent', 'cookie', 'authorization', 'te', 'x', 'x-a', 'x-a', 'x-long-name-that-nobody-knows', 'grpc-timeout', 'via', '!#$%&\'*+-.^_`|~09'];

export abstract class SessionWriter {
  protected readonly random: SeededRandom;
  protected readonly options: SessionOptions;
  protected readonly frames: Buffer[] = [];
  protected readonly messages: SentMessage[] = [];
  readonly #limits: Http2Limits;
  readonly #hpack: HpackWriter;
  #connectionLeftBytes = windowBytesDefault; // what a prepared session can count on, since it cannot wait for more
  /** Granted by WINDOW_UPDATE, all in all: windows must stay below 2^31. */
  #grantedBytes = 0;

  /** `limits` are those of the end that reads. */
  constructor(random: SeededRandom, limits: Http2Limits, options: SessionOptions) {
    this.random = random;
    this.#limits = limits;
    this.options = options;
    this.#hpack = new HpackWriter(random);
  }

  protected abstract settingsValues(): readonly (readonly [id: number, value: number])[];

  protected push(...frames: Buffer[]): void {
    this.frames.push(Buffer.concat(frames));
  }

  protected preface(): void {
    this.push(Buffer.from(clientPreface));
  }

  protected open(): SentMessage[] {
    return this.messages.filter(({ state }) => state === 'open');
  }

  /** The other end's SETTINGS are acknowledged once: from here on a smaller table must be kept to. */
  protected acknowledge(): void {
    this.push(frame(4, 1, 0));
    this.#hpack.limit(this.#limits.headerTableBytesMax);
  }

  protected settings(): void {
    const chosen = this.settingsValues().filter(() => this.random.integer(0, 2) === 0);
    this.push(frame(4, 0, 0, Buffer.concat(chosen.map(([id, value]) => Buffer.concat([Buffer.from([id >> 8, id & 0xff]), uint32(value)])))));
  }

  /** As many as the other end takes beside a head of a few fields. */
  protected someFields(): Field[] {
    const { random } = this;
    let leftBytes = this.#limits.headerListBytesMax - headBytesMax;
    const fields: Field[] = [];
    for (let count = random.pick([0, 1, 2, 5]); count > 0; count--) {
      const name = random.pick(names);
      const value = name === 'te' ? 'trailers' : this.#value();
      leftBytes -= name.length + value.length + 32;
      if (leftBytes >= 0) fields.push([name, value]);
    }
    return fields;
  }

  /** HEADERS with padding and priority by chance, in up to five pieces. */
  protected block(id: number, endStream: boolean, fields: readonly Field[]): void {
    const random = this.random;
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
    this.push(...frames);
  }

  protected data(message: SentMessage, endStream = false): void {
    const random = this.random;
    const left = Math.min(this.#limits.streamWindowBytes - message.frameBytes, this.#connectionLeftBytes, frameBytesDefault, windowBytesDefault - message.frameBytes);
    const wanted = random.pick([-1, -1, -1, 0, 1, 20, 255]);
    const pad = wanted === -1 || left < wanted + 1 ? undefined : wanted;
    const overhead = pad === undefined ? 0 : pad + 1;
    const count = Math.min(random.pick([0, 1, 72, 500, 5_000]), left - overhead);
    if (count === 0 && !endStream) return; // empty DATA that ends nothing is idle chatter
    const content = Buffer.alloc(count, random.integer(0, 255));
    this.#connectionLeftBytes -= count + overhead;
    message.frameBytes += count + overhead;
    const payload = pad === undefined ? content : Buffer.concat([Buffer.from([pad]), content, Buffer.alloc(pad)]);
    this.push(frame(0, (endStream ? 0x1 : 0) | (pad === undefined ? 0 : 0x8), message.id, payload));
    message.body = Buffer.concat([message.body, content]);
  }

  protected end(message: SentMessage): void {
    if (this.random.integer(0, 1) === 0) {
      this.data(message, true);
    } else {
      message.trailers = this.someFields();
      this.block(message.id, true, message.trailers);
    }
    message.state = 'ended';
  }

  protected reset(message: SentMessage): void {
    this.push(frame(3, 0, message.id, uint32(this.random.pick([0, 5, 8, 0xbeef]))));
    message.state = 'reset';
  }

  /** PING, PRIORITY, a frame of a type that nobody knows; what else there is in `more`. */
  protected control(id: number, more: readonly (() => void)[]): void {
    const { random } = this;
    random.pick([
      () => this.push(frame(6, 0, 0, random.bytes(8))),
      () => this.push(frame(2, 0, id, Buffer.concat([uint32(id + 2), Buffer.from([16])]))),
      () => this.push(frame(random.pick([0xb, 0x20, 0xfe]), random.integer(0, 255), random.pick([0, 1, id]), random.bytes(random.integer(0, 20)))),
      ...more,
    ])();
  }

  protected credit(ids: readonly number[]): void {
    const increment = this.random.pick([1, 100, 70_000, 10_000_000]);
    if (this.#grantedBytes + increment > 0x7000_0000) return;
    this.#grantedBytes += increment;
    this.push(frame(8, 0, this.random.pick([0, ...ids]), uint32(increment)));
  }

  #value(): string {
    const random = this.random;
    const known = random.pick(['', 'a', 'gzip, deflate', 'trailers', 'a b\tc', '\xe9\xff\x80', '~'.repeat(40)]);
    if (random.integer(0, 2) > 0) return known;
    return Array.from({ length: random.integer(1, 60) }, () => String.fromCharCode(random.integer(0x21, 0x7e))).join('');
  }
}
