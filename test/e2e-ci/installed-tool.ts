// Tools that .ci/run installs. A missing one fails its tests: where these tests run, nothing may be left out.
import { accessSync, constants } from 'node:fs';
import { delimiter, join } from 'node:path';

/** The program called `name`. @throws with the command that installs it. */
export function installedTool(name: string, installCommand: string): string {
  for (const directory of (process.env['PATH'] ?? '').split(delimiter)) {
    const program = join(directory, name);
    try {
      accessSync(program, constants.X_OK);
      return program;
    } catch {
      // Not in this directory; the next one may have it.
    }
  }
  throw new Error(`${name} is not installed; .ci/run installs it with: ${installCommand}`);
}
