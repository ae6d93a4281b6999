// A file for each blob, as simple stores keep them, and as Kiln's first store did: hashed while it is written under a name of its
// own, synced, renamed into one of 256 directories, and that directory synced. Writers that wait for a directory share its sync.
// A table in memory says what is there; no room is made, and no order of use is kept.
import { mkdir, open, readFile, rename } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import type { Digest } from '../../src/digest/digest.ts';
import { DurableDirectories } from '../../src/engine/durable-directories.ts';
import { NodeFileSystem } from '../../src/platform/node-file-system.ts';

export class FilePerBlob {
  readonly #root: string;
  readonly #directories: DurableDirectories;
  readonly #sizes = new Map<string, number>();
  #count = 0;

  private constructor(root: string) {
    this.#root = root;
    this.#directories = new DurableDirectories(new NodeFileSystem(), root);
  }

  static async open(root: string): Promise<FilePerBlob> {
    await mkdir(root);
    return new FilePerBlob(root);
  }

  /** Resolves once the blob survives a power cut. @throws Error when the bytes are others. */
  async put(digest: Digest, bytes: AsyncIterable<Uint8Array> | Iterable<Uint8Array>): Promise<void> {
    if (this.#sizes.get(digest.key) === digest.sizeBytes) return;
    const final = this.#pathOf(digest);
    await this.#directories.ensure(dirname(final));
    const partial = `${final}.${(this.#count += 1)}.partial`;
    {
      await using file = await open(partial, 'ax', 0o444);
      const hasher = digest.function.createHasher();
      for await (const piece of bytes) {
        hasher.update(piece);
        await file.write(piece);
      }
      if (hasher.hex() !== digest.hash) throw new Error(`the bytes are not those of ${digest.toString()}`);
      await file.datasync();
    }
    await rename(partial, final);
    await this.#directories.sync(dirname(final));
    this.#sizes.set(digest.key, digest.sizeBytes);
  }

  async read(digest: Digest): Promise<Uint8Array | undefined> {
    return this.#sizes.has(digest.key) ? readFile(this.#pathOf(digest)) : undefined;
  }

  #pathOf({ hash }: Digest): string {
    return join(this.#root, hash.slice(0, 2), hash);
  }
}
