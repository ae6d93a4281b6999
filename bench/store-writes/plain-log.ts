// The least that keeps blobs durably: whatever was asked since the last sync goes into one write behind the rest, and one
// fdatasync answers all of it. No names, no checks, no index; where a blob is, is for the caller to remember.
import { closeSync, openSync, readSync, writeSync, writevSync } from 'node:fs';
import type { SyncPort } from '../../src/base/log-files.ts';

/** As long as a segment. When it is full, it is written again from its begin. */
const fileBytes = 64 * 1024 * 1024;
const zeroBytes = 1024 * 1024;
/** The system takes so many buffers in a call (IOV_MAX). */
const buffersMax = 1_024;

interface Asked {
  readonly bytes: Uint8Array;
  readonly done: PromiseWithResolvers<number>;
}

export class PlainLog implements Disposable {
  readonly #syncs: SyncPort;
  readonly #fd: number;
  #asked: Asked[] = [];
  #isRunning = false;
  #end = 0;

  /** Written with zeros at first, as segments are: a file that grows has more to sync. */
  constructor(path: string, syncs: SyncPort) {
    this.#syncs = syncs;
    this.#fd = openSync(path, 'wx+');
    const zeros = Buffer.alloc(zeroBytes);
    for (let at = 0; at < fileBytes; at += zeroBytes) writeSync(this.#fd, zeros, 0, zeroBytes, at);
  }

  /** Resolves to where it is, once it is durable. */
  write(bytes: Uint8Array): Promise<number> {
    const done = Promise.withResolvers<number>();
    this.#asked.push({ bytes, done });
    if (!this.#isRunning) void this.#run();
    return done.promise;
  }

  read(offset: number, length: number): Uint8Array {
    const bytes = new Uint8Array(length);
    readSync(this.#fd, bytes, 0, length, offset);
    return bytes;
  }

  [Symbol.dispose](): void {
    closeSync(this.#fd);
  }

  async #run(): Promise<void> {
    this.#isRunning = true;
    // Once the turn is over: all who ask in it are answered by one sync.
    await new Promise((resolve) => setImmediate(resolve));
    while (this.#asked.length > 0) {
      const batch = this.#asked.splice(0, buffersMax);
      const total = batch.reduce((sum, { bytes }) => sum + bytes.byteLength, 0);
      if (this.#end + total > fileBytes) this.#end = 0;
      writevSync(this.#fd, batch.map(({ bytes }) => bytes), this.#end);
      const begin = this.#end;
      this.#end += total;
      await this.#syncs.sync(this.#fd, 'data');
      let at = begin;
      for (const { bytes, done } of batch) {
        done.resolve(at);
        at += bytes.byteLength;
      }
      await new Promise((resolve) => setImmediate(resolve));
    }
    this.#isRunning = false;
  }
}
