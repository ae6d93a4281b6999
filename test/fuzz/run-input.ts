// Runs one input through the pure engine, between an application above and a strict reader below, and checks what must
// hold after every step. Throws where the engine does, or where something does not hold.
import assert from 'node:assert/strict';
import { unboundedByteBudget } from '../../src/base/byte-budget.ts';
import { clientPreface } from '../../src/h2/frames.ts';
import { http2Limits } from '../../src/h2/limits.ts';
import type { Http2Limits } from '../../src/h2/limits.ts';
import { parseFrames } from '../../src/testing/http2-peer.ts';
import type { Frame } from '../../src/testing/http2-peer.ts';
import { ManualClock } from '../../src/testing/manual-clock.ts';
import { SeededRandom } from '../../src/testing/seeded-random.ts';
import { clientUnderTest } from './client-under-test.ts';
import type { EngineUnderTest } from './engine-under-test.ts';
import type { FuzzInput } from './fuzz-input.ts';
import { partBytesMax } from './scripted-stream.ts';
import { SentFramesChecker } from './sent-frames-checker.ts';
import { serverUnderTest } from './server-under-test.ts';

/** Tight in one way each, so that every limit is met within a short input. */
export const limitShapes: readonly Http2Limits[] = [
  { ...http2Limits, idleFramesBurst: 2_000 },
  { ...http2Limits, concurrentStreamsMax: 4, headerListBytesMax: 600, headerBlockBytesMax: 2_000, continuationFramesMax: 5, streamWindowBytes: 3_000, connectionWindowBytes: 70_000, outputBytesMax: 30_000, idleFramesBurst: 500 },
  { ...http2Limits, headerTableBytesMax: 100, streamWindowBytes: 100, connectionWindowBytes: 65_535, outputBytesMax: 5_000, rememberedBlocksMax: 2, idleFramesBurst: 500 },
  { ...http2Limits, headerTableBytesMax: 65_536, frameBytesMax: 20_000, streamWindowBytes: 1_000_000, idleFramesBurst: 10 },
];

/** Control frames and heads of answers that one frame of input can bring about beyond what DATA is held to. */
const outputSlackBytes = 100_000;
/** Above the rate of idle frames that is allowed, so that only bursts are refused. */
const frameMs = 20;

/** What came of an input, for whoever wants to know more than that nothing was wrong. */
export interface RunOutcome {
  /** The code of the GOAWAY that the engine ended the connection with, if it did. */
  readonly fault: number | undefined;
  /** Codes that streams were reset with by the engine's side: the application's are 0, 2, 8 and 0x77. */
  readonly resetCodes: readonly number[];
}

export function limitsOf(input: FuzzInput): Http2Limits {
  return limitShapes[input.limits % limitShapes.length] ?? http2Limits;
}

/** @throws AssertionError, or whatever the engine threw. */
export function runInput(input: FuzzInput): RunOutcome {
  return new InputRun(input).run();
}

class InputRun {
  readonly #input: FuzzInput;
  readonly #limits: Http2Limits;
  readonly #random: SeededRandom;
  readonly #clock = new ManualClock();
  readonly #budget = unboundedByteBudget();
  readonly #checker: SentFramesChecker;
  readonly #engine: EngineUnderTest;
  #wakes = 0;
  /** Handed to the transport and not gone yet, with a copy of how it was. */
  #inFlight: { readonly slice: Uint8Array; readonly copy: Uint8Array }[] = [];
  #backlogBytes = 0;

  constructor(input: FuzzInput) {
    this.#input = input;
    this.#limits = limitsOf(input);
    this.#random = new SeededRandom(input.application);
    this.#checker = new SentFramesChecker(input.role, this.#limits);
    const underTest = input.role === 'server' ? serverUnderTest : clientUnderTest;
    this.#engine = underTest({ limits: this.#limits, random: this.#random, clock: this.#clock, budget: this.#budget, wake: () => this.#wakes++ });
  }

