// Runs the generator that a load needs.
import type { RunOutcome } from '../traffic/traffic.ts';
import { runH2load } from './h2load.ts';
import { runOwn } from './own-generator.ts';
import { generatorFor } from './run.ts';
import type { Run } from './run.ts';

/** @throws Error when an answer was wrong or a call failed. */
export async function runLoad(run: Run, h2load: string | undefined): Promise<RunOutcome> {
  const generator = generatorFor({ ...run, secure: run.server.authority !== undefined }, h2load);
  return generator === 'h2load' && h2load !== undefined ? runH2load(h2load, run) : runOwn(run);
}
