// What was evicted, told to those who want to know: counts, and a line where something young had to go, which is how a store
// says that it is too small. One line per period, since when it happens it happens thousands of times.
import type { MonotonicClock } from '../base/clock.ts';
import type { Log } from '../base/log.ts';
import { ReportLimit } from '../base/report-limit.ts';

export interface EvictionJournalPorts {
  readonly monotonicClock: MonotonicClock;
  readonly log: Log;
  readonly nowS: () => number;
}

/** K2-10: what was stored or used so lately is wanted. */
const youngS = 120;
const reportPeriodMs = 60_000;

export class EvictionJournal {
  readonly #ports: EvictionJournalPorts;
  readonly #reports: ReportLimit;
  #count = 0;
  #bytes = 0;
  #lastAgeMs: number | undefined;

  constructor(ports: EvictionJournalPorts) {
    this.#ports = ports;
    this.#reports = new ReportLimit(ports.monotonicClock, reportPeriodMs);
  }

  get count(): number {
    return this.#count;
  }

  /** On disk. */
  get bytes(): number {
    return this.#bytes;
  }

  /** How long what went last had not been used. */
  get lastAgeMs(): number | undefined {
    return this.#lastAgeMs;
  }

  /**
   * @param what `blob`, `value` or `file`; `bytes` on disk; `usedAtS` may be rounded up.
   * @param digest what callers know it by, for a line (K11-04); asked for when there is one.
   */
  evicted(what: string, bytes: number, usedAtS: number, digest: () => string): void {
    const ageS = Math.max(0, this.#ports.nowS() - usedAtS);
    this.#count += 1;
    this.#bytes += bytes;
    this.#lastAgeMs = ageS * 1_000;
    if (ageS >= youngS) {
      if (this.#ports.log.debugEnabled) this.#ports.log.debug('evicted', { what, digest: digest(), sizeBytes: bytes, unusedS: ageS });
      return;
    }
    const heldBack = this.#reports.next();
    if (heldBack === undefined) return;
    this.#ports.log.warn('what was stored or used a moment ago had to go: the store is too small for what is being built; raise --max-size', {
      what,
      digest: digest(),
      sizeBytes: bytes,
      unusedS: ageS,
      othersSince: heldBack === 0 ? undefined : heldBack,
    });
  }
}
