// What looks into the server while it runs: the watch over the event loop, CPU profiles and heap snapshots, on demand,
// by signal and by themselves.
import type { Diagnostics } from '../base/diagnostics.ts';
import type { Meter } from '../base/metrics.ts';
import { adminPages } from '../http/admin-pages.ts';
import type { Page } from '../http/page.ts';
import { monotonicClock, timers, wallClock } from '../platform/clocks.ts';
import { DiagnosticFiles, diagnosticFileLimits } from '../platform/diagnostic-files.ts';
import { onDiagnosticSignals } from '../platform/diagnostic-signals.ts';
import { InspectorThread } from '../platform/inspector-thread.ts';
import type { StallReport } from '../platform/inspector-thread.ts';
import type { PinoLog } from '../platform/pino-log.ts';
import { heapUsedBytes, mainThreadCpuMs } from '../platform/process-load.ts';
import { ProfileTriggers } from './profile-triggers.ts';
import type { TriggerOptions } from './profile-triggers.ts';
import { ServerDiagnostics } from './server-diagnostics.ts';
import type { ProfileSource } from './server-diagnostics.ts';

export interface DiagnosticsOptions {
  /** Absolute; exists. */
  readonly dataDirectory: string;
  readonly diagnostics: TriggerOptions & {
    /** 0: no stall is looked for. */
    readonly loopStallMs: number;
  };
}

/** Disposing it ends what is being taken. */
export interface RunningDiagnostics extends AsyncDisposable {
  readonly pages: readonly Page[];
  /** Begins to look for stalls and load: once the server has started, which is work enough to look like both. */
  watch(): void;
}

/** Has signals answered from now on. */
export async function openDiagnostics({ dataDirectory, diagnostics: options }: DiagnosticsOptions, { log, meter }: { readonly log: PinoLog; readonly meter: Meter }): Promise<RunningDiagnostics> {
  meterLog(log, meter);
  const inspector = new Inspector(options.loopStallMs, log, meter);
  const files = await DiagnosticFiles.open(dataDirectory, diagnosticFileLimits, wallClock);
  const diagnostics = new ServerDiagnostics(inspector, files, log);
  const stack = new AsyncDisposableStack();
  stack.use(inspector);
  stack.use(
    onDiagnosticSignals(
      () => profileBySignal(diagnostics, options.profileDurationMs, log),
      () => log.info('SIGUSR1 does nothing here; SIGUSR2 takes a CPU profile'),
    ),
  );
  return {
    pages: adminPages(diagnostics, { defaultDurationMs: options.profileDurationMs }),
    watch() {
      if (options.loopStallMs > 0) inspector.start();
      const load = { mainThreadCpuMs, heapUsedBytes };
      stack.use(new ProfileTriggers(options, { diagnostics, load, clock: monotonicClock, timers, log }));
    },
    [Symbol.asyncDispose]: () => stack.disposeAsync(),
  };
}

/** The thread that looks into this one; started when it is needed first. */
class Inspector implements ProfileSource, AsyncDisposable {
  readonly #stallMs: number;
  readonly #log: PinoLog;
  readonly #onStall: (report: StallReport) => void;
  #thread: InspectorThread | undefined;

  constructor(stallMs: number, log: PinoLog, meter: Meter) {
    this.#stallMs = stallMs;
    this.#log = log;
    const lengths = meter.histogram({ name: 'kiln_event_loop_stall_seconds', help: 'Times for which the event loop stood still, if longer than diagnostics.loop-stall.' });
    this.#onStall = (report) => {
      lengths.record(report.durationMs / 1_000);
      reportStall(report, log);
    };
  }

  start(): InspectorThread {
    this.#thread ??= new InspectorThread({
      stallMs: this.#stallMs,
      output: this.#log.directOutput,
      onReady: () => this.#log.debug('the thread that looks into this one is ready', { stallMs: this.#stallMs }),
      onStall: this.#onStall,
      onFailure: (cause) => this.#log.error('the thread that watches the event loop and takes profiles broke; stalls are reported without a stack from now on', cause),
    });
    return this.#thread;
  }

  writeCpuProfile(path: string, durationMs: number): Promise<number> {
    return this.start().writeCpuProfile(path, durationMs);
  }

  writeHeapSnapshot(path: string): Promise<number> {
    return this.start().writeHeapSnapshot(path);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#thread?.[Symbol.asyncDispose]();
  }
}

function reportStall({ durationMs, stack, everythingStood }: StallReport, log: PinoLog): void {
  const forMs = Math.round(durationMs);
  if (everythingStood) log.warn('the whole process stood still; it was suspended, or the machine had no CPU for it', { forMs });
  else if (stack === undefined) log.warn('the event loop stood still; it could not be seen where, which speaks for the system or native code', { forMs });
  else log.warn('the event loop stood still', { forMs, stack });
}

function profileBySignal(diagnostics: Diagnostics, durationMs: number, log: PinoLog): void {
  log.info('SIGUSR2: taking a CPU profile', { durationMs });
  diagnostics.takeCpuProfile(durationMs).catch((thrown: unknown) => log.warn('no CPU profile was taken', { reason: thrown instanceof Error ? thrown.message : String(thrown) }));
}

function meterLog(log: PinoLog, meter: Meter): void {
  meter.observedCounter({ name: 'kiln_log_lines_dropped_total', help: 'Lines of the log that nobody took in time.' }, () => log.counts.droppedLines);
  meter.observedCounter({ name: 'kiln_log_lines_suppressed_total', help: 'Lines of the log that were left out because many of the same kind came.' }, () => log.counts.suppressedLines);
}
