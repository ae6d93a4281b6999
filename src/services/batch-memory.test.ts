// Batches beside each other over real sockets, through memory that is used again: whatever is given back is spoiled at once, so that
// who still reads it, or has yet to write it, shows.
import { create, fromBinary, toBinary } from '@bufbuild/protobuf';
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { connect } from 'node:http2';
import type { ClientHttp2Session } from 'node:http2';
import { connect as connectSocket } from 'node:net';
import { describe, it } from 'node:test';
import { Digest } from '../digest/digest.ts';
import { pieceMemory } from '../grpc/message-buffer.ts';
import { clientPreface } from '../h2/frames.ts';
import { BatchReadBlobsRequestSchema, BatchReadBlobsResponseSchema, BatchUpdateBlobsRequestSchema, BatchUpdateBlobsResponseSchema } from '../proto/gen/build/bazel/remote/execution/v2/remote_execution_pb.ts';
import type { BatchReadBlobsResponse } from '../proto/gen/build/bazel/remote/execution/v2/remote_execution_pb.ts';
import { framed } from '../testing/grpc-harness.ts';
import { data, frame, headers, settings, uint32 } from '../testing/http2-peer.ts';
import { seededRandom } from '../testing/seeded-random.ts';
import type { SeededRandom } from '../testing/seeded-random.ts';
import { serveCache } from '../testing/serve-cache.ts';
import type { ServedCache } from '../testing/serve-cache.ts';
import { temporaryEngineStore } from '../testing/temporary-engine-store.ts';

const service = '/build.bazel.remote.execution.v2.ContentAddressableStorage/';
const cancelCode = 8;
const windowMax = 2 ** 31 - 1;

interface Blob {
  readonly digest: Digest;
  readonly bytes: Uint8Array;
}

function blobOf(random: SeededRandom, bytesMax: number): Blob {
  const bytes = random.bytes(random.integer(1, bytesMax));
  return { digest: Digest.of(bytes), bytes };
}

const wire = ({ digest }: Blob) => ({ hash: digest.hash, sizeBytes: BigInt(digest.sizeBytes) });

function readOf(blobs: readonly Blob[]): Uint8Array {
  return framed(toBinary(BatchReadBlobsRequestSchema, create(BatchReadBlobsRequestSchema, { digests: blobs.map(wire) })));
}

function updateOf(blobs: readonly Blob[]): Uint8Array {
  return framed(toBinary(BatchUpdateBlobsRequestSchema, create(BatchUpdateBlobsRequestSchema, { requests: blobs.map((blob) => ({ digest: wire(blob), data: blob.bytes })) })));
}

function assertRight({ responses }: BatchReadBlobsResponse, blobs: readonly Blob[]): void {
  assert.equal(responses.length, blobs.length);
  for (const [index, blob] of blobs.entries()) {
    assert.equal(responses[index]?.status?.code ?? 0, 0);
    assert.ok(Buffer.compare(responses[index]?.data ?? Buffer.alloc(0), blob.bytes) === 0, `${blob.digest.toString()} as it was put`);
  }
}

/** The message of the answer; undefined: the call was cancelled, after so many pieces of the event loop's turns. */
async function call(session: ClientHttp2Session, method: string, request: Uint8Array, cancelAfterTurns = Infinity): Promise<Buffer | undefined> {
  const stream = session.request({ ':method': 'POST', ':path': service + method, 'content-type': 'application/grpc', te: 'trailers' });
  const pieces: Buffer[] = [];
  let status: unknown;
  stream.on('data', (piece: Buffer) => pieces.push(piece));
  stream.on('trailers', (trailers) => (status = trailers['grpc-status']));
  stream.on('error', () => undefined);
  const closed = once(stream, 'close');
  stream.end(request);
  for (let turn = 0; turn < cancelAfterTurns && !stream.closed; turn += 1) {
    if (cancelAfterTurns === Infinity) break;
    await new Promise((resolve) => setImmediate(resolve));
  }
  if (cancelAfterTurns !== Infinity && !stream.closed) stream.close(cancelCode);
  await closed;
  return status === '0' ? Buffer.concat(pieces).subarray(5) : undefined;
}

/** Spoils what is given back. Returns what ends that, and gives how often it was. */
function spoilMemory({ server }: ServedCache): { readonly counts: { requests: number; answers: number } } & Disposable {
  const counts = { requests: 0, answers: 0 };
  const { answers } = server.router;
  const takeBack = answers.takeBack.bind(answers);
  answers.takeBack = (memory) => {
    counts.answers += 1;
    memory.bytes.fill(0xee);
    takeBack(memory);
  };
  const giveBack = pieceMemory.giveBack.bind(pieceMemory);
  pieceMemory.giveBack = (message) => {
    counts.requests += 1;
    message.fill(0xdd);
    giveBack(message);
  };
  return { counts, [Symbol.dispose]: () => void Object.assign(pieceMemory, { giveBack }) };
}

