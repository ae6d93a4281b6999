// The sending side of one connection: everything that goes out passes here, is put into frames, kept within the
// peer's windows, shared fairly among the streams and gathered into one batch.
import type { ByteBudget } from '../base/byte-budget.ts';
import type { LentMemory } from '../base/reused-memory.ts';
import { FrameWriter } from './frame-writer.ts';
import { windowAfter } from './flow-control.ts';
import { frameBytesDefault, windowBytesDefault } from './frames.ts';
import { HeaderTableNotice } from './header-encoder.ts';
import { OutputBatch } from './output-batch.ts';
import type { SendQueue } from './send-queue.ts';
import type { ContentWriter, WholeAnswerEnds } from './stream.ts';

/** How much one stream may send before the next one has its turn. */
const turnBytes = 65_536;

/**
 * WINDOW_UPDATE frames that a peer may send for what it received: two per frame of ours, one for the stream and one for
 * the connection, and more for long ones, since some clients return credit piece by piece as they read.
 */
const updatesPerFrame = 2;
const bytesPerUpdate = 512;
/** More are not saved up. */
const updatesMax = 10_000;

/** Answers that were sent whole earn as many resets; more are not saved up. */
const earnedResetsMax = 1_000;

/** Above it, content is not written into the output but passed to it. Every peer takes frames of that length (RFC 9113 §4.2). */
const wholeContentBytesMax = 2_048;

/** A frame with less, because a window lets no more out, costs more than it brings. */
const tinyFrameBytes = 256;
/**
 * Every window comes to its end with a frame of some length. With so much since the last tiny one, that is all it was, and
 * frames carry at least half of it on average. Connection windows of 16 KiB, with a tiny frame in each round, are in use.
 */
const fairBytes = 2_048;

/** Memory for frames that is not worth counting: each connection has some kilobytes of state. */
const littleBufferBytes = 4_096;

/** What the outlet needs to know of a stream that has queued DATA. */
export interface QueuedSender {
  readonly id: number;
  readonly queue: SendQueue;
  /** May be negative. */
  sendWindowBytes: number;
  /** What has left the queue so far. */
  sentFromQueueBytes: number;
  /** END_STREAM comes with the last byte of the queue, not with trailers after it. */
  readonly endsWithData: boolean;
  /** The queue has become empty. */
  onQueueSent(): void;
}

/** See `OpenStream.sendData`. */
interface OutgoingData {
  readonly slices: readonly Uint8Array[];
  /** Of all of them. */
  readonly bytes: number;
  readonly lent: LentMemory | undefined;
}

/** Sends the frames of one connection. */
export class Outlet {
  readonly frames: FrameWriter;
  readonly #batch = new OutputBatch();
  readonly #tableNotice = new HeaderTableNotice();
  readonly #outputBytesMax: number;
  readonly #wake: () => void;
  /** Of what waits in the queues of streams. */
  readonly #budget: ByteBudget;
  #awake = false;
  /** Streams with queued DATA and an open window of their own, in the order of their turns. */
  readonly #ready = new Set<QueuedSender>();
  #pumping = false;
  #hasAnswered = false;
  #windowBytes = windowBytesDefault;
  #frameBytesMax = frameBytesDefault;
  #backlogBytes = 0;
  /** WINDOW_UPDATE frames that the peer has earned by what we sent. */
  #earnedUpdates = 0;
  /** Resets of calls in progress that the peer has earned by calls it let end. */
  #earnedResets = 0;
  #sentFromQueuesBytes = 0;
  #tinyFrames = 0;
  /** `#sentFromQueuesBytes` after the last frame of a few bytes. */
  #sentAtTinyFrame = -fairBytes;

