// The two ways to send calls: as many at a time as allowed (how much does the server do?), or at a steady rate (how
// long does one wait?).
import type { Concurrency } from '../traffic/traffic.ts';
import type { Connection } from './connection.ts';
import type { Call } from './exchange.ts';
import { LatencyRecord } from './latency-record.ts';

/** Where calls go: to how many connections, and who tells when something was wrong. */
export interface Lines {
  readonly connections: readonly Connection[];
  readonly concurrency: Concurrency;
  /** Rejects when an answer was wrong or a connection failed. */
  readonly failure: Promise<never>;
}

/** Keeps `streams` calls under way on each connection until `operations` were answered. */
export async function closedLoop({ connections, concurrency, failure }: Lines, operations: number, callAt: (index: number) => Call): Promise<void> {
  const { promise: finished, resolve } = Promise.withResolvers<void>();
  let started = 0;
  let done = 0;
  const startOn = (connection: Connection): void => {
    if (started >= operations) return;
    const call = callAt(started);
    started += 1;
    connection.start(call, () => {
      done += 1;
      startOn(connection);
      if (done === operations) resolve();
    });
  };
  for (const connection of connections) {
    if (connection.freeStreams < concurrency.streams) throw new Error(`the server takes ${connection.freeStreams} streams at a time, not ${concurrency.streams}`);
    for (let stream = 0; stream < concurrency.streams; stream += 1) startOn(connection);
  }
  for (const connection of connections) connection.flush();
  await Promise.race([finished, failure]);
}

/** Being slow is no failure, but it has an end: what is not answered so long after the last call was due counts as answered then. */
const overtimeMs = 10_000;

/**
 * Sends each call when it is due, round the connections; when all streams are taken, calls wait here and their
 * time runs. Looks at the clock all the time, so it takes its whole core.
 */
export async function steadyLoop({ connections, failure }: Lines, rate: { readonly perSecond: number; readonly operations: number }, callAt: (index: number) => Call): Promise<LatencyRecord> {
  const record = new LatencyRecord(performance.now(), rate.perSecond, rate.operations);
  let failed = false;
  failure.catch(() => (failed = true));
  let noticed = 0;
  let sent = 0;
  let turn = 0;
  const giveUpAtMs = record.dueMs(rate.operations) + overtimeMs;
  while (!record.complete && !failed) {
    const nowMs = performance.now();
    if (nowMs > giveUpAtMs) record.giveUp(nowMs);
    for (const due = record.dueCount(nowMs); noticed < due; noticed += 1) record.noticed(noticed, nowMs);
    for (let full = 0; sent < noticed && full < connections.length; turn += 1) {
      const connection = connections[turn % connections.length];
      if (connection === undefined || connection.freeStreams < 1) {
        full += 1;
        continue;
      }
      full = 0;
      const index = sent;
      sent += 1;
      connection.start(callAt(index), () => record.answered(index, performance.now()));
      connection.flush();
    }
    await new Promise((resolve) => setImmediate(resolve));
  }
  if (failed) await failure;
  return record;
}
