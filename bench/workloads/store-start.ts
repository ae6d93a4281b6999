// The start of a store in a process of its own, with many blobs: after it was closed, and after its process was killed while it
// wrote; and what memory a blob takes.
import { fileURLToPath } from 'node:url';
import { join } from 'node:path';
import { runToEnd } from '../harness/children.ts';
import type { Said } from '../harness/children.ts';
import type { BenchContext, Benchmark } from '../harness/context.ts';
import { summed } from '../harness/load-benchmark.ts';
import type { Sample } from '../harness/measures.ts';
import { pinnedTo } from '../harness/pinning.ts';
import { removeTree } from '../harness/processes.ts';
import type { Started, Step } from '../store-start/steps.ts';

const name = 'store-start';
const program = fileURLToPath(new URL('../store-start/main.ts', import.meta.url));
const countFull = 1_000_000;
const countQuick = 3_000;
const countedLeast = 100_000;
/** Of which a process that is to die stores half: some forty megabytes, most of a segment. */
const dyingFull = 70_000;
/** Each start is followed by a look at the blobs, which takes as long as ten of them. */
const roundsMax = 3;
/** Of a blob that is written, on a machine that does much else. */
const timeoutMsPerBlob = 1;
const timeoutMsLeast = 60_000;

class Lives {
  readonly #context: BenchContext;
  readonly #directory: string;

  constructor(context: BenchContext, directory: string) {
    this.#context = context;
    this.#directory = directory;
  }

  /** Blobs `from` to `to` are stored, and the store is closed. */
  async fill(from: number, to: number): Promise<void> {
    const said = await this.#live('fill', from, to);
    if (said.status !== 0) throw new Error(complaintOf(said));
  }

  /** As `fill`, but the process is killed in the middle; resolves to the number up to which all were acknowledged. */
  async die(from: number, to: number): Promise<number> {
    const said = await this.#live('die', from, to);
    if (said.status !== null) throw new Error(`a process that was to be killed ended by itself: ${complaintOf(said)}`);
    return Number(said.output);
  }

  /** Blobs 0 to `to` must be there. */
  async serve(to: number): Promise<Started> {
    const said = await this.#live('serve', 0, to);
    if (said.status !== 0) throw new Error(complaintOf(said));
    return JSON.parse(said.output) as Started;
  }

  #live(step: Step, from: number, to: number): Promise<Said> {
    const words = pinnedTo(this.#context.pinning.server, [process.execPath, program, step, String(from), String(to), join(this.#directory, 'data')]);
    return runToEnd(words, timeoutMsLeast + timeoutMsPerBlob * to);
  }
}

async function measureStarts(context: BenchContext): Promise<void> {
  await using stack = new AsyncDisposableStack();
  const [empty, full] = [context.newDirectory(), context.newDirectory()];
  stack.defer(() => removeTree(full));
  const count = countOf(context);
  const [emptyLives, lives] = [new Lives(context, empty), new Lives(context, full)];
  await lives.fill(0, count);
  const samples: Record<'empty' | 'closed' | 'killed', Sample[]> = { empty: [], closed: [], killed: [] };
  const dying = context.quick ? count : dyingFull;
  let stored = count;
  let usedBytes = 0;
  for (let round = 0; round < Math.min(context.rounds, roundsMax); round += 1) {
    const base = await emptyLives.serve(0);
    samples.empty.push(sampleOf(base));
    const closed = await lives.serve(stored);
    samples.closed.push({ ...sampleOf(closed), ...perBlob(closed, base, stored) });
    const acknowledged = await lives.die(stored, stored + dying);
    const killed = await lives.serve(acknowledged);
    samples.killed.push({ ...sampleOf(killed), ...perBlob(killed, base, acknowledged) });
    usedBytes = killed.usedBytes;
    // What was under way may be there or not; now it is.
    stored += dying;
    await lives.fill(acknowledged, stored);
  }
  const blobs = `${count.toLocaleString('en-US')} blobs`;
  context.report({
    benchmark: name,
    shape: '',
    description: `from the start of the process until the store is open, with ${blobs} of 1 KiB in files that the kernel has in its cache`,
    results: [
      { server: 'kiln, nothing stored', measured: summed(samples.empty) },
      { server: `kiln, ${blobs}, after it was closed`, measured: summed(samples.closed) },
      { server: `kiln, ${blobs}, after it was killed`, measured: summed(samples.killed) },
    ],
    notes: [
      'B/blob is by the most that was resident until it was open, what recovery needed and has given back included; it and the CPU of a blob are what is more than with nothing stored',
      `killed by SIGKILL, while it stored more; all that was acknowledged is there after each start, and one in a hundred was read and compared; ${(usedBytes / 1e6).toFixed(0)} MB on disk`,
    ],
  });
}

function sampleOf({ readyMs, openMs, cpuMs, residentBytes }: Started): Sample {
  return { readyMs, openMs, readyCpuMs: cpuMs, residentMegabytes: residentBytes / 1e6 };
}

/** Of a few thousand blobs it would say what the code takes. */
function perBlob(full: Started, empty: Started, count: number): Sample {
  return count < countedLeast ? {} : { bytesPerBlob: (full.residentBytesMax - empty.residentBytesMax) / count, cpuPerBlobUs: ((full.cpuMs - empty.cpuMs) * 1_000) / count };
}

function complaintOf({ status, complaint }: Said): string {
  return /^\w*Error.*$/m.exec(complaint)?.[0] ?? `status ${status}: ${complaint}`;
}

/** More when KILN_BENCH_BLOBS asks for it: each takes 1.2 KB of disk. */
function countOf({ quick }: BenchContext): number {
  if (quick) return countQuick;
  const asked = process.env['KILN_BENCH_BLOBS'];
  if (asked === undefined) return countFull;
  const count = Number(asked);
  if (!Number.isInteger(count) || count < countQuick) throw new Error(`KILN_BENCH_BLOBS=${asked}: give a whole number from ${countQuick} on`);
  return count;
}

export const storeStart: Benchmark = { name, title: 'a store with a million blobs: time to open after a stop and after kill -9, memory per blob', run: measureStarts };
