// A Log that a test can look into.
import type { Log, LogFields } from '../base/log.ts';

/** Remembers errors; the rest is for people. */
export class RecordedLog implements Log {
  readonly errors: { readonly message: string; readonly cause: unknown; readonly fields: LogFields | undefined }[] = [];

  debug(): void {}
  info(): void {}
  warn(): void {}
  error(message: string, cause?: unknown, fields?: LogFields): void {
    this.errors.push({ message, cause, fields });
  }
}
