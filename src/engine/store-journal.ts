// What happens to the files of a store, told to those who want to know: a line in the log with key and size, and how
// long operations waited. One function per event; nothing here decides anything.
import type { MonotonicClock } from '../base/clock.ts';
import type { Log, LogFields } from '../base/log.ts';
import type { Histogram, Meter, MetricDefinition } from '../base/metrics.ts';
import { ReportLimit } from '../base/report-limit.ts';
import { partsOf } from './object-layout.ts';
import type { FileKey } from './object-layout.ts';
import { WritePhases } from './write-phases.ts';
import type { WritePhase } from './write-phases.ts';

export interface StoreJournalPorts {
  readonly log: Log;
  readonly meter: Meter;
  readonly monotonicClock: MonotonicClock;
}

/** A file, for the log. */
export interface NamedFile {
  readonly key: FileKey;
  readonly contentBytes: number;
  /** What callers know it by where the key does not say so, as with values. */
  readonly alias?: string | undefined;
}

/** A phase of a write is slow above this, and above what its bytes may take on a disk that is not new (K11-09). */
const slowPhaseMs = 50;
const slowBytesPerMs = 100_000;
/** Of lines at info about the same kind of thing; at debug there is one for each. */
const reportPeriodMs = 60_000;

const waitMetric: MetricDefinition = {
  name: 'kiln_store_wait_seconds',
  help: 'Time that store operations stood in line: for a permit to open a file, for room, for another write of the same key, for the shared sync of a directory.',
};
/** Phases of a write in which it does nothing but wait for its turn. */
const writeWaits = ['permit', 'room', 'lock', 'directory_sync'] as const satisfies readonly WritePhase[];
/** Phases whose slowness is the disk's, those of `writeWaits` that are not left out. */
const diskPhases = ['temp', 'write', 'sync', 'publish', 'directory_sync'] as const satisfies readonly WritePhase[];

export class StoreJournal {
  readonly #log: Log;
  readonly #clock: MonotonicClock;
  readonly #readPermit: Histogram;
  readonly #writeWaits: Readonly<Record<(typeof writeWaits)[number], Histogram>>;
  readonly #slowWrites: ReportLimit;
  readonly #evictions: ReportLimit;
  /** Since the last line about evictions. */
  #evictedFiles = 0;
  #evictedBytes = 0;

  constructor({ log, meter, monotonicClock }: StoreJournalPorts) {
    this.#log = log;
    this.#clock = monotonicClock;
    const wait = (operation: string, reason: string): Histogram => meter.histogram(waitMetric, { operation, reason });
    this.#readPermit = wait('read', 'permit');
    this.#writeWaits = {
      permit: wait('write', 'permit'),
      room: wait('write', 'room'),
      lock: wait('write', 'lock'),
      directory_sync: wait('write', 'directory_sync'),
    };
    this.#slowWrites = new ReportLimit(monotonicClock, reportPeriodMs);
    this.#evictions = new ReportLimit(monotonicClock, reportPeriodMs);
  }

  /** `permit`, with the wait for it counted. `inLine`: it is not there at once; else the wait is nothing, and not timed. */
  async readPermit<T>(permit: Promise<T>, inLine: boolean): Promise<T> {
    if (!inLine) {
      this.#readPermit.record(0);
      return permit;
    }
    const startedMs = this.#clock.nowMs();
    try {
      return await permit;
    } finally {
      this.#readPermit.record((this.#clock.nowMs() - startedMs) / 1000);
    }
  }

  writeBegan(onStep: ((step: string) => void) | undefined): WritePhases {
    return new WritePhases(this.#clock, onStep);
  }

  /** The write ended, well or not. `stored`: the file is there for good because of it. */
  writeEnded(file: NamedFile, phases: WritePhases, stored: boolean): void {
    const tookMs = phases.end();
    for (const phase of writeWaits) {
      const durationMs = phases.durationMs(phase);
      if (durationMs !== undefined) this.#writeWaits[phase].record(durationMs / 1000);
    }
    if (stored && this.#log.debugEnabled) this.#log.debug('stored', { ...fieldsOf(file), tookMs: rounded(tookMs), ...phaseFields(phases) });
    if (isSlow(file, phases)) this.#slowWrite(file, phases, tookMs);
  }

  /** The file leaves the index to make room; it was not used for `unusedMs`. */
  evicted(file: NamedFile, unusedMs: number): void {
    this.#evictedFiles += 1;
    this.#evictedBytes += file.contentBytes;
    if (this.#log.debugEnabled) this.#log.debug('evicted', { ...fieldsOf(file), unusedMs: Math.round(unusedMs) });
    if (this.#evictions.next() === undefined) return;
    this.#log.info('files go to make room for others', {
      files: this.#evictedFiles,
      bytes: this.#evictedBytes,
      last: partsText(file.key),
      lastSizeBytes: file.contentBytes,
      lastUnusedMs: Math.round(unusedMs),
    });
    this.#evictedFiles = 0;
    this.#evictedBytes = 0;
  }

  /** The file's bytes are not what its name says; it is out of service. */
  quarantined(file: NamedFile, reason: string, fate: 'kept' | 'deleted'): void {
    this.#log.warn('a stored file is corrupt and counts as absent', { ...fieldsOf(file), reason, fate });
  }

  #slowWrite(file: NamedFile, phases: WritePhases, tookMs: number): void {
    const heldBack = this.#slowWrites.next();
    if (heldBack === undefined) return;
    this.#log.info('a write to the data directory was slow', {
      ...fieldsOf(file),
      tookMs: rounded(tookMs),
      ...phaseFields(phases),
      othersSince: heldBack === 0 ? undefined : heldBack,
    });
  }
}

function isSlow({ contentBytes }: NamedFile, phases: WritePhases): boolean {
  return diskPhases.some((phase) => {
    const allowedMs = phase === 'write' || phase === 'sync' ? slowPhaseMs + contentBytes / slowBytesPerMs : slowPhaseMs;
    return (phases.durationMs(phase) ?? 0) > allowedMs;
  });
}

/** `waitMs` is all that was spent in line, `receiveMs` what the sender took. */
function phaseFields(phases: WritePhases): LogFields {
  const of = (phase: WritePhase): number => phases.durationMs(phase) ?? 0;
  return {
    waitMs: rounded(of('permit') + of('room') + of('lock')),
    receiveMs: rounded(of('receive')),
    tempMs: rounded(of('temp')),
    writeMs: rounded(of('write')),
    syncMs: rounded(of('sync')),
    publishMs: rounded(of('publish') + of('directory_sync')),
  };
}

function fieldsOf({ key, contentBytes, alias }: NamedFile): LogFields {
  const parts = partsOf(key);
  const file = parts.kind === 'blob' ? undefined : key;
  return { digest: alias ?? (parts.kind === 'blob' ? partsText(key) : undefined), file, sizeBytes: contentBytes };
}

function partsText(key: FileKey): string {
  const parts = partsOf(key);
  return parts.kind === 'blob' ? `${parts.functionName}/${parts.name}` : key;
}

function rounded(durationMs: number): number {
  return Math.round(durationMs * 10) / 10;
}
