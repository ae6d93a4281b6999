// One data directory, one daemon after the other on it, and what all of them told: what each start is checked for.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { resolve } from 'node:path';
import type { TestContext } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import type { SeededRandom } from '../../src/testing/seeded-random.ts';
import { compiled, startDaemon } from '../e2e/daemon.ts';
import type { Daemon } from '../e2e/daemon.ts';
import { BuildClient, contentPool } from './build-client.ts';
import { Ledger } from './ledger.ts';
import type { LeaseTerms } from './ledger.ts';
import { checkAccounts } from './store-accounts.ts';

export interface LivesOptions {
  readonly data: string;
  readonly flags: readonly string[];
  /** `--max-size`, and what may be above it for a moment. */
  readonly maxBytes: number;
  readonly workers: number;
  /** Given where the store evicts. */
  readonly terms?: LeaseTerms;
}

/** Of what was known before the last life; fewer where whoever looks renews a lease. And so many of these are read. */
const knownChecked = 3_000;
const knownRead = 20;

/** In each life, before it is ended: on a machine with much else to do a moment is too short for anything. */
const acknowledgedLeast = 5;
const pollMs = 100;

/** What happened so far. */
export interface LivesTotals {
  /** Blobs and values that had to be there after a start, and were; and those that had not, and were. */
  held: number;
  survived: number;
  /** Blobs that a store with little room had let go, or that were never acknowledged. */
  absent: number;
}

export class Lives {
  readonly ledger: Ledger;
  readonly totals: LivesTotals = { held: 0, survived: 0, absent: 0 };
  /** How long the last start took. */
  startMs = 0;
  readonly #t: TestContext;
  readonly #options: LivesOptions;
  readonly #random: SeededRandom;
  readonly #pool: Buffer;

  constructor(t: TestContext, options: LivesOptions, random: SeededRandom) {
    this.ledger = new Ledger(options.terms);
    this.#t = t;
    this.#options = options;
    this.#random = random;
    this.#pool = contentPool(random);
  }

  /** Starts a daemon and holds it to what those before it told. */
  async start(): Promise<Life> {
    const { data, flags, maxBytes } = this.#options;
    const beganMs = performance.now();
    const daemon = await startDaemon(this.#t, data, { flags });
    this.startMs = performance.now() - beganMs;
    const client = new BuildClient({ port: daemon.port, ledger: this.ledger, random: this.#random, pool: this.#pool });
    await this.#check(client);
    await checkAccounts(daemon, data, maxBytes);
    const least = this.ledger.blobs.size + acknowledgedLeast;
    return new Life(daemon, client, { workers: this.#options.workers, isEnough: () => this.ledger.blobs.size >= least });
  }

  /** One that is killed before it may be ready. */
  async killStarting(afterMs: number): Promise<void> {
    const { data, flags } = this.#options;
    const child = spawn(resolve(import.meta.dirname, '../../bin/kiln'), ['serve', '--listen', '127.0.0.1:0', '--data', data, ...flags], {
      env: { PATH: process.env['PATH'], HOME: data, ...compiled() },
      stdio: 'ignore',
    });
    const ended = once(child, 'exit');
    await delay(afterMs);
    assert.equal(child.exitCode, null, 'a start does not end by itself');
    child.kill('SIGKILL');
    await ended;
  }

  /** Writes so many bytes, and waits until it may go on without ending promises. */
  async fill({ client }: Life, bytes: number): Promise<void> {
    await client.fill(bytes);
    while (bytes > 0 && this.ledger.roomBytes < bytes / 8) await delay(pollMs);
  }

  /** Reads all that was ever told. */
  async checkAll({ client }: Life): Promise<void> {
    const all = Array.from(this.ledger.blobs.values(), ({ digest }) => digest);
    assert.deepEqual(await client.reader.lost(all), []);
    this.#count(all.length, await client.reader.readAll(all));
  }

  async #check({ reader }: BuildClient): Promise<void> {
    const { ledger } = this;
    const { fresh } = ledger;
    ledger.fresh = [];
    const known = ledger.some(this.#options.terms === undefined ? knownChecked : knownRead, this.#random);
    assert.deepEqual(await reader.lost([...fresh, ...known]), []);
    this.#count(fresh.length, await reader.readAll(fresh));
    await reader.readAll(known.slice(0, knownRead));
    const sent = [...ledger.sent.values()];
    this.totals.survived += await reader.readAll(sent);
    ledger.sent.clear();
    this.totals.held += await reader.checkValues();
  }

  #count(asked: number, there: number): void {
    this.totals.held += there;
    this.totals.absent += asked - there;
  }
}

interface LifeOptions {
  readonly workers: number;
  readonly isEnough: () => boolean;
}

/** Short, so that it is no particular moment. */
const briefMs = 3;

/** A daemon, and clients that work with it. */
export class Life {
  readonly daemon: Daemon;
  readonly client: BuildClient;
  readonly #options: LifeOptions;

  constructor(daemon: Daemon, client: BuildClient, options: LifeOptions) {
    this.daemon = daemon;
    this.client = client;
    this.#options = options;
  }

  /** Works for some time, and until it is enough, and then, while it still does, ends what `end` ends. */
  async work(forMs: number, end: () => Promise<void>): Promise<void> {
    let isOver = false;
    const work = Promise.all(Array.from({ length: this.#options.workers }, (_, worker) => this.client.workUntil(() => isOver, worker)));
    await Promise.race([delay(forMs), work]); // the work ends before only if something is wrong
    while (!this.#options.isEnough()) await Promise.race([delay(briefMs), work]);
    isOver = true;
    await end();
    await work;
    this.client[Symbol.dispose]();
  }
}
