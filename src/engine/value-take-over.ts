// The values of a directory of format 1 become records of a value segment, in the order of their last use; those that are too
// long for one become blobs that their records point to, those that are damaged go to quarantine. docs/formats/value.md
import { dirname, join } from 'node:path';
import { hash as hashOnce } from 'node:crypto';
import { mapBounded } from '../base/semaphore.ts';
import { Digest } from '../digest/digest.ts';
import { pathOf } from './format-one.ts';
import type { FormatOneDirectory, FormatOneFile } from './format-one.ts';
import type { FileKey } from './object-layout.ts';
import { encodePointer } from './record-payloads.ts';
import type { Numbering, SealedSegments } from './sealed-segments.ts';
import { decodeValueFile, identityOfValueFile, valueFileName } from './value-file.ts';
import type { ValueIdentity } from './value-file.ts';

export interface ValueTakeOverOptions {
  readonly directory: FormatOneDirectory;
  readonly segments: SealedSegments;
  readonly numbering: Numbering;
  /** Longer values become blobs. */
  readonly valueBytesMax: number;
  readonly quarantine: string;
  /** Called for each value. @throws what is to end it. */
  readonly done: () => void;
}

export interface ValuesTakenOver {
  readonly records: number;
  readonly damaged: number;
  /** Blobs that stand in `objects/` for values, durably; by key. */
  readonly blobs: ReadonlyMap<FileKey, FormatOneFile>;
}

/** Read at the same time: enough to keep the thread pool busy. */
const readsMax = 16;
/** In memory at once, whichever is less. */
const groupBytesMax = 16 * 2 ** 20;
const groupFilesMax = 1_000;

type ReadValue = { readonly kind: 'value'; readonly identity: ValueIdentity; readonly bytes: Uint8Array } | { readonly kind: 'damaged' | 'absent' };

/** @throws CacheError `disk_full`, `unavailable`; the system's errors; what `done` throws. */
export async function takeOverValues(values: readonly FormatOneFile[], options: ValueTakeOverOptions): Promise<ValuesTakenOver> {
  const { directory, segments, numbering, valueBytesMax } = options;
  const blobs = new Map<FileKey, FormatOneFile>();
  let [records, damaged] = [0, 0];
  for (const group of inGroups(values)) {
    const contents = await mapBounded(group, readsMax, (file) => readValue(directory, file));
    for (const [at, file] of group.entries()) {
      const content = contents[at];
      options.done();
      if (content?.kind === 'damaged') {
        damaged += 1;
        await quarantine(options, file);
      }
      if (content?.kind !== 'value') continue;
      const { identity, bytes } = content;
      const isPointer = bytes.byteLength > valueBytesMax;
      await segments.append({
        kind: identity.kind === 'opaque' ? 'opaque' : 'actionResult',
        functionNumber: identity.digestFunction.wireValue,
        isPointer,
        isCopy: false,
        hash: Buffer.from(identity.hash, 'hex'),
        instance: identity.instance,
        logicalBytes: bytes.byteLength,
        sequence: numbering.nextSequence,
        usedAtS: Math.floor(file.usedMs / 1_000),
        payload: isPointer ? await pointerTo(directory, bytes, { usedMs: file.usedMs, blobs }) : bytes,
      });
      numbering.nextSequence += 1;
      records += 1;
    }
  }
  return { records, damaged, blobs };
}

/** Parts of a list, short enough to be in memory at once. */
function* inGroups(files: readonly FormatOneFile[]): Generator<readonly FormatOneFile[], void, undefined> {
  let group: FormatOneFile[] = [];
  let bytes = 0;
  for (const file of files) {
    if (group.length === groupFilesMax || (group.length > 0 && bytes + file.sizeBytes > groupBytesMax)) {
      yield group;
      [group, bytes] = [[], 0];
    }
    group.push(file);
    bytes += file.sizeBytes;
  }
  if (group.length > 0) yield group;
}

async function readValue(directory: FormatOneDirectory, { key, sizeBytes }: FormatOneFile): Promise<ReadValue> {
  await using file = await directory.files.openRead(pathOf(directory, key));
  if (file === undefined) return { kind: 'absent' };
  const content = Buffer.allocUnsafeSlow(sizeBytes);
  const bytes = content.subarray(0, await file.read(content, 0));
  const identity = identityOfValueFile(bytes);
  if (identity === undefined || key !== `${identity.kind}/${valueFileName(identity)}`) return { kind: 'damaged' };
  const decoded = decodeValueFile(identity, bytes);
  return decoded.kind === 'value' ? { kind: 'value', identity, bytes: decoded.bytes } : { kind: 'damaged' };
}

/** As the next format names it: the file of a value is named by its key in the index. */
async function quarantine({ directory, quarantine: to }: ValueTakeOverOptions, { key }: FormatOneFile): Promise<void> {
  await directory.directories.ensure(to);
  const from = pathOf(directory, key);
  await directory.files.rename(from, join(to, `value-${key.slice(key.indexOf('/') + 1)}`));
  await directory.directories.sync(to);
}

/** The record's payload; the blob is durable by then, whole under its name or not there. */
async function pointerTo(directory: FormatOneDirectory, bytes: Uint8Array, { usedMs, blobs }: { readonly usedMs: number; readonly blobs: Map<FileKey, FormatOneFile> }): Promise<Buffer> {
  const digest = Digest.of(bytes);
  if (!blobs.has(digest.key)) await putBlob(directory, digest, bytes);
  blobs.set(digest.key, { key: digest.key, sizeBytes: digest.sizeBytes, usedMs });
  return encodePointer({ functionNumber: digest.function.wireValue, hash: Buffer.from(digest.hash, 'hex'), sizeBytes: digest.sizeBytes });
}

async function putBlob(directory: FormatOneDirectory, digest: Digest, bytes: Uint8Array): Promise<void> {
  const { files, directories } = directory;
  const path = pathOf(directory, digest.key);
  // A blob of that name that has another hash would be found out on its first read, and the value would be gone with it.
  if ((await hashOf(directory, path, digest.sizeBytes)) === digest.hash) return;
  const partial = `${path}.0.partial`;
  await directories.ensure(dirname(path));
  await files.remove(partial);
  {
    await using file = await files.createExclusive(partial);
    await file.write(bytes);
    await file.syncData();
  }
  await files.rename(partial, path);
  await directories.sync(dirname(path));
}

/** Undefined: there is no file of that length. */
async function hashOf({ files }: FormatOneDirectory, path: string, sizeBytes: number): Promise<string | undefined> {
  if ((await files.status(path))?.sizeBytes !== sizeBytes) return undefined;
  await using file = await files.openRead(path);
  const bytes = Buffer.allocUnsafeSlow(sizeBytes);
  return file === undefined || (await file.read(bytes, 0)) < sizeBytes ? undefined : hashOnce('sha256', bytes, 'hex');
}
