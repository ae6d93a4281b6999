// The port of logging. A message is for people; what a program may want to filter by goes into fields.

/** From chatty to urgent. */
export type LogLevel = 'debug' | 'info' | 'warn' | 'error';

/**
 * Values that a log line may carry. Secrets never do. A field called `stack` may have several lines. `time`, `level`,
 * `message` and `err` belong to the line itself.
 */
export type LogFields = Readonly<Record<string, string | number | boolean | undefined>>;

/** One line per call. `error` is for what an operator must look at; a caller's mistake is at most `info`. */
export interface Log {
  /**
   * Whether `debug` goes anywhere; may change at any time. What runs for every call asks before it makes the fields of
   * a line: `if (log.debugEnabled) log.debug(...)`.
   */
  readonly debugEnabled: boolean;
  debug(message: string, fields?: LogFields): void;
  info(message: string, fields?: LogFields): void;
  warn(message: string, fields?: LogFields): void;
  /** `cause` is printed with its stack and its chain of causes. */
  error(message: string, cause?: unknown, fields?: LogFields): void;
}

/** Says nothing: for programs whose failures are their answers. */
export const silentLog: Log = { debugEnabled: false, debug() {}, info() {}, warn() {}, error() {} };
