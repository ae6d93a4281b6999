// What a store has told its clients, and what it may therefore answer from then on. Knows keys and the names of contents,
// nothing of stores. Calls overlap, so a put is a span of time, and so is a read:
//
// - what was acknowledged, or shown to a reader, stays until it is replaced, evicted or damaged;
// - a put that has ended before another one began is replaced by it, for ever: an older value never comes back;
// - a put that failed, or was under way in a crash, is there or not. Once a later reader was shown another content, it is not.
import type { CrashFacts } from './crash-points.ts';

/** A put from its call to its outcome, in ticks. */
interface Put {
  readonly content: string;
  readonly began: number;
  /** Infinity: under way, or given up by the caller while it may still take effect. */
  ended: number;
  isAcknowledged: boolean;
}

/** A read that found something. */
interface Sight {
  readonly from: number;
  readonly to: number;
  readonly content: string;
}

interface KeyFacts {
  puts: Put[];
  sights: Sight[];
  /** Whatever was told up to that tick may be gone. */
  lostAt: number;
  /** Its bytes have rotted: it may be gone, and a reader may be told so, until the tick at which all of it was read and was right. */
  damagedUntil: number;
  /** Contents that were there once. */
  replaced: ReadonlySet<string>;
  /** Present until then by the clock, whatever else wants its place. */
  promisedUntilMs: number;
  /** Of each pin, until when it holds. */
  pins: Set<{ readonly untilMs: number }>;
}

/** How a put ended. `given_up`: its caller is gone, and it may still take effect. `refused`: nothing was put. */
export type PutOutcome = 'acknowledged' | 'failed' | 'given_up' | 'refused';

export class StoreFacts implements CrashFacts<StoreFacts> {
  readonly #keys: Map<string, KeyFacts>;
  /** Of the life that is told about. */
  maxBytes: number;
  /** Stores may evict: anything not promised may be gone. */
  mayEvict = false;
  /** The last start has ended and nothing was done since. */
  #isSettled = false;
  /** The store was closed, and nothing was done since. */
  #isClosed = false;
  /** Nobody can know which content of what is damaged is the last one. */
  #mayBeOlder = false;
  #tick: number;

  constructor(maxBytes: number, keys = new Map<string, KeyFacts>(), tick = 0) {
    this.maxBytes = maxBytes;
    this.#keys = keys;
    this.#tick = tick;
  }

  get mark(): number {
    return this.#tick;
  }

  get isSettled(): boolean {
    return this.#isSettled;
  }

  afterCrash(mark: number): StoreFacts {
    const keys = new Map<string, KeyFacts>();
    for (const [key, facts] of this.#keys) {
      const puts = facts.puts.filter(({ began }) => began <= mark).map((put) => (put.ended <= mark ? put : { ...put, ended: mark, isAcknowledged: false }));
      const sights = facts.sights.filter(({ to }) => to <= mark);
      const known: KeyFacts = { puts, sights, lostAt: this.mayEvict ? mark : facts.lostAt, damagedUntil: facts.damagedUntil > mark ? Infinity : 0, replaced: facts.replaced, promisedUntilMs: 0, pins: new Set() };
      known.puts = puts.filter((put) => !isReplaced(known, put, mark));
      if (known.puts.length < puts.length) known.replaced = new Set([...facts.replaced, ...puts.map(({ content }) => content)]);
      known.sights = sights.slice(-1);
      keys.set(key, known);
    }
    const after = new StoreFacts(this.maxBytes, keys, mark);
    after.mayEvict = this.mayEvict;
    after.#isSettled = this.#isSettled && mark === this.#tick;
    after.#isClosed = this.#isClosed && mark === this.#tick;
    after.#mayBeOlder = this.#mayBeOlder;
    return after;
  }

  /** The start has ended, with everything that it set off. */
  settle(): void {
    this.#tick += 1;
    this.#isSettled = true;
  }

  /** It was closed, in good order. */
  close(): void {
    this.#tick += 1;
    this.#isClosed = true;
  }

  get isClosed(): boolean {
    return this.#isClosed;
  }