  run(): RunOutcome {
    this.#takeOutput();
    for (const { bytes, frame } of cutFrames(Buffer.concat(this.#input.items), this.#input.role, this.#limits)) {
      this.#clock.advance(frameMs);
      if (frame !== undefined && !this.#engine.isOver) this.#checker.onPeerFrame(frame);
      this.#feed(bytes);
      if (frame === undefined) continue; // the beginning of a frame: the engine has counted it, the reader has not
      this.#check();
      while (this.#random.integer(0, 2) === 0) this.#act();
    }
    if (!this.#engine.isOver) this.#checker.checkAnswered();
    if (!this.#engine.isOver && this.#random.integer(0, 1) === 0) this.#readEverything();
    this.#engine.abort();
    this.#takeOutput();
    for (const stream of this.#engine.streams) stream.checkEnd();
    assert.equal(this.#engine.streamCount, 0, 'the connection is over, and streams are left');
    assert.equal(this.#budget.usedBytes, 0, 'the connection is over, and bytes are still accounted to it');
    assert.ok(this.#engine.isOver, 'the connection goes on after its end');
    this.#checker.finish();
    return { fault: this.#checker.fault, resetCodes: this.#checker.resetCodes };
  }

  /** In up to three chunks; a transport uses its buffer again. */
  #feed(bytes: Buffer): void {
    for (let at = 0; at < bytes.length; ) {
      const end = this.#random.integer(0, 2) === 0 ? this.#random.integer(at + 1, bytes.length) : bytes.length;
      const chunk = new Uint8Array(bytes.subarray(at, end));
      this.#engine.receive(chunk);
      chunk.fill(0xee);
      at = end;
      this.#takeOutput();
    }
    // Nothing is read while the output backs up.
    while (this.#backlogBytes >= this.#limits.outputBytesMax) this.#drain();
  }

  #act(): void {
    this.#wakes = 0;
    if (this.#random.integer(0, 3) === 0) {
      this.#drain();
      return;
    }
    const hadOutput = this.#engine.outlet.hasOutput;
    this.#engine.act();
    assert.ok(this.#wakes <= 1, 'woken twice for one output');
    if (this.#engine.outlet.hasOutput && !hadOutput) assert.equal(this.#wakes, 1, 'there is output, and nobody was woken');
    this.#takeOutput();
    this.#check();
  }

  #takeOutput(): void {
    const { outlet } = this.#engine;
    this.#engine.onTake?.();
    for (let slices = outlet.take(); slices.length > 0; slices = outlet.take()) {
      for (const slice of slices) {
        this.#inFlight.push({ slice, copy: new Uint8Array(slice) });
        this.#backlogBytes += slice.length;
        this.#checker.onOutput(Buffer.from(slice));
      }
      const most = this.#limits.outputBytesMax + partBytesMax + outputSlackBytes;
      assert.ok(this.#backlogBytes <= most, `${this.#backlogBytes} bytes of output are under way`);
      this.#leave();
    }
  }

  #drain(): void {
    this.#leave();
    this.#takeOutput();
  }

  /** The transport gets rid of all, or of some, or of nothing. */
  #leave(): void {
    this.#backlogBytes = this.#random.pick([0, 0, this.#backlogBytes >> 1, this.#backlogBytes]);
    if (this.#backlogBytes === 0) {
      for (const { slice, copy } of this.#inFlight) assert.ok(Buffer.compare(slice, copy) === 0, 'output was changed before it had left');
      this.#inFlight = [];
    }
    this.#engine.outlet.onBacklog(this.#backlogBytes);
  }

  #check(): void {
    const { streams, streamCount } = this.#engine;
    const open = streams.filter(({ isOpen }) => isOpen);
    assert.equal(streamCount, open.length, 'streams are counted that are closed, or the other way round');
    assert.ok(this.#input.role === 'client' || streamCount <= this.#limits.concurrentStreamsMax, `${streamCount} streams at once`);
    const gatheredMost = this.#limits.frameBytesMax + this.#limits.headerBlockBytesMax;
    assert.ok(this.#engine.gatheredBytes <= gatheredMost, `${this.#engine.gatheredBytes} bytes of incomplete input are kept`);
    if (this.#engine.isOver) return;
    const unread = open.reduce((sum, { unreadBytes }) => sum + unreadBytes, 0);
    checkCredit('the connection', this.#checker.grantedBytes + unread, this.#limits.connectionWindowBytes);
    for (const { id, unreadBytes } of open) {
      const credit = this.#checker.creditOf(id);
      if (credit !== undefined) checkCredit(`stream ${id}`, credit.leftBytes + unreadBytes, credit.windowBytes);
    }
  }

  #readEverything(): void {
    for (const stream of this.#engine.streams) stream.readAll();
    this.#takeOutput();
    this.#check();
  }
}

/** What the peer may send and what is unread come to a whole window, but for what is not worth a frame yet: less than half. */
function checkCredit(of: string, bytes: number, windowBytes: number): void {
  assert.ok(bytes <= windowBytes, `credit for ${bytes} bytes on ${of} that has ${windowBytes}`);
  assert.ok(bytes * 2 > windowBytes || windowBytes === 0, `of the ${windowBytes} bytes of ${of} ${bytes} are left: credit was lost`);
}

/** The input by frames as the octets have it, whatever the items were; what is no whole frame comes last, without one. */
function* cutFrames(bytes: Buffer, role: 'server' | 'client', limits: Http2Limits): Generator<{ readonly bytes: Buffer; readonly frame?: Frame }> {
  let at = 0;
  if (role === 'server' && bytes.length > 0) yield { bytes: bytes.subarray(0, (at = Math.min(bytes.length, clientPreface.length))) };
  while (bytes.length - at >= 9) {
    const length = bytes.readUIntBE(at, 3);
    const end = at + 9 + length;
    if (length > limits.frameBytesMax || end > bytes.length) break;
    const whole = bytes.subarray(at, end);
    const [frame] = parseFrames(Buffer.from(whole));
    if (frame !== undefined) yield { bytes: whole, frame: { ...frame, streamId: frame.streamId & 0x7fff_ffff } };
    at = end;
  }
  if (at < bytes.length) yield { bytes: bytes.subarray(at) };
}
