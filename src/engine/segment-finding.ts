// What is known of a segment before its records are read: its first block, and its hint if that can be believed. Reads only.
// docs/formats/segments.md, "Damage"; docs/formats/hints.md
import { join } from 'node:path';
import { CacheError } from '../base/cache-error.ts';
import type { LogFile, LogFileSystem } from '../base/log-files.ts';
import { hintEntryBytes } from './hint-format.ts';
import { decodeHint } from './hint.ts';
import type { Hint } from './hint.ts';
import { decodeHead, recordFixedBytes } from './record-codec.ts';
import { decodeSegmentHeader, nonceCrc, hintFileName, segmentFileName } from './segment-format.ts';
import type { SegmentHeader } from './segment-format.ts';
import type { ListedSegment } from './segment-listing.ts';
import { io } from './storage-error.ts';

/** A hint that fits its segment. */
export interface FoundHint {
  readonly hint: Hint;
  /** Of its file. */
  readonly bytes: number;
  /** Of the seal that the segment ends with; undefined: the segment is to be read from the end of the hint on. */
  readonly sealSequence: number | undefined;
}

export type FoundSegment =
  | {
      readonly kind: 'segment';
      readonly listed: ListedSegment;
      readonly header: SegmentHeader;
      /** Of its file, less than `header.segmentBytes` if somebody cut it. */
      readonly sizeBytes: number;
      readonly hint: FoundHint | undefined;
      /** Why there is a hint that is of no use. */
      readonly wrongHint: string | undefined;
    }
  /** `isBlank`: it cannot have records. */
  | { readonly kind: 'wrong'; readonly listed: ListedSegment; readonly sizeBytes: number; readonly reason: string; readonly isBlank: boolean; readonly foundId: number | undefined };

const headerFieldsBytes = 64;
const pieceBytes = 1_048_576;
/** Every record has this at a multiple of four, so that pieces never cut it in two. */
const anyRecord = Buffer.from('KREC', 'latin1');

/** Where segments are, and memory for the hint of one of them, which keeps what it needs: if that is too short, it gets memory of its own. */
export interface FindingPlace {
  /** `segments/`. */
  readonly directory: string;
  readonly hintMemory: Buffer;
}

/** @throws CacheError `failed_precondition` (a newer Kiln wrote it), `unavailable` (the disk). */
export async function findSegment(files: Pick<LogFileSystem, 'openLog'>, { directory, hintMemory }: FindingPlace, listed: ListedSegment): Promise<FoundSegment> {
  await using file = await openFound(files, join(directory, listed.name), 'read');
  const { sizeBytes } = await reading(listed.name, file.status());
  const block = await readUpTo(file, { offset: 0, bytes: headerFieldsBytes }, listed.name);
  const decoded = decodeSegmentHeader(block);
  if (decoded.kind === 'newer') throw writtenByNewer(listed.name, decoded.what);
  if (decoded.kind === 'damaged') {
    const isBlank = !(await hasAnyRecord(file, listed.name));
    return { kind: 'wrong', listed, sizeBytes, reason: decoded.reason, isBlank, foundId: undefined };
  }
  const { header } = decoded;
  if (header.id !== listed.id || header.stream !== listed.stream) {
    return { kind: 'wrong', listed, sizeBytes, reason: `it says that it is segment ${header.id} of stream ${header.stream}`, isBlank: false, foundId: header.id };
  }
  const hint = listed.hasHint ? await findHint(files, { directory, hintMemory, header, file, sizeBytes, name: listed.name }) : undefined;
  return { kind: 'segment', listed, header, sizeBytes, hint: typeof hint === 'string' ? undefined : hint, wrongHint: typeof hint === 'string' ? hint : undefined };
}

/** @param access not given: for writing too. @throws CacheError `unavailable`. */
export async function openFound(files: Pick<LogFileSystem, 'openLog'>, path: string, access?: 'read'): Promise<LogFile> {
  const file = await io(`open ${path}`, files.openLog(path, access));
  if (file === undefined) throw new CacheError('unavailable', `${path} is gone: something else removes files from this directory`);
  return file;
}

