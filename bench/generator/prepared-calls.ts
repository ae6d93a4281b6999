// Makes the calls of a run before it begins, so that the time measured holds no encoding and no hashing.
import { createHash, randomUUID } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { encodeHeaders } from '../../src/h2/header-encoder.ts';
import { SeededRandom } from '../../src/testing/seeded-random.ts';
import { batchReadAnswer, batchReadRequest, batchUpdateAnswer, batchUpdateRequest, chunksOf, digestOf, findMissingAnswer, findMissingRequest, uploadPieces, writeAnswer } from '../traffic/calls.ts';
import { framed } from '../traffic/grpc-frame.ts';
import { grpcHeaders } from '../traffic/grpc-call.ts';
import { numberedBlob, numberedBlobBytes, numberedHash } from '../traffic/numbered-blobs.ts';
import type { GeneratorJob } from '../traffic/traffic.ts';
import type { Call } from './exchange.ts';

/** Random lookups repeat after so many digests, far more than any cache of a processor holds. */
const lookupDigestsMax = 200_000;

/** Calls with a hundred blobs each repeat after so many: what they hold is more than a cache of a processor does, too. */
const batchCallsMax = 400;
/** Numbered blobs that were stored in order have so many others between them: more than anybody reads along. */
const scatterStride = 20;

/** Gives the call of each number from 0 on. */
export function prepareCalls(job: GeneratorJob): (index: number) => Call {
  const calls = makeCalls(job);
  return (index) => {
    const call = calls[index % calls.length];
    if (call === undefined) throw new Error('no calls were prepared');
    return call;
  };
}

function makeCalls(job: GeneratorJob): readonly Call[] {
  const { traffic, operations, seed } = job;
  const like = { headers: requestHeaders(job), compare: job.compare };
  switch (traffic.kind) {
    case 'same':
    case 'steady':
      return [{ ...like, request: [readFileSync(job.requestFile)], answer: readFileSync(job.answerFile) }];
    case 'lookups': {
      const random = new SeededRandom(seed);
      const count = Math.min(operations, Math.ceil(lookupDigestsMax / traffic.digestsPerCall));
      return Array.from({ length: count }, () => ({ ...like, ...lookup(random, traffic) }));
    }
    case 'batch-reads': {
      const random = new SeededRandom(seed);
      return Array.from({ length: Math.min(operations, batchCallsMax) }, () => {
        const blobs = (traffic.scattered ? scatteredNumbers(random, traffic) : neighbours(random, traffic)).map(numberedBlob);
        return { ...like, request: [framed(batchReadRequest(blobs.map(digestOf)))], answer: framed(batchReadAnswer(blobs)) };
      });
    }
    case 'known-batches': {
      const random = new SeededRandom(seed);
      return Array.from({ length: Math.min(operations, batchCallsMax) }, () => {
        const blobs = neighbours(random, traffic).map(numberedBlob);
        return { ...like, request: [framed(batchUpdateRequest(blobs))], answer: framed(batchUpdateAnswer(blobs.map(digestOf))) };
      });
    }
    case 'unique-batches':
      return Array.from({ length: operations }, (_, call) => {
        const blobs = Array.from({ length: traffic.blobsPerCall }, (_unused, index) => uniqueBlob(traffic.blobBytes, [seed, call, index]));
        return { ...like, request: [framed(batchUpdateRequest(blobs))], answer: framed(batchUpdateAnswer(blobs.map(digestOf))) };
      });
    case 'unique-uploads': {
      const upload = uploads(traffic, seed);
      return Array.from({ length: operations }, (_, call) => ({ ...like, ...upload(call) }));
    }
  }
}

type Content = Pick<Call, 'request' | 'answer'>;

function lookup(random: SeededRandom, { digestsPerCall, present }: { digestsPerCall: number; present: number }): Content {
  // Half of the numbers are those of blobs that are there. A set, since a digest asked for twice is answered once.
  const numbers = new Set<number>();
  while (numbers.size < digestsPerCall) numbers.add(random.integer(0, 2 * present - 1));
  const digests = [...numbers].map((number) => ({ number, hash: numberedHash(number), sizeBytes: numberedBlobBytes }));
  const missing = digests.filter(({ number }) => number >= present);
  return { request: [framed(findMissingRequest(digests))], answer: framed(findMissingAnswer(missing)) };
}

interface Numbered {
  readonly blobsPerCall: number;
  readonly among: number;
}

/** Stored one behind the other. */
function neighbours(random: SeededRandom, { blobsPerCall, among }: Numbered): readonly number[] {
  const first = blobsPerCall * random.integer(0, Math.max(0, Math.floor(among / blobsPerCall) - 1));
  return Array.from({ length: blobsPerCall }, (_, index) => first + index);
}

/** In no order; none of them twice. */
function scatteredNumbers(random: SeededRandom, { blobsPerCall, among }: Numbered): readonly number[] {
  const numbers = new Set<number>();
  while (numbers.size < blobsPerCall) numbers.add(scatterStride * random.integer(0, Math.floor(among / scatterStride) - 1));
  return [...numbers];
}

/** Blobs that share all chunks but the last, so that a thousand large ones take little memory and hashing. */
function uploads({ blobBytes, chunkBytes }: { blobBytes: number; chunkBytes: number }, seed: number): (call: number) => Content {
  const chunks = chunksOf(new SeededRandom(seed).bytes(blobBytes), chunkBytes);
  const shared = chunks.slice(0, -1);
  const prefix = createHash('sha256');
  for (const chunk of shared) prefix.update(chunk);
  return (call) => {
    const last = Buffer.from(chunks.at(-1) ?? new Uint8Array(0));
    stamp(last, [seed, call]);
    const digest = { hash: prefix.copy().update(last).digest('hex'), sizeBytes: blobBytes };
    return { request: uploadPieces([...shared, last], digest, randomUUID()), answer: framed(writeAnswer(digest)) };
  };
}

function uniqueBlob(bytes: number, numbers: readonly number[]): Buffer {
  const blob = Buffer.alloc(bytes, 'a blob that nobody has yet ');
  stamp(blob, numbers);
  return blob;
}

/** Makes the bytes differ from all others. */
function stamp(bytes: Buffer, numbers: readonly number[]): void {
  for (const [index, number] of numbers.entries()) bytes.writeUInt32BE(number, index * 4);
}

function requestHeaders({ host, port, path }: GeneratorJob): Uint8Array {
  return encodeHeaders([
    [':method', 'POST'],
    [':scheme', 'http'],
    [':path', path],
    [':authority', `${host}:${port}`],
    ...Object.entries(grpcHeaders),
  ]);
}
