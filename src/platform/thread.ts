// Work that would stall the event loop, on a thread of its own: one function, called with messages and answering with
// messages. Started at the first call, ended when it has been idle for a while.
import { extname } from 'node:path';
import { parentPort, Worker } from 'node:worker_threads';
import { assert } from '../base/assert.ts';

export interface ThreadLimits {
  /** How long the thread is kept without work, milliseconds. */
  readonly idleMs: number;
  /** Of its heap. */
  readonly heapMiBMax: number;
}

type Reply = { readonly id: number; readonly value: unknown } | { readonly id: number; readonly failure: string };

/**
 * The URL of an entry file beside the importer, which is named with its ending in the source: `./x.ts`. In a package
 * the files are compiled and end in `.js`.
 */
export function entryBeside(importerUrl: string, name: string): URL {
  return new URL(name.slice(0, -extname(name).length) + extname(importerUrl), importerUrl);
}

/** The caller's side. Who calls bounds the number of calls in progress. */
export class Thread implements Disposable {
  readonly #entry: URL;
  readonly #limits: ThreadLimits;
  readonly #waiting = new Map<number, PromiseWithResolvers<unknown>>();
  #worker: Worker | undefined;
  #idle: NodeJS.Timeout | undefined;
  #calls = 0;

  /** `entry` is a file that calls `serveThread`. */
  constructor(entry: URL, limits: ThreadLimits) {
    this.#entry = entry;
    this.#limits = limits;
  }

  /** What the function gives for `input`; both are cloned. Rejects when it throws, or when the thread ends. */
  call(input: unknown): Promise<unknown> {
    clearTimeout(this.#idle);
    this.#worker ??= this.#start();
    const id = (this.#calls += 1);
    const answer = Promise.withResolvers<unknown>();
    this.#waiting.set(id, answer);
    this.#worker.postMessage({ id, input });
    return answer.promise;
  }

  [Symbol.dispose](): void {
    clearTimeout(this.#idle);
    const worker = this.#worker;
    this.#worker = undefined;
    void worker?.terminate();
    this.#fail(new Error('the thread was ended'));
  }

  #start(): Worker {
    const worker = new Worker(this.#entry, { resourceLimits: { maxOldGenerationSizeMb: this.#limits.heapMiBMax } });
    worker.unref(); // it alone is no reason to go on
    worker.on('message', (reply: Reply) => this.#settle(reply));
    worker.on('error', (error) => this.#lost(worker, error));
    worker.on('exit', (code) => this.#lost(worker, new Error(`the thread ended with status ${code}`)));
    return worker;
  }

  #settle(reply: Reply): void {
    const answer = this.#waiting.get(reply.id);
    this.#waiting.delete(reply.id);
    if ('failure' in reply) answer?.reject(new Error(reply.failure));
    else answer?.resolve(reply.value);
    if (this.#waiting.size === 0) this.#idle = setTimeout(() => this[Symbol.dispose](), this.#limits.idleMs).unref();
  }

  /** The next call starts another one. */
  #lost(worker: Worker, error: unknown): void {
    if (this.#worker !== worker) return;
    this.#worker = undefined;
    this.#fail(error);
  }

  #fail(error: unknown): void {
    const waiting = [...this.#waiting.values()];
    this.#waiting.clear();
    for (const { reject } of waiting) reject(error);
  }
}

/** The thread's side: answers every call with what `work` gives, one after the other. */
export function serveThread(work: (input: unknown) => unknown): void {
  const port = parentPort;
  assert(port !== null, 'this file is the entry of a thread');
  port.on('message', ({ id, input }: { id: number; input: unknown }) => {
    try {
      port.postMessage({ id, value: work(input) });
    } catch (error) {
      port.postMessage({ id, failure: String(error) });
    }
  });
}
