// One upload that is being written: the file of its data, and the journal that says which pieces of it are durable. A piece
// is entered when it has been synced, and counts when its entry has. docs/formats/uploads.md
import { join } from 'node:path';
import { crc32 } from 'node:zlib';
import { assert } from '../base/assert.ts';
import type { BodyHasher, HashPort, LogFile, LogFileSystem, SyncPort } from '../base/log-files.ts';
import type { DigestFunctionName } from '../digest/digest-function.ts';
import { allocatedBytes } from './allocated-bytes.ts';
import { BodyWriter } from './body-writer.ts';
import type { DurableDirectories } from './durable-directories.ts';
import type { LargeSyncs } from './large-syncs.ts';
import type { PieceMemory } from './piece-memory.ts';
import { io } from './storage-error.ts';
import { decodeUploadJournal, encodeJournalEntry, encodeJournalHeader, journalEntryBytes, journalHeaderBytes, pieceBytes } from './upload-journal-format.ts';
import type { UploadJournalHeader } from './upload-journal-format.ts';
import { uploadDataName, uploadJournalName } from './upload-names.ts';

/** Stored files have this mode from the moment they are created. */
export const dataMode = 0o444;
/** While one is written to after a restart. */
export const resumedDataMode = 0o600;
const journalMode = 0o600;

/** Where uploads are written, and by what. */
export interface UploadSite {
  /** `uploads/`, which is there and durable. */
  readonly path: string;
  readonly files: LogFileSystem;
  readonly directories: DurableDirectories;
  /** For journals and modes. */
  readonly smallSyncs: SyncPort;
  readonly largeSyncs: Pick<LargeSyncs, 'sync'>;
  readonly hashes: HashPort<DigestFunctionName>;
  /** Of all uploads. */
  readonly memory: PieceMemory;
}

/** What is on the disk of an upload, and open. */
export interface OpenUpload {
  readonly data: LogFile;
  /** Its mode has to be made what that of stored files is. */
  readonly isWritable: boolean;
  /** Undefined: no piece is entered. */
  readonly journal: OpenJournal | undefined;
  /** Whole pieces, all entered; they have gone through `hasher`. */
  readonly committedBytes: number;
  readonly hasher: BodyHasher;
}

export interface OpenJournal {
  readonly file: LogFile;
  /** Goes into the checksum of each entry. */
  readonly headerCrc: number;
}

/** What an upload takes on the disk: its data, and its journal. */
export interface UploadSpace {
  readonly dataBytes: number;
  readonly journalBytes: number;
}

/** Of a journal with so many entries; nothing without one. */
function journalSpace(entries: number): number {
  return entries === 0 ? 0 : allocatedBytes(journalHeaderBytes + entries * journalEntryBytes);
}

/** What an upload of that size may come to take. The last piece is not entered: the upload ends with it. */
export function spaceOfWhole(sizeBytes: number): UploadSpace {
  return { dataBytes: allocatedBytes(sizeBytes), journalBytes: journalSpace(Math.max(0, Math.ceil(sizeBytes / pieceBytes) - 1)) };
}

export function sumOf({ dataBytes, journalBytes }: UploadSpace): number {
  return dataBytes + journalBytes;
}

/** For one writer. */
export class UploadFile implements AsyncDisposable {
  readonly #name: UploadJournalHeader;
  readonly #site: UploadSite;
  readonly #data: LogFile;
  readonly #isWritable: boolean;
  readonly #hasher: BodyHasher;
  readonly #writer: BodyWriter;
  #journal: OpenJournal | undefined;
  #committedBytes: number;
  /** Of the piece that is coming. */
  #pieceCrc = 0;
  #endOffset: number;
  /** The latest entry on its way; one at a time. */
  #commit: Promise<void> = Promise.resolve();

  constructor(name: UploadJournalHeader, site: UploadSite, opened: OpenUpload) {
    this.#name = name;
    this.#site = site;
    this.#data = opened.data;
    this.#isWritable = opened.isWritable;
    this.#hasher = opened.hasher;
    this.#journal = opened.journal;
    this.#committedBytes = opened.committedBytes;
    this.#endOffset = opened.committedBytes;
    this.#writer = new BodyWriter(opened.data, opened.committedBytes, { hasher: opened.hasher, syncs: site.largeSyncs, memory: site.memory });
  }

  /** Begins with nothing. @throws CacheError `unavailable` (something is left of an upload of that name, or the disk is sick), `disk_full`. */
  static async create(name: UploadJournalHeader, site: UploadSite): Promise<UploadFile> {
    using undo = new DisposableStack();
    const hasher = undo.use(site.hashes.begin(name.digest.function.name, name.digest.sizeBytes));
    const data = await io('create the file of an upload', site.files.createLog(join(site.path, uploadDataName(name.key)), dataMode));
    undo.move();
    return new UploadFile(name, site, { data, isWritable: false, journal: undefined, committedBytes: 0, hasher });
  }

