// The port of logging. A message is for people; what a program may want to filter by goes into fields.

/** Values that a log line may carry. Secrets never do. */
export type LogFields = Readonly<Record<string, string | number | boolean | undefined>>;

/** One line per call. `error` is for what an operator must look at; a caller's mistake is at most `info`. */
export interface Log {
  debug(message: string, fields?: LogFields): void;
  info(message: string, fields?: LogFields): void;
  warn(message: string, fields?: LogFields): void;
  /** `cause` is printed with its stack and its chain of causes. */
  error(message: string, cause?: unknown, fields?: LogFields): void;
}
