// What stands above the engine while it is fuzzed: an application that keeps the contract of src/h2/stream.ts, does
// by chance everything the contract allows, and holds the engine to its side of it.
import assert from 'node:assert/strict';
import type { HeaderBlock, OpenStream, OutgoingHeaders, StreamReset } from '../../src/h2/stream.ts';
import type { SeededRandom } from '../../src/testing/seeded-random.ts';

/** Largest body part that the application sends at once. */
export const partBytesMax = 20_000;

type Step = () => void;

/** One stream as seen from above; either role. */
export abstract class ScriptedStream {
  protected readonly random: SeededRandom;
  readonly #reads: 'at once' | 'later' | 'never';
  /** What is still to be done, in order. */
  protected steps: Step[] = [];
  #unreadBytes = 0;
  #ended = false;
  #resets = 0;
  #isSending = false;
  #awaitsDrained = false;
  /** Closed without a reset: nothing may be told any more. */
  #closedInPeace = false;
  /** We have said all that we had to say. */
  protected saidEnd = false;

  constructor(random: SeededRandom) {
    this.random = random;
    this.#reads = random.pick(['at once', 'at once', 'later', 'never'] as const);
  }

  /** The engine's side; not before the stream was opened. */
  protected abstract get stream(): OpenStream;

  get id(): number {
    return this.stream.id;
  }

  get isOpen(): boolean {
    return !this.stream.closed;
  }

  /** Received and not consumed; none once the stream is closed, since then it is the engine's again. */
  get unreadBytes(): number {
    return this.isOpen ? this.#unreadBytes : 0;
  }

  get reads(): boolean {
    return this.#reads !== 'never';
  }

  onData(bytes: Uint8Array): void {
    this.#told('DATA');
    assert.ok(!this.#ended, 'DATA after the end');
    assert.ok(bytes.length > 0, 'DATA of nothing');
    this.#unreadBytes += bytes.length;
    if (this.#reads === 'at once') this.#read(bytes.length);
    if (this.random.integer(0, 30) === 0) this.#do(() => this.stream.reset(this.random.pick([0, 8, 0x77])));
  }

  onEnd(_trailers: HeaderBlock | undefined): void {
    this.#told('the end');
    assert.ok(!this.#ended, 'the end twice');
    this.#ended = true;
    if (this.random.integer(0, 1) === 0) this.advance(this.random.integer(1, 5));
    this.#note();
  }

  onReset(_reset: StreamReset): void {
    assert.ok(!this.#closedInPeace, 'a reset after both sides had ended');
    assert.equal(this.#resets, 0, 'a reset twice');
    assert.ok(this.stream.closed, 'a reset of a stream that is not closed');
    this.#resets++;
  }

  onDrained(): void {
    assert.ok(!this.#isSending, 'drained from within sendData');
    assert.ok(this.#awaitsDrained, 'drained, and nothing was queued');
    assert.equal(this.stream.queuedBytes, 0, 'drained, and something is queued');
    assert.equal(this.#resets, 0, 'drained after a reset');
    this.#awaitsDrained = false;
    if (this.random.integer(0, 1) === 0) this.advance(1);
  }

  /** Does up to `count` steps of its own, as far as backpressure allows. */
  advance(count: number): void {
    for (let left = count; left > 0 && this.steps.length > 0 && this.stream.queuedBytes === 0; left--) {
      const step = this.steps.shift();
      if (step !== undefined) this.#do(step);
    }
  }

  /** Reads some of what came, or goes on sending. */
  act(): void {
    if (this.#reads === 'later' && this.unreadBytes > 0 && this.random.integer(0, 1) === 0) this.#read(this.random.integer(1, this.#unreadBytes));
    else this.advance(this.random.integer(1, 3));
  }

  /** Every byte that came is consumed. */
  readAll(): void {
    if (this.isOpen && this.#unreadBytes > 0) this.#read(this.#unreadBytes);
  }

  /** The connection is over: exactly one end was told. */
  checkEnd(): void {
    assert.ok(this.stream.closed, 'the connection is over, and a stream is not closed');
    if (this.#resets === 0) assert.ok(this.#ended && this.saidEnd, 'a stream closed without an end and without a reset');
    assert.equal(this.stream.queuedBytes, 0, 'a closed stream has something queued');
  }

  /** Body parts, then an end of some kind. */
  protected bodySteps(trailers: OutgoingHeaders): Step[] {
    const { random } = this;
    const parts = Array.from({ length: random.pick([0, 0, 1, 2, 4]) }, () => random.pick([0, 1, 72, 3_000, partBytesMax]));
    const steps = parts.map((bytes) => () => this.#send(bytes, false));
    const ending = random.integer(0, 9);
    if (ending < 4) return [...steps, () => this.#send(random.pick([0, 10, 5_000]), true)];
    if (ending < 8) return [...steps, () => this.#sendTrailers(trailers)];
    return ending === 8 ? [...steps, () => this.stream.reset(random.pick([0, 2, 8]))] : steps;
  }

  #send(bytes: number, endStream: boolean): void {
    const middle = this.random.integer(0, bytes);
    const body = Buffer.alloc(bytes, this.stream.id);
    this.#isSending = true;
    if (endStream) this.saidEnd = true;
    this.stream.sendData(middle === 0 ? [body] : [body.subarray(0, middle), body.subarray(middle)], endStream);
    this.#isSending = false;
    this.#awaitsDrained = this.stream.queuedBytes > 0;
  }

  #sendTrailers(trailers: OutgoingHeaders): void {
    this.saidEnd = true;
    this.stream.sendTrailers(trailers);
  }

  #read(bytes: number): void {
    this.#unreadBytes -= bytes;
    this.stream.consumed(bytes);
  }

  #do(step: Step): void {
    step();
    this.#note();
  }

  #note(): void {
    if (this.stream.closed && this.#ended && this.saidEnd && this.#resets === 0) this.#closedInPeace = true;
  }

  #told(what: string): void {
    assert.equal(this.#resets, 0, `${what} after a reset`);
    assert.ok(!this.#closedInPeace || !this.#ended, `${what} after both sides had ended`);
  }
}
