// One run: prepares the calls, opens the connections, sends, and says what came of it.
import type { GeneratorJob, RunOutcome } from '../traffic/traffic.ts';
import { Connection } from './connection.ts';
import { closedLoop, steadyLoop } from './loops.ts';
import type { Lines } from './loops.ts';
import { prepareCalls } from './prepared-calls.ts';

/** @throws Error when an answer was wrong or a call failed. */
export async function generate(job: GeneratorJob): Promise<RunOutcome> {
  const { operations, concurrency, traffic } = job;
  const callAt = prepareCalls(job);
  const { promise: failure, reject } = Promise.withResolvers<never>();
  failure.catch(() => undefined); // whoever waits for calls is told as well
  const to = { host: job.host, port: job.port, windowBits: concurrency.windowBits };
  const connections = await Promise.all(Array.from({ length: concurrency.connections }, () => Connection.open(to, reject)));
  const lines: Lines = { connections, concurrency, failure };
  const cpuBefore = process.cpuUsage();
  const startedMs = performance.now();
  const record =
    traffic.kind === 'steady' ? await steadyLoop(lines, { perSecond: traffic.ratePerSecond, operations }, callAt) : await closedLoop(lines, operations, callAt);
  const seconds = (performance.now() - startedMs) / 1_000;
  const cpu = process.cpuUsage(cpuBefore);
  for (const connection of connections) connection.close();
  const outcome = { operations, seconds, generatorCores: (cpu.user + cpu.system) / 1e6 / seconds };
  return record === undefined ? outcome : { ...outcome, latency: record.outcome() };
}