  /** `wake` is called once when there is something to take, unless the taker is known to come (`expectTaker`). */
  constructor(outputBytesMax: number, wake: () => void, budget: ByteBudget) {
    this.#outputBytesMax = outputBytesMax;
    this.#wake = wake;
    this.#budget = budget;
    this.frames = new FrameWriter(this.#batch);
  }

  get hasOutput(): boolean {
    return this.#batch.bytes > 0;
  }

  /** Streams with queued DATA that only the connection keeps from going out. */
  get readyCount(): number {
    return this.#ready.size;
  }

  /** What has left the queues of all streams so far. */
  get sentFromQueuesBytes(): number {
    return this.#sentFromQueuesBytes;
  }

  /** DATA frames of a few bytes, one behind the other, for windows that had no room for more, since this was asked last. */
  takeTinyFrames(): number {
    const count = this.#tinyFrames;
    this.#tinyFrames = 0;
    return count;
  }

  /** Whether HEADERS or DATA went out since this was asked last. */
  takeHasAnswered(): boolean {
    const answered = this.#hasAnswered;
    this.#hasAnswered = false;
    return answered;
  }

  /** Whether a WINDOW_UPDATE that came is for something that was sent, or asks for nothing. */
  takeEarnedUpdate(): boolean {
    if (this.#earnedUpdates <= 0) return false;
    this.#earnedUpdates = Math.min(this.#earnedUpdates, updatesMax) - 1;
    return true;
  }

  /** Whether a reset of a call in progress stands beside a call that was answered whole. */
  takeEarnedReset(): boolean {
    if (this.#earnedResets <= 0) return false;
    this.#earnedResets = Math.min(this.#earnedResets, earnedResetsMax) - 1;
    return true;
  }

  /** The caller will take the output after what it is doing now. */
  expectTaker(): void {
    this.#awake = true;
  }

  /** To be called after anything was written. */
  touch(): void {
    if (this.#awake) return;
    this.#awake = true;
    this.#wake();
  }

  take(): readonly Uint8Array[] {
    this.#awake = false;
    return this.#batch.take();
  }

  /** What `onBacklog` was told last. It may be less by now, never more. */
  get backlogBytes(): number {
    return this.#backlogBytes;
  }

  /** How much of what was taken is still waiting below, the last of it; 0 frees the buffer. Sends what has room now. */
  onBacklog(bytes: number): void {
    this.#backlogBytes = bytes;
    this.#batch.wrote(bytes);
    this.pump();
  }

  /** Beside what waits: the memory that frames are made in, as far as it is more than a little. */
  get spareBytes(): number {
    return Math.max(0, this.#batch.bufferBytes - littleBufferBytes);
  }

  /** Nobody asks for anything: what is kept for the next answer goes. */
  rest(): void {
    this.#batch.release();
  }

  /** A header block as HEADERS. */
  headers(streamId: number, block: Uint8Array, endStream: boolean): void {
    this.#hasAnswered = true;
    this.#earnedUpdates += updatesPerFrame;
    if (endStream) this.#earnedResets += 1;
    this.frames.headers(streamId, this.#tableNotice.open(block), { endStream, frameBytesMax: this.#frameBytesMax });
    this.touch();
  }

  /** Sends the content in one frame if all of it may go out now, and says whether it did. */
  tryData(stream: QueuedSender, { slices, bytes, lent }: OutgoingData, endStream: boolean): boolean {
    if (bytes > 0) {
      const fits = bytes <= this.#windowBytes && bytes <= stream.sendWindowBytes && bytes <= this.#frameBytesMax;
      if (!fits || this.#isBackedUp()) return false;
      this.#windowBytes -= bytes;
      stream.sendWindowBytes -= bytes;
    }
    this.#hasAnswered = true;
    this.#earnedUpdates += updatesPerFrame;
    if (endStream) this.#earnedResets += 1;
    this.frames.dataHeader(stream.id, bytes, endStream);
    for (const slice of slices) this.#batch.append(slice);
    if (lent !== undefined) this.#batch.hold(lent);
    this.touch();
    return true;
  }

  /** See `ServerStream.trySendWhole`. */
  tryWhole(stream: QueuedSender, ends: WholeAnswerEnds, writer: ContentWriter, content: unknown): number {
    const bytesMax = writer.bytesMax(content);
    const fits = bytesMax <= wholeContentBytesMax && bytesMax <= this.#windowBytes && bytesMax <= stream.sendWindowBytes;
    if (!fits || this.#tableNotice.isDue || this.#isBackedUp()) return -1;
    const contentBytes = this.frames.whole({ streamId: stream.id, bytesMax }, ends, writer, content);
    if (contentBytes < 0) return -1;
    this.#windowBytes -= contentBytes;
    stream.sendWindowBytes -= contentBytes;
    this.#hasAnswered = true;
    this.#earnedUpdates += 3 * updatesPerFrame;
    this.#earnedResets += 1;
    this.touch();
    return contentBytes;
  }

  /** So many bytes came into the queue of a stream. */
  onQueued(bytes: number): void {
    this.#budget.take(bytes);
  }

  /** The stream has something in its queue, or its window was opened. */
  enqueue(stream: QueuedSender): void {
    if (stream.queue.bytes === 0 || stream.sendWindowBytes <= 0) return;
    this.#ready.add(stream);
    this.pump();
  }

  /** The stream has ended, and what is left in its queue is dropped. */
  forget(stream: QueuedSender): void {
    this.#ready.delete(stream);
    if (stream.queue.bytes > 0) this.#budget.give(stream.queue.bytes);
  }

  /** False when the window of the connection would become too large. */
  openWindow(increment: number): boolean {
    const windowBytes = windowAfter(this.#windowBytes, increment);
    if (windowBytes === undefined) return false;
    this.#windowBytes = windowBytes;
    this.pump();
    return true;
  }

  setPeerFrameBytesMax(bytes: number): void {
    this.#frameBytesMax = bytes;
  }

  setPeerHeaderTableBytes(bytes: number): void {
    this.#tableNotice.onLimit(bytes);
  }

  /** Sends queued DATA as far as the windows and the output have room, one turn per stream after the other. */
  pump(): void {
    if (this.#pumping || this.#ready.size === 0) return; // a stream that was sent and filled again has its turn later
    this.#pumping = true;
    try {
      for (const stream of this.#ready) {
        if (this.#windowBytes <= 0 || this.#isBackedUp()) break;
        this.#ready.delete(stream);
        this.#sendTurn(stream);
        if (stream.queue.bytes === 0) stream.onQueueSent();
        else if (stream.sendWindowBytes > 0) this.#ready.add(stream); // at the end, where this loop will find it
      }
    } finally {
      this.#pumping = false;
    }
    if (this.hasOutput) this.touch();
  }

  #sendTurn(stream: QueuedSender): void {
    let leftBytes = turnBytes;
    while (leftBytes > 0 && !this.#isBackedUp()) {
      const bytes = Math.min(stream.queue.bytes, stream.sendWindowBytes, this.#windowBytes, this.#frameBytesMax);
      if (bytes <= 0) return;
      this.#hasAnswered = true;
      this.#earnedUpdates += updatesPerFrame + Math.floor(bytes / bytesPerUpdate);
      const endStream = stream.endsWithData && bytes === stream.queue.bytes;
      if (endStream) this.#earnedResets += 1;
      this.frames.dataHeader(stream.id, bytes, endStream);
      stream.queue.moveTo(this.#batch, bytes);
      stream.sentFromQueueBytes += bytes;
      this.#sentFromQueuesBytes += bytes;
      if (bytes < tinyFrameBytes && stream.queue.bytes > 0) this.#onTinyFrame();
      this.#budget.give(bytes);
      stream.sendWindowBytes -= bytes;
      this.#windowBytes -= bytes;
      leftBytes -= bytes;
    }
  }

  #onTinyFrame(): void {
    if (this.#sentFromQueuesBytes - this.#sentAtTinyFrame < fairBytes) this.#tinyFrames += 1;
    this.#sentAtTinyFrame = this.#sentFromQueuesBytes;
  }

  #isBackedUp(): boolean {
    return this.#batch.bytes + this.#backlogBytes >= this.#outputBytesMax;
  }
}