  /** Gives what to call with the outcome. */
  begin(key: string, content: string): (outcome: PutOutcome) => void {
    const facts = this.#of(key);
    const put: Put = { content, began: this.#next(), ended: Infinity, isAcknowledged: false };
    facts.puts.push(put);
    return (outcome) => {
      const now = this.#next();
      if (outcome === 'refused') facts.puts = facts.puts.filter((one) => one !== put);
      if (outcome === 'given_up') return;
      put.ended = now;
      put.isAcknowledged = outcome === 'acknowledged';
    };
  }

  /** Gives what to call with what was found, undefined for nothing. That throws when the store may not say so. */
  read(key: string, nowMs: number): (found: string | undefined) => void {
    const from = this.#next();
    return (found) => {
      const facts = this.#of(key);
      const to = this.#next();
      if (found === undefined) this.#missed(key, { from, to }, nowMs);
      else if (facts.puts.some((put) => put.content === found && put.began < to && !isReplaced(facts, put, from))) {
        facts.sights.push({ from, to, content: found });
      } else if (this.#mayBeOlder && facts.damagedUntil === Infinity && facts.replaced.has(found)) {
        // That is what was there last, then.
        facts.puts = [{ content: found, began: from, ended: from, isAcknowledged: true }];
        facts.sights = [{ from, to, content: found }];
      } else throw new Error(`${key} is ${found}, ${wordsOf(facts, from)}`);
    };
  }

  /** It will stay until then. */
  promise(key: string, untilMs: number): void {
    this.#of(key).promisedUntilMs = untilMs;
  }

  /** It will stay until then, or until what is given is called, however much else is promised. */
  pin(key: string, untilMs: number): () => void {
    const { pins } = this.#of(key);
    const pin = { untilMs };
    pins.add(pin);
    return () => void pins.delete(pin);
  }

  /** More was promised than can be kept. */
  voidPromises(): void {
    for (const facts of this.#keys.values()) facts.promisedUntilMs = 0;
  }

  /** Names of all contents that it may have now. */
  contentsOf(key: string): readonly string[] {
    return this.#of(key).puts.map(({ content }) => content);
  }

  damage(key: string): void {
    this.#of(key).damagedUntil = Infinity;
  }

  /** Something was damaged where nobody can tell it from what was never acknowledged, and all that came later goes with it. */
  damageEnd(): void {
    this.#mayBeOlder = true;
    for (const facts of this.#keys.values()) facts.damagedUntil = Infinity;
  }

  isDamaged(key: string): boolean {
    return this.#of(key).damagedUntil === Infinity;
  }

  /** All of it was read and was right. */
  heal(key: string): void {
    const facts = this.#of(key);
    if (facts.damagedUntil === Infinity) facts.damagedUntil = this.#next();
  }

  #missed(key: string, { from, to }: { readonly from: number; readonly to: number }, nowMs: number): void {
    const facts = this.#of(key);
    const isDamaged = facts.damagedUntil === Infinity;
    if (!isDamaged && [...facts.pins].some(({ untilMs }) => nowMs < untilMs)) throw new Error(`${key} is gone, and was pinned`);
    if (this.mayEvict && !isDamaged && nowMs < facts.promisedUntilMs) throw new Error(`${key} is gone, and was promised for ${facts.promisedUntilMs - nowMs} ms more`);
    const isFirm =
      facts.puts.some(({ isAcknowledged, ended }) => isAcknowledged && ended <= from && ended > facts.lostAt) ||
      facts.sights.some((sight) => sight.to <= from && sight.to > facts.lostAt);
    if (isFirm && !this.mayEvict && !isDamaged) throw new Error(`${key} is gone, ${wordsOf(facts, from)}`);
    facts.lostAt = Math.max(facts.lostAt, Math.min(from, to));
  }

  #of(key: string): KeyFacts {
    let facts = this.#keys.get(key);
    if (facts === undefined) {
      facts = { puts: [], sights: [], lostAt: 0, damagedUntil: 0, replaced: new Set(), promisedUntilMs: 0, pins: new Set() };
      this.#keys.set(key, facts);
    }
    return facts;
  }

  #next(): number {
    this.#isSettled = false;
    this.#isClosed = false;
    this.#tick += 1;
    return this.#tick;
  }
}

/** Nobody who reads from that tick on may find it. */
function isReplaced({ puts, sights }: KeyFacts, put: Put, from: number): boolean {
  return (
    puts.some((other) => other.isAcknowledged && other.ended <= from && other.began > put.ended && other.content !== put.content) ||
    sights.some((sight) => sight.to <= from && sight.from > put.ended && sight.content !== put.content)
  );
}

function wordsOf({ puts, sights, lostAt }: KeyFacts, from: number): string {
  const told = puts.map(({ content, began, ended, isAcknowledged }) => `${content} ${isAcknowledged ? 'acknowledged' : 'put'} ${began}-${ended}`);
  const shown = sights.slice(-3).map(({ content, from: began, to }) => `${content} shown ${began}-${to}`);
  return `read from ${from}: ${[...told, ...shown].join(', ') || 'never put'}${lostAt > 0 ? `, may be lost up to ${lostAt}` : ''}`;
}
