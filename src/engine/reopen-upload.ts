// Goes on with an upload that somebody has left: what was committed is read back once, which shows that it is still what
// was entered and makes the state of the hash again. Nothing is written to it, or cut off, before that. docs/formats/uploads.md
import { join } from 'node:path';
import { crc32 } from 'node:zlib';
import { CacheError } from '../base/cache-error.ts';
import type { CallOptions } from '../base/call-options.ts';
import type { BodyHasher, LogFile } from '../base/log-files.ts';
import { io } from './storage-error.ts';
import { resumedDataMode } from './upload-file.ts';
import type { OpenUpload, UploadSite } from './upload-file.ts';
import { decodeUploadJournal, journalBytesMax, journalEntryBytes, journalHeaderBytes, pieceBytes } from './upload-journal-format.ts';
import type { DecodedUploadJournal, UploadJournal } from './upload-journal-format.ts';
import { uploadDataName, uploadJournalName } from './upload-names.ts';

export type ReopenedUpload =
  /** `lostPieces`: entered, and not what was entered. */
  | { readonly kind: 'open'; readonly upload: OpenUpload; readonly begunMs: number; readonly lostPieces: number }
  /** Nothing of it can be used; nothing was changed. */
  | { readonly kind: 'lost'; readonly reason: string };

/** Read at once, and hashed before the next: so little that its checksum holds nobody up. */
const readBytes = 2 ** 18;

/** The upload `key` as it can go on. The caller owns what is open. @throws CacheError `unavailable`, `cancelled`. */
export async function reopenUpload(key: string, site: UploadSite, options?: CallOptions): Promise<ReopenedUpload> {
  await using opened = new AsyncDisposableStack();
  const dataPath = join(site.path, uploadDataName(key));
  const journalFile = await io('open the journal of an upload', site.files.openLog(join(site.path, uploadJournalName(key))));
  if (journalFile === undefined) return lost('its journal is gone');
  opened.use(journalFile);
  const decoded = await readJournal(journalFile, key);
  if (decoded.kind === 'wrong') return lost(`its journal is not right: ${decoded.reason}`);
  const refusal = await makeWritable(site, dataPath);
  if (refusal !== undefined) return lost(refusal);
  const data = await io('open the file of an upload', site.files.openLog(dataPath));
  if (data === undefined) return lost('its data is gone');
  opened.use(data);
  const { journal } = decoded;
  options?.onStep?.('check what came before');
  const { hasher, pieces } = await restoreHash(data, journal, site, options);
  opened.use(hasher);
  if (pieces === 0) return lost('its first piece is not what was entered');
  const committedBytes = Math.min(pieces * pieceBytes, journal.digest.sizeBytes);
  await cut({ data, journalFile }, { committedBytes, pieces }, site);
  opened.move();
  const upload: OpenUpload = { data, isWritable: true, journal: { file: journalFile, headerCrc: journal.headerCrc }, committedBytes, hasher };
  return { kind: 'open', upload, begunMs: journal.begunMs, lostPieces: journal.pieceCrcs.length - pieces };
}

/** The whole journal. @throws CacheError `unavailable`. */
export async function readJournal(file: LogFile, key: string): Promise<DecodedUploadJournal> {
  const { sizeBytes } = await io('look at the journal of an upload', file.status());
  if (sizeBytes > journalBytesMax) return { kind: 'wrong', reason: `${sizeBytes} bytes are more than any journal has` };
  const bytes = Buffer.alloc(sizeBytes);
  const got = await io('read the journal of an upload', file.read(bytes, 0));
  return decodeUploadJournal(bytes.subarray(0, got), key);
}

/** Says why not. A file with two names may be a stored one already: it is neither changed nor written to (K1-18). */
async function makeWritable({ files }: UploadSite, path: string): Promise<string | undefined> {
  await using file = await io('open the file of an upload', files.openLog(path, 'read'));
  if (file === undefined) return 'its data is gone';
  const { links } = await io('look at the file of an upload', file.status());
  if (links !== 1) return `its file has ${links} names`;
  await io('change the mode of an upload', file.setMode(resumedDataMode));
  return undefined;
}

/** How many pieces from the beginning are what was entered, and a hasher that has seen these and nothing else. */
async function restoreHash(data: LogFile, journal: UploadJournal, { hashes }: UploadSite, options?: CallOptions): Promise<{ readonly hasher: BodyHasher; readonly pieces: number }> {
  for (let pieces = journal.pieceCrcs.length; ; ) {
    using undo = new DisposableStack();
    const hasher = undo.use(hashes.begin(journal.digest.function.name, journal.digest.sizeBytes));
    const right = await rightPieces(data, journal, { pieces, hasher }, options);
    if (right === pieces) {
      undo.move();
      return { hasher, pieces };
    }
    pieces = right; // the hasher has seen what is wrong
  }
}

async function rightPieces(data: LogFile, journal: UploadJournal, { pieces, hasher }: { readonly pieces: number; readonly hasher: BodyHasher }, options?: CallOptions): Promise<number> {
  const buffer = Buffer.allocUnsafeSlow(readBytes);
  for (let piece = 0; piece < pieces; piece += 1) {
    const end = Math.min((piece + 1) * pieceBytes, journal.digest.sizeBytes);
    let pieceCrc = 0;
    for (let at = piece * pieceBytes; at < end; ) {
      if (options?.signal?.aborted) throw new CacheError('cancelled', 'the call was cancelled while the beginning of its upload was checked');
      const part = buffer.subarray(0, end - at);
      if ((await io('read back an upload', data.read(part, at))) < part.byteLength) return piece;
      pieceCrc = crc32(part, pieceCrc);
      const hashed = hasher.update(part);
      if (hashed !== undefined) await hashed;
      at += part.byteLength;
    }
    if (pieceCrc !== journal.pieceCrcs[piece]) return piece;
  }
  return pieces;
}

/** So that no entry of before speaks for bytes that are still to come, and no bytes of before stand behind those. */
async function cut(
  { data, journalFile }: { readonly data: LogFile; readonly journalFile: LogFile },
  { committedBytes, pieces }: { readonly committedBytes: number; readonly pieces: number },
  { smallSyncs }: UploadSite,
): Promise<void> {
  const journalEnd = journalHeaderBytes + pieces * journalEntryBytes;
  if ((await io('look at the journal of an upload', journalFile.status())).sizeBytes > journalEnd) {
    await io('cut the journal of an upload', journalFile.truncate(journalEnd));
    await io('sync the journal of an upload', smallSyncs.sync(journalFile.fd, 'data'));
  }
  if ((await io('look at the file of an upload', data.status())).sizeBytes > committedBytes) await io('cut an upload', data.truncate(committedBytes));
}

function lost(reason: string): ReopenedUpload {
  return { kind: 'lost', reason };
}
