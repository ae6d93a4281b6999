// What the process that measures writes is told and reports, and what it does in a turn.
import { percentile } from '../harness/statistics.ts';

export const writeLoads = ['small', 'small-slow', 'large'] as const;
/** `small-slow`: small blobs with syncs that take longer. */
export type WriteLoad = (typeof writeLoads)[number];

/** Of one contender. */
export interface WriteTurn {
  /** That were counted, as everything else here. */
  readonly operations: number;
  readonly seconds: number;
  readonly bytes: number;
  /** All threads of the process. */
  readonly cpuUs: number;
  /** From the call until it was acknowledged. */
  readonly p50Us: number;
  readonly p99Us: number;
  /** What each sync of content took; empty where that is not seen. Of the large bodies: those of the log only. */
  readonly syncUs: readonly number[];
}

/** By the name of the contender: one turn for each round. */
export type WriteReport = Readonly<Record<string, readonly WriteTurn[]>>;

/** Who writes: `put` resolves once it is durable, `read` gives what was put. */
export interface Contender<Body> {
  readonly name: string;
  readonly put: (body: Body) => Promise<void>;
  /** Of what was put in the last turn. Undefined: not there. */
  readonly read: (body: Body) => Promise<Uint8Array | undefined>;
  /** Microseconds of each sync since it was asked last. */
  readonly takeSyncs?: () => readonly number[];
  /** After each turn: forgets what was written, where there is no end to it otherwise. */
  readonly clear?: (bodies: readonly Body[]) => Promise<void>;
}

export interface TurnLimits {
  readonly concurrency: number;
  readonly msMax: number;
  /** So many of the bodies come before what is measured: whoever comes after a collection of garbage has a small heap to begin with. */
  readonly uncounted: number;
}

/** Puts bodies until they or the time are over; each that was begun is waited for. Of those that are not counted, all. */
export async function takeTurn<Body>(contender: Contender<Body>, bodies: readonly Body[], bytesOf: (body: Body) => number, { concurrency, msMax, uncounted }: TurnLimits): Promise<WriteTurn> {
  let latencies: number[] = [];
  let next = 0;
  const callers = async (end: number, untilMs: number): Promise<void> => {
    const caller = async (): Promise<void> => {
      for (let sentMs = performance.now(); sentMs < untilMs; ) {
        const body = next < end ? bodies[next] : undefined;
        if (body === undefined) return;
        next += 1;
        await contender.put(body);
        const ackedMs = performance.now();
        latencies.push((ackedMs - sentMs) * 1_000);
        sentMs = ackedMs;
      }
    };
    await Promise.all(Array.from({ length: concurrency }, caller));
  };
  await callers(uncounted, Infinity);
  latencies = [];
  contender.takeSyncs?.();
  const cpu = process.cpuUsage();
  const beganMs = performance.now();
  await callers(Infinity, beganMs + msMax);
  const seconds = (performance.now() - beganMs) / 1_000;
  const { user, system } = process.cpuUsage(cpu);
  const sorted = Float64Array.from(latencies).sort();
  return {
    operations: next - uncounted,
    seconds,
    bytes: bodies.slice(uncounted, next).reduce((sum, body) => sum + bytesOf(body), 0),
    cpuUs: user + system,
    p50Us: percentile(sorted, 0.5),
    p99Us: percentile(sorted, 0.99),
    syncUs: contender.takeSyncs?.() ?? [],
  };
}
