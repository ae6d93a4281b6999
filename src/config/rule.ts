// What can be wrong in a configuration although each of its values is fine.
import type { ServeValues } from './serve-schema.ts';

export interface Rule {
  /** The key that the mistake is reported at, unless it has its default; then at the other. */
  readonly keys: readonly [string, string];
  /** Undefined when all is well. */
  readonly wrong: (values: ServeValues) => readonly [problem: string, advice: string] | undefined;
}
