// Values as files with a header. What a file is, and how it survives, is engine/stored-files.ts.
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

/** The content was made here, header and all; there is nothing left to judge. */
const madeHere: ContentCheck = { update: () => undefined, finish: () => undefined };

/**
 * Values in a data directory, beside the blobs and under the same bound. The last put wins by rename. A value read
 * from disk is checked every time; a damaged one is quarantined and absent.
 */
export class FileValueStore implements ValueStore {
  readonly capabilities: ValueStore['capabilities'];
  readonly #files: StoredFiles;

  constructor(files: StoredFiles, limits: { readonly valueBytesMax: number }) {
    this.capabilities = { survives: 'power_loss', valueBytesMax: limits.valueBytesMax };
    this.#files = files;
  }

  get(key: ValueKey, options?: CallOptions): MaybePromise<ByteSource | undefined> {
    const file = this.#files.find(fileKeyOf(key));
    if (file === undefined) return undefined;
    this.#files.touch(file);
    const hot = this.#files.hot(file);
    return hot === undefined ? this.#read(key, file, options) : byteSourceOf(hot);
  }

  async put(key: ValueKey, bytes: AsyncIterable<Uint8Array>, options?: CallOptions): Promise<void> {
    const value = await collectValue(key, bytes, this.capabilities.valueBytesMax, options);
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

  async #read(key: ValueKey, file: StoredFile, options?: CallOptions): Promise<ByteSource | undefined> {
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
    if (decoded.bytes.byteLength <= hotValueBytesMax) this.#files.keepHot(file, decoded.bytes.slice());
    return byteSourceOf(decoded.bytes);
  }
}

function fileKeyOf(key: ValueKey): string {
  return `${key.kind}/${valueFileName(key)}`;
}
