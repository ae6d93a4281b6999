// Servers under measurement: started pinned to one core, watched by CPU time and resident size, ended by pid.
import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, readFileSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** The core servers run on; the generator has the other one, so that neither takes the other's time. */
export const serverCore = 0;
export const generatorCore = 1;

export interface ServerProcess extends AsyncDisposable {
  readonly name: string;
  readonly pid: number;
  readonly host: string;
  readonly port: number;
}

/** How long a server may take until its ready file is there. */
const startTimeoutMs = 20_000;

/**
 * Starts `command` on the server core. It must write `{"pid": n, "grpc": "grpc://HOST:PORT"}` to the file that
 * replaces the argument `READY`; `DATA` is replaced by an empty directory that is removed at the end.
 */
export async function startServer(name: string, command: readonly string[]): Promise<ServerProcess> {
  const directory = mkdtempSync(join(tmpdir(), 'kiln-bench-'));
  const readyFile = join(directory, 'ready.json');
  const words = command.map((word) => (word === 'READY' ? readyFile : word === 'DATA' ? join(directory, 'data') : word));
  const child = spawn('taskset', ['-c', String(serverCore), ...words], { stdio: ['ignore', 'ignore', 'inherit'] });
  const ready = await readReadyFile(name, child, readyFile);
  const { hostname, port } = new URL(ready.grpc.replace('grpc://', 'http://'));
  return {
    name,
    pid: ready.pid,
    host: hostname,
    port: Number(port),
    async [Symbol.asyncDispose]() {
      if (child.exitCode === null && child.signalCode === null) {
        const ended = once(child, 'exit');
        process.kill(ready.pid, 'SIGTERM');
        await ended;
      }
      rmSync(directory, { recursive: true, force: true });
    },
  };
}

async function readReadyFile(name: string, child: ChildProcess, readyFile: string): Promise<{ pid: number; grpc: string }> {
  const giveUpAtMs = performance.now() + startTimeoutMs;
  while (!existsSync(readyFile)) {
    if (child.exitCode !== null) throw new Error(`${name} ended with status ${child.exitCode} before it was ready`);
    if (performance.now() > giveUpAtMs) {
      child.kill('SIGKILL');
      throw new Error(`${name} was not ready after ${startTimeoutMs} ms`);
    }
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  return JSON.parse(readFileSync(readyFile, 'utf8')) as { pid: number; grpc: string };
}

/** Time on a core so far, in nanoseconds, of all threads of the process (Linux: /proc/PID/task/TID/schedstat). */
export function cpuNanoseconds(pid: number): number {
  let sum = 0;
  for (const thread of readdirSync(`/proc/${pid}/task`)) {
    sum += Number(readFileSync(`/proc/${pid}/task/${thread}/schedstat`, 'utf8').split(' ')[0]);
  }
  return sum;
}

/** Resident size in bytes. */
export function residentBytes(pid: number): number {
  const match = /^VmRSS:\s+(\d+) kB/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'));
  if (match?.[1] === undefined) throw new Error(`no VmRSS for pid ${pid}`);
  return Number(match[1]) * 1024;
}
