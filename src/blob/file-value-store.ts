// Values as files with a header. What a file is, and how it survives, is engine/stored-files.ts.
import { HeldBytes, unboundedByteBudget } from '../base/byte-budget.ts';
import type { ByteBudget } from '../base/byte-budget.ts';
import { byteSourceOf } from '../base/byte-source.ts';
import type { ByteSource } from '../base/byte-source.ts';
import type { CallOptions } from '../base/call-options.ts';
import type { MaybePromise } from '../base/maybe-promise.ts';
import type { ContentCheck } from '../engine/digest-check.ts';
import type { StoredFile } from '../engine/file-table.ts';
import type { StoredFiles } from '../engine/stored-files.ts';
import { decodeValueFile, encodeValueHeader, valueFileName } from '../engine/value-file.ts';
import { collectValue } from './collect-value.ts';
import type { ValueKey, ValueStore } from './value-store.ts';

/** Kept in memory after a read or write. */
const hotValueBytesMax = 64 * 1024;

/** Of a value that is put, however little memory is left; results of actions are hardly ever larger. */
const smallBytesMax = 64 * 1024;
/** What a read of a value may have to wait for, as a part of the budget: the largest values must not wait for all of it. */
const awaitedShare = 1 / 8;

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
    return hot === undefined ? this.#read(key, file, options) : byteSourceOf(hot);
  }

  async put(key: ValueKey, bytes: AsyncIterable<Uint8Array>, options?: CallOptions): Promise<void> {
    using held = new HeldBytes(this.#budget);
    const value = await collectValue(key, this.#counted(bytes, held), this.capabilities.valueBytesMax, options);
    const header = encodeValueHeader(key, value);
    const content = (async function* () {
      yield header;
      if (value.byteLength > 0) yield value;
    })();
    const hot = value.byteLength <= hotValueBytesMax ? value : undefined;
    const contentBytes = header.byteLength + value.byteLength;
    const alias = `${key.digestFunction.name}/${key.hash}`;
    await this.#files.write({ key: fileKeyOf(key), contentBytes, alias, check: madeHere, bytes: content, convergent: false, hot }, options);
  }

  async *#counted(bytes: AsyncIterable<Uint8Array>, held: HeldBytes): AsyncGenerator<Uint8Array, void, undefined> {
    for await (const chunk of bytes) {
      if (held.bytes > smallBytesMax && this.#budget.refusesGrowth) throw this.#budget.refusal();
      held.set(held.bytes + chunk.byteLength);
      yield chunk;
    }
  }

  async #read(key: ValueKey, file: StoredFile, options?: CallOptions): Promise<ByteSource | undefined> {
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
      // Absent now, unless a put replaced the file between the look-up and its opening; then the new one counts.
      return await this.get(key, options);
    }
    if (decoded.bytes.byteLength <= hotValueBytesMax) this.#files.keepHot(file, new Uint8Array(decoded.bytes));
    return byteSourceOf(decoded.bytes);
  }
}

function fileKeyOf(key: ValueKey): string {
  return `${key.kind}/${valueFileName(key)}`;
}
