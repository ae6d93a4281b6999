// What may not go: entries that were used within the lease, as far as the budget of leases reaches, and pinned ones. Leases may
// take half of the store. Beyond that the oldest end earlier, or, if leases are strict, nothing new is taken in; and where even
// that leaves nothing to evict, they are shortened further, for as long as it takes. Pins are never shortened, so they may
// take no more than a quarter, and end by themselves.
import { assert } from '../base/assert.ts';
import { CacheError } from '../base/cache-error.ts';
import type { MonotonicClock } from '../base/clock.ts';
import type { Log } from '../base/log.ts';
import { ReportLimit } from '../base/report-limit.ts';
import { useStepS } from './entry-codec.ts';
import type { KeyWords } from './key-words.ts';
import type { SpaceLedger } from './space-ledger.ts';
import type { UseAges } from './use-ages.ts';

/** One entry to be pinned, and what it takes on the disk. */
export interface PinRequest {
  readonly key: KeyWords;
  readonly bytes: number;
}

export interface LeaseBookOptions {
  readonly leases: 'shorten' | 'strict';
  /** Called for what is not pinned any more: it was in use until now. Must not throw. */
  readonly onUnpinned?: (key: PinnedKey) => void;
}

export interface LeaseBookPorts {
  readonly ages: UseAges;
  readonly ledger: Pick<SpaceLedger, 'boundBytes' | 'promisedBytesMax'>;
  readonly monotonicClock: MonotonicClock;
  readonly log: Log;
}

/** A key by itself. */
export interface PinnedKey {
  readonly words: Uint32Array;
  readonly tag: number;
}

/** Of what the store may take. */
const leasedShare = 0.5;
const pinnedShare = 0.25;
/** K2-04: a pin that nobody ends, ends. */
const pinMs = 120_000;
/** Memory: some 200 bytes each. */
const pinnedKeysMax = 1_000_000;
/** With a smaller share there is no lease left worth the name. */
const leasedShareMin = 1 / 256;
const reportPeriodMs = 600_000;

/** Of one key, all pins together. */
interface PinCount extends PinnedKey {
  readonly bytes: number;
  pins: number;
}

/** What one caller pinned. */
interface Pin {
  readonly names: readonly string[];
  readonly untilMs: number;
  isHeld: boolean;
}

export class LeaseBook {
  readonly #ports: LeaseBookPorts;
  readonly #options: LeaseBookOptions;
  readonly #reports: ReportLimit;
  /** Bound: pinnedKeysMax. */
  readonly #pinned = new Map<string, PinCount>();
  /** In the order in which they end. */
  readonly #pins = new Set<Pin>();
  #pinnedBytes = 0;
  #unpinnedCount = 0;
  #share = leasedShare;
  /** Of what was let in and has not ended. */
  #admittedBytes = 0;

  constructor(ports: LeaseBookPorts, options: LeaseBookOptions) {
    this.#ports = ports;
    this.#options = options;
    this.#reports = new ReportLimit(ports.monotonicClock, reportPeriodMs);
  }

  /** Nothing that is leased goes before its lease has ended. */
  get isStrict(): boolean {
    return this.#options.leases === 'strict';
  }

  /** What was used at that time or later is leased. */
  leaseFloorS(nowS: number): number {
    // The index rounds times of use up to its next step.
    return this.#share < leasedShareMin ? nowS + useStepS : this.#ports.ages.leaseFloorS(nowS, this.#leasedBytesMax());
  }

  /** Bytes of what was used within the whole lease, on disk. */
  leasedBytes(nowS: number): number {
    return this.#ports.ages.leasedBytes(nowS);
  }

