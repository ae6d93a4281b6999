// The one audited path by which bytes become a file that survives kill -9 and power loss.
import { CacheError } from '../base/cache-error.ts';
import type { CallOptions } from '../base/call-options.ts';
import type { FileHandle, FileSystem } from '../base/file-system.ts';
import type { ContentCheck } from './digest-check.ts';
import type { DurableDirectories } from './durable-directories.ts';
import { io, systemCode } from './storage-error.ts';
import type { WritePhases } from './write-phases.ts';

/** Names of one file on its way. `partial` is unique and in the same directory, so that rename is atomic. */
export interface ObjectPaths {
  readonly directory: string;
  readonly partial: string;
  readonly final: string;
}

/** What is written where, and who is to be kept off the name meanwhile. */
export interface WriteTarget {
  readonly paths: ObjectPaths;
  /** Judges the bytes as they come; what it refuses never gets its final name. */
  readonly check: ContentCheck;
  /** Runs `publish` with nobody else changing what is under the final name, and enters the file in its index then. */
  guard(publish: () => Promise<void>): Promise<void>;
  /** Told where the write is, by whoever wants to know. */
  readonly phases?: WritePhases | undefined;
}

/** Where files go. */
export interface DurableStorage {
  readonly files: FileSystem;
  readonly directories: DurableDirectories;
}

/**
 * The only way a blob or a value becomes a file. Once this resolves, `paths.final` holds exactly the bytes that
 * `check` accepted, through kill -9 and power loss. If it throws, `paths.final` is what it was, or whole if only
 * the last sync failed; never a part. The caller owns `bytes`.
 * What a crash leaves at each step: docs/formats/objects.md; provoked in durable-write.crash.test.ts.
 * @throws CacheError what `check` throws, `cancelled`, `resource_exhausted` (disk full), `unavailable`.
 */
export async function writeDurably(
  storage: DurableStorage,
  target: WriteTarget,
  bytes: AsyncIterable<Uint8Array>,
  options?: CallOptions,
): Promise<void> {
  const { files, directories } = storage;
  const { paths, check, phases } = target;
  phases?.enter('temp');
  await directories.ensure(paths.directory);
  await using undo = new AsyncDisposableStack();
  {
    await using file = await create(storage, paths);
    undo.defer(() => files.discard(paths.partial)); // never throws; start-up sweeps what stays behind
    phases?.enter('receive');
    for await (const chunk of bytes) {
      throwIfCancelled(options); // a stalled read is ended by the owner of `bytes`
      phases?.enter('write');
      check.update(chunk);
      await io('write to the data directory', file.write(chunk));
      phases?.enter('receive');
    }
    check.finish();
    throwIfCancelled(options);
    phases?.enter('sync');
    // Before rename, or a power cut may keep the name and lose the bytes. A failed sync is final: the kernel
    // may have marked the lost pages clean, and a second try would report success.
    await io('sync a file in the data directory', file.syncData());
  }
  phases?.enter('lock');
  await target.guard(async () => {
    phases?.enter('publish');
    await io('rename a file in the data directory', files.rename(paths.partial, paths.final));
    undo.move(); // nothing left to undo
    phases?.enter('directory_sync');
    await directories.sync(paths.directory); // a name is data of its directory
  });
}

async function create({ files, directories }: DurableStorage, { directory, partial }: ObjectPaths): Promise<FileHandle> {
  try {
    return await io('create a file in the data directory', files.createExclusive(partial));
  } catch (thrown) {
    if (systemCode(thrown) === 'ENOENT') directories.forget(directory); // the next write makes it again
    throw thrown;
  }
}

function throwIfCancelled(options: CallOptions | undefined): void {
  if (options?.signal?.aborted) throw new CacheError('cancelled', 'the call was cancelled while its bytes were stored');
}
