// Values as files with a header. What a file is, and how it survives, is engine/stored-files.ts.
import { HeldBytes, unboundedByteBudget } from '../base/byte-budget.ts';
import type { ByteBudget } from '../base/byte-budget.ts';
import { byteSourceOf } from '../base/byte-source.ts';
import type { ByteSource } from '../base/byte-source.ts';
import type { CallOptions } from '../base/call-options.ts';
import { KeyedTurns } from '../base/keyed-turns.ts';
import type { MaybePromise } from '../base/maybe-promise.ts';
import type { ContentCheck } from '../engine/digest-check.ts';
import type { StoredFile } from '../engine/file-table.ts';
import type { NewFile, StoredFiles } from '../engine/stored-files.ts';
import { decodeValueFile, encodeValueHeader, valueFileName } from '../engine/value-file.ts';
import { collectValue } from './collect-value.ts';
import { alwaysChanging, besideOf, putFirstAttemptsMax } from './put-first.ts';
import type { Stands, ValueKey, ValueStore } from './value-store.ts';

/** Kept in memory after a read or write. */
const hotValueBytesMax = 64 * 1024;

/** Of a value that is put, however little memory is left; results of actions are hardly ever larger. */
const smallBytesMax = 64 * 1024;
/** What a read of a value may have to wait for, as a part of the budget: the largest values must not wait for all of it. */
const awaitedShare = 1 / 8;

/** In line to write one entry first; a thousand builds that race for one action are none. */
const writersWaitingMax = 1_000;

/** The content was made here, header and all; there is nothing left to judge. */
const madeHere: ContentCheck = { update: () => undefined, finish: () => undefined };

/**
 * Values in a data directory, beside the blobs and under the same bound. The last put wins by rename. A value read
 * from disk is checked every time; a damaged one is quarantined and absent. Values are whole in memory while they are put
 * and read, and counted in the budget for so long; what was read is its receiver's to account for. Without room, reads
 * wait and puts are refused, both in the end with `unavailable` and `retry_after`.
 */
export class FileValueStore implements ValueStore {
  readonly capabilities: ValueStore['capabilities'];
  readonly #files: StoredFiles;
  readonly #budget: ByteBudget;
  readonly #turns = new KeyedTurns('writers of one entry', { waitersMax: writersWaitingMax });

  constructor(files: StoredFiles, limits: { readonly valueBytesMax: number }, budget: ByteBudget = unboundedByteBudget()) {
    this.capabilities = { survives: 'power_loss', valueBytesMax: limits.valueBytesMax };
    this.#files = files;
    this.#budget = budget;
  }

  get(key: ValueKey, options?: CallOptions): MaybePromise<ByteSource | undefined> {
    const file = this.#files.find(fileKeyOf(key));
    if (file === undefined) return undefined;
    this.#files.touch(file);
    const hot = this.#files.hot(file);
    return hot === undefined ? this.#open(key, file, options) : byteSourceOf(hot);
  }

