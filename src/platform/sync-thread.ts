// Syncs on a thread of their own: on the pool of the runtime a handful of slow ones would hold up every other file, and
// on the loop one would hold up everything. Two of these are made where small syncs must not stand behind large ones.
import { getSystemErrorMap } from 'node:util';
import { Worker } from 'node:worker_threads';
import { CacheError } from '../base/cache-error.ts';
import type { SyncPort, SyncTarget } from '../base/log-files.ts';
import { SyncRing, ringPlaces } from './sync-ring.ts';
import type { SyncResult } from './sync-ring.ts';
import { entryBeside } from './thread.ts';

const realEntry = entryBeside(import.meta.url, './sync-worker.ts');
/** A loop around a system call. */
const heapMiBMax = 32;

interface Request {
  readonly fd: number;
  target: SyncTarget;
  readonly outcome: PromiseWithResolvers<number>;
}

/** A worker and the ring that it reads: both are new after a death, so that nothing of the old one is believed. */
interface Life {
  readonly worker: Worker;
  readonly ring: SyncRing;
  cause: unknown;
}

export interface SyncThreadOptions {
  /** Serves a SyncRing; another one than the real one is for tests. */
  readonly entry?: URL;
  /** Starts with the first sync, which waits for it, and not before: a thread costs a start some 100 ms of CPU. */
  readonly whenAsked?: boolean;
}

/** The thread. Does nothing for as long as nothing is asked, and does not keep the process alive then. */
export class SyncThread implements SyncPort {
  readonly #name: string;
  readonly #entry: URL;
  #life: Life | undefined;
  /** In the ring, by fd and in its order. One per fd: what comes later for the same one waits and is one sync. */
  readonly #handed = new Map<number, Request>();
  /** Not handed over yet, by fd: at most one per open file. */
  readonly #joined = new Map<number, Request>();
  #closing: Promise<void> | undefined;

  /** `name` is what tools show for the thread. */
  constructor(name: string, { entry = realEntry, whenAsked = false }: SyncThreadOptions = {}) {
    this.#name = name;
    this.#entry = entry;
    if (!whenAsked) this.#life = this.#start();
  }

  sync(fd: number, target: SyncTarget): Promise<number> {
    if (this.#closing !== undefined) return Promise.reject(new CacheError('unavailable', 'the store is closing'));
    const joined = this.#joined.get(fd);
    if (joined !== undefined) {
      if (target === 'names') joined.target = target; // fsync does all that fdatasync does
      return joined.outcome.promise;
    }
    const request: Request = { fd, target, outcome: Promise.withResolvers() };
    this.#joined.set(fd, request);
    this.#handOver();
    return request.outcome.promise;
  }

  [Symbol.asyncDispose](): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async #close(): Promise<void> {
    await Promise.allSettled([...this.#handed.values(), ...this.#joined.values()].map(({ outcome }) => outcome.promise));
    const life = this.#life;
    if (life === undefined) return;
    life.worker.ref();
    const ended = new Promise((resolve) => life.worker.once('exit', resolve));
    life.ring.end();
    await ended;
  }

  #start(): Life {
    const ring = new SyncRing();
    const worker = new Worker(this.#entry, { name: this.#name, workerData: ring.words, resourceLimits: { maxOldGenerationSizeMb: heapMiBMax } });
    const life: Life = { worker, ring, cause: undefined };
    worker.unref();
    worker.on('message', () => this.#settle(life));
    worker.on('error', (cause) => (life.cause = cause));
    worker.on('exit', () => this.#lost(life));
    return life;
  }

  /** Undefined: the system refuses another thread, as those who wait are told. The next request tries again. */
  #tryStart(): Life | undefined {
    try {
      return this.#start();
    } catch (cause) {
      this.#fail(new CacheError('unavailable', 'the thread that syncs files could not be started, and nothing was synced; look at the limits of the process', { cause }));
      return undefined;
    }
  }

  /** Gives the thread what waits, oldest first, as far as there are places. */
  #handOver(): void {
    for (const [fd, request] of this.#joined) {
      if (this.#handed.size === ringPlaces) return;
      if (this.#handed.has(fd)) continue;
      const life = (this.#life ??= this.#tryStart());
      if (life === undefined) return;
      if (this.#handed.size === 0) life.worker.ref();
      this.#joined.delete(fd);
      this.#handed.set(fd, request);
      life.ring.ask(fd, request.target === 'names');
    }
  }

  /** Everything that is done, in the order of the requests. */
  #settle(life: Life): void {
    if (life !== this.#life) return;
    for (let result = life.ring.take(); result !== undefined; result = life.ring.take()) this.#finish(result);
    this.#handOver();
    if (this.#handed.size === 0) life.worker.unref();
  }

  #finish({ errno, microseconds }: SyncResult): void {
    const [request] = this.#handed.values();
    if (request === undefined) return;
    this.#handed.delete(request.fd);
    if (errno === 0) {
      request.outcome.resolve(microseconds);
      return;
    }
    const failure = errorOf(errno, request);
    request.outcome.reject(failure);
    // The kernel has told this loss and forgotten it: the next sync would succeed without what it was asked for.
    this.#joined.get(request.fd)?.outcome.reject(failure);
    this.#joined.delete(request.fd);
  }

  /** The next request starts another thread. A sync that was cut off may have swallowed the news of a loss, so all that is open fails. */
  #lost(life: Life): void {
    this.#settle(life);
    this.#life = undefined;
    this.#fail(new CacheError('unavailable', 'the thread that syncs files has ended unexpectedly; what it was asked may not be on disk', { cause: life.cause }));
  }

  /** All that is open. */
  #fail(failure: CacheError): void {
    const open = [...this.#handed.values(), ...this.#joined.values()];
    this.#handed.clear();
    this.#joined.clear();
    for (const { outcome } of open) outcome.reject(failure);
  }
}

/** As node:fs words its errors. */
function errorOf(errno: number, { fd, target }: Request): Error {
  const [code, text] = getSystemErrorMap().get(-errno) ?? ['unknown', 'unknown error'];
  const syscall = target === 'names' ? 'fsync' : 'fdatasync';
  return Object.assign(new Error(`${code}: ${text}, ${syscall} of descriptor ${fd}`), { errno: -errno, code, syscall });
}
