// After damage in the stream of blobs the commits of large files may be lost, and with them the only word that those are there: they
// would be absent, and take room that nobody counts. The names in `objects/` say as much: a file gets its name when its bytes were
// found right and are durable. Where nothing is damaged, a start does not look there.
import { join } from 'node:path';
import type { FileSystem } from '../base/file-system.ts';
import type { Log } from '../base/log.ts';
import { Digest } from '../digest/digest.ts';
import { digestFunctions } from '../digest/digest-function.ts';
import type { DigestFunction } from '../digest/digest-function.ts';
import { allocatedBytes } from './allocated-bytes.ts';
import { KeyWords, blobTag } from './key-words.ts';
import { isBlobName, isShardName } from './object-layout.ts';
import type { OrphanParts } from './settle-orphans.ts';
import { io } from './storage-error.ts';

export interface UnnamedFilesPorts {
  readonly files: Pick<FileSystem, 'list' | 'status'>;
  readonly log: Log;
}

/**
 * Writes a commit for each file in `objects/` whose key is in no index. Its bytes are not read: its first reader checks them, as of
 * every file. After `settleOrphans`, which deletes what is to go, and before anything is served. Resolves to how many it took in.
 * @throws CacheError `unavailable`.
 */
export async function takeInUnnamed({ files, log }: UnnamedFilesPorts, parts: OrphanParts): Promise<number> {
  const objects = join(parts.layout.root, 'objects');
  let takenIn = 0;
  for (const digestFunction of digestFunctions) {
    const directory = join(objects, digestFunction.name);
    for (const { name: shard, kind } of (await io('look for files', files.list(directory))) ?? []) {
      if (kind !== 'directory' || !isShardName(shard)) continue;
      const unnamed = await unnamedIn(files, join(directory, shard), { digestFunction, shard }, parts);
      if (unnamed.length > 0) takenIn += await takeIn(unnamed, join(directory, shard), parts, log);
    }
  }
  if (takenIn > 0) log.warn('files whose records were damaged were found by their names, and taken in', { files: takenIn });
  return takenIn;
}

async function unnamedIn(files: UnnamedFilesPorts['files'], directory: string, { digestFunction, shard }: { readonly digestFunction: DigestFunction; readonly shard: string }, { entries: { blobs } }: OrphanParts): Promise<readonly Digest[]> {
  const unnamed: Digest[] = [];
  const key = new KeyWords();
  for (const { name, kind } of (await io('look for files', files.list(directory))) ?? []) {
    if (kind !== 'file' || !isBlobName(name, { beginning: shard, length: digestFunction.hexLength })) continue;
    key.setHash(blobTag(digestFunction.wireValue), name);
    if (blobs.find(key) !== -1) continue;
    const sizeBytes = (await io('look at a file', files.status(join(directory, name))))?.sizeBytes ?? 0;
    if (sizeBytes > 0) unnamed.push(Digest.ofChecked(digestFunction, name, sizeBytes));
  }
  return unnamed;
}

/** Those of one directory: some thousand. */
async function takeIn(unnamed: readonly Digest[], directory: string, { directories, entries, history, ledger, sieve, nowS }: OrphanParts, log: Log): Promise<number> {
  await directories.ensure(directory);
  await directories.sync(directory); // after a kill the page cache alone may know the names
  const written = [];
  for (const digest of unnamed) {
    using claim = await history.claim(digest, 1);
    written.push({ digest, ...history.commit(claim, digest, undefined) });
  }
  const key = new KeyWords();
  for (const { digest, appended, durable } of written) {
    await durable;
    key.setHash(blobTag(digest.function.wireValue), digest.hash);
    const { segment, offset, sequence } = appended;
    entries.put(entries.blobs, key, { segment, offset, sizeBytes: digest.sizeBytes, usedAtS: nowS(), sequence, isFile: true, isPointer: false, isVerified: false });
    sieve.append(key.words[0] ?? 0, key.words[1] ?? 0);
    ledger.place('files', allocatedBytes(digest.sizeBytes));
    log.debug('a file whose record was damaged was taken in', { blob: digest.toString() });
  }
  return written.length;
}
