// The Log port on pino: JSON lines, or text for people, to standard error. Never waits for the reader; docs/troubleshooting.md
// says what is dropped then.
import { isatty } from 'node:tty';
import { pino } from 'pino';
import type { Logger, LoggerOptions } from 'pino';
import type { MonotonicClock, Timers, WallClock } from '../base/clock.ts';
import type { Log, LogFields, LogLevel } from '../base/log.ts';
import { LogOutput, logOutputLimits } from './log-output.ts';
import { loggedError, textLine } from './log-line.ts';
import type { LogRecord, LoggedError } from './log-line.ts';
import { redactedValue, secretFields, withoutCredentials } from './log-redaction.ts';
import { openOutputChannel } from './output-channel.ts';
import type { OutputChannel } from './output-channel.ts';
import { endBySignal } from './process.ts';
import { RepeatLimit, repeatLimits } from './repeat-limit.ts';

/** `json`: one object per line. `text`: for people. */
export type LogFormat = 'json' | 'text';

export interface PinoLogSettings {
  readonly level: LogLevel;
  /** `auto`: text at a terminal, JSON otherwise. */
  readonly format: LogFormat | 'auto';
}

export interface LogTime {
  readonly wallClock: WallClock;
  readonly clock: MonotonicClock;
  readonly timers: Timers;
}

/** What the log has done, for metrics. */
export interface LogCounts {
  /** Lines that the reader was too slow for, or that nobody read. */
  readonly droppedLines: number;
  /** Lines left out because too many of their kind came. */
  readonly suppressedLines: number;
}

/** A descriptor to which whole lines of the format may be written; writing may fail at any time. */
export interface DirectOutput {
  readonly descriptor: number;
  readonly format: LogFormat;
}

/** How long the end of the process waits for a reader of the last lines. */
const endTimeoutMs = 500;
const rankOf = { debug: 0, info: 1, warn: 2, error: 3 } as const satisfies Record<LogLevel, number>;

export class PinoLog implements Log {
  debugEnabled: boolean;
  #level: LogLevel;
  readonly #direct: DirectOutput;
  readonly #lines: LineMaker;
  readonly #output: LogOutput;
  readonly #repeats: RepeatLimit;

  constructor(channel: OutputChannel, settings: { readonly level: LogLevel; readonly format: LogFormat }, time: LogTime) {
    this.#level = settings.level;
    this.debugEnabled = settings.level === 'debug';
    this.#direct = { descriptor: channel.descriptor, format: settings.format };
    this.#lines = new LineMaker(settings.format, time.wallClock);
    this.#output = new LogOutput({
      channel,
      timers: time.timers,
      limits: logOutputLimits,
      droppedLine: (lines) => this.#lines.make('warn', 'log lines were dropped, because nobody read them in time', { lines }),
    });
    this.#repeats = new RepeatLimit(repeatLimits, time, ({ level, message }, lines) => {
      this.#write(level, `${message} (more of these were left out)`, { lines });
    });
  }

  /** For a thread that must say something while this one cannot. */
  get directOutput(): DirectOutput {
    return this.#direct;
  }

  get counts(): LogCounts {
    return { droppedLines: this.#output.droppedLines, suppressedLines: this.#repeats.suppressedLines };
  }

  get level(): LogLevel {
    return this.#level;
  }

  /** From now on. */
  set level(level: LogLevel) {
    this.#level = level;
    this.debugEnabled = level === 'debug';
  }

  debug(message: string, fields?: LogFields): void {
    // Whoever turns debug on wants each line, so these are not limited, only dropped when nobody reads as fast.
    if (this.debugEnabled) this.#write('debug', message, fields);
  }

  info(message: string, fields?: LogFields): void {
    if (this.#admits('info', message)) this.#write('info', message, fields);
  }

  warn(message: string, fields?: LogFields): void {
    if (this.#admits('warn', message)) this.#write('warn', message, fields);
  }

  error(message: string, cause?: unknown, fields?: LogFields): void {
    if (this.#admits('error', message)) this.#write('error', message, cause === undefined ? fields : { ...fields, err: loggedError(cause) });
  }

  /** Writes what waits; for the end of the process, which it holds up for at most half a second. */
  end(): void {
    this.#repeats.end();
    this.#output.end(endTimeoutMs);
  }

  #write(level: LogLevel, message: string, fields: LineFields | undefined): void {
    if (this.#output.dropping) this.#output.drop();
    else this.#output.write(this.#lines.make(level, message, fields));
  }

  #admits(level: LogLevel, message: string): boolean {
    return rankOf[level] >= rankOf[this.#level] && this.#repeats.admits(level, message);
  }
}

/** The log of a process, on its standard error; what waits is written when the process ends. */
export function openPinoLog({ level, format }: PinoLogSettings, time: LogTime, channel: OutputChannel = openOutputChannel(2)): PinoLog {
  const log = new PinoLog(channel, { level, format: format === 'auto' ? (isatty(2) ? 'text' : 'json') : format }, time);
  process.on('exit', () => {
    log.end();
    // A regular end waits for the threads of the pool, and one of them would never come back.
    if (channel.hanging) endBySignal('SIGKILL');
  });
  return log;
}

type LineFields = Readonly<Record<string, LogFields[string] | LoggedError>>;

/** pino as a maker of lines: what it would write to a stream is handed back. */
class LineMaker {
  readonly #logger: Logger;
  readonly #format: LogFormat;
  #line = '';

  constructor(format: LogFormat, wallClock: WallClock) {
    this.#format = format;
    const options: LoggerOptions = {
      level: 'debug',
      base: null, // process and machine are known to whoever collects the lines
      messageKey: 'message',
      timestamp: () => `,"time":"${new Date(wallClock.nowMs()).toISOString()}"`,
      formatters: { level: (label) => ({ level: label }) },
      serializers: { err: (error: unknown) => error }, // plain data already
      redact: { paths: [...secretFields], censor: redactedValue },
    };
    this.#logger = pino(options, { write: (line: string) => void (this.#line = line) });
  }

  make(level: LogLevel, message: string, fields: LineFields = {}): string {
    this.#logger[level](fields, message);
    return withoutCredentials(this.#format === 'json' ? this.#line : textLine(recordOf(this.#line)));
  }
}

function recordOf(line: string): LogRecord {
  const { time, level, message, err, ...fields } = JSON.parse(line) as Omit<LogRecord, 'fields'> & LogFields;
  return { time, level, message, ...(err === undefined ? {} : { err }), fields };
}
