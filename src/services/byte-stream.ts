// google.bytestream.ByteStream over a BlobStore: blobs of any size, one at a time, as they are. Partial uploads are
// not kept and compressed ones not understood; both get an answer that says so.
import type { Authorizer } from '../base/authorizer.ts';
import { assert } from '../base/assert.ts';
import type { ByteSource } from '../base/byte-source.ts';
import type { CacheUsage } from '../base/cache-usage.ts';
import { CacheError } from '../base/cache-error.ts';
import { isPromise } from '../base/maybe-promise.ts';
import type { MaybePromise } from '../base/maybe-promise.ts';
import type { BlobStore, ByteRange } from '../blob/blob-store.ts';
import type { Digest } from '../digest/digest.ts';
import { DigestList } from '../digest/digest-list.ts';
import { parseReadName, parseWriteName } from '../digest/resource-name.ts';
import type { BlobName } from '../digest/resource-name.ts';
import { implementService } from '../grpc/service.ts';
import type { CallContext, RequestMessages, ServiceImplementation } from '../grpc/service.ts';
import type { ReadQuery, WriteAnswer, WritePiece } from '../proto/byte-stream-codec.ts';
import { ByteStream } from '../proto/gen/google/bytestream/bytestream_pb.ts';
import type { QueryWriteStatusRequest } from '../proto/gen/google/bytestream/bytestream_pb.ts';
import type { ServiceLimits } from './limits.ts';
import { UploadedBytes } from './uploaded-bytes.ts';

export interface ByteStreamDependencies {
  readonly blobs: BlobStore;
  readonly authorizer: Authorizer;
  readonly limits: ServiceLimits;
  readonly usage: CacheUsage;
}

export function createByteStreamService({ blobs, authorizer, limits, usage }: ByteStreamDependencies): ServiceImplementation {
  return implementService(ByteStream, {
    async *read(request: ReadQuery, context: CallContext) {
      const name = parseReadName(request.resourceName);
      refuseCompressed(name);
      authorizer.require(context.caller, 'read', name.instance);
      const range = requestedRange(request, name.digest);
      await using source = await blobs.get(name.digest, { range, signal: context.signal, trace: context.trace });
      usage.of(context.tool, name.instance).reads.add(source === undefined ? 0 : 1, source === undefined ? 1 : 0);
      if (source === undefined) throw new CacheError('not_found', `blob ${name.digest.toString()} is not in the cache`);
      for await (const data of pieces(source, limits.readChunkBytesMax)) yield { data };
    },

    async write(requests: RequestMessages<WritePiece>, context: CallContext): Promise<WriteAnswer> {
      const first = await requests[Symbol.asyncIterator]().next();
      if (first.done === true) throw new CacheError('invalid_argument', 'the upload ended before its first message, which names the blob');
      const name = parseWriteName(first.value.resourceName);
      refuseCompressed(name);
      authorizer.require(context.caller, 'write', name.instance);
      refuseResumed(first.value);
      const isPresent = () => presence(blobs, name.digest, context);
      const upload = new UploadedBytes(first.value, requests, { digest: name.digest, isPresent });
      try {
        // Comes back before the end of the upload when the blob is there, or gets there (BS-13); gRPC drops the rest.
        await blobs.put(name.digest, upload, context);
      } catch (error) {
        if (!upload.superseded) throw error;
      }
      if (upload.followed) throw new CacheError('invalid_argument', `a message came after finish_write; blob ${name.digest.toString()} is stored all the same`);
      return { committedSize: name.digest.sizeBytes };
    },

    queryWriteStatus(request: QueryWriteStatusRequest, context: CallContext) {
      const name = parseWriteName(request.resourceName);
      refuseCompressed(name);
      authorizer.require(context.caller, 'write', name.instance);
      const present = presence(blobs, name.digest, context);
      return isPromise(present) ? present.then((known) => writeStatus(name.digest, known)) : writeStatus(name.digest, present);
    },
  });
}

function presence(blobs: BlobStore, digest: Digest, context: CallContext): MaybePromise<boolean> {
  const missing = blobs.findMissing(DigestList.of(digest), context);
  return isPromise(missing) ? missing.then(({ length }) => length === 0) : missing.length === 0;
}

/** What was sent of an unfinished upload is not kept: start at 0, whether it is known or not (BS-18, BS-20). */
function writeStatus(digest: Digest, present: boolean): { committedSize: bigint; complete: boolean } {
  return { committedSize: present ? BigInt(digest.sizeBytes) : 0n, complete: present };
}

/** @throws CacheError `invalid_argument`: Capabilities lists no compressor (RN-5). */
function refuseCompressed({ compressor, digest }: BlobName): void {
  if (compressor === 'identity') return;
  throw new CacheError('invalid_argument', `compressor ${compressor} is not among supported_compressors; use blobs/ instead of compressed-blobs/ for ${digest.toString()}`);
}

/** @throws CacheError `invalid_argument` for an upload that goes on where another one stopped (BS-21). */
function refuseResumed({ writeOffset }: WritePiece): void {
  if (writeOffset === 0) return;
  throw new CacheError('invalid_argument', `the first write_offset is ${writeOffset}; parts of uploads are not kept here, so start again at 0`);
}

/**
 * The bytes asked for, undefined for all of them. A limit that reaches beyond the end is cut (BS-3).
 * @throws CacheError `out_of_range` (BS-2, BS-3).
 */
function requestedRange({ readOffset, readLimit }: ReadQuery, digest: Digest): ByteRange | undefined {
  if (readOffset < 0n || readOffset > BigInt(digest.sizeBytes)) {
    throw new CacheError('out_of_range', `read_offset ${readOffset} is not within the ${digest.sizeBytes} bytes of ${digest.toString()}`);
  }
  if (readLimit < 0n) throw new CacheError('out_of_range', `read_limit ${readLimit} is negative; 0 means no limit`);
  if (readOffset === 0n && readLimit === 0n) return undefined;
  const offset = Number(readOffset);
  const leftBytes = digest.sizeBytes - offset;
  return { offset, length: readLimit === 0n || readLimit > BigInt(leftBytes) ? leftBytes : Number(readLimit) };
}

/** The bytes of the source in pieces that fit into a message; one piece for a small blob in memory. */
async function* pieces(source: ByteSource, pieceBytesMax: number): AsyncGenerator<Uint8Array, void, undefined> {
  let sentBytes = 0;
  for await (const chunk of source.inMemory === undefined ? source : [source.inMemory]) {
    for (let offset = 0; offset < chunk.byteLength; offset += pieceBytesMax) {
      const piece = chunk.subarray(offset, offset + pieceBytesMax);
      sentBytes += piece.byteLength;
      yield piece;
    }
  }
  // A short stream that ends well would be taken for the blob (BS-5).
  assert(sentBytes === source.sizeBytes, 'a source yields as many bytes as it announced, or fails');
}
