// Cuts the input into frames, wherever its chunks happen to end. DATA is handed on in pieces as it comes and never
// joined (uploads: 729 against 1103 us per MiB, bench); any other frame is handed on whole, from where it lies when
// it lies whole in its chunk.
import { ConnectionError, errorCode } from './error-code.ts';
import { flag, frameHeaderBytes, frameType } from './frames.ts';
import type { FrameHeader } from './frames.ts';

/** Who understands frames. Views and the header are valid during the call only. */
export interface FrameSink {
  /** A frame other than DATA; its payload is `bytes` from `from` to `end`. */
  onFrame(frame: FrameHeader, bytes: Uint8Array, from: number, end: number): void;
  /** A DATA frame begins; `contentBytes` of its payload are not padding. */
  onDataBegin(frame: FrameHeader, contentBytes: number): void;
  /** A piece of its content. */
  onDataPiece(bytes: Uint8Array): void;
  /** All of it came, padding included. */
  onDataEnd(): void;
}

/** Where the reader stands; `#need` octets are missing until the next step. */
type ReaderState = 'header' | 'payload' | 'pad length' | 'content' | 'padding';

/** One direction of one connection, after the preface. */
export class FrameReader {
  readonly #sink: FrameSink;
  readonly #frameBytesMax: number;
  readonly #frame: FrameHeader = { type: 0, flags: 0, streamId: 0, length: 0 };
  readonly #headerRest = new Uint8Array(frameHeaderBytes);
  #state: ReaderState = 'header';
  /** Octets gathered of a header or payload that began in an earlier chunk. */
  #gathered = 0;
  #payload: Uint8Array = new Uint8Array(0);
  #contentLeft = 0;
  #paddingLeft = 0;
  #stopped = false;

  constructor(sink: FrameSink, frameBytesMax: number) {
    this.#sink = sink;
    this.#frameBytesMax = frameBytesMax;
  }

  /** What is allocated for a frame that came in part. */
  get gatheredBytes(): number {
    return this.#payload.length;
  }

  /** Nothing more is handed on, also of the chunk at hand. */
  stop(): void {
    this.#stopped = true;
  }

  /**
   * Reads a chunk; the sink is called for whatever is complete.
   * @throws ConnectionError `frameSizeError` for a frame longer than allowed, `protocolError` for too much padding.
   */
  push(bytes: Uint8Array, from: number): void {
    let at = from;
    while (at < bytes.length && !this.#stopped) at = this.#step(bytes, at);
  }

  /** One step from `at`, which is inside the chunk; returns where the next one begins. */
  #step(bytes: Uint8Array, at: number): number {
    switch (this.#state) {
      case 'header':
        return this.#readHeader(bytes, at);
      case 'payload':
        return this.#gatherPayload(bytes, at);
      case 'pad length':
        return this.#readPadLength(bytes, at);
      case 'content':
        return this.#readContent(bytes, at);
      case 'padding':
        return this.#skipPadding(bytes, at);
    }
  }

  #readHeader(bytes: Uint8Array, at: number): number {
    if (this.#gathered === 0 && bytes.length - at >= frameHeaderBytes) {
      this.#parseHeader(bytes, at);
      return this.#beginPayload(bytes, at + frameHeaderBytes);
    }
    const count = Math.min(frameHeaderBytes - this.#gathered, bytes.length - at);
    for (let index = 0; index < count; index++) this.#headerRest[this.#gathered++] = bytes[at + index] ?? 0;
    if (this.#gathered < frameHeaderBytes) return at + count;
    this.#gathered = 0;
    this.#parseHeader(this.#headerRest, 0);
    return this.#beginPayload(bytes, at + count);
  }

  #parseHeader(bytes: Uint8Array, at: number): void {
    const frame = this.#frame;
    frame.length = ((bytes[at] ?? 0) << 16) | ((bytes[at + 1] ?? 0) << 8) | (bytes[at + 2] ?? 0);
    frame.type = bytes[at + 3] ?? 0;
    frame.flags = bytes[at + 4] ?? 0;
    frame.streamId = readUint31(bytes, at + 5);
    if (frame.length > this.#frameBytesMax) {
      throw new ConnectionError(errorCode.frameSizeError, `a frame of ${frame.length} bytes; ${this.#frameBytesMax} are allowed`);
    }
  }

  /** `at` may be the end of the chunk: a frame without payload is complete with its header. */
  #beginPayload(bytes: Uint8Array, at: number): number {
    const frame = this.#frame;
    if (frame.type === frameType.data) {
      if ((frame.flags & flag.padded) === 0) {
        this.#beginData(frame.length, 0);
      } else {
        if (frame.length === 0) throw new ConnectionError(errorCode.frameSizeError, 'padded DATA without a pad length');
        this.#state = 'pad length';
      }
      return at;
    }
    if (bytes.length - at >= frame.length) {
      this.#sink.onFrame(frame, bytes, at, at + frame.length);
      return at + frame.length;
    }
    if (this.#payload.length < frame.length) this.#payload = new Uint8Array(frame.length);
    this.#state = 'payload';
    return at;
  }

  #gatherPayload(bytes: Uint8Array, at: number): number {
    const frame = this.#frame;
    const end = Math.min(bytes.length, at + frame.length - this.#gathered);
    this.#payload.set(bytes.subarray(at, end), this.#gathered);
    this.#gathered += end - at;
    if (this.#gathered === frame.length) {
      this.#gathered = 0;
      this.#state = 'header';
      this.#sink.onFrame(frame, this.#payload, 0, frame.length);
      this.#payload = new Uint8Array(0); // idle connections keep nothing
    }
    return end;
  }

  #readPadLength(bytes: Uint8Array, at: number): number {
    const padding = bytes[at] ?? 0;
    const contentBytes = this.#frame.length - 1 - padding;
    if (contentBytes < 0) throw new ConnectionError(errorCode.protocolError, 'more padding than payload');
    this.#beginData(contentBytes, padding);
    return at + 1;
  }

  #beginData(contentBytes: number, paddingBytes: number): void {
    this.#contentLeft = contentBytes;
    this.#paddingLeft = paddingBytes;
    this.#sink.onDataBegin(this.#frame, contentBytes);
    this.#afterDataPart();
  }

  #readContent(bytes: Uint8Array, at: number): number {
    const end = Math.min(bytes.length, at + this.#contentLeft);
    this.#contentLeft -= end - at;
    this.#sink.onDataPiece(new Uint8Array(bytes.buffer, bytes.byteOffset + at, end - at));
    this.#afterDataPart();
    return end;
  }

  #skipPadding(bytes: Uint8Array, at: number): number {
    const end = Math.min(bytes.length, at + this.#paddingLeft);
    this.#paddingLeft -= end - at;
    this.#afterDataPart();
    return end;
  }

  #afterDataPart(): void {
    if (this.#contentLeft > 0) {
      this.#state = 'content';
    } else if (this.#paddingLeft > 0) {
      this.#state = 'padding';
    } else {
      this.#state = 'header';
      this.#sink.onDataEnd();
    }
  }
}

/** 31 bits, big-endian; the reserved bit before them is ignored. */
export function readUint31(bytes: Uint8Array, at: number): number {
  return (((bytes[at] ?? 0) & 0x7f) << 24) | ((bytes[at + 1] ?? 0) << 16) | ((bytes[at + 2] ?? 0) << 8) | (bytes[at + 3] ?? 0);
}

/** 32 bits, big-endian. */
export function readUint32(bytes: Uint8Array, at: number): number {
  return readUint31(bytes, at) + ((bytes[at] ?? 0) & 0x80 ? 0x8000_0000 : 0);
}