  /** How long a lease is at the moment. */
  effectiveLeaseMs(nowS: number): number {
    return Math.max(0, Math.min(this.#ports.ages.leaseS, nowS - this.leaseFloorS(nowS) + 1)) * 1_000;
  }

  /**
   * Before something new is taken in, and promised to stay. Where leases are strict it counts as leased from here on, or a batch
   * would be let in as a whole: until the caller disposes what this gives, once what is stored is counted, or nothing is.
   * @throws CacheError `disk_full`: leases are strict, and what is leased takes its share already.
   */
  admit(bytes: number, nowS: number): Disposable | undefined {
    if (!this.isStrict) return undefined;
    const leasedBytes = this.leasedBytes(nowS) + this.#admittedBytes;
    const maxBytes = leasedShare * this.#ports.ledger.boundBytes;
    if (leasedBytes + bytes > maxBytes) {
      throw new CacheError('disk_full', `${leasedBytes} bytes are leased, of ${Math.floor(maxBytes)} that may be: wait for leases to end, raise --max-size or lower --lease, or let leases be shortened`);
    }
    this.#admittedBytes += bytes;
    let isHeld = true;
    return {
      [Symbol.dispose]: () => {
        if (isHeld) this.#admittedBytes -= bytes;
        isHeld = false;
      },
    };
  }

  /** There is nothing left to evict: half as much may be leased from now on, in the end nothing. False: leases are not shortened any more. */
  shorten(nowS: number): boolean {
    if (this.isStrict || this.#share < leasedShareMin) return false;
    this.#share /= 2;
    this.#report(nowS);
    return true;
  }

  /** There is room again. */
  restore(): void {
    this.#share = leasedShare;
  }

  /** Says so when leases are shorter than what is promised. Called by whoever evicts. */
  reportShortened(nowS: number): void {
    if (this.leaseFloorS(nowS) > nowS - this.#ports.ages.leaseS + 1) this.#report(nowS);
  }

  #report(nowS: number): void {
    if (this.#reports.next() === undefined) return;
    this.#ports.log.warn('leases are shorter than promised: more is used within the lease than the store has room for; raise --max-size or lower --lease', {
      leaseS: this.#ports.ages.leaseS,
      effectiveLeaseS: this.effectiveLeaseMs(nowS) / 1_000,
      leasedBytes: this.leasedBytes(nowS),
      boundBytes: this.#ports.ledger.boundBytes,
    });
  }

  #leasedBytesMax(): number {
    return this.isStrict ? Infinity : this.#share * this.#ports.ledger.promisedBytesMax;
  }

  /**
   * All or none; keys may repeat and may be pinned already. Ends when disposed, or by itself after 120 s.
   * @throws CacheError `resource_exhausted`: more than a quarter of the store would be pinned.
   */
  pin(requests: Iterable<PinRequest>): Disposable {
    this.#expire();
    const wanted = new Map<string, PinCount>();
    let moreBytes = 0;
    for (const { key, bytes } of requests) {
      const name = nameOf(key);
      if (wanted.has(name)) continue;
      wanted.set(name, { words: key.words.slice(), tag: key.tag, bytes, pins: 0 });
      if (!this.#pinned.has(name)) moreBytes += bytes;
    }
    this.#refuse(moreBytes, wanted.size);
    for (const [name, one] of wanted) {
      const pinned = this.#pinned.get(name) ?? one;
      if (pinned === one) this.#pinnedBytes += one.bytes;
      pinned.pins += 1;
      this.#pinned.set(name, pinned);
    }
    const pin: Pin = { names: [...wanted.keys()], untilMs: this.#ports.monotonicClock.nowMs() + pinMs, isHeld: true };
    this.#pins.add(pin);
    return { [Symbol.dispose]: () => this.#end(pin) };
  }

  /** Costs one look where nothing is pinned. */
  isPinned(key: KeyWords): boolean {
    if (this.#pinned.size === 0) return false;
    this.#expire();
    return this.#pinned.has(nameOf(key));
  }

  get pinnedBytes(): number {
    this.#expire();
    return this.#pinnedBytes;
  }

  /** Grows whenever something is pinned no longer. */
  get unpinnedCount(): number {
    this.#expire();
    return this.#unpinnedCount;
  }

  #refuse(moreBytes: number, keys: number): void {
    const maxBytes = pinnedShare * this.#ports.ledger.boundBytes;
    if (this.#pinnedBytes + moreBytes > maxBytes) {
      throw new CacheError('resource_exhausted', `${this.#pinnedBytes} bytes are pinned, and ${moreBytes} more would be above the ${Math.floor(maxBytes)} that may be, a quarter of the store`);
    }
    if (this.#pinned.size + keys > pinnedKeysMax) throw new CacheError('resource_exhausted', `${this.#pinned.size} entries are pinned, of ${pinnedKeysMax} that may be`);
  }

  #expire(): void {
    const nowMs = this.#ports.monotonicClock.nowMs();
    for (const pin of this.#pins) {
      if (pin.untilMs > nowMs) return;
      this.#end(pin);
    }
  }

  #end(pin: Pin): void {
    if (!pin.isHeld) return;
    pin.isHeld = false;
    this.#pins.delete(pin);
    for (const name of pin.names) {
      const pinned = this.#pinned.get(name);
      assert(pinned !== undefined, 'what is pinned is known until its last pin ends');
      pinned.pins -= 1;
      if (pinned.pins > 0) continue;
      this.#pinned.delete(name);
      this.#pinnedBytes -= pinned.bytes;
      this.#unpinnedCount += 1;
      this.#options.onUnpinned?.(pinned);
    }
  }
}

/** Eight words and the tag, as characters: shorter than hex and as good. */
function nameOf({ words, tag }: PinnedKey): string {
  const units: number[] = [tag];
  for (const word of words) units.push(word >>> 16, word & 0xffff);
  return String.fromCharCode(...units);
}
