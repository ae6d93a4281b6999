// What the reference servers of ours do: a cache in memory behind protobuf-es, nothing else. No rights, no limits, no
// disk; hashes are checked, since a cache that does not is no cache. So the difference to Kiln is the transport, Kiln's
// own codecs of hot messages (its favour), and everything else that Kiln does for a call (its handicap).
import { create, fromBinary, toBinary } from '@bufbuild/protobuf';
import { hash } from 'node:crypto';
import {
  ActionResultSchema,
  BatchReadBlobsRequestSchema,
  BatchReadBlobsResponseSchema,
  BatchUpdateBlobsRequestSchema,
  BatchUpdateBlobsResponseSchema,
  FindMissingBlobsRequestSchema,
  FindMissingBlobsResponseSchema,
  GetActionResultRequestSchema,
  UpdateActionResultRequestSchema,
} from '../../src/proto/gen/build/bazel/remote/execution/v2/remote_execution_pb.ts';
import type { ActionResult } from '../../src/proto/gen/build/bazel/remote/execution/v2/remote_execution_pb.ts';
import { ReadRequestSchema, ReadResponseSchema, WriteRequestSchema, WriteResponseSchema } from '../../src/proto/gen/google/bytestream/bytestream_pb.ts';
import { paths } from '../traffic/calls.ts';
import { numberedHash } from '../traffic/numbered-blobs.ts';

/** What a call that fails answers, as a gRPC status. */
export class CallFailure extends Error {
  readonly status: number;

  constructor(status: number, message: string) {
    super(message);
    this.status = status;
  }
}

const notFound = 5;
const invalidArgument = 3;
/** As Kiln sends them. */
const readChunkBytes = 256 * 1024;
/** What is kept of uploads that nobody reads again, so that a long benchmark does not fill the memory. */
const keptBytesMax = 256 * 1024 * 1024;

export class MemoryCache {
  /** By hash. A numbered blob is only known, not held; it is never read. */
  readonly #blobs = new Map<string, Uint8Array | undefined>();
  readonly #results = new Map<string, ActionResult>();
  #keptBytes = 0;

  /** `numbered`: how many of the numbered blobs are there from the start. */
  constructor(numbered: number) {
    for (let number = 0; number < numbered; number += 1) this.#blobs.set(numberedHash(number), undefined);
  }

  /** Unary methods by path: the answer for a request, both encoded. */
  readonly unary: Readonly<Record<string, (request: Uint8Array) => Uint8Array>> = {
    [paths.findMissing]: (request) => this.#findMissing(request),
    [paths.batchRead]: (request) => this.#batchRead(request),
    [paths.batchUpdate]: (request) => this.#batchUpdate(request),
    [paths.getActionResult]: (request) => this.#getActionResult(request),
    [paths.updateActionResult]: (request) => this.#updateActionResult(request),
  };

  /** ByteStream.Read: the messages of the answer. */
  *read(request: Uint8Array): Generator<Uint8Array, void, undefined> {
    const { resourceName } = fromBinary(ReadRequestSchema, request);
    const bytes = this.blob(resourceName.split('/')[1] ?? '');
    if (bytes === undefined) throw new CallFailure(notFound, `${resourceName} is not here`);
    for (let offset = 0; offset < bytes.byteLength; offset += readChunkBytes) {
      yield toBinary(ReadResponseSchema, create(ReadResponseSchema, { data: bytes.subarray(offset, offset + readChunkBytes) }));
    }
  }

  /** ByteStream.Write: takes the messages one by one, and gives the answer with the last one. */
  write(): (message: Uint8Array) => Uint8Array | undefined {
    const parts: Uint8Array[] = [];
    let name = '';
    return (message) => {
      const { resourceName, finishWrite, data } = fromBinary(WriteRequestSchema, message);
      name ||= resourceName;
      parts.push(data);
      if (!finishWrite) return undefined;
      const bytes = Buffer.concat(parts);
      this.put(name.split('/')[3] ?? '', bytes);
      return toBinary(WriteResponseSchema, create(WriteResponseSchema, { committedSize: BigInt(bytes.length) }));
    };
  }

  blob(hex: string): Uint8Array | undefined {
    return this.#blobs.get(hex);
  }

  /** Keeps `bytes`. @throws CallFailure when they do not have the hash. */
  put(hex: string, bytes: Uint8Array): void {
    if (hash('sha256', bytes) !== hex) throw new CallFailure(invalidArgument, `the bytes do not have the hash ${hex}`);
    if (this.#blobs.has(hex)) return;
    this.#keptBytes += bytes.byteLength;
    this.#blobs.set(hex, this.#keptBytes > keptBytesMax ? undefined : bytes);
  }

  #findMissing(request: Uint8Array): Uint8Array {
    const { blobDigests } = fromBinary(FindMissingBlobsRequestSchema, request);
    const missingBlobDigests = blobDigests.filter((digest) => !this.#blobs.has(digest.hash));
    return toBinary(FindMissingBlobsResponseSchema, create(FindMissingBlobsResponseSchema, { missingBlobDigests }));
  }

  #batchRead(request: Uint8Array): Uint8Array {
    const { digests } = fromBinary(BatchReadBlobsRequestSchema, request);
    const responses = digests.map((digest) => {
      const data = this.blob(digest.hash);
      return data === undefined ? { digest, status: { code: notFound } } : { digest, data, status: {} };
    });
    return toBinary(BatchReadBlobsResponseSchema, create(BatchReadBlobsResponseSchema, { responses }));
  }

  #batchUpdate(request: Uint8Array): Uint8Array {
    const { requests } = fromBinary(BatchUpdateBlobsRequestSchema, request);
    const responses = requests.map(({ digest, data }) => {
      if (digest === undefined) throw new CallFailure(invalidArgument, 'a blob without a digest');
      this.put(digest.hash, Uint8Array.from(data)); // the message's memory is not ours to keep
      return { digest, status: {} };
    });
    return toBinary(BatchUpdateBlobsResponseSchema, create(BatchUpdateBlobsResponseSchema, { responses }));
  }

  #getActionResult(request: Uint8Array): Uint8Array {
    const { actionDigest } = fromBinary(GetActionResultRequestSchema, request);
    const result = this.#results.get(actionDigest?.hash ?? '');
    const complete = result !== undefined && [result.stdoutDigest, ...result.outputFiles.map(({ digest }) => digest)].every((digest) => digest === undefined || this.#blobs.has(digest.hash));
    if (!complete) throw new CallFailure(notFound, 'no such action result');
    return toBinary(ActionResultSchema, result);
  }

  #updateActionResult(request: Uint8Array): Uint8Array {
    const { actionDigest, actionResult } = fromBinary(UpdateActionResultRequestSchema, request);
    if (actionDigest === undefined || actionResult === undefined) throw new CallFailure(invalidArgument, 'an action result without a digest');
    this.#results.set(actionDigest.hash, actionResult);
    return toBinary(ActionResultSchema, actionResult);
  }
}
