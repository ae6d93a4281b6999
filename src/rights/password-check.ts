// Checks passwords without letting anybody wait who is known: slow hashes run elsewhere, one after the other, and what
// was found out is remembered.
import { createHmac } from 'node:crypto';
import { BoundedMap } from '../base/bounded-map.ts';
import { CacheError } from '../base/cache-error.ts';
import type { MonotonicClock } from '../base/clock.ts';
import type { MaybePromise } from '../base/maybe-promise.ts';
import type { Random } from '../base/random.ts';
import { Semaphore } from '../base/semaphore.ts';
import type { PasswordHashes } from './htpasswd.ts';
import { costOfPasswordHash } from './password-hash.ts';
import { WrongPasswordLimit } from './wrong-password-limit.ts';
import type { WrongPasswordLimits } from './wrong-password-limit.ts';

export interface PasswordCheckPorts {
  readonly clock: MonotonicClock;
  readonly random: Random;
  /** `passwordMatches` (password-hash.ts), off the loop. */
  readonly matches: (password: string, hash: string) => Promise<boolean>;
}

export interface PasswordCheckLimits extends WrongPasswordLimits {
  /** Right headers remembered, and wrong ones; apart, so that wrong ones never push out right ones. */
  readonly rememberedMax: number;
  /** Checks at a time. */
  readonly checksMax: number;
  /** Checks in line; one more is told to come back. */
  readonly waitingMax: number;
  /** Checks of one connection, under way and in line: whoever tries many names leaves room for others. */
  readonly connectionChecksMax: number;
}

export const passwordCheckLimits: PasswordCheckLimits = {
  burst: 10,
  // 30 guesses a minute get nowhere with any password worth its name; a person who mistypes does not notice.
  refillMs: 2_000,
  namesMax: 4_096,
  // More than the machines of a large team have users and passwords.
  rememberedMax: 4_096,
  // One core of a machine that has better things to do.
  checksMax: 1,
  // At a usual cost of 50 ms these are three seconds, which clients wait without giving up.
  waitingMax: 64,
  // Few connections carry the calls of several users, and theirs are remembered after the first.
  connectionChecksMax: 8,
};

/** How soon a connection whose checks are all under way may come again: by then some are done. */
const busyRetryMs = 500;

/** What is to be checked, and for whom. */
export interface PasswordQuestion {
  readonly user: string;
  readonly password: string;
  /** Stands for the connection; undefined where nobody knows it. */
  readonly connection?: object | undefined;
}

/** Bytes of the key of this process. */
const hmacKeyBytes = 32;

export class PasswordCheck {
  readonly #ports: PasswordCheckPorts;
  readonly #limit: WrongPasswordLimit;
  readonly #line: Semaphore;
  readonly #rememberedMax: number;
  readonly #connectionChecksMax: number;
  /** Under way and in line. */
  readonly #checksOf = new WeakMap<object, number>();
  /**
   * Headers are known by an HMAC under a key of this process, so that neither passwords nor hashes that could be
   * tried elsewhere stay in memory; and looking one up tells nothing about those that are there.
   */
  readonly #hmacKey: Uint8Array;
  #hashes: PasswordHashes = new Map();
  /** Of `#hashes`. */
  #costliest: string | undefined;
  #right: BoundedMap<string, true>;
  #wrong: BoundedMap<string, true>;
  /** As many as the line admits. */
  #running = new Map<string, Promise<boolean>>();

  constructor(ports: PasswordCheckPorts, limits: PasswordCheckLimits) {
    this.#ports = ports;
    this.#limit = new WrongPasswordLimit(ports.clock, limits);
    this.#line = new Semaphore('passwords to check', { permitsMax: limits.checksMax, waitersMax: limits.waitingMax });
    this.#rememberedMax = limits.rememberedMax;
    this.#connectionChecksMax = limits.connectionChecksMax;
    this.#hmacKey = ports.random.bytes(hmacKeyBytes);
    this.#right = new BoundedMap(limits.rememberedMax);
    this.#wrong = new BoundedMap(limits.rememberedMax);
  }

  /** Checks under way and in line. */
  get checks(): number {
    return this.#running.size;
  }

  /** From now on these are the users; what was remembered is forgotten. */
  replace(hashes: PasswordHashes): void {
    this.#hashes = hashes;
    this.#costliest = [...hashes.values()].toSorted((a, b) => costOfPasswordHash(b) - costOfPasswordHash(a))[0];
    this.#right = new BoundedMap(this.#rememberedMax);
    this.#wrong = new BoundedMap(this.#rememberedMax);
    this.#running = new Map();
  }

  /**
   * Whether `password` is the one of `user`. At once for a header seen before.
   * @throws CacheError `unavailable` with `retry_after`: too many wrong passwords, or too many checks in line.
   */
  check(header: string, { user, password, connection }: PasswordQuestion): MaybePromise<boolean> {
    const hash = this.#hashes.get(user) ?? this.#costliest;
    if (hash === undefined) return false; // nobody has a password
    const key = createHmac('sha256', this.#hmacKey).update(header).digest('latin1');
    if (this.#right.get(key) === true) return true;
    if (this.#wrong.get(key) === true) return false;
    const running = this.#running.get(key);
    if (running !== undefined) return running;
    if (connection !== undefined) this.#checkRoom(connection);
    this.#limit.begin(user);
    // A user that does not exist is checked like one that does, against the costliest hash there is, and refused.
    const outcome = this.#ask(password, hash).then((matches) => matches && this.#hashes.get(user) === hash);
    return this.#run(key, user, connection === undefined ? outcome : this.#countedFor(connection, outcome));
  }

  /** @throws CacheError `busy` with `retry_after`: one connection may not fill the line that all stand in. */
  #checkRoom(connection: object): void {
    if ((this.#checksOf.get(connection) ?? 0) < this.#connectionChecksMax) return;
    throw new CacheError('busy', `too many passwords at a time from this connection: ${this.#connectionChecksMax} are being checked`, {
      details: [{ kind: 'retry_after', delayMs: busyRetryMs }],
    });
  }

  async #countedFor(connection: object, outcome: Promise<boolean>): Promise<boolean> {
    const add = (count: number): unknown => this.#checksOf.set(connection, (this.#checksOf.get(connection) ?? 0) + count);
    add(1);
    try {
      return await outcome;
    } finally {
      add(-1);
    }
  }

  /** Remembers the outcome, unless the users were replaced meanwhile. */
  #run(key: string, user: string, outcome: Promise<boolean>): Promise<boolean> {
    const [running, right, wrong] = [this.#running, this.#right, this.#wrong];
    const remembering = outcome.then(
      (matches) => {
        if (matches) this.#limit.takeBack(user);
        (matches ? right : wrong).set(key, true);
        running.delete(key);
        return matches;
      },
      (error: unknown) => {
        this.#limit.takeBack(user);
        running.delete(key);
        throw error;
      },
    );
    running.set(key, remembering);
    return remembering;
  }

  async #ask(password: string, hash: string): Promise<boolean> {
    using _turn = await this.#line.acquire();
    return await this.#ports.matches(password, hash);
  }
}
