// The journal of an upload in progress: which pieces are right and durable, so that its client can go on there after a
// restart. Anything wrong with it costs the client some bytes again, nothing else. docs/formats/uploads.md
import { hash as hashOnce } from 'node:crypto';
import { crc32 } from 'node:zlib';
import { assert } from '../base/assert.ts';
import { Digest } from '../digest/digest.ts';
import { digestFunctions } from '../digest/digest-function.ts';
import { readWide, writeWide } from './wide-integers.ts';

/** First bytes of every journal. */
const journalMagic = 'KILNUPLD';
const version = 1;
export const journalHeaderBytes = 136;
export const journalEntryBytes = 16;
/** What its first checksum covers. */
const coveredBytes = 128;
const keyBytes = 32;
/** Before hash, instance and upload id in what the name of an upload is the hash of. */
const identityHeadBytes = 14;
/** A piece is checked in one go on resumption, and at most one is sent again. */
export const pieceBytes = 8 * 2 ** 20;
/** A file that is longer is none: that of a blob of 4 TiB has half as many. */
export const journalBytesMax = 16 * 2 ** 20;

/** An upload that can be resumed. Each part tells it from others: whoever asks with another size is another upload. */
export interface UploadIdentity {
  readonly instance: string;
  readonly uploadId: string;
  readonly digest: Digest;
}

export interface UploadJournalHeader {
  /** Name of the upload: `uploadKey`. */
  readonly key: string;
  readonly digest: Digest;
  /** Milliseconds since the Unix epoch. */
  readonly begunMs: number;
}

/** Of a new upload: what its encoded header decodes to. */
export interface UploadJournal extends UploadJournalHeader {
  /** Goes into the checksum of each entry, so that entries of other journals are none. */
  readonly headerCrc: number;
  /** CRC-32 of each piece that is committed, from the beginning of the blob. */
  readonly pieceCrcs: readonly number[];
  /** Sum of these pieces. */
  readonly committedBytes: number;
  /** Where the next entry goes: what stands there does not count. */
  readonly endOffset: number;
}

export type DecodedUploadJournal = { readonly kind: 'journal'; readonly journal: UploadJournal } | { readonly kind: 'wrong'; readonly reason: string };

/** Name of the files of an upload: 64 hex digits. */
export function uploadKey({ instance, uploadId, digest }: UploadIdentity): string {
  const [instanceBytes, idBytes] = [Buffer.byteLength(instance), Buffer.byteLength(uploadId)];
  assert(instanceBytes <= 0xffff && idBytes <= 0xffff, 'instance name and upload id fit their length fields');
  const { wireValue, hashBytes } = digest.function;
  const whole = Buffer.alloc(identityHeadBytes + hashBytes + instanceBytes + idBytes);
  whole.writeUInt8(wireValue, 0);
  whole[1] = hashBytes;
  whole.writeUInt16LE(instanceBytes, 2);
  whole.writeUInt16LE(idBytes, 4);
  writeWide(whole, digest.sizeBytes, 6);
  whole.write(digest.hash, identityHeadBytes, 'hex');
  whole.write(instance, identityHeadBytes + hashBytes, 'utf8');
  whole.write(uploadId, identityHeadBytes + hashBytes + instanceBytes, 'utf8');
  return hashOnce('sha256', whole, 'hex');
}

export function encodeJournalHeader({ key, digest, begunMs }: UploadJournalHeader): Buffer {
  const header = Buffer.alloc(journalHeaderBytes);
  header.write(journalMagic, 0, 'latin1');
  header.writeUInt16LE(version, 8);
  header.writeUInt8(digest.function.wireValue, 10);
  header[11] = digest.function.hashBytes;
  header.writeUInt32LE(pieceBytes, 12);
  writeWide(header, digest.sizeBytes, 16);
  writeWide(header, begunMs, 24);
  assert(header.write(key, 32, 'hex') === keyBytes, 'an upload key has 64 hex digits');
  header.write(digest.hash, 64, 'hex');
  header.writeUInt32LE(crc32(header.subarray(0, coveredBytes)), coveredBytes);
  return header;
}

