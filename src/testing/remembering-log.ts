// A log whose lines a test looks at.
import type { Log } from '../base/log.ts';

/** A log that remembers its lines as "level message". */
export class RememberingLog implements Log {
  readonly debugEnabled = true;
  readonly lines: string[] = [];
  debug(message: string): void {
    this.lines.push(`debug ${message}`);
  }
  info(message: string): void {
    this.lines.push(`info ${message}`);
  }
  warn(message: string): void {
    this.lines.push(`warn ${message}`);
  }
  error(message: string): void {
    this.lines.push(`error ${message}`);
  }
}
