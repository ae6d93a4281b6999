// The small messages of ByteStream by hand. WriteRequest is the frame of every piece of an upload: its data is a view
// of the message, or of the part of it that has come, and is not copied here.
import { varintBytes, writeVarint } from './digest-writer.ts';
import type { MessageCodec, MessageInParts } from './message-codec.ts';
import { WireError, WireReader, fieldSet, skipUnknown } from './wire-reader.ts';

/** A ReadRequest. */
export interface ReadQuery {
  readonly resourceName: string;
  readonly readOffset: bigint;
  readonly readLimit: bigint;
}

/** A WriteRequest. */
export interface WritePiece {
  /** Empty in all but the first, mostly. */
  readonly resourceName: string;
  /** A bigint beyond the safe integers. */
  readonly writeOffset: number | bigint;
  readonly finishWrite: boolean;
  /** A view, which lasts as long as the message does: until the next is asked for, or during the call that lends it. */
  readonly data: Uint8Array;
  /** The message goes on: this is a part of it, with all that stands before its data in the first one. */
  readonly continues: boolean;
}

/** A WriteResponse. */
export interface WriteAnswer {
  /** From 0 to 2^53 - 1. */
  readonly committedSize: number;
}

const noBytes: Uint8Array = new Uint8Array(0);
const readFields = fieldSet(1, 2, 3);
const writeFields = fieldSet(1, 2, 3, 10);
const committedSizeTag = 8;

/** These decode as the generated code does, except that fields this version does not know are not kept. */
export const readRequestCodec: MessageCodec<ReadQuery, never> = {
  keepsViews: false,
  decode(bytes) {
    const reader = new WireReader(bytes);
    let resourceName = '';
    let readOffset = 0n;
    let readLimit = 0n;
    for (let tag = reader.tag(); tag !== 0; tag = reader.tag()) {
      if (tag === 10) resourceName = reader.string();
      else if (tag === 16) readOffset = reader.int64();
      else if (tag === 24) readLimit = reader.int64();
      else skipUnknown(reader, tag, readFields);
    }
    return { resourceName, readOffset, readLimit };
  },
  encode() {
    throw new TypeError('Kiln does not send ReadRequest');
  },
};

export const writeRequestCodec: MessageCodec<WritePiece, never> = {
  keepsViews: true,
  lendsViews: true,
  parts: { begin: beginWriteRequest },
  decode(bytes) {
    const reader = new WireReader(bytes);
    let resourceName = '';
    let writeOffset: number | bigint = 0;
    let finishWrite = false;
    let data = noBytes;
    for (let tag = reader.tag(); tag !== 0; tag = reader.tag()) {
      if (tag === 82) data = reader.bytes();
      else if (tag === 16) writeOffset = reader.size();
      else if (tag === 24) finishWrite = reader.bool();
      else if (tag === 10) resourceName = reader.string();
      else skipUnknown(reader, tag, writeFields);
    }
    return { resourceName, writeOffset, finishWrite, data, continues: false };
  },
  encode() {
    throw new TypeError('Kiln does not send WriteRequest');
  },
};

/**
 * In parts if `data` is the last thing in the message, nothing unknown stands before it, and all of that has come. Every
 * client writes like this; for all others the order of fields would have to be known before any of them can be believed.
 */
function beginWriteRequest(beginning: Uint8Array, messageBytes: number): WriteRequestInParts | undefined {
  const reader = new WireReader(beginning);
  let resourceName = '';
  let writeOffset: number | bigint = 0;
  let finishWrite = false;
  try {
    for (let tag = reader.tag(); tag !== 0; tag = reader.tag()) {
      if (tag === 82) {
        const dataBytes = reader.lengthBeyond();
        const contentAt = reader.position;
        if (contentAt + dataBytes !== messageBytes) return undefined;
        return new WriteRequestInParts(contentAt, { resourceName, writeOffset, finishWrite });
      }
      if (tag === 16) writeOffset = reader.size();
      else if (tag === 24) finishWrite = reader.bool();
      else if (tag === 10) resourceName = reader.string();
      else return undefined;
    }
  } catch (error) {
    if (!(error instanceof WireError)) throw error; // what is cut off here may come yet
  }
  return undefined;
}

/** One message as messages that follow each other: the first has its name, the last ends the upload if it does. */
class WriteRequestInParts implements MessageInParts<WritePiece> {
  readonly contentAt: number;
  readonly #finishWrite: boolean;
  #resourceName: string;
  #writeOffset: number | bigint;

  constructor(contentAt: number, { resourceName, writeOffset, finishWrite }: Pick<WritePiece, 'resourceName' | 'writeOffset' | 'finishWrite'>) {
    this.contentAt = contentAt;
    this.#resourceName = resourceName;
    this.#writeOffset = writeOffset;
    this.#finishWrite = finishWrite;
  }

  part(content: Uint8Array, isLast: boolean): WritePiece {
    const part = { resourceName: this.#resourceName, writeOffset: this.#writeOffset, finishWrite: isLast && this.#finishWrite, data: content, continues: !isLast };
    this.#resourceName = '';
    this.#writeOffset = offsetAfter(this.#writeOffset, content.byteLength);
    return part;
  }
}

function offsetAfter(offset: number | bigint, bytes: number): number | bigint {
  const sum = Number(offset) + bytes;
  return Number.isSafeInteger(sum) && typeof offset === 'number' ? sum : BigInt(offset) + BigInt(bytes);
}

export const writeResponseCodec: MessageCodec<never, WriteAnswer> = {
  keepsViews: false,
  decode() {
    throw new TypeError('Kiln does not receive WriteResponse');
  },
  encode({ committedSize }, headroomBytes) {
    if (committedSize === 0) return [new Uint8Array(headroomBytes)];
    const into = new Uint8Array(headroomBytes + 1 + varintBytes(committedSize));
    into[headroomBytes] = committedSizeTag;
    writeVarint(into, headroomBytes + 1, committedSize);
    return [into];
  },
};
