// The processes that a benchmark starts, servers and generators alike: each leads a process group of its own, so that
// whatever it starts in turn ends with it, and none is left behind however the benchmark ends.
import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';

/** What runs now. Bounded by what a benchmark starts: a dozen. */
const running = new Set<ChildProcess>();

/** Output goes into pipes or nowhere, never to the terminal. */
export function startChild([program = '', ...words]: readonly string[], output: 'ignore' | 'pipe'): ChildProcess {
  const child = spawn(program, words, { stdio: ['ignore', output, 'pipe'], detached: true });
  if (child.pid !== undefined) running.add(child);
  child.on('exit', () => running.delete(child));
  return child;
}

/** Ends a child and all that it has started, at once. */
export function killGroup({ pid }: ChildProcess): void {
  if (pid === undefined) return;
  try {
    process.kill(-pid, 'SIGKILL');
  } catch {
    // It has ended by itself.
  }
}

/** For when this process is told to end and nobody will dispose of anything. */
export function killAll(): void {
  for (const child of running) killGroup(child);
}

/** What a generator said, and how it ended. */
export interface Said {
  readonly status: number | null;
  readonly output: string;
  readonly complaint: string;
}

/** Runs `words` to their end. @throws Error when they cannot be run, or take longer than `timeoutMs`; nothing of them is left then. */
export async function runToEnd(words: readonly string[], timeoutMs: number): Promise<Said> {
  const child = startChild(words, 'pipe');
  let [output, complaint] = ['', ''];
  child.stdout?.on('data', (chunk: Buffer) => (output += chunk.toString()));
  child.stderr?.on('data', (chunk: Buffer) => (complaint += chunk.toString()));
  let isLate = false;
  const timer = setTimeout(() => {
    isLate = true;
    killGroup(child);
  }, timeoutMs);
  try {
    const [status] = (await once(child, 'close')) as [number | null];
    if (isLate) throw new Error(`${words.slice(0, 6).join(' ')} ... was not done after ${timeoutMs / 1_000} s: the server does not answer any more, or not fast enough\n${output}${complaint}`);
    return { status, output, complaint };
  } finally {
    clearTimeout(timer);
  }
}
