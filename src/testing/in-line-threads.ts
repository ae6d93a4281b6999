// The ports of threads without threads: syncs of a CrashDisk, hashing, scans. Each piece of work is a turn of its own in
// seeded order, so that a thread may be early or late by anything, and each promises as little as its port does: a sync
// reaches up to the call that asked for it and not a write further, and bytes that may not change are read late.
import { assert } from '../base/assert.ts';
import { CacheError } from '../base/cache-error.ts';
import type { BodyHasher, HashPort, SyncPort, SyncTarget } from '../base/log-files.ts';
import { digestFunctionNamed } from '../digest/digest-function.ts';
import type { DigestFunctionName, Hasher } from '../digest/digest-function.ts';
import { hintOf } from '../engine/hint-scan.ts';
import type { HintRequest, HintScans } from '../engine/hint-scan.ts';
import type { CrashDisk } from './crash-disk.ts';
import type { SeededRandom } from './seeded-random.ts';
import type { SeededTurns } from './seeded-turns.ts';

/** What all of them work on. */
export interface InLineWorld {
  readonly disk: CrashDisk;
  readonly turns: SeededTurns;
  readonly random: SeededRandom;
}

interface SyncRequest {
  /** Changes of the disk when it was asked for last. */
  changes: number;
  readonly outcome: PromiseWithResolvers<number>;
}

export class InLineSyncs implements SyncPort {
  readonly #world: InLineWorld;
  readonly #waiting = new Map<number, SyncRequest>();
  readonly #running = new Set<number>();
  #closed = false;

  constructor(world: InLineWorld) {
    this.#world = world;
  }

  sync(fd: number, _target: SyncTarget): Promise<number> {
    if (this.#closed) return Promise.reject(new CacheError('unavailable', 'the store is closing'));
    const { changes } = this.#world.disk;
    const waiting = this.#waiting.get(fd);
    if (waiting !== undefined) {
      waiting.changes = changes;
      return waiting.outcome.promise;
    }
    const request: SyncRequest = { changes, outcome: Promise.withResolvers() };
    this.#waiting.set(fd, request);
    if (!this.#running.has(fd)) void this.#run(fd);
    return request.outcome.promise;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#closed = true;
    while (this.#waiting.size + this.#running.size > 0) await this.#world.turns.nextTurn();
  }

  /** One sync of a file after the other. */
  async #run(fd: number): Promise<void> {
    const { disk, turns, random } = this.#world;
    this.#running.add(fd);
    for (let request = this.#waiting.get(fd); request !== undefined; request = this.#waiting.get(fd)) {
      const { outcome } = request;
      try {
        const begun = await turns.run(() => disk.syncBegins(fd, this.#take(fd)));
        await turns.run(() => disk.syncEnds(begun));
        outcome.resolve(random.integer(50, 5_000));
      } catch (thrown) {
        outcome.reject(thrown);
        // The loss has been told and is forgotten: the next sync would succeed without what it was asked for.
        this.#waiting.get(fd)?.outcome.reject(thrown);
        this.#waiting.delete(fd);
      }
    }
    this.#running.delete(fd);
  }

  #take(fd: number): number {
    const request = this.#waiting.get(fd);
    assert(request !== undefined, 'what has not begun waits');
    this.#waiting.delete(fd);
    return request.changes;
  }
}

export class InLineHashes implements HashPort<DigestFunctionName> {
  readonly #world: Omit<InLineWorld, 'disk'>;

  constructor(world: Omit<InLineWorld, 'disk'>) {
    this.#world = world;
  }

  begin(functionName: DigestFunctionName, _expectedBytes: number): BodyHasher {
    const row = digestFunctionNamed(functionName);
    assert(row !== undefined, 'every name of the type has a row');
    return new InLineHasher(row.createHasher(), this.#world);
  }
}

class InLineHasher implements BodyHasher {
  readonly #hasher: Hasher;
  readonly #world: Omit<InLineWorld, 'disk'>;
  #isBusy = false;

  constructor(hasher: Hasher, world: Omit<InLineWorld, 'disk'>) {
    this.#hasher = hasher;
    this.#world = world;
  }

  update(bytes: Uint8Array): Promise<void> | undefined {
    assert(!this.#isBusy, 'updates come one after the other');
    if (this.#world.random.fraction() < 0.5) {
      this.#hasher.update(bytes);
      return undefined;
    }
    this.#isBusy = true;
    return this.#world.turns.run(() => {
      this.#isBusy = false;
      this.#hasher.update(bytes);
    });
  }

  hex(): Promise<string> {
    assert(!this.#isBusy, 'the hash is asked for after the last update');
    return this.#world.turns.run(() => this.#hasher.hex());
  }

  [Symbol.dispose](): void {
    // Nothing is held.
  }
}

export class InLineScans implements HintScans {
  readonly #world: InLineWorld;

  constructor(world: InLineWorld) {
    this.#world = world;
  }

  async hintOf(path: string, request: HintRequest): Promise<Uint8Array | undefined> {
    const { disk, turns } = this.#world;
    const file = await disk.openLog(path, 'read');
    if (file === undefined) throw new Error(`ENOENT: ${path}`);
    await using _open = file;
    return await turns.run(() => hintOf((into, position) => file.readNow(into, position), request));
  }
}
