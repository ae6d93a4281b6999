// What can be wrong in a configuration although each of its values is fine.
import type { ServeValues } from './serve-schema.ts';

export interface Rule {
  /** The key that the mistake is reported at, unless it has its default; then at the other. */
  readonly keys: readonly [string, string];
  /** Undefined when all is well. `isGiven` tells by its name whether somebody has written a key, be it with its default. */
  readonly wrong: (values: ServeValues, isGiven: (name: string) => boolean) => readonly [problem: string, advice: string] | undefined;
}
