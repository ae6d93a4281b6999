// A process of its own that writes an upload until it is killed, and says how much of it is committed: for tests of kill -9.
// Arguments: the directory, the bytes of the blob.
import { SyncThread } from '../platform/sync-thread.ts';
import { openUploads, patternOf } from './temporary-uploads.ts';
import type { PatternBlob } from './temporary-uploads.ts';

const [root = '', sizeBytes = '0'] = process.argv.slice(2);
const syncs = new SyncThread('test');
const opened = await openUploads(root, { smallSyncs: syncs });
const sent: PatternBlob = patternOf(Number(sizeBytes), 1);
const from = opened.uploads.committedBytes(sent.upload);
const chunkBytes = 200_000;

async function* chunks(): AsyncGenerator<Uint8Array, void, undefined> {
  for (let at = from; at < sent.bytes.byteLength; at += chunkBytes) {
    yield sent.bytes.subarray(at, at + chunkBytes);
    process.stdout.write(`${opened.uploads.committedBytes(sent.upload)}\n`);
  }
  await new Promise(() => setInterval(() => undefined, 1_000)); // never finishes: it is to be killed
}

process.stdout.write(`${from}\n`);
await opened.uploads.resume(sent.upload, from, chunks());
