// Finds a program on PATH.
import { accessSync, constants } from 'node:fs';
import { delimiter, join } from 'node:path';

/** The path of the first of `names` that PATH has; undefined when it has none. */
export function findProgram(names: readonly string[], path = process.env['PATH'] ?? ''): string | undefined {
  const candidates = names.flatMap((name) => path.split(delimiter).filter(Boolean).map((directory) => join(directory, name)));
  return candidates.find((file) => {
    try {
      accessSync(file, constants.X_OK);
      return true;
    } catch {
      return false;
    }
  });
}
