// The least that keeps large bodies durably under names of their own: pieces of 1 MiB, each synced as it is written, a rename, and
// a sync of the directory. No hashes, no records, no index.
import { open, readFile, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { FileHandle } from 'node:fs/promises';
import type { SyncPort } from '../../src/base/log-files.ts';
import { streamed } from '../stores/stamped-bodies.ts';
import type { StampedBody } from '../stores/stamped-bodies.ts';

const syncedBytes = 1024 * 1024;

/** As the store has them: large ones have a thread of their own. */
export interface PlainSyncs {
  readonly small: SyncPort;
  readonly large: SyncPort;
}

export class PlainFiles implements AsyncDisposable {
  readonly #directory: string;
  readonly #handle: FileHandle;
  readonly #syncs: PlainSyncs;
  #count = 0;

  private constructor(directory: string, handle: FileHandle, syncs: PlainSyncs) {
    this.#directory = directory;
    this.#handle = handle;
    this.#syncs = syncs;
  }

  static async open(directory: string, syncs: PlainSyncs): Promise<PlainFiles> {
    return new PlainFiles(directory, await open(directory), syncs);
  }

  async write(body: StampedBody): Promise<void> {
    const partial = join(this.#directory, `${(this.#count += 1)}.part`);
    await using file = await open(partial, 'wx', 0o444);
    let gathered: Uint8Array[] = [];
    let bytes = 0;
    for await (const piece of streamed(body)) {
      gathered.push(piece);
      bytes += piece.byteLength;
      if (bytes < syncedBytes) continue;
      await this.#writeSynced(file, gathered);
      [gathered, bytes] = [[], 0];
    }
    if (bytes > 0) await this.#writeSynced(file, gathered);
    await rename(partial, this.#pathOf(body.digest.hash));
    await this.#syncs.small.sync(this.#handle.fd, 'names');
  }

  read(hash: string): Promise<Uint8Array> {
    return readFile(this.#pathOf(hash));
  }

  async remove(hash: string): Promise<void> {
    await rm(this.#pathOf(hash));
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.#handle.close();
  }

  async #writeSynced(file: FileHandle, pieces: Uint8Array[]): Promise<void> {
    await file.writev(pieces);
    await this.#syncs.large.sync(file.fd, 'data');
  }

  #pathOf(hash: string): string {
    return join(this.#directory, hash);
  }
}
