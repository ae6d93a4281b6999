// Hashing of large bodies on threads of their own. The bytes of a body are copied into a ring of pieces that its thread
// reads; a piece that is full is announced by a message, and so is that it was read. Small bodies, and those that come when
// all rings are lent, are hashed where they are: slower for the loop, but nobody waits for a ring that a stalled upload has.
import { Worker } from 'node:worker_threads';
import { assert } from '../base/assert.ts';
import { CacheError } from '../base/cache-error.ts';
import type { BodyHasher, HashPort } from '../base/log-files.ts';
import type { FromHashThread, RunningHash, ToHashThread } from './hash-messages.ts';
import { RingHasher } from './ring-hasher.ts';

export interface HashPoolOptions<FunctionName extends string> {
  /** Calls `serveHashes` with the functions that `createHasher` knows. */
  readonly entry: URL;
  readonly createHasher: (functionName: FunctionName) => RunningHash;
  /** Threads at most; they are started when they are needed. */
  readonly threadsMax: number;
  /** Bodies that are hashed on threads at once: each has a MiB. */
  readonly ringsMax: number;
}

/** From here on a body is worth the way to a thread: below, it holds the loop up for half a millisecond in all. */
const threadedBytesMin = 1_048_576;
/** Hashers have their state outside of it. */
const heapMiBMax = 32;

/** One thread, and the bodies whose hash it holds, dropped ones included until it has said so. */
interface HashThread {
  readonly worker: Worker;
  readonly bodies: Map<number, RingHasher>;
  cause: unknown;
}

export class HashPool<FunctionName extends string> implements HashPort<FunctionName>, AsyncDisposable {
  readonly #options: HashPoolOptions<FunctionName>;
  readonly #threads = new Set<HashThread>();
  /**
   * For the next bodies. Kept for good: two garbage collectors would have to agree before one is freed, and until then
   * new ones would go beyond the bound.
   */
  readonly #spareRings: SharedArrayBuffer[] = [];
  #lentRings = 0;
  #bodyCount = 0;
  #closed = false;

  constructor(options: HashPoolOptions<FunctionName>) {
    assert(options.threadsMax > 0 && options.ringsMax > 0, 'a pool has a thread and a ring');
    this.#options = options;
  }

  /** Rings in use; at most `ringsMax`. */
  get lentRings(): number {
    return this.#lentRings;
  }

  /** Of all rings there are, in use or not: as many as were ever in use at once. */
  get ringBytes(): number {
    return (this.#lentRings + this.#spareRings.length) * RingHasher.ringBytes;
  }

  /** @throws CacheError `unavailable` once this is disposed. */
  begin(functionName: FunctionName, expectedBytes: number): BodyHasher {
    if (this.#closed) throw new CacheError('unavailable', 'the server stops');
    const thread = expectedBytes < threadedBytesMin || this.#lentRings === this.#options.ringsMax ? undefined : this.#pick();
    if (thread === undefined) return new LocalHasher(this.#options.createHasher(functionName));
    const id = (this.#bodyCount += 1);
    const ring = this.#spareRings.pop() ?? new SharedArrayBuffer(RingHasher.ringBytes);
    this.#lentRings += 1;
    if (thread.bodies.size === 0) thread.worker.ref();
    const body = new RingHasher(id, ring, (message) => thread.worker.postMessage(message));
    thread.bodies.set(id, body);
    thread.worker.postMessage({ kind: 'begin', id, functionName, ring } satisfies ToHashThread);
    return body;
  }

  /** Bodies that are not finished fail. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#closed = true;
    await Promise.all([...this.#threads].map(({ worker }) => worker.terminate()));
  }

  /** The thread with the fewest bodies, or a new one while all have some. Undefined: there is none, and the system refuses one. */
  #pick(): HashThread | undefined {
    let best: HashThread | undefined;
    for (const thread of this.#threads) if (best === undefined || thread.bodies.size < best.bodies.size) best = thread;
    if (best !== undefined && (best.bodies.size === 0 || this.#threads.size === this.#options.threadsMax)) return best;
    try {
      return this.#start();
    } catch {
      return best; // a limit of threads; the body is hashed all the same
    }
  }

  #start(): HashThread {
    const worker = new Worker(this.#options.entry, { name: 'hash', resourceLimits: { maxOldGenerationSizeMb: heapMiBMax } });
    const thread: HashThread = { worker, bodies: new Map(), cause: undefined };
    this.#threads.add(thread);
    worker.unref();
    worker.on('message', (message: FromHashThread) => this.#onMessage(thread, message));
    worker.on('error', (cause) => (thread.cause = cause));
    worker.on('exit', () => this.#lost(thread));
    return thread;
  }

  #onMessage(thread: HashThread, message: FromHashThread): void {
    const body = thread.bodies.get(message.id);
    if (body === undefined) return;
    if (message.kind === 'read') {
      body.onRead();
      return;
    }
    thread.bodies.delete(message.id);
    if (thread.bodies.size === 0) thread.worker.unref();
    this.#takeBack(body);
    body.onEnded(message.hex);
  }

  /** The next body that needs a thread starts another one. Nobody reads the rings of this one any more. */
  #lost(thread: HashThread): void {
    this.#threads.delete(thread);
    const failure = this.#closed
      ? new CacheError('unavailable', 'the server stops')
      : new CacheError('unavailable', 'the thread that hashed this upload has ended unexpectedly; send it again', { cause: thread.cause });
    for (const body of thread.bodies.values()) {
      this.#takeBack(body);
      body.fail(failure);
    }
    thread.bodies.clear();
  }

  #takeBack({ ring }: RingHasher): void {
    this.#lentRings -= 1;
    this.#spareRings.push(ring);
  }
}

/** On the loop. */
class LocalHasher implements BodyHasher {
  readonly #hash: RunningHash;

  constructor(hash: RunningHash) {
    this.#hash = hash;
  }

  update(bytes: Uint8Array): undefined {
    this.#hash.update(bytes);
  }

  async hex(): Promise<string> {
    return this.#hash.hex();
  }

  [Symbol.dispose](): void {
    // Nothing is held.
  }
}
