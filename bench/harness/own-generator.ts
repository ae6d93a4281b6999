// The generator of ours, for calls that differ, uploads in several messages and steady rates; in bench/generator/.
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { GeneratorJob, RunOutcome } from '../traffic/traffic.ts';
import { runToEnd } from './children.ts';
import { pinnedTo } from './pinning.ts';
import { runTimeoutMs } from './run.ts';
import type { Run } from './run.ts';

const ownGenerator = new URL('../generator/main.ts', import.meta.url).pathname;

/** @throws Error when an answer was wrong or a call failed. */
export async function runOwn({ server, core, directory, ...run }: Run): Promise<RunOutcome> {
  const job: GeneratorJob = {
    host: server.host,
    port: server.port,
    path: run.path,
    traffic: run.traffic,
    concurrency: run.concurrency,
    operations: run.operations,
    seed: run.seed,
    requestFile: run.requestFile,
    answerFile: run.answerFile,
    compare: run.compare,
  };
  const jobFile = join(directory, 'job.json');
  writeFileSync(jobFile, JSON.stringify(job));
  const { status, output, complaint } = await runToEnd(pinnedTo(core, [process.execPath, ownGenerator, jobFile]), runTimeoutMs);
  if (status !== 0) throw new Error(`the generator against ${server.name} failed: ${/^(?:\w*Error|AssertionError).*$/m.exec(complaint)?.[0] ?? complaint}`);
  return JSON.parse(output) as RunOutcome;
}
