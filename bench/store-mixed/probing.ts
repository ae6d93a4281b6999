// Somebody else's calls while a store is busy: one digest asked for at a steady rate, and now and then a small blob stored.
import { Worker } from 'node:worker_threads';
import type { BlobBytes, BlobStore } from '../../src/blob/blob-store.ts';
import { DigestList } from '../../src/digest/digest-list.ts';
import { percentile } from '../harness/statistics.ts';
import { nowMs } from './probes.ts';
import type { Latencies, ProbeOptions } from './probes.ts';

const callsPerSecond = 1_000;
/** One call in so many is a write. */
const writeEvery = 4;

export interface Probed {
  readonly findMissing: Latencies;
  readonly smallWrites: Latencies;
  readonly sendLagP99: number;
  /** What was acknowledged. */
  readonly written: readonly BlobBytes[];
}

export interface ProbeBlobs {
  /** Asked for in turns. */
  readonly present: readonly BlobBytes[];
  /** Whether they may be gone by now: what is asked for all the time is kept as a rule only. */
  readonly mayBeGone: boolean;
  /** Stored one after the other, for as long as there are some. */
  readonly fresh: readonly BlobBytes[];
}

/**
 * Calls from now on, until `load` is over. They wait from when they were sent: the thread sends whatever the loop does, and how late
 * it does so is a matter of the machine, which has a figure of its own.
 * @throws Error for a wrong answer, and what `load` throws.
 */
export async function probe(store: BlobStore, { present, mayBeGone, fresh }: ProbeBlobs, load: () => Promise<void>): Promise<Probed> {
  const [asked, stored, lags]: [number[], number[], number[]] = [[], [], []];
  const written: BlobBytes[] = [];
  const running = new Set<Promise<void>>();
  let failure: Error | undefined;
  let calls = 0;
  const state = new Int32Array(new SharedArrayBuffer(Int32Array.BYTES_PER_ELEMENT));
  const options: ProbeOptions = { callsPerSecond, state };
  const thread = new Worker(new URL('./probe-thread.ts', import.meta.url), { workerData: options });
  const put = async (blob: BlobBytes, sentMs: number): Promise<void> => {
    const [refusal] = await store.putMany([blob]);
    if (refusal !== undefined) throw refusal;
    stored.push((nowMs() - sentMs) * 1_000);
    written.push(blob);
  };
  thread.on('message', ({ dueMs, sentMs }: { readonly dueMs: number; readonly sentMs: number }) => {
    calls += 1;
    lags.push((sentMs - dueMs) * 1_000);
    const known = present[calls % present.length];
    const blob = calls % writeEvery === 0 ? fresh[calls / writeEvery] : undefined;
    if (known === undefined || failure !== undefined) return;
    const missing = store.findMissing(DigestList.of(known.digest));
    if (!(missing instanceof DigestList) || (missing.length > 0 && !mayBeGone)) failure = new Error('a blob that is there was not found at once');
    asked.push((nowMs() - sentMs) * 1_000);
    if (blob === undefined) return;
    const done = put(blob, sentMs).catch((thrown: unknown) => void (failure ??= thrown instanceof Error ? thrown : new Error(String(thrown))));
    const settled = done.then(() => void running.delete(settled));
    running.add(settled);
  });
  const ended = new Promise((resolve) => thread.once('exit', resolve));
  try {
    await new Promise((resolve) => thread.once('online', resolve));
    await load();
  } finally {
    Atomics.store(state, 0, 1);
    Atomics.notify(state, 0);
    await ended;
    await Promise.all(running);
  }
  if (failure !== undefined) throw failure;
  return { findMissing: latenciesOf(asked), smallWrites: latenciesOf(stored), sendLagP99: latenciesOf(lags).p99, written };
}

function latenciesOf(microseconds: readonly number[]): Latencies {
  const sorted = Float64Array.from(microseconds).sort();
  const [p50, p90, p99, p999, worst] = [0.5, 0.9, 0.99, 0.999, 1].map((share) => percentile(sorted, share));
  if (p50 === undefined || p90 === undefined || p99 === undefined || p999 === undefined || worst === undefined || Number.isNaN(worst)) throw new Error('nothing was asked while it was measured');
  return { p50, p90, p99, p999, worst };
}
