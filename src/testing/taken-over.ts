// What is stored in a data directory of format 1, and what must be found in it once it was taken over.
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { byteSourceOf, collect } from '../base/byte-source.ts';
import type { LogFileSystem } from '../base/log-files.ts';
import type { ValueKey } from '../blob/value-store.ts';
import { Digest } from '../digest/digest.ts';
import { blake3, digestFunctionNumbered, md5, sha256, sha512 } from '../digest/digest-function.ts';
import type { RecordHead } from '../engine/record-codec.ts';
import { decodePointer } from '../engine/record-payloads.ts';
import { RecordScan } from '../engine/record-scan.ts';
import { classifySegmentFile, decodeSegmentHeader, nonceCrc, segmentHeaderBytes } from '../engine/segment-format.ts';
import type { SegmentHeader, StreamName } from '../engine/segment-format.ts';
import { ObjectLayout } from '../engine/object-layout.ts';
import type { FormatOneClient } from './format-one-store.ts';
import type { ManualClock } from './manual-clock.ts';
import type { SeededRandom } from './seeded-random.ts';

export interface StoredBlob {
  readonly digest: Digest;
  readonly bytes: Uint8Array;
  readonly usedMs: number;
}

export interface StoredValue {
  readonly key: ValueKey;
  readonly bytes: Uint8Array;
  readonly usedMs: number;
}

/** Everything that a store of format 1 has acknowledged. */
export interface StoredContent {
  readonly blobs: readonly StoredBlob[];
  readonly values: readonly StoredValue[];
}

export interface FoundSegment {
  readonly name: string;
  readonly header: SegmentHeader;
  /** All but the seal. */
  readonly records: readonly { readonly head: RecordHead; readonly payload: Buffer }[];
  readonly sealedRecords: number | undefined;
  readonly fileBytes: number;
}

/** Longer than what is a record afterwards. */
export const longValueBytes = 70_000;

/** Bytes of each of the four blobs and values that a directory is filled with. */
export interface FilledSizes {
  readonly blobs: readonly number[];
  readonly values: readonly number[];
}

const usualSizes: FilledSizes = { blobs: [10, 5_000, 100_000, 1], values: [300, 0, longValueBytes, 4_000] };

/** Blobs of several functions, values of both kinds and of several instances, used in an order that is not that of their puts. */
export async function fillFormatOne(store: FormatOneClient, clock: ManualClock, random: SeededRandom, sizes = usualSizes): Promise<StoredContent> {
  const functions = [sha256, blake3, md5, sha512];
  const digests = sizes.blobs.map((length, at) => {
    const bytes = random.bytes(length);
    return { digest: Digest.of(bytes, functions[at]), bytes };
  });
  const keys: readonly ValueKey[] = [
    { kind: 'action_result', instance: '', digestFunction: sha256, hash: sha256.hashHex(random.bytes(8)) },
    { kind: 'opaque', instance: 'ci/größe', digestFunction: blake3, hash: blake3.hashHex(random.bytes(8)) },
    { kind: 'opaque', instance: 'ci', digestFunction: sha512, hash: sha512.hashHex(random.bytes(8)) },
    { kind: 'action_result', instance: 'ci', digestFunction: sha256, hash: sha256.hashHex(random.bytes(8)) },
  ];
  const contents = sizes.values.map((length) => random.bytes(length));
  for (const { digest, bytes } of digests) await store.blobs.put(digest, byteSourceOf(bytes));
  for (const [at, key] of keys.entries()) await store.values.put(key, byteSourceOf(contents[at] ?? new Uint8Array(0)));
  const blobs: StoredBlob[] = [];
  const values: StoredValue[] = [];
  for (const at of [2, 0, 3, 1]) {
    const [blob, key, bytes] = [digests[at], keys[at], contents[at]];
    assert.ok(blob && key && bytes);
    clock.advance(random.integer(10_000, 3_600_000));
    blobs.push({ ...blob, usedMs: clock.nowMs() });
    assert.ok(await readBlob(store, blob.digest));
    clock.advance(random.integer(10_000, 3_600_000));
    values.push({ key, bytes, usedMs: clock.nowMs() });
    assert.ok(await readValue(store, key));
  }
  return { blobs, values };
}

