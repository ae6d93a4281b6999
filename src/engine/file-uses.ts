// Who has which large file open, or its name in hand. A file that somebody has open is not made shorter, and one whose name is
// held is not evicted. Counts are by key and not by file: whoever asks waits for all who came before him, whichever
// file of that name it was that they got.
import type { KeyWords } from './key-words.ts';

/** One string per index key. */
export type FileKeyName = string;

export function fileKeyName(key: KeyWords): FileKeyName {
  return `${key.tag}/${key.hex()}`;
}

/** A use, ended by disposing it, once or more often. */
class Use implements Disposable {
  readonly #uses: Map<FileKeyName, Set<Use>>;
  readonly #name: FileKeyName;
  readonly #ended = Promise.withResolvers<void>();
  readonly holdsPath: boolean;

  constructor(uses: Map<FileKeyName, Set<Use>>, name: FileKeyName, holdsPath: boolean) {
    this.#uses = uses;
    this.#name = name;
    this.holdsPath = holdsPath;
  }

  get ended(): Promise<void> {
    return this.#ended.promise;
  }

  [Symbol.dispose](): void {
    const ofName = this.#uses.get(this.#name);
    if (ofName?.delete(this) !== true) return;
    if (ofName.size === 0) this.#uses.delete(this.#name);
    this.#ended.resolve();
  }
}

/** As many as there are files open for reading and paths held: their owners bound those. */
export class FileUses {
  readonly #uses = new Map<FileKeyName, Set<Use>>();
  #heldPaths = 0;

  /** Somebody opens the file, or is about to: begins in the turn in which it was looked up. */
  open(name: FileKeyName): Disposable {
    return this.#begin(name, false);
  }

  /** As `open`, and the name is to stay. */
  holdPath(name: FileKeyName): Disposable {
    const use = this.#begin(name, true);
    this.#heldPaths += 1;
    let isHeld = true;
    return {
      [Symbol.dispose]: () => {
        if (isHeld) this.#heldPaths -= 1;
        isHeld = false;
        use[Symbol.dispose]();
      },
    };
  }

  isPathHeld(key: KeyWords): boolean {
    if (this.#heldPaths === 0) return false; // nearly always: eviction asks for each file that it looks at
    return this.#uses.get(fileKeyName(key))?.values().some(({ holdsPath }) => holdsPath) ?? false;
  }

  /** Resolves when everybody has ended who uses the name at the moment. Who comes later is not waited for. */
  async unused(name: FileKeyName): Promise<void> {
    for (const use of [...(this.#uses.get(name) ?? [])]) await use.ended;
  }

  #begin(name: FileKeyName, holdsPath: boolean): Use {
    const use = new Use(this.#uses, name, holdsPath);
    const ofName = this.#uses.get(name);
    if (ofName === undefined) this.#uses.set(name, new Set([use]));
    else ofName.add(use);
    return use;
  }
}
