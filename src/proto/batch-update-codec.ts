// BatchUpdateBlobs by hand: the blobs of the request are views of its bytes, and the answer is written in one piece.
import { create, toBinary } from '@bufbuild/protobuf';
import { behindHeadroom, encodeEntries, generatedEntries } from './batch-entry-writer.ts';
import type { BatchEntries, EntryStatus } from './batch-entry-writer.ts';
import { BatchUpdateBlobsResponseSchema } from './gen/build/bazel/remote/execution/v2/remote_execution_pb.ts';
import type { MessageCodec } from './message-codec.ts';
import type { ReceivedDigests } from './packed-digests.ts';
import { WireError, WireReader, fieldSet, skipUnknown } from './wire-reader.ts';
import { WordDigests, wordDigestBytes } from './word-digests.ts';

/** One blob of a BatchUpdateBlobsRequest. */
export interface BatchUpdateItem {
  /** Where its digest stands in the list of the request; -1 when it has none. */
  readonly digestIndex: number;
  /** A view of the message, made when it is asked for: of what is there already nobody asks for it. */
  readonly data: Uint8Array;
  /** The length of `data`. */
  readonly dataBytes: number;
  /** `Compressor.Value`, any number. */
  readonly compressor: number;
}

/** A BatchUpdateBlobsRequest. */
export interface BatchUpdateQuery {
  readonly instanceName: string;
  /** Of those blobs that have one. */
  readonly digests: ReceivedDigests;
  readonly requests: readonly BatchUpdateItem[];
  /** `DigestFunction.Value`, any number. */
  readonly digestFunction: number;
}

/** A BatchUpdateBlobsResponse. */
export interface BatchUpdateAnswer extends BatchEntries {
  /** Undefined: the blob is stored. */
  readonly outcomes: readonly (undefined | EntryStatus)[];
}

/** Above what a message may have of blobs with digests; empty entries take two bytes and cost a hundred. */
const requestsMax = 125_000;
/** Most of the message is data; there is room for so many digests to begin with. */
const likelyDigests = 128;
const requestFields = fieldSet(1, 2, 5);
const itemFields = fieldSet(1, 2, 3);
const statusTag = 18;

class ReceivedItem implements BatchUpdateItem {
  readonly digestIndex: number;
  readonly dataBytes: number;
  readonly compressor: number;
  readonly #message: Uint8Array;
  readonly #dataAt: number;

  constructor(message: Uint8Array, { digestIndex, dataAt, dataBytes, compressor }: { readonly digestIndex: number; readonly dataAt: number; readonly dataBytes: number; readonly compressor: number }) {
    this.digestIndex = digestIndex;
    this.dataBytes = dataBytes;
    this.compressor = compressor;
    this.#message = message;
    this.#dataAt = dataAt;
  }

  get data(): Uint8Array {
    return this.#message.subarray(this.#dataAt, this.#dataAt + this.dataBytes);
  }
}

/** Decodes as the generated code does, except that fields this version does not know are not kept. */
export const batchUpdateBlobsRequestCodec: MessageCodec<BatchUpdateQuery, never> = {
  keepsViews: true,
  lendsViews: true,
  decode(bytes) {
    const reader = new WireReader(bytes);
    const digests = new WordDigests(requestsMax, Math.min(bytes.byteLength, likelyDigests * wordDigestBytes));
    const requests: BatchUpdateItem[] = [];
    let instanceName = '';
    let digestFunction = 0;
    for (let tag = reader.tag(); tag !== 0; tag = reader.tag()) {
      if (tag === 18) {
        if (requests.push(readItem(bytes, reader, digests)) > requestsMax) throw new WireError(`it has more than ${requestsMax} blobs; send fewer at a time`);
      } else if (tag === 10) instanceName = reader.string();
      else if (tag === 40) digestFunction = reader.int32();
      else skipUnknown(reader, tag, requestFields);
    }
    return { instanceName, digests, requests, digestFunction };
  },
  encode() {
    throw new TypeError('Kiln does not send BatchUpdateBlobsRequest');
  },
};

export const batchUpdateBlobsResponseCodec: MessageCodec<never, BatchUpdateAnswer> = {
  keepsViews: false,
  decode() {
    throw new TypeError('Kiln does not receive BatchUpdateBlobsResponse');
  },
  encode(answer, headroomBytes) {
    const slices = encodeEntries(answer, statusTag, headroomBytes);
    if (slices !== undefined) return slices;
    const message = create(BatchUpdateBlobsResponseSchema, { responses: generatedEntries(answer) });
    return behindHeadroom(toBinary(BatchUpdateBlobsResponseSchema, message), headroomBytes);
  },
};

function readItem(message: Uint8Array, reader: WireReader, digests: WordDigests): BatchUpdateItem {
  const outerEnd = reader.enter();
  let digestIndex = -1;
  let dataAt = 0;
  let dataBytes = 0;
  let compressor = 0;
  for (let tag = reader.tag(); tag !== 0; tag = reader.tag()) {
    if (tag === 10) {
      if (digestIndex < 0) digestIndex = digests.read(reader);
      else digests.merge(digestIndex, reader);
    } else if (tag === 18) {
      dataBytes = reader.skipBytes();
      dataAt = reader.position - dataBytes;
    } else if (tag === 24) compressor = reader.int32();
    else skipUnknown(reader, tag, itemFields);
  }
  reader.leave(outerEnd);
  return new ReceivedItem(message, { digestIndex, dataAt, dataBytes, compressor });
}
