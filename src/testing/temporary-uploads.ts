// Resumable uploads over files, with plain stand-ins for the engine around them: whole uploads are renamed into `objects/`,
// what is given up is removed at once.
import { readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { unboundedByteBudget } from '../base/byte-budget.ts';
import type { ByteBudget } from '../base/byte-budget.ts';
import { CacheError } from '../base/cache-error.ts';
import type { BodyHasher, HashPort, LogFileSystem, SyncPort } from '../base/log-files.ts';
import type { Log } from '../base/log.ts';
import { Semaphore } from '../base/semaphore.ts';
import { Digest } from '../digest/digest.ts';
import { digestFunctionNamed } from '../digest/digest-function.ts';
import type { DigestFunctionName } from '../digest/digest-function.ts';
import { allocatedBytes } from '../engine/allocated-bytes.ts';
import { DirectorySyncs } from '../engine/directory-syncs.ts';
import { DurableDirectories } from '../engine/durable-directories.ts';
import type { WholeUpload } from '../engine/file-publisher.ts';
import type { UploadLimits } from '../engine/idle-uploads.ts';
import { SpaceLedger } from '../engine/space-ledger.ts';
import type { UploadIdentity } from '../engine/upload-journal-format.ts';
import { io } from '../engine/storage-error.ts';
import { Uploads } from '../engine/uploads.ts';
import type { UploadsSurroundings } from '../engine/uploads.ts';
import { NodeLogFileSystem } from '../platform/node-log-files.ts';
import { ManualClock } from './manual-clock.ts';
import { mortalSyncs } from './mortal-files.ts';
import { RecordedLog } from './recorded-log.ts';

export interface OpenUploadsOptions {
  readonly files?: LogFileSystem;
  readonly smallSyncs?: SyncPort;
  /** Of data. */
  readonly largeSyncs?: SyncPort;
  readonly clock?: ManualClock;
  readonly log?: Log;
  readonly limits?: Partial<UploadLimits>;
  readonly maxBytes?: number;
  readonly writesMax?: number;
  readonly publisher?: UploadsSurroundings['publisher'];
  readonly isStored?: (digest: Digest) => boolean;
  readonly admit?: UploadsSurroundings['admit'];
  /** Default: 0, all blobs are files. */
  readonly smallBytesMax?: number;
  readonly budget?: ByteBudget;
}

export interface OpenUploads extends AsyncDisposable {
  readonly uploads: Uploads;
  readonly ledger: SpaceLedger;
  readonly clock: ManualClock;
  readonly log: RecordedLog;
  /** Blobs that were put as records, by hash. */
  readonly small: ReadonlyMap<string, Uint8Array>;
}

/** Hashing on the loop. */
export const localHashes: HashPort<DigestFunctionName> = {
  begin(functionName): BodyHasher {
    const hasher = digestFunctionNamed(functionName)?.createHasher();
    if (hasher === undefined) throw new RangeError(functionName);
    return { update: (bytes) => (hasher.update(bytes), undefined), hex: async () => hasher.hex(), [Symbol.dispose]() {} };
  },
};

export function objectPath(root: string, digest: Digest): string {
  return join(root, 'objects', digest.hash);
}

/** Moves a whole upload into `objects/`, once it is durable. */
export function renaming(root: string, files: LogFileSystem, fail: () => void = () => undefined): UploadsSurroundings['publisher'] {
  return {
    async publish(upload: WholeUpload) {
      const { digest, path, room } = upload;
      await upload.sync();
      fail();
      await files.makeDirectory(join(root, 'objects'));
      await files.rename(path, objectPath(root, digest));
      room.settle('files', allocatedBytes(digest.sizeBytes));
      return 'stored';
    },
  };
}

/** Uploads in `root`, which exists. Disposing closes them. */
export async function openUploads(root: string, options: OpenUploadsOptions = {}): Promise<OpenUploads> {
  const files = options.files ?? new NodeLogFileSystem();
  const clock = options.clock ?? new ManualClock(Date.now());
  const log = new RecordedLog();
  const smallSyncs = options.smallSyncs ?? mortalSyncs(() => undefined);
  const dataSyncs = options.largeSyncs ?? smallSyncs;
  const ledger = new SpaceLedger({ maxBytes: options.maxBytes ?? 2 ** 30, diskFloorBytes: 0 });
  const small = new Map<string, Uint8Array>();
  const uploads = await Uploads.open(
    root,
    { idleBytesMax: 2 ** 28, idleMsMax: 86_400_000, ...options.limits },
    {
      files,
      directories: new DurableDirectories(new DirectorySyncs(files, smallSyncs), root),
      smallSyncs,
      largeSyncs: { sync: async ({ fd }) => void (await io('sync a large file', dataSyncs.sync(fd, 'data'))) },
      hashes: localHashes,
      time: clock,
      timers: clock,
      log: options.log ?? log,
    },
    {
      ledger,
      trash: {
        async drop({ path, allocatedBytes: bytes }) {
          await files.discard(path);
          ledger.remove('trash', bytes);
        },
      },
      publisher: options.publisher ?? renaming(root, files),
      writes: new Semaphore('open files to write', { permitsMax: options.writesMax ?? 8, waitersMax: 100 }),
      reserve: (bytes) => ledger.tryReserve(bytes) ?? Promise.reject(new CacheError('disk_full', 'no room')),
      isStored: options.isStored ?? (() => false),
      admit: options.admit ?? (() => undefined),
      smallBytesMax: options.smallBytesMax ?? 0,
      budget: options.budget ?? unboundedByteBudget(),
      putSmall: async ({ hash }, bytes) => void small.set(hash, bytes),
    },
  );
  return { uploads, ledger, clock, log, small, [Symbol.asyncDispose]: () => uploads.close() };
}

export interface PatternBlob {
  readonly upload: UploadIdentity;
  readonly bytes: Buffer;
}

/** A blob of cheap bytes that are not the same everywhere, and an upload of it. */
export function patternOf(sizeBytes: number, salt = 1): PatternBlob {
  const bytes = Buffer.alloc(sizeBytes);
  for (let at = 0; at + 4 <= sizeBytes; at += 512) bytes.writeUInt32LE((at * 2_654_435_761 + salt) >>> 0, at);
  return { upload: { instance: 'ci', uploadId: `id-${salt}`, digest: Digest.of(bytes) }, bytes };
}

/** What the files below take on the disk, by the rule of the ledger. */
export async function takenBytes(directory: string): Promise<number> {
  let bytes = 0;
  for (const entry of await readdir(directory, { recursive: true, withFileTypes: true })) {
    if (entry.isFile()) bytes += allocatedBytes((await stat(join(entry.parentPath, entry.name))).size);
  }
  return bytes;
}
