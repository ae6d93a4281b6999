// A Log that a test can look into.
import type { Log, LogFields } from '../base/log.ts';

/** Remembers everything as lines, `level message fields`, and errors with their cause. */
export class RecordedLog implements Log {
  /** A test that wants the server as it runs by default sets it to false. */
  debugEnabled = true;
  readonly errors: { readonly message: string; readonly cause: unknown; readonly fields: LogFields | undefined }[] = [];
  readonly lines: string[] = [];

  debug(message: string, fields?: LogFields): void {
    this.#keep('debug', message, fields);
  }
  info(message: string, fields?: LogFields): void {
    this.#keep('info', message, fields);
  }
  warn(message: string, fields?: LogFields): void {
    this.#keep('warn', message, fields);
  }
  error(message: string, cause?: unknown, fields?: LogFields): void {
    this.errors.push({ message, cause, fields });
    this.#keep('error', `${message}: ${String(cause)}`, fields);
  }

  #keep(level: string, message: string, fields: LogFields = {}): void {
    this.lines.push(`${level} ${message} ${JSON.stringify(fields)}`);
  }
}