/** Of what only a newer Kiln writes: nothing is guessed and nothing changed. */
export function writtenByNewer(name: string, what: string): CacheError {
  return new CacheError(
    'failed_precondition',
    `a newer Kiln wrote to segments/${name} (${what} is not known to this one); start that Kiln, or choose another directory with --data`,
  );
}

/** A failure names the file and the way out: it would otherwise fail every start. */
export async function reading<T>(name: string, operation: Promise<T>): Promise<T> {
  return io(`read segments/${name}; move it away to start without what is in it`, operation);
}

interface HintedFile extends FindingPlace {
  readonly header: SegmentHeader;
  readonly file: LogFile;
  readonly sizeBytes: number;
  readonly name: string;
}

/** A text: what is wrong with the hint. */
async function findHint(files: Pick<LogFileSystem, 'openLog'>, { directory, hintMemory, header, file, sizeBytes, name }: HintedFile): Promise<FoundHint | string> {
  const { id, stream, nonce, segmentBytes } = header;
  if (stream === 'touch') return 'segments of touches have none';
  // At most as many blocks as entries, and one for the seal.
  const bytes = await readHint(files, join(directory, hintFileName(id)), { memory: hintMemory, bytesMax: (2 * Math.ceil(segmentBytes / recordFixedBytes) + 1) * hintEntryBytes });
  if (typeof bytes === 'string') return bytes;
  const decoded = decodeHint(bytes, { id, stream, nonce, segmentBytes });
  if (decoded.kind === 'wrong') return decoded.reason;
  const { hint } = decoded;
  if (hint.endOffset > sizeBytes) return `it tells of records up to ${hint.endOffset}, and ${name} has ${sizeBytes} bytes`;
  if (!hint.isSealed) return { hint, bytes: bytes.byteLength, sealSequence: undefined };
  const sealSequence = await sealSequenceBefore(file, hint.endOffset, header);
  return sealSequence === undefined ? `there is no seal before ${hint.endOffset} in ${name}` : { hint, bytes: bytes.byteLength, sealSequence };
}

/** All of it; a text: why not. Whatever is wrong with a hint, the disk included, its segment is read instead. */
async function readHint(files: Pick<LogFileSystem, 'openLog'>, path: string, { memory, bytesMax }: { readonly memory: Buffer; readonly bytesMax: number }): Promise<Buffer | string> {
  try {
    await using file = await openFound(files, path, 'read');
    const { sizeBytes } = await io('read the hint', file.status());
    if (sizeBytes > bytesMax) return `${sizeBytes} bytes are more than any hint of this segment has`;
    const into = sizeBytes > memory.byteLength ? Buffer.allocUnsafe(sizeBytes) : memory.subarray(0, sizeBytes);
    return into.subarray(0, await io('read the hint', file.read(into, 0)));
  } catch (thrown) {
    if (thrown instanceof CacheError) return thrown.message;
    throw thrown;
  }
}

/** The number of the seal that ends at `endOffset`, if one does. */
export async function sealSequenceBefore(file: LogFile, endOffset: number, { nonce, id, stream }: SegmentHeader): Promise<number | undefined> {
  const offset = endOffset - recordFixedBytes;
  const bytes = await readUpTo(file, { offset, bytes: recordFixedBytes }, segmentFileName(id, stream));
  const decoded = decodeHead(bytes, 0, offset, nonceCrc(nonce));
  return decoded.kind === 'record' && decoded.head.kind === 'seal' ? decoded.head.sequence : undefined;
}

async function readUpTo(file: LogFile, range: { readonly offset: number; readonly bytes: number }, name: string): Promise<Buffer> {
  const into = Buffer.allocUnsafe(range.bytes);
  return into.subarray(0, await reading(name, file.read(into, range.offset)));
}

async function hasAnyRecord(file: LogFile, name: string): Promise<boolean> {
  const piece = Buffer.allocUnsafe(pieceBytes);
  for (let at = 0; ; at += pieceBytes) {
    const count = await reading(name, file.read(piece, at));
    if (piece.subarray(0, count).includes(anyRecord)) return true;
    if (count < pieceBytes) return false;
  }
}
