// Tells of writes that had to wait for room: a line at most once a minute, since where one waits thousands do (K2-10).
import type { MonotonicClock } from '../base/clock.ts';
import type { Log } from '../base/log.ts';
import { ReportLimit } from '../base/report-limit.ts';

/** Who waits that long was waiting for something, and not just for its turn of the loop. */
const noticedMs = 1;
const reportPeriodMs = 60_000;

export class SlowWaits {
  readonly #clock: MonotonicClock;
  readonly #log: Log;
  readonly #reports: ReportLimit;

  constructor({ monotonicClock, log }: { readonly monotonicClock: MonotonicClock; readonly log: Log }) {
    this.#clock = monotonicClock;
    this.#log = log;
    this.#reports = new ReportLimit(monotonicClock, reportPeriodMs);
  }

  /**
   * Somebody waits for room from now on. Who is refused is told why, and not told of here.
   * @param isWaitedFor of what was asked for ahead: whether a write needs it by the time that it is there.
   */
  note(room: 'file' | 'segment', waiting: Promise<unknown>, isWaitedFor: () => boolean = () => true): void {
    const beganMs = this.#clock.nowMs();
    const tell = (): void => {
      const waitedMs = this.#clock.nowMs() - beganMs;
      if (waitedMs > noticedMs && isWaitedFor()) this.#report(room, waitedMs);
    };
    waiting.then(tell, () => undefined);
  }

  #report(room: string, waitedMs: number): void {
    const heldBack = this.#reports.next();
    if (heldBack === undefined) return;
    this.#log.warn('a write waited for room to be made; with a higher --low-watermark more is kept free ahead of writes', {
      room,
      waitedMs: Math.round(waitedMs),
      othersSince: heldBack === 0 ? undefined : heldBack,
    });
  }
}