  async put(key: ValueKey, bytes: AsyncIterable<Uint8Array>, options?: CallOptions): Promise<void> {
    using held = new HeldBytes(this.#budget);
    const value = await collectValue(key, this.#counted(bytes, held), this.capabilities.valueBytesMax, options);
    await this.#files.write(newFileOf(key, value), options);
  }

  async putFirst(key: ValueKey, bytes: AsyncIterable<Uint8Array>, stands: Stands, options?: CallOptions): Promise<boolean> {
    using held = new HeldBytes(this.#budget);
    const value = await collectValue(key, this.#counted(bytes, held), this.capabilities.valueBytesMax, options);
    // The two kinds are two files with a lock each, so that racing writers of both are kept apart here.
    using _turn = await this.#turns.take(entryOf(key), options);
    for (let attempt = 0; attempt < putFirstAttemptsMax; attempt += 1) {
      const file = this.#files.find(fileKeyOf(key));
      const own = await this.#look(key, file, async (present) => (Buffer.compare(present, value) === 0 ? 'same' : await stands({ kind: key.kind, bytes: present })), options);
      if (own === 'same') return true;
      if (own === true) return false;
      const beside = besideOf(key);
      const besideFile = this.#files.find(fileKeyOf(beside));
      if ((await this.#look(beside, besideFile, (present) => stands({ kind: beside.kind, bytes: present }), options)) === true) return false;
      // Put meanwhile by who may overwrite, and perhaps half of what was read: nobody was asked about that one.
      if (this.#files.find(fileKeyOf(beside)) !== besideFile) continue;
      if (await this.#files.write({ ...newFileOf(key, value), replaces: { file } }, options)) return true;
    }
    throw alwaysChanging(key);
  }

  /** What `judge` says of the content of `file`, which is a use of it; undefined when there is none to judge. */
  async #look<T>(key: ValueKey, file: StoredFile | undefined, judge: (bytes: Uint8Array) => MaybePromise<T>, options?: CallOptions): Promise<T | undefined> {
    if (file === undefined) return undefined;
    this.#files.touch(file);
    const bytes = this.#files.hot(file) ?? (await this.#read(key, file, options));
    if (bytes === undefined || bytes === 'damaged') return undefined;
    using held = new HeldBytes(this.#budget);
    held.set(bytes.byteLength);
    return await judge(bytes);
  }

  /** Undefined when the file is gone behind our back. A damaged one is absent, unless a put has replaced it meanwhile. */
  async #open(key: ValueKey, file: StoredFile, options?: CallOptions): Promise<ByteSource | undefined> {
    const bytes = await this.#read(key, file, options);
    if (bytes === 'damaged') return await this.get(key, options);
    return bytes && byteSourceOf(bytes);
  }

  async *#counted(bytes: AsyncIterable<Uint8Array>, held: HeldBytes): AsyncGenerator<Uint8Array, void, undefined> {
    for await (const chunk of bytes) {
      if (held.bytes > smallBytesMax && this.#budget.refusesGrowth) throw this.#budget.refusal();
      held.set(held.bytes + chunk.byteLength);
      yield chunk;
    }
  }

  /** The value in `file`, checked; one that is damaged goes to quarantine. Undefined when the file is gone. */
  async #read(key: ValueKey, file: StoredFile, options?: CallOptions): Promise<Uint8Array | 'damaged' | undefined> {
    const awaitedBytes = Math.min(file.contentBytes, Math.floor(this.#budget.maxBytes * awaitedShare));
    await this.#budget.reserve(awaitedBytes, options);
    using held = new HeldBytes(this.#budget);
    held.adopt(awaitedBytes);
    held.set(file.contentBytes);
    await using opened = await this.#files.openRead(file, options);
    if (opened === undefined) return undefined;
    const content = Buffer.allocUnsafeSlow(file.contentBytes);
    const got = await opened.read(content, 0);
    const decoded = decodeValueFile(key, content.subarray(0, got));
    if (decoded.kind === 'damaged') {
      await this.#files.quarantine(file, decoded.reason);
      return 'damaged';
    }
    if (decoded.bytes.byteLength <= hotValueBytesMax) this.#files.keepHot(file, new Uint8Array(decoded.bytes));
    return decoded.bytes;
  }
}

function newFileOf(key: ValueKey, value: Uint8Array): NewFile {
  const header = encodeValueHeader(key, value);
  const bytes = (async function* () {
    yield header;
    if (value.byteLength > 0) yield value;
  })();
  return {
    key: fileKeyOf(key),
    contentBytes: header.byteLength + value.byteLength,
    alias: `${key.digestFunction.name}/${key.hash}`,
    check: madeHere,
    bytes,
    convergent: false,
    hot: value.byteLength <= hotValueBytesMax ? value : undefined,
  };
}

/** One name for the values of both kinds. */
function entryOf({ instance, digestFunction, hash }: ValueKey): string {
  return `${digestFunction.name}/${hash}/${instance}`;
}

function fileKeyOf(key: ValueKey): string {
  return `${key.kind}/${valueFileName(key)}`;
}
