// What a start does with files that the log announced or gave up and says nothing of since: their uploads or removals were cut
// off in the middle. docs/formats/data-directory.md
import { dirname } from 'node:path';
import type { HashPort } from '../base/log-files.ts';
import type { FileSystem } from '../base/file-system.ts';
import type { Log } from '../base/log.ts';
import { Digest } from '../digest/digest.ts';
import type { DigestFunctionName } from '../digest/digest-function.ts';
import { allocatedBytes } from './allocated-bytes.ts';
import type { DurableDirectories } from './durable-directories.ts';
import type { FileHistory } from './file-history.ts';
import { KeyWords, blobTag } from './key-words.ts';
import type { LiveEntries } from './live-entries.ts';
import type { ObjectLayout } from './object-layout.ts';
import type { OrphanedFile } from './orphaned-files.ts';
import type { SieveOrder } from './sieve-order.ts';
import type { SpaceLedger } from './space-ledger.ts';
import { io } from './storage-error.ts';

export interface OrphanPorts {
  readonly files: FileSystem;
  readonly hashes: HashPort<DigestFunctionName>;
  readonly log: Log;
}

export interface OrphanParts {
  readonly directories: DurableDirectories;
  readonly layout: ObjectLayout;
  readonly entries: LiveEntries;
  readonly history: FileHistory;
  readonly ledger: SpaceLedger;
  readonly sieve: SieveOrder;
  readonly nowS: () => number;
}

/** What was done; all zero for a start that finds nothing to do. */
export interface SettledOrphans {
  readonly removed: number;
  readonly takenIn: number;
}

const pieceBytes = 1_048_576;

/**
 * Deletes each file unless a commit counts for its name. After damage in the stream of blobs (`isDamaged`) it may have been the commit
 * that was damaged, so a file that only an intent names is taken in when its bytes are right, and one that was given up is left to
 * `takeInUnnamed`. Before anything is served.
 * @throws CacheError `unavailable`.
 */
export async function settleOrphans(orphans: readonly OrphanedFile[], isDamaged: boolean, ports: OrphanPorts, parts: OrphanParts): Promise<SettledOrphans> {
  const { files, log } = ports;
  const { directories, layout } = parts;
  const removed: OrphanedFile[] = [];
  const shards = new Set<string>();
  let takenIn = 0;
  for (const orphan of orphans) {
    const digest = digestOf(orphan);
    if (isCommitted(parts, digest)) continue;
    // It may have come again since it was given up, and that commit be damaged: what is there is taken in by its name.
    if (isDamaged && orphan.reason === 'tombstone') continue;
    const path = layout.final(digest.key);
    if ((await io('look at a shard directory', files.status(dirname(path)))) === undefined) continue;
    // Also for a file that is not there: after a kill the page cache alone may know that it was removed.
    shards.add(dirname(path));
    if (isDamaged && (await isRight(ports, path, digest))) {
      await takeIn(parts, digest, orphan.sequence);
      takenIn += 1;
      log.warn('a file whose commit was damaged is right, and was taken in', { blob: digest.toString() });
    } else if (await io('delete a file that is not committed', files.remove(path))) removed.push(orphan);
  }
  await Promise.all([...shards].map((directory) => directories.sync(directory)));
  for (const orphan of removed) await noteEnd(parts, orphan);
  if (removed.length > 0) log.info('removed files whose upload or removal was interrupted', { files: removed.length });
  return { removed: removed.length, takenIn };
}

/** Not waited for: where it is lost, the next start looks for the file once more. */
async function noteEnd({ history }: OrphanParts, orphan: OrphanedFile): Promise<void> {
  const digest = digestOf(orphan);
  using claim = await history.claim(digest, 1);
  if (orphan.reason === 'intent') history.ended(claim, digest, orphan.sequence);
  else history.gone(claim, digest);
}

async function takeIn({ directories, layout, entries, history, ledger, nowS, sieve }: OrphanParts, digest: Digest, intentSequence: number): Promise<void> {
  await directories.ensure(dirname(layout.final(digest.key)));
  await directories.sync(dirname(layout.final(digest.key)));
  using claim = await history.claim(digest, 1);
  const { appended, durable } = history.commit(claim, digest, intentSequence);
  await durable;
  const key = keyOf(digest);
  const { segment, offset, sequence } = appended;
  const { sizeBytes } = digest;
  entries.put(entries.blobs, key, { segment, offset, sizeBytes, usedAtS: nowS(), sequence, isFile: true, isPointer: false, isVerified: true });
  sieve.append(key.words[0] ?? 0, key.words[1] ?? 0);
  ledger.place('files', allocatedBytes(sizeBytes));
}

function isCommitted({ entries: { blobs } }: OrphanParts, digest: Digest): boolean {
  const slot = blobs.find(keyOf(digest));
  return slot !== -1 && blobs.isFile(slot);
}

async function isRight({ files, hashes }: OrphanPorts, path: string, digest: Digest): Promise<boolean> {
  if ((await io('look at a file', files.status(path)))?.sizeBytes !== digest.sizeBytes) return false;
  const handle = await io('open a file', files.openRead(path));
  if (handle === undefined) return false;
  await using file = handle;
  using hasher = hashes.begin(digest.function.name, digest.sizeBytes);
  for (let offset = 0; offset < digest.sizeBytes; ) {
    const piece = Buffer.allocUnsafeSlow(Math.min(pieceBytes, digest.sizeBytes - offset));
    const count = await io('read a file', file.read(piece, offset));
    if (count === 0) return false;
    await hasher.update(piece.subarray(0, count));
    offset += count;
  }
  return (await hasher.hex()) === digest.hash;
}

function digestOf({ digestFunction, hash, sizeBytes }: OrphanedFile): Digest {
  return Digest.ofChecked(digestFunction, hash, sizeBytes);
}

function keyOf(digest: Digest): KeyWords {
  const key = new KeyWords();
  key.setHash(blobTag(digest.function.wireValue), digest.hash);
  return key;
}
