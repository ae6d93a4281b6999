// Finds the whole name of a large file where the log does not have it any more: an index key has no more than 32 bytes of a hash,
// and only the commit has the rest of a SHA-384 or SHA-512. The name itself has it too, and its directory says which it is.
import type { FileSystem } from '../base/file-system.ts';
import { Digest } from '../digest/digest.ts';
import { digestFunctionNumbered } from '../digest/digest-function.ts';
import { functionNumberOf } from './key-words.ts';
import type { KeyWords } from './key-words.ts';
import { isBlobName } from './object-layout.ts';
import type { ObjectLayout } from './object-layout.ts';
import { io } from './storage-error.ts';

export class CutNames {
  readonly #files: Pick<FileSystem, 'list'>;
  readonly #layout: ObjectLayout;

  constructor(files: Pick<FileSystem, 'list'>, layout: ObjectLayout) {
    this.#files = files;
    this.#layout = layout;
  }

  /** Reads a directory of some thousand names. Undefined: no file is called so, or several. `key` is read before this returns. @throws CacheError `unavailable`. */
  async find(key: KeyWords, sizeBytes: number): Promise<Digest | undefined> {
    const digestFunction = digestFunctionNumbered(functionNumberOf(key.tag));
    if (digestFunction === undefined) return undefined;
    const beginning = key.hex().slice(0, digestFunction.hexLength);
    const directory = this.#layout.shard(digestFunction.name, beginning);
    const names = (await io('look for the name of a file', this.#files.list(directory))) ?? [];
    const found = names.filter(({ name, kind }) => kind === 'file' && isBlobName(name, { beginning, length: digestFunction.hexLength }));
    return found.length === 1 && found[0] !== undefined ? Digest.ofChecked(digestFunction, found[0].name, sizeBytes) : undefined;
  }
}
