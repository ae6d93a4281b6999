// Writes and reads data directories of format 1 as docs/formats/{objects,value,recency}.md describe them: what is taken over in
// tests, and the Kiln before this one where a directory goes back to it. That such a directory is what the store of that format
// really wrote is held to format-one-directory.json by format-one-store.test.ts.
import assert from 'node:assert/strict';
import { dirname, join } from 'node:path';
import { crc32 } from 'node:zlib';
import { byteSourceOf, collect } from '../base/byte-source.ts';
import type { ByteSource } from '../base/byte-source.ts';
import { CacheError } from '../base/cache-error.ts';
import type { WallClock } from '../base/clock.ts';
import type { FileHandle, FileSystem } from '../base/file-system.ts';
import type { BlobStore } from '../blob/blob-store.ts';
import type { ValueKey, ValueStore } from '../blob/value-store.ts';
import type { Digest } from '../digest/digest.ts';
import { makeDataDirectory } from '../engine/data-directory.ts';
import { DurableDirectories } from '../engine/durable-directories.ts';
import { ObjectLayout, spaces } from '../engine/object-layout.ts';
import type { FileKey } from '../engine/object-layout.ts';
import { recencyHeader } from '../engine/recency-format.ts';
import type { Use } from '../engine/recency-format.ts';
import { lastUses } from '../engine/recency-log.ts';
import { decodeValueFile, encodeValueHeader, valueFileName } from '../engine/value-file.ts';
import { NodeFileSystem } from '../platform/node-file-system.ts';

const marker = 'kiln data directory, format 1\n';
const bytesMax = 1 << 26;

/** What fills a directory and looks into it. */
export interface FormatOneClient {
  readonly blobs: Pick<BlobStore, 'put' | 'get'>;
  readonly values: Pick<ValueStore, 'put' | 'get'>;
}

export class FormatOneStore implements FormatOneClient, AsyncDisposable {
  readonly blobs: FormatOneClient['blobs'] = {
    put: async (digest, bytes) => this.#write(digest.key, [await collect(bytes, bytesMax)]),
    get: async (digest) => this.#blob(digest),
  };
  readonly values: FormatOneClient['values'] = {
    put: async (key, bytes) => {
      const value = await collect(bytes, bytesMax);
      await this.#write(keyOf(key), [encodeValueHeader(key, value), value]);
    },
    get: async (key) => this.#value(key),
  };
  readonly #files: FileSystem;
  readonly #clock: WallClock;
  readonly #layout: ObjectLayout;
  readonly #directories: DurableDirectories;
  readonly #recency: FileHandle;
  /** Since the directory was opened. */
  readonly #uses = new Map<FileKey, number>();
  #writes = 0;

  private constructor(directory: string, { files, clock }: FormatOnePorts, recency: FileHandle) {
    this.#files = files;
    this.#clock = clock;
    this.#layout = new ObjectLayout(directory);
    this.#directories = new DurableDirectories(files, directory);
    this.#recency = recency;
  }

  /** A directory that is new, or of format 1. @throws CacheError `failed_precondition`: it has another one. */
  static async open(directory: string, { files = new NodeFileSystem(), clock }: Partial<FormatOnePorts> & Pick<FormatOnePorts, 'clock'>): Promise<FormatOneStore> {
    await makeDataDirectory(files, directory);
    await prepareMarker(files, directory);
    await sweep(files, directory);
    return new FormatOneStore(directory, { files, clock }, await beginRecency(files, directory));
  }

  /** The order of use is written down as a server does it: without a sync, in the log that it began with. */
  async close(): Promise<void> {
    if (this.#uses.size > 0) await this.#recency.write(recencyBatch([...this.#uses].map(([key, usedMs]) => ({ key, usedMs: Math.floor(usedMs) }))));
    await this.#recency[Symbol.asyncDispose]();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  async #blob(digest: Digest): Promise<ByteSource | undefined> {
    const bytes = await this.#read(digest.key);
    return bytes === undefined || digest.function.hashHex(bytes) !== digest.hash ? undefined : byteSourceOf(bytes);
  }

  async #value(key: ValueKey): Promise<ByteSource | undefined> {
    const file = await this.#read(keyOf(key));
    const decoded = file && decodeValueFile(key, file);
    return decoded?.kind === 'value' ? byteSourceOf(decoded.bytes) : undefined;
  }