  get dataPath(): string {
    return join(this.#site.path, uploadDataName(this.#name.key));
  }

  get journalPath(): string {
    return join(this.#site.path, uploadJournalName(this.#name.key));
  }

  /** Durable and entered. Only rises. */
  get committedBytes(): number {
    return this.#committedBytes;
  }

  /** All that was taken. */
  get endOffset(): number {
    return this.#endOffset;
  }

  /** What it takes on the disk now, or when what was taken is written. */
  get space(): UploadSpace {
    const entries = Math.ceil(this.#committedBytes / pieceBytes);
    return { dataBytes: allocatedBytes(this.#endOffset), journalBytes: this.#journal === undefined ? 0 : journalSpace(Math.max(1, entries)) };
  }

  /**
   * Takes the next bytes, no more than the blob has. Syncs are waited for whoever cancels: they decide what may be kept.
   * @throws CacheError `disk_full`, `unavailable`.
   */
  async write(bytes: Uint8Array): Promise<void> {
    assert(this.#endOffset + bytes.byteLength <= this.#name.digest.sizeBytes, 'an upload is not longer than its blob');
    for (let rest = bytes; rest.byteLength > 0; ) {
      const part = rest.subarray(0, pieceBytes - (this.#endOffset % pieceBytes));
      this.#pieceCrc = crc32(part, this.#pieceCrc);
      await this.#writer.write(part);
      this.#endOffset += part.byteLength;
      if (this.#endOffset % pieceBytes === 0 && this.#endOffset < this.#name.digest.sizeBytes) await this.#endPiece();
      rest = rest.subarray(part.byteLength);
    }
  }

  /** Once all bytes have come: their hash. Nothing is written from here on. @throws as `write`. */
  async finish(): Promise<string> {
    await this.#writer.flush();
    await this.#commit;
    return this.#hasher.hex();
  }

  /** All bytes, the length and the mode of stored files are durable. @throws CacheError `unavailable`. */
  async sync(): Promise<void> {
    await this.#writer.durable();
    if (!this.#isWritable) return;
    await io('change the mode of an upload', this.#data.setMode(dataMode));
    await io('sync the mode of an upload', this.#site.smallSyncs.sync(this.#data.fd, 'names')); // fsync: fdatasync leaves out the mode
  }

  /**
   * Cuts off what is not committed, so that what stays is what the journal says; waits for what is under way.
   * @returns false: nothing can be counted on, and both files are to be given up.
   */
  async cutToCommitted(): Promise<boolean> {
    await this.#writer.end();
    const ended = await Promise.allSettled([this.#commit, this.#writer.lastSync]);
    // After a failed sync nobody knows what the file holds, and the next one would succeed.
    if (this.#committedBytes === 0 || ended.some(({ status }) => status === 'rejected')) return false;
    try {
      await this.#data.truncate(this.#committedBytes);
    } catch {
      return false;
    }
    this.#endOffset = this.#committedBytes;
    return true;
  }

  /** Waits for what is under way: its files stay open as long. Never throws. */
  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.allSettled([this.#commit, this.#writer.end()]);
    this.#hasher[Symbol.dispose]();
    await this.#data[Symbol.asyncDispose]();
    await this.#journal?.file[Symbol.asyncDispose]();
  }

  async #endPiece(): Promise<void> {
    const [number, pieceCrc] = [this.#endOffset / pieceBytes - 1, this.#pieceCrc];
    this.#pieceCrc = 0;
    await this.#commit;
    await this.#writer.flush();
    await this.#writer.beginSync();
    this.#commit = this.#commitPiece(number, pieceCrc, this.#writer.lastSync);
    this.#commit.catch(() => undefined); // the next piece, or the end, gets it
  }

  async #commitPiece(number: number, pieceCrc: number, synced: Promise<void>): Promise<void> {
    await synced;
    if (this.#journal === undefined) await this.#beginJournal(pieceCrc);
    else await this.#enter(this.#journal, number, pieceCrc);
    this.#committedBytes = (number + 1) * pieceBytes;
  }

  /** With the entry of the first piece. */
  async #beginJournal(pieceCrc: number): Promise<void> {
    const { files, directories, smallSyncs, path } = this.#site;
    const { key, digest } = this.#name;
    const header = encodeJournalHeader(this.#name);
    const decoded = decodeUploadJournal(header, key);
    assert(decoded.kind === 'journal', 'a journal that was made here is right');
    const { headerCrc } = decoded.journal;
    const file = await io('create the journal of an upload', files.createLog(this.journalPath, journalMode));
    this.#journal = { file, headerCrc };
    await io('write the journal of an upload', file.write(Buffer.concat([header, encodeJournalEntry({ digest, headerCrc }, 0, pieceCrc)]), 0));
    await io('sync the journal of an upload', smallSyncs.sync(file.fd, 'data'));
    await directories.sync(path);
  }

  async #enter({ file, headerCrc }: OpenJournal, number: number, pieceCrc: number): Promise<void> {
    const entry = encodeJournalEntry({ digest: this.#name.digest, headerCrc }, number, pieceCrc);
    await io('write the journal of an upload', file.write(entry, journalHeaderBytes + number * journalEntryBytes));
    await io('sync the journal of an upload', this.#site.smallSyncs.sync(file.fd, 'data'));
  }
}
