// BatchReadBlobs by hand: the request into packed digests, the answer from slices (batch-entry-writer.ts).
import { create, toBinary } from '@bufbuild/protobuf';
import { behindHeadroom, encodeEntries, entriesBytesMax, generatedEntries, writeEntries } from './batch-entry-writer.ts';
import type { BatchEntries, EntryStatus } from './batch-entry-writer.ts';
import { BatchReadBlobsResponseSchema } from './gen/build/bazel/remote/execution/v2/remote_execution_pb.ts';
import type { MessageCodec } from './message-codec.ts';
import type { ReceivedDigests } from './packed-digests.ts';
import { WireReader, fieldSet, skipUnknown } from './wire-reader.ts';
import { WordDigests } from './word-digests.ts';

/** A BatchReadBlobsRequest. Which compressors the client takes is not looked at: it always takes none. */
export interface BatchReadQuery {
  readonly instanceName: string;
  readonly digests: ReceivedDigests;
  /** `DigestFunction.Value`, any number. */
  readonly digestFunction: number;
}

/** A BatchReadBlobsResponse: an entry for each digest as it came. */
export interface BatchReadAnswer extends BatchEntries {
  /** The bytes of a blob, or why there are none. */
  readonly outcomes: readonly (Uint8Array | EntryStatus)[];
  /** Nobody needs the bytes of the blobs any more: called once they were copied, and not where they are passed on. */
  readonly done?: (() => void) | undefined;
}

/** Each makes an entry of the answer, which costs more than it does on the wire. */
const digestsMax = 250_000;
/** So many numbers of compressors are passed over; there are four. */
const compressorsTag = 24;
const packedCompressorsTag = 26;
const requestFields = fieldSet(1, 2, 3, 4);
const statusTag = 26;

/** Decodes as the generated code does, except that the compressors and unknown fields are not kept. */
export const batchReadBlobsRequestCodec: MessageCodec<BatchReadQuery, never> = {
  keepsViews: false,
  decode(bytes) {
    const reader = new WireReader(bytes);
    const digests = new WordDigests(digestsMax, bytes.byteLength);
    let instanceName = '';
    let digestFunction = 0;
    for (let tag = reader.tag(); tag !== 0; tag = reader.tag()) {
      if (tag === 18) digests.readAll(reader, tag);
      else if (tag === 10) instanceName = reader.string();
      else if (tag === 32) digestFunction = reader.int32();
      else if (tag === compressorsTag) reader.int32();
      else if (tag === packedCompressorsTag) readPacked(reader);
      else skipUnknown(reader, tag, requestFields);
    }
    return { instanceName, digests, digestFunction };
  },
  encode() {
    throw new TypeError('Kiln does not send BatchReadBlobsRequest');
  },
};

/** Large data becomes a slice of its own and must not change any more. */
export const batchReadBlobsResponseCodec: MessageCodec<never, BatchReadAnswer> = {
  keepsViews: false,
  decode() {
    throw new TypeError('Kiln does not receive BatchReadBlobsResponse');
  },
  placed: {
    bytesMax: entriesBytesMax,
    write(answer, into, at) {
      const end = writeEntries(answer, statusTag, into, at);
      if (end >= 0) answer.done?.();
      return end;
    },
  },
  encode(answer, headroomBytes) {
    const slices = encodeEntries(answer, statusTag, headroomBytes);
    if (slices !== undefined) return slices;
    const message = create(BatchReadBlobsResponseSchema, { responses: generatedEntries(answer) });
    return behindHeadroom(toBinary(BatchReadBlobsResponseSchema, message), headroomBytes);
  },
};

function readPacked(reader: WireReader): void {
  const outerEnd = reader.enter();
  while (!reader.atEnd) reader.int32();
  reader.leave(outerEnd);
}
