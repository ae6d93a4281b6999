// Runs other people's programs: each in a process group of its own, which never outlives the test.
import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';

/** What a program did. */
export interface ToolRun {
  readonly status: number | null;
  /** stdout and stderr as they came. */
  readonly output: string;
  /** Its last lines, for the message of a failed assertion. */
  readonly tail: string;
}

const tailLines = 30;

function tailOf(output: string): string {
  return output.trimEnd().split('\n').slice(-tailLines).join('\n');
}

export interface ToolOptions {
  readonly cwd: string;
  /** All of the environment but PATH, which is this process's. */
  readonly env?: Readonly<Record<string, string>>;
}

/** A program that is running. */
export interface StartedTool {
  readonly pid: number;
  /** True until the program has ended. */
  readonly isRunning: boolean;
  readonly ended: Promise<ToolRun>;
}

/** Process groups to end with this process, whatever ends it. */
const groups = new Set<number>();
process.on('exit', () => groups.forEach((pid) => signalGroup(pid, 'SIGKILL')));
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.once(signal, () => process.exit(1));

function signalGroup(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(-pid, signal);
  } catch {
    // The group is gone already.
  }
}

/** Spawns `command` as the leader of a group that ends with this process. */
export function spawnInGroup([program, ...args]: readonly [string, ...string[]], { cwd, env = {} }: ToolOptions): ChildProcess {
  const child = spawn(program, args, { cwd, env: { PATH: process.env['PATH'], ...env }, detached: true, stdio: ['ignore', 'pipe', 'pipe'] });
  const { pid } = child;
  if (pid !== undefined) {
    groups.add(pid);
    child.once('exit', () => {
      signalGroup(pid, 'SIGKILL'); // what a tool leaves behind would keep its files open
      groups.delete(pid);
    });
  }
  return child;
}

export function startTool(command: readonly [string, ...string[]], options: ToolOptions): StartedTool {
  const child = spawnInGroup(command, options);
  let output = '';
  const keep = (text: Buffer): void => void (output += text.toString());
  child.stdout?.on('data', keep);
  child.stderr?.on('data', keep);
  return {
    pid: child.pid ?? 0,
    get isRunning() {
      return child.exitCode === null && child.signalCode === null;
    },
    ended: once(child, 'close').then(([status]: unknown[]) => ({ status: status as number | null, output, tail: tailOf(output) })),
  };
}

/** Runs `command` to its end. Rejects only when it cannot be started; the caller judges the status. */
export function runTool(command: readonly [string, ...string[]], options: ToolOptions): Promise<ToolRun> {
  return startTool(command, options).ended;
}

/** Runs `command` and returns its output. @throws with its end unless the status is 0. */
export async function mustRun(command: readonly [string, ...string[]], options: ToolOptions): Promise<string> {
  const { status, output, tail } = await runTool(command, options);
  if (status !== 0) throw new Error(`${command.join(' ')} ended with ${status}:\n${tail}`);
  return output;
}