  async #read(key: FileKey): Promise<Buffer | undefined> {
    const path = this.#layout.final(key);
    const sizeBytes = (await this.#files.status(path))?.sizeBytes;
    await using file = await this.#files.openRead(path);
    if (file === undefined || sizeBytes === undefined) return undefined;
    this.#uses.set(key, this.#clock.nowMs());
    const bytes = Buffer.alloc(sizeBytes);
    return bytes.subarray(0, await file.read(bytes, 0));
  }

  async #write(key: FileKey, pieces: readonly Uint8Array[]): Promise<void> {
    const final = this.#layout.final(key);
    const partial = `${final}.${(this.#writes += 1)}.partial`;
    await this.#directories.ensure(dirname(final));
    {
      await using file = await this.#files.createExclusive(partial);
      for (const piece of pieces) await file.write(piece);
      await file.syncData();
    }
    await this.#files.rename(partial, final);
    await this.#directories.sync(dirname(final));
    this.#uses.set(key, this.#clock.nowMs());
  }
}

export interface FormatOnePorts {
  readonly files: FileSystem;
  readonly clock: WallClock;
}

/** A batch of a recency log. */
export function recencyBatch(uses: readonly Use[]): Buffer {
  const records = Buffer.concat(
    uses.map(({ key, usedMs }) => {
      const record = Buffer.alloc(7 + key.length);
      record.writeUIntLE(usedMs, 0, 6);
      record.writeUInt8(key.length, 6);
      record.write(key, 7, 'latin1');
      return record;
    }),
  );
  const head = Buffer.alloc(8);
  head.writeUInt32LE(records.byteLength, 0);
  head.writeUInt32LE(crc32(records), 4);
  return Buffer.concat([head, records]);
}

function keyOf(key: ValueKey): FileKey {
  return `${key.kind}/${valueFileName(key)}`;
}

async function prepareMarker(files: FileSystem, directory: string): Promise<void> {
  const path = join(directory, 'kiln-data-version');
  {
    await using file = await files.openRead(path);
    if (file !== undefined) {
      const found = Buffer.alloc(100);
      const text = found.toString('latin1', 0, await file.read(found, 0));
      if (text !== marker) throw new CacheError('failed_precondition', `the data directory ${directory} says ${JSON.stringify(text)}`);
      return;
    }
  }
  await files.discard(`${path}.partial`);
  {
    await using file = await files.createExclusive(`${path}.partial`);
    await file.write(Buffer.from(marker, 'latin1'));
    await file.syncData();
  }
  await files.rename(`${path}.partial`, path);
  await files.syncDirectory(directory);
}

/** Partial files go, and every name that is found becomes durable. */
async function sweep(files: FileSystem, root: string): Promise<void> {
  for (const { directory } of spaces) {
    for (const { name: shard } of (await files.list(join(root, directory))) ?? []) {
      const path = join(root, directory, shard);
      for (const { name } of (await files.list(path)) ?? []) if (name.endsWith('.partial')) await files.remove(join(path, name));
      await files.syncDirectory(path);
    }
  }
}

/** A new log with all that is known of uses, durable before the logs before it go. */
async function beginRecency(files: FileSystem, root: string): Promise<FileHandle> {
  const directory = join(root, 'recency');
  await new DurableDirectories(files, root).ensure(directory);
  const before = ((await files.list(directory)) ?? []).map(({ name }) => name).toSorted();
  const known = await lastUses(files, directory);
  const log = await files.createExclusive(join(directory, String(Number(before.at(-1) ?? 0) + 1).padStart(8, '0')));
  await log.write(recencyHeader());
  if (known.size > 0) await log.write(recencyBatch([...known].map(([key, usedMs]) => ({ key, usedMs }))));
  await log.syncData();
  await files.syncDirectory(directory);
  for (const name of before) assert.ok(await files.remove(join(directory, name)));
  return log;
}
