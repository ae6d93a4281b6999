// Frames as bytes, into an output batch. Knows the layout of frames (RFC 9113 §6) and no rules about when to send one.
import { flag, frameHeaderBytes, frameType } from './frames.ts';
import type { FrameHeader } from './frames.ts';
import type { OutputBatch } from './output-batch.ts';
import type { ContentWriter, WholeAnswerEnds } from './stream.ts';

/** Writes the frames of one connection. */
export class FrameWriter {
  readonly #out: OutputBatch;

  constructor(out: OutputBatch) {
    this.#out = out;
  }

  /** What comes before the first frame. */
  preface(bytes: Uint8Array): void {
    this.#out.append(bytes);
  }

  /** HEADERS, and CONTINUATION as far as the block is longer than a frame of the peer may be. */
  headers(streamId: number, block: Uint8Array, options: { endStream: boolean; frameBytesMax: number }): void {
    const endStream = options.endStream ? flag.endStream : 0;
    const { frameBytesMax } = options;
    if (block.length <= frameBytesMax) {
      this.#header(block.length, frameType.headers, endStream | flag.endHeaders, streamId);
      this.#out.append(block);
      return;
    }
    for (let at = 0; at < block.length; at += frameBytesMax) {
      const part = block.subarray(at, at + frameBytesMax);
      const endHeaders = at + frameBytesMax >= block.length ? flag.endHeaders : 0;
      if (at === 0) this.#header(part.length, frameType.headers, endStream, streamId);
      else this.#header(part.length, frameType.continuation, endHeaders, streamId);
      this.#out.append(part);
    }
  }

  /** Only the header: the caller appends `length` bytes. */
  dataHeader(streamId: number, length: number, endStream: boolean): void {
    this.#header(length, frameType.data, endStream ? flag.endStream : 0, streamId);
  }

  /**
   * HEADERS, DATA and HEADERS with END_STREAM in one piece: a third of the work of three. The blocks and the content fit
   * into a frame each. `bytesMax` is what the writer says of the content: it is asked once, since it may have to look at all
   * of it. Returns the length of the content; -1, with nothing written, if `writer` gives up.
   */
  whole({ streamId, bytesMax }: { readonly streamId: number; readonly bytesMax: number }, { headers, trailers }: WholeAnswerEnds, writer: ContentWriter, content: unknown): number {
    const headersBytes = headers.block.length;
    const trailersBytes = trailers.block.length;
    const at = this.#out.room(3 * frameHeaderBytes + headersBytes + trailersBytes + bytesMax);
    const { into } = this.#out;
    const dataAt = at + frameHeaderBytes + headersBytes;
    const contentAt = dataAt + frameHeaderBytes;
    const trailersAt = writer.write(content, into, contentAt);
    if (trailersAt < 0) return -1;
    const contentBytes = trailersAt - contentAt;
    writeFrameHeader(into, at, { length: headersBytes, type: frameType.headers, flags: flag.endHeaders, streamId });
    into.set(headers.block, at + frameHeaderBytes);
    writeFrameHeader(into, dataAt, { length: contentBytes, type: frameType.data, flags: 0, streamId });
    writeFrameHeader(into, trailersAt, { length: trailersBytes, type: frameType.headers, flags: flag.endHeaders | flag.endStream, streamId });
    into.set(trailers.block, trailersAt + frameHeaderBytes);
    this.#out.reserve(trailersAt + frameHeaderBytes + trailersBytes - at);
    return contentBytes;
  }

  rstStream(streamId: number, code: number): void {
    this.#header(4, frameType.rstStream, 0, streamId);
    this.#uint32(code);
  }

  settings(settings: readonly (readonly [id: number, value: number])[]): void {
    this.#header(settings.length * 6, frameType.settings, 0, 0);
    for (const [id, value] of settings) {
      const at = this.#out.reserve(2);
      this.#out.into[at] = id >>> 8;
      this.#out.into[at + 1] = id & 0xff;
      this.#uint32(value);
    }
  }

  settingsAck(): void {
    this.#header(0, frameType.settings, flag.ack, 0);
  }

  /** `payload` has eight bytes. */
  ping(payload: Uint8Array, ack: boolean): void {
    this.#header(8, frameType.ping, ack ? flag.ack : 0, 0);
    this.#out.append(payload);
  }

  goaway(lastStreamId: number, code: number, debugData: string): void {
    const debug = Buffer.from(debugData, 'latin1');
    this.#header(8 + debug.length, frameType.goaway, 0, 0);
    this.#uint32(lastStreamId);
    this.#uint32(code);
    this.#out.append(debug);
  }

  /** `streamId` 0 is the connection. */
  windowUpdate(streamId: number, increment: number): void {
    this.#header(4, frameType.windowUpdate, 0, streamId);
    this.#uint32(increment);
  }

  #header(length: number, type: number, flags: number, streamId: number): void {
    const at = this.#out.reserve(frameHeaderBytes);
    writeFrameHeader(this.#out.into, at, { length, type, flags, streamId });
  }

  #uint32(value: number): void {
    const at = this.#out.reserve(4);
    const into = this.#out.into;
    into[at] = value >>> 24;
    into[at + 1] = value >>> 16;
    into[at + 2] = value >>> 8;
    into[at + 3] = value;
  }
}

function writeFrameHeader(into: Uint8Array, at: number, { length, type, flags, streamId }: FrameHeader): void {
  into[at] = length >>> 16;
  into[at + 1] = length >>> 8;
  into[at + 2] = length;
  into[at + 3] = type;
  into[at + 4] = flags;
  into[at + 5] = streamId >>> 24;
  into[at + 6] = streamId >>> 16;
  into[at + 7] = streamId >>> 8;
  into[at + 8] = streamId;
}
