// What a start finds in `uploads/`: what can be gone on with is kept, the rest removed. Removed means that names go; nothing
// is made shorter, since a file here may be a second name of a stored one. docs/formats/uploads.md
import { join } from 'node:path';
import type { Log } from '../base/log.ts';
import { mapBounded } from '../base/semaphore.ts';
import type { Digest } from '../digest/digest.ts';
import { allocatedBytes } from './allocated-bytes.ts';
import { readJournal } from './reopen-upload.ts';
import { io } from './storage-error.ts';
import type { UploadSite, UploadSpace } from './upload-file.ts';
import { pieceBytes } from './upload-journal-format.ts';
import { classifyUploadFile, isUploadKey, uploadDataName, uploadJournalName } from './upload-names.ts';

export interface RecoveredUpload {
  readonly key: string;
  readonly digest: Digest;
  readonly begunMs: number;
  /** Durable, as far as its journal and the length of its data tell. */
  readonly committedBytes: number;
  readonly space: UploadSpace;
  /** When something came of it last, milliseconds since the Unix epoch; not in the future. */
  readonly writtenMs: number;
}

export interface RecoverUploadsOptions {
  readonly nowMs: number;
  /** Whether the blob is there: its upload is of no use then. */
  readonly isStored: (digest: Digest) => boolean;
}

/** Uploads looked at at the same time. */
const uploadsMax = 16;

/** Which files there are under one name. */
interface Found {
  hasData: boolean;
  hasJournal: boolean;
}

/**
 * The uploads that can be gone on with, in no order. What is told of them, and that the others are gone, is durable. A second
 * start finds the same. The directory holds nothing that is being written.
 * @throws CacheError `unavailable`, `disk_full`.
 */
export async function recoverUploads(site: UploadSite, log: Log, options: RecoverUploadsOptions): Promise<readonly RecoveredUpload[]> {
  const { uploads, foreign } = await list(site);
  if (foreign !== undefined) log.warn('the directory of uploads holds files that Kiln did not make; they are left alone', { example: join(site.path, foreign) });
  let removed = 0;
  const recovered = await mapBounded([...uploads], uploadsMax, async ([name, found]) => {
    const upload = await recover(site, name, found, options);
    if (typeof upload !== 'string') return upload;
    await remove(site, name);
    removed += 1;
    // What cannot be resumed goes with every end that was not clean; the others somebody may ask for.
    if (isUploadKey(name)) log.info('an upload that was interrupted is given up', { upload: name, reason: upload });
    return undefined;
  });
  if (uploads.size > 0) await site.directories.sync(site.path);
  const kept = recovered.filter((upload) => upload !== undefined);
  if (uploads.size > 0) log.info('looked through the uploads that were interrupted', { kept: kept.length, removed });
  return kept;
}

async function list({ files, path }: UploadSite): Promise<{ readonly uploads: ReadonlyMap<string, Found>; readonly foreign: string | undefined }> {
  const uploads = new Map<string, Found>();
  let foreign: string | undefined;
  for (const entry of (await io('list the directory of uploads', files.list(path))) ?? []) {
    const named = classifyUploadFile(entry.name);
    if (named.kind === 'foreign' || entry.kind !== 'file') {
      foreign ??= entry.name;
      continue;
    }
    const found = uploads.get(named.name) ?? { hasData: false, hasJournal: false };
    uploads.set(named.name, found);
    if (named.kind === 'data') found.hasData = true;
    else found.hasJournal = true;
  }
  return { uploads, foreign };
}

/** A text says why the upload cannot be gone on with. */
async function recover(site: UploadSite, name: string, found: Found, options: RecoverUploadsOptions): Promise<RecoveredUpload | string> {
  if (!found.hasJournal || !isUploadKey(name)) return 'it has no journal';
  if (!found.hasData) return 'it has no data';
  const journalPath = join(site.path, uploadJournalName(name));
  await using journalFile = await io('open the journal of an upload', site.files.openLog(journalPath));
  if (journalFile === undefined) return 'it has no journal';
  const decoded = await readJournal(journalFile, name);
  if (decoded.kind === 'wrong') return `its journal is not right: ${decoded.reason}`;
  const { journal } = decoded;
  if (options.isStored(journal.digest)) return 'its blob is stored';
  const [data, entered] = await io('look at an upload', Promise.all([site.files.status(join(site.path, uploadDataName(name))), site.files.status(journalPath)]));
  if (data === undefined || entered === undefined) return 'it has no data';
  const committedBytes = wholePieces(Math.min(journal.committedBytes, data.sizeBytes), journal.digest.sizeBytes);
  if (committedBytes === 0) return 'no piece of it is whole';
  const writtenMs = Math.min(options.nowMs, Math.max(journal.begunMs, entered.modifiedMs));
  // After a kill the last entry may be in the page cache alone.
  await io('sync the journal of an upload', site.smallSyncs.sync(journalFile.fd, 'data'));
  const space: UploadSpace = { dataBytes: allocatedBytes(data.sizeBytes), journalBytes: allocatedBytes(entered.sizeBytes) };
  return { key: name, digest: journal.digest, begunMs: journal.begunMs, committedBytes, space, writtenMs };
}

/** The journal last: with its data gone it says nothing. */
async function remove({ files, path }: UploadSite, name: string): Promise<void> {
  await io('remove an upload', files.remove(join(path, uploadDataName(name))));
  await io('remove an upload', files.remove(join(path, uploadJournalName(name))));
}

function wholePieces(bytes: number, sizeBytes: number): number {
  return bytes === sizeBytes ? bytes : Math.floor(bytes / pieceBytes) * pieceBytes;
}
