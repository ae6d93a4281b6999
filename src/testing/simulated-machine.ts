// One run of a process on a simulated disk: its files, threads, time and randomness, all from one seed.
import type { SyncPort } from '../base/log-files.ts';
import { CrashDisk } from './crash-disk.ts';
import type { DiskImage } from './disk-image.ts';
import { InLineHashes, InLineScans, InLineSyncs } from './in-line-threads.ts';
import { ManualClock } from './manual-clock.ts';
import { RememberingLog } from './remembering-log.ts';
import { SeededRandom } from './seeded-random.ts';
import { SeededTurns } from './seeded-turns.ts';

/** Nothing happens any more, no timer is set, and what was waited for has not ended. */
export class StuckError extends Error {
  override readonly name = 'StuckError';
}

/** Longer waits are for something that never comes: stores give up or try again within seconds. */
const patienceMsMax = 600_000;
const firstStepMs = 10;
/** Work that waits for the machine to be idle may do so that often without doing anything else between. */
const idleTimes = 4;

export class SimulatedMachine implements Disposable {
  readonly random: SeededRandom;
  readonly turns: SeededTurns;
  readonly clock: ManualClock;
  readonly disk: CrashDisk;
  readonly smallSyncs: SyncPort;
  readonly largeSyncs: SyncPort;
  readonly hashes: InLineHashes;
  readonly scans: InLineScans;
  readonly log = new RememberingLog();

  constructor(seed: number, image: DiskImage, startMs: number) {
    this.random = new SeededRandom(seed);
    this.turns = new SeededTurns(new SeededRandom(seed ^ 0x5eed));
    this.clock = new ManualClock(startMs);
    this.disk = new CrashDisk(this.turns, new SeededRandom(seed ^ 0xd15c), image);
    this.disk.nowMs = () => this.clock.nowMs();
    this.smallSyncs = new InLineSyncs(this);
    this.largeSyncs = new InLineSyncs(this);
    this.hashes = new InLineHashes(this);
    this.scans = new InLineScans(this);
  }

  /** Lets the machine work until `work` has ended; time passes only while there is nothing else to do. @throws StuckError */
  async finish<T>(work: Promise<T>): Promise<T> {
    let hasEnded = false;
    const ended = (): void => void (hasEnded = true);
    work.then(ended, ended);
    await this.#settle();
    for (let stepMs = firstStepMs; !hasEnded; stepMs *= 2) {
      if (this.clock.pendingTimers === 0 || stepMs > patienceMsMax) throw new StuckError(`nothing happens any more; last: ${this.disk.trace.slice(-5).join(', ')}`);
      this.clock.advance(stepMs);
      await this.#settle();
    }
    return await work;
  }

  /** Until nothing is done any more, though others waited for the same and went on. */
  async #settle(): Promise<void> {
    for (let idle = 0; idle < idleTimes; idle += 1) {
      const { done } = this.turns;
      await this.turns.idle();
      if (this.turns.done !== done) idle = 0;
    }
  }

  /** Off: whatever still waits is never told. */
  [Symbol.dispose](): void {
    this.turns.stop();
  }
}
