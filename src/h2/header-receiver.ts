// From HEADERS and CONTINUATION frames to decoded header blocks (RFC 9113 §4.3, §6.2, §6.10). Blocks that were seen
// before are recognised without decoding.
import { ConnectionError, errorCode } from './error-code.ts';
import { readUint31 } from './frame-reader.ts';
import { flag } from './frames.ts';
import type { FrameHeader } from './frames.ts';
import type { DecodedBlock } from './header-block.ts';
import { HeaderBlockMemo } from './header-block-memo.ts';
import { HeaderDecoder } from './header-decoder.ts';
import type { Http2Limits } from './limits.ts';

/** Reads the header blocks of one connection. Every block must pass through here, or the tables drift apart. */
export class HeaderReceiver {
  readonly #limits: Http2Limits;
  readonly #decoder: HeaderDecoder;
  readonly #memo: HeaderBlockMemo;
  /** The block being gathered over several frames; undefined when none is. */
  #gathered: Uint8Array[] | undefined = undefined;
  #gatheredBytes = 0;
  #continuations = 0;
  /** Of the HEADERS frame seen last. */
  #streamId = 0;
  #endStream = false;
  #dependsOnItself = false;

  constructor(limits: Http2Limits) {
    this.#limits = limits;
    this.#decoder = new HeaderDecoder(limits.headerListBytesMax);
    this.#memo = new HeaderBlockMemo(limits.rememberedBlocksMax);
  }

  /** Of the unfinished block. */
  get gatheredBytes(): number {
    return this.#gathered === undefined ? 0 : this.#gatheredBytes;
  }

  /** A block is unfinished: nothing but its CONTINUATION may come. */
  get isOpen(): boolean {
    return this.#gathered !== undefined;
  }

  get streamId(): number {
    return this.#streamId;
  }

  get endStream(): boolean {
    return this.#endStream;
  }

  /** The frame carried a priority that names its own stream (RFC 7540 §5.3.1: a stream error). */
  get dependsOnItself(): boolean {
    return this.#dependsOnItself;
  }

  /** The peer has acknowledged our SETTINGS. */
  onSettingsAck(): void {
    this.#decoder.setCapacityMax(this.#limits.headerTableBytesMax);
  }

  /**
   * The block when it is complete, undefined when CONTINUATION must follow.
   * @throws ConnectionError
   */
  onHeaders(frame: FrameHeader, bytes: Uint8Array, from: number, end: number): DecodedBlock | undefined {
    this.#streamId = frame.streamId;
    this.#endStream = (frame.flags & flag.endStream) !== 0;
    this.#dependsOnItself = false;
    let at = from;
    let blockEnd = end;
    if (frame.flags & flag.padded) {
      if (at >= end) throw new ConnectionError(errorCode.frameSizeError, 'padded HEADERS without a pad length');
      blockEnd = end - (bytes[at] ?? 0);
      at++;
    }
    if (frame.flags & flag.priority) {
      if (end - at < 5) throw new ConnectionError(errorCode.frameSizeError, 'HEADERS too short for its priority');
      this.#dependsOnItself = readUint31(bytes, at) === frame.streamId;
      at += 5;
    }
    if (blockEnd < at) throw new ConnectionError(errorCode.protocolError, 'more padding than payload');
    if (frame.flags & flag.endHeaders) return this.#decode(bytes, at, blockEnd);
    this.#gathered = [];
    this.#gatheredBytes = 0;
    this.#continuations = 0;
    this.#gather(bytes, at, blockEnd);
    return undefined;
  }

  /** The same for a CONTINUATION frame of the open block. */
  onContinuation(frame: FrameHeader, bytes: Uint8Array, from: number, end: number): DecodedBlock | undefined {
    if (++this.#continuations > this.#limits.continuationFramesMax) {
      throw new ConnectionError(errorCode.enhanceYourCalm, `more than ${this.#limits.continuationFramesMax} CONTINUATION frames`);
    }
    this.#gather(bytes, from, end);
    if ((frame.flags & flag.endHeaders) === 0) return undefined;
    const block = Buffer.concat(this.#gathered ?? [], this.#gatheredBytes);
    this.#gathered = undefined;
    return this.#decode(block, 0, block.length);
  }

  #gather(bytes: Uint8Array, from: number, end: number): void {
    this.#gatheredBytes += end - from;
    if (this.#gatheredBytes > this.#limits.headerBlockBytesMax) {
      throw new ConnectionError(errorCode.enhanceYourCalm, `a header block of more than ${this.#limits.headerBlockBytesMax} bytes`);
    }
    this.#gathered?.push(new Uint8Array(bytes.subarray(from, end)));
  }

  #decode(bytes: Uint8Array, from: number, end: number): DecodedBlock {
    const decoder = this.#decoder;
    const generation = decoder.generation;
    const known = decoder.mustResize ? undefined : this.#memo.find(bytes, from, end, generation);
    if (known !== undefined) return known;
    const block = decoder.decode(bytes, from, end);
    if (decoder.generation === generation) this.#memo.remember({ bytes, from, end, generation }, block);
    return block;
  }
}
