// What tests of uploads over real files send, and what they look at afterwards.
import assert from 'node:assert/strict';
import { readFile, stat } from 'node:fs/promises';
import type { TestContext } from 'node:test';
import { pieceBytes } from '../engine/upload-journal-format.ts';
import { seededRandom } from './seeded-random.ts';
import type { SeededRandom } from './seeded-random.ts';
import { temporaryDirectory } from './temporary-directory.ts';
import { objectPath, takenBytes } from './temporary-uploads.ts';
import type { OpenUploads, PatternBlob as Sent } from './temporary-uploads.ts';

/** Two pieces, and a part of one. */
export const wholeBytes = 2 * pieceBytes + 3_000_000;

/** Chunks of random lengths; throws behind the last one, if told to. */
export async function* chunks(bytes: Buffer, random: SeededRandom, end?: Error): AsyncGenerator<Uint8Array, void, undefined> {
  for (let at = 0; at < bytes.byteLength; ) {
    const length = random.pick([1, 1_000, 65_536, 300_000, 2_000_000]);
    yield bytes.subarray(at, at + length);
    at += length;
  }
  if (end !== undefined) throw end;
}

export const cutOff = new Error('the client is gone');

/** Sends the blob from `from` to `to` and is cut off there. */
export async function sendPart({ uploads }: OpenUploads, { upload, bytes }: Sent, [from, to]: readonly [number, number], random: SeededRandom): Promise<number> {
  await assert.rejects(uploads.resume(upload, from, chunks(bytes.subarray(from, to), random, cutOff)), cutOff);
  return uploads.committedBytes(upload);
}

export async function sendRest({ uploads }: OpenUploads, { upload, bytes }: Sent, random: SeededRandom): Promise<void> {
  const from = uploads.committedBytes(upload);
  assert.deepEqual(await uploads.resume(upload, from, chunks(bytes.subarray(from), random)), { kind: 'stored' });
}

export async function assertStored(root: string, { upload, bytes }: Sent): Promise<void> {
  const path = objectPath(root, upload.digest);
  assert.ok((await readFile(path)).equals(bytes));
  assert.equal((await stat(path)).mode & 0o7777, 0o444);
}

/** Everything is counted, and nothing else is. */
export async function assertCounted(root: string, { ledger }: OpenUploads): Promise<void> {
  assert.equal(ledger.reservedBytes, 0);
  assert.equal(ledger.usedBytes, await takenBytes(root));
}

export async function uploadsRoot(t: TestContext): Promise<{ readonly root: string; readonly random: SeededRandom }> {
  const directory = await temporaryDirectory();
  t.after(() => directory[Symbol.asyncDispose]());
  return { root: directory.path, random: seededRandom(t) };
}