describe('memory of batches that is used again', () => {
  it('stores what was sent, with calls beside each other that put the same blobs and are cancelled', async (t) => {
    const random = seededRandom(t);
    await using opened = await temporaryEngineStore();
    await using cache = await serveCache({ blobs: opened.store.blobs });
    using spoiling = spoilMemory(cache);
    const sessions = Array.from({ length: 4 }, () => connect(`http://${cache.server.address}`));
    t.after(() => sessions.forEach((session) => session.destroy()));
    const stored = new Map<string, Blob>();
    let cancelled = 0;
    for (let round = 0; round < 6; round += 1) {
      const shared = Array.from({ length: 40 }, () => blobOf(random, 9_000));
      const known = [...stored.values()];
      await Promise.all(
        Array.from({ length: 12 }, async (_, index) => {
          const blobs = Array.from({ length: 60 }, () => (random.integer(0, 2) === 0 ? blobOf(random, 6_000) : random.pick([...shared, ...known.slice(0, 20)])));
          const session = sessions[index % sessions.length] ?? assert.fail();
          const answer = await call(session, 'BatchUpdateBlobs', updateOf(blobs), index % 3 === 0 ? random.integer(0, 40) : Infinity);
          if (answer === undefined) {
            cancelled += 1;
            return;
          }
          for (const [at, { status }] of fromBinary(BatchUpdateBlobsResponseSchema, answer).responses.entries()) {
            assert.equal(status?.code ?? 0, 0);
            const blob = blobs[at] ?? assert.fail();
            stored.set(blob.digest.hash, blob);
          }
          const read = blobs.slice(0, 30);
          assertRight(fromBinary(BatchReadBlobsResponseSchema, (await call(session, 'BatchReadBlobs', readOf(read))) ?? assert.fail()), read);
        }),
      );
    }
    const all = [...stored.values()];
    for (let at = 0; at < all.length; at += 100) {
      const read = all.slice(at, at + 100);
      assertRight(fromBinary(BatchReadBlobsResponseSchema, (await call(sessions[0] ?? assert.fail(), 'BatchReadBlobs', readOf(read))) ?? assert.fail()), read);
    }
    t.diagnostic(`${all.length} blobs, ${cancelled} calls cancelled, ${spoiling.counts.requests} and ${spoiling.counts.answers} times given back`);
    assert.ok(spoiling.counts.requests > 20 && spoiling.counts.answers > 20);
  });

  it('gives answers that wait for a slow client in the socket as they were', async (t) => {
    const random = seededRandom(t);
    await using cache = await serveCache({});
    using spoiling = spoilMemory(cache);
    const blobs = await Promise.all(
      Array.from({ length: 200 }, async () => {
        const bytes = random.bytes(4_000);
        return { bytes, digest: await cache.keep(bytes) };
      }),
    );
    const socket = connectSocket({ port: cache.server.port, host: '127.0.0.1' });
    t.after(() => socket.destroy());
    socket.pause();
    socket.write(Buffer.concat([clientPreface, settings([4, windowMax]), frame(4, 1, 0), frame(8, 0, 0, uint32(windowMax - 65_535))]));
    const list = [[':method', 'POST'], [':scheme', 'http'], [':path', `${service}BatchReadBlobs`], ['content-type', 'application/grpc'], ['te', 'trailers']] as const;
    const asked = new Map<number, readonly Blob[]>();
    const got = new Map<number, Buffer[]>();
    let nextId = 1;
    let done = 0;
    const ask = (): void => {
      const some = Array.from({ length: 100 }, () => random.pick(blobs));
      asked.set(nextId, some);
      socket.write(Buffer.concat([headers(nextId, false, list), data(nextId, true, readOf(some))]));
      nextId += 2;
    };
    for (let calls = 0; calls < 40; calls += 1) ask();
    let rest = Buffer.alloc(0);
    // Piece by piece: the server has always more to write than the system takes.
    for await (const piece of socket as AsyncIterable<Buffer>) {
      rest = Buffer.concat([rest, piece]);
      for (let end = rest.length < 9 ? Infinity : 9 + rest.readUIntBE(0, 3); end <= rest.length; end = rest.length < 9 ? Infinity : 9 + rest.readUIntBE(0, 3)) {
        const id = rest.readUInt32BE(5);
        const pieces = got.get(id) ?? [];
        got.set(id, pieces);
        if (rest[3] === 0) pieces.push(Buffer.from(rest.subarray(9, end)));
        if (rest[3] === 1 && ((rest[4] ?? 0) & 1) === 1) {
          assertRight(fromBinary(BatchReadBlobsResponseSchema, Buffer.concat(pieces).subarray(5)), asked.get(id) ?? assert.fail());
          got.delete(id);
          done += 1;
          if (nextId < 160) ask();
        }
        rest = rest.subarray(end);
      }
      if (done === nextId >> 1) break;
      await new Promise((resolve) => setImmediate(resolve));
    }
    assert.equal(done, 80);
    t.diagnostic(`${spoiling.counts.answers} times given back`);
    assert.ok(spoiling.counts.answers > 20);
  });
});