/** Fails unless a store of format 1 has all of it. */
export async function assertInFormatOne(store: FormatOneClient, { blobs, values }: StoredContent): Promise<void> {
  for (const { digest, bytes } of blobs) assert.equal(named(await readBlob(store, digest)), named(bytes));
  for (const { key, bytes } of values) assert.equal(named(await readValue(store, key)), named(bytes));
}

/**
 * Fails unless the directory has all of it in format 2.
 * @param use `known`: and nothing else, in the order of use, with its times. `lost`: a power cut may have taken what was known
 *   of use, and left what was never acknowledged.
 */
export async function assertInFormatTwo(files: LogFileSystem, root: string, content: StoredContent, use: 'known' | 'lost' = 'known'): Promise<void> {
  const segments = await readSegments(files, join(root, 'segments'));
  for (const { name, header, records, sealedRecords, fileBytes } of segments) {
    assert.equal(sealedRecords, records.length, `${name} is sealed`);
    assert.equal(fileBytes, header.segmentBytes);
  }
  const recordsOf = (stream: StreamName): FoundSegment['records'] => segments.filter(({ header }) => header.stream === stream).flatMap(({ records }) => records);
  assert.ok(segments.every(({ header }) => header.stream !== 'touch'));
  await assertValues({ files, root, use }, recordsOf('value'), content.values);
  const longValues = content.values.filter(({ bytes }) => bytes.byteLength >= longValueBytes).map(({ bytes, usedMs }) => ({ digest: Digest.of(bytes), bytes, usedMs }));
  await assertBlobs({ files, root, use }, recordsOf('blob'), [...content.blobs, ...longValues]);
  const sequences = recordsOf('value').map(({ head }) => head.sequence);
  assert.deepEqual(sequences, [...new Set(sequences)].sort((a, b) => a - b));
  assert.equal(new Set(segments.map(({ header }) => header.id)).size, segments.length);
}

/** Every segment with its records, in the order of ids. Fails where one is damaged. */
export async function readSegments(files: LogFileSystem, directory: string): Promise<readonly FoundSegment[]> {
  const found: FoundSegment[] = [];
  for (const { name } of (await files.list(directory)) ?? []) {
    const named = classifySegmentFile(name);
    assert.equal(named.kind, 'segment', name);
    const bytes = await readWhole(files, join(directory, name));
    assert.ok(bytes !== undefined);
    const decoded = decodeSegmentHeader(bytes);
    assert.ok(decoded.kind === 'segment', name);
    const { header } = decoded;
    assert.ok(named.kind === 'segment' && named.id === header.id && named.stream === header.stream);
    const scan = new RecordScan({ offset: segmentHeaderBytes, endOffset: bytes.byteLength, nonceCrc: nonceCrc(header.nonce), recordsBefore: 0 });
    const records = scan.push(bytes.subarray(segmentHeaderBytes)).map((event) => {
      assert.ok(event.kind === 'record', `${name}: ${event.kind}`);
      return { head: event.head, payload: event.payload };
    });
    const end = scan.end();
    assert.ok(end.kind === 'ended' && end.tornBytes === 0);
    found.push({ name, header, records, sealedRecords: end.sealedRecords, fileBytes: bytes.byteLength });
  }
  return found.sort((a, b) => a.header.id - b.header.id);
}

interface Where {
  readonly files: LogFileSystem;
  readonly root: string;
  readonly use: 'known' | 'lost';
}

interface Used {
  readonly hash: string;
  readonly usedAtS: number;
}