/** The entry of piece `number`, from 0, which has this CRC-32. */
export function encodeJournalEntry(journal: Pick<UploadJournal, 'digest' | 'headerCrc'>, number: number, pieceCrc: number): Buffer {
  const entry = Buffer.alloc(journalEntryBytes);
  entry.writeUInt32LE(number, 0);
  entry.writeUInt32LE(bytesOfPiece(journal.digest.sizeBytes, number), 4);
  entry.writeUInt32LE(pieceCrc, 8);
  entry.writeUInt32LE(crc32(entry.subarray(0, journalEntryBytes - 4), journal.headerCrc), journalEntryBytes - 4);
  return entry;
}

/**
 * What the journal named `key` says, up to the first entry that is not right.
 * @param bytes the whole file.
 */
export function decodeUploadJournal(bytes: Buffer, key: string): DecodedUploadJournal {
  if (bytes.byteLength < journalHeaderBytes) return wrong(`${bytes.byteLength} bytes are too short for a header`);
  if (bytes.toString('latin1', 0, 8) !== journalMagic) return wrong('it does not begin with the magic');
  const headerCrc = bytes.readUInt32LE(coveredBytes);
  if (crc32(bytes.subarray(0, coveredBytes)) !== headerCrc) return wrong('its header does not have its checksum');
  if (bytes.readUInt16LE(8) !== version) return wrong(`version ${bytes.readUInt16LE(8)} is not known`);
  const [functionNumber, hashBytes, sizeBytes] = [bytes.readUInt8(10), bytes.readUInt8(11), readWide(bytes, 16)];
  const digestFunction = digestFunctions.find(({ wireValue }) => wireValue === functionNumber);
  if (digestFunction === undefined || digestFunction.hashBytes !== hashBytes) return wrong(`no digest function ${functionNumber} has hashes of ${hashBytes} bytes`);
  if (bytes.readUInt32LE(12) !== pieceBytes) return wrong(`pieces of ${bytes.readUInt32LE(12)} bytes are not known`);
  if (bytes.toString('hex', 32, 64) !== key) return wrong('it is of another upload');
  const digest = Digest.ofChecked(digestFunction, bytes.toString('hex', 64, 64 + hashBytes), sizeBytes);
  const header: UploadJournalHeader = { key, digest, begunMs: readWide(bytes, 24) };
  if (!Number.isSafeInteger(sizeBytes) || !Number.isSafeInteger(header.begunMs)) return wrong('a number of its header is beyond 2^53');
  if (!encodeJournalHeader(header).equals(bytes.subarray(0, journalHeaderBytes))) return wrong('its header is not one that this version writes');
  const pieceCrcs = committedPieces(bytes, { digest, headerCrc });
  const committedBytes = Math.min(pieceCrcs.length * pieceBytes, sizeBytes);
  return { kind: 'journal', journal: { ...header, headerCrc, pieceCrcs, committedBytes, endOffset: journalHeaderBytes + pieceCrcs.length * journalEntryBytes } };
}

/** @throws AssertionError for a piece behind the end of the blob. */
function bytesOfPiece(sizeBytes: number, number: number): number {
  const begin = number * pieceBytes;
  assert(begin < sizeBytes, 'a piece is a part of its blob');
  return Math.min(pieceBytes, sizeBytes - begin);
}

function committedPieces(bytes: Buffer, journal: Pick<UploadJournal, 'digest' | 'headerCrc'>): readonly number[] {
  const pieceCrcs: number[] = [];
  const entriesMax = Math.ceil(journal.digest.sizeBytes / pieceBytes);
  for (let at = journalHeaderBytes; pieceCrcs.length < entriesMax && at + journalEntryBytes <= bytes.byteLength; at += journalEntryBytes) {
    const pieceCrc = bytes.readUInt32LE(at + 8);
    // One comparison covers number, length and checksum: an entry is a function of them.
    if (!encodeJournalEntry(journal, pieceCrcs.length, pieceCrc).equals(bytes.subarray(at, at + journalEntryBytes))) break;
    pieceCrcs.push(pieceCrc);
  }
  return pieceCrcs;
}

function wrong(reason: string): DecodedUploadJournal {
  return { kind: 'wrong', reason };
}