function assertSame<T extends Used>(found: readonly T[], expected: readonly T[], use: Where['use']): void {
  for (const [at, { usedAtS }] of found.entries()) assert.ok(usedAtS >= (found[at - 1]?.usedAtS ?? 0), 'the one used longest ago comes first');
  if (use === 'known') assert.deepEqual(found, expected);
  else for (const { usedAtS: _used, ...entry } of expected) assert.partialDeepStrictEqual(found.find(({ hash }) => hash === entry.hash), entry);
}

async function assertValues({ files, root, use }: Where, records: FoundSegment['records'], values: readonly StoredValue[]): Promise<void> {
  const found = [];
  for (const { head, payload } of records) {
    found.push({
      kind: head.kind,
      functionNumber: head.functionNumber,
      hash: Buffer.from(head.hash).toString('hex'),
      instance: head.instance,
      usedAtS: head.usedAtS,
      sizeBytes: head.logicalBytes,
      bytes: named(head.isPointer ? await pointedTo(files, root, payload) : payload),
    });
  }
  const expected = values.toSorted((a, b) => a.usedMs - b.usedMs).map(({ key, bytes, usedMs }) => ({
    kind: key.kind === 'opaque' ? 'opaque' : 'actionResult',
    functionNumber: key.digestFunction.wireValue,
    hash: key.hash,
    instance: key.instance,
    usedAtS: Math.floor(usedMs / 1_000),
    sizeBytes: bytes.byteLength,
    bytes: named(bytes),
  }));
  assertSame(found, expected, use);
}

async function assertBlobs({ files, root, use }: Where, records: FoundSegment['records'], blobs: readonly StoredBlob[]): Promise<void> {
  const found = records.map(({ head }) => ({ kind: head.kind, functionNumber: head.functionNumber, hash: Buffer.from(head.hash).toString('hex'), usedAtS: head.usedAtS, sizeBytes: head.logicalBytes, sequence: head.sequence }));
  const expected = blobs.toSorted((a, b) => a.usedMs - b.usedMs).map(({ digest, usedMs }) => ({ kind: 'commit', functionNumber: digest.function.wireValue, hash: digest.hash, usedAtS: Math.floor(usedMs / 1_000), sizeBytes: digest.sizeBytes, sequence: 0 }));
  assertSame(found, expected, use);
  const layout = new ObjectLayout(root);
  for (const { digest, bytes } of blobs) assert.equal(named(await readWhole(files, layout.final(digest.key))), named(bytes));
}

/** Long bytes are told apart by it as well, and quickly shown when they are not the same. */
function named(bytes: Uint8Array | undefined): string | undefined {
  return bytes && sha256.hashHex(bytes);
}

async function pointedTo(files: LogFileSystem, root: string, payload: Buffer): Promise<Buffer | undefined> {
  const pointer = decodePointer(payload);
  assert.ok(pointer !== undefined);
  const digestFunction = digestFunctionNumbered(pointer.functionNumber);
  assert.ok(digestFunction !== undefined);
  return await readWhole(files, new ObjectLayout(root).final(Digest.ofChecked(digestFunction, Buffer.from(pointer.hash).toString('hex'), pointer.sizeBytes).key));
}

async function readWhole(files: LogFileSystem, path: string): Promise<Buffer | undefined> {
  const size = (await files.status(path))?.sizeBytes;
  await using file = await files.openRead(path);
  if (file === undefined || size === undefined) return undefined;
  const bytes = Buffer.alloc(size);
  return bytes.subarray(0, await file.read(bytes, 0));
}

async function readBlob(store: FormatOneClient, digest: Digest): Promise<Buffer | undefined> {
  const source = await store.blobs.get(digest);
  return source && Buffer.from(await collect(source, 1 << 26));
}

async function readValue(store: FormatOneClient, key: ValueKey): Promise<Buffer | undefined> {
  const source = await store.values.get(key);
  return source && Buffer.from(await collect(source, 1 << 26));
}
