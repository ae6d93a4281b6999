// What a process and its descendants have used of the machine so far, from /proc (Linux only).
import { readFileSync, readdirSync } from 'node:fs';

/** CPU time at one moment. Only the difference of two readings means anything. */
export interface CpuReading {
  /** Per living thread, in nanoseconds, by the scheduler's exact count. Key: PID/TID. */
  readonly threads: ReadonlyMap<string, number>;
  /** Of the processes, ended threads and reaped children included, in nanoseconds but counted in clock ticks. */
  readonly tickedNanoseconds: number;
}

/** USER_HZ is 100 on every Linux that Node runs on, whatever the kernel's own tick. */
const nanosecondsPerTick = 1e7;
/** Reading two counters one after the other, each a tick off, must not look like threads that ended. */
const tickToleranceNanoseconds = 3 * nanosecondsPerTick;

export function readCpu(rootPid: number): CpuReading {
  const threads = new Map<string, number>();
  let ticks = 0;
  for (const pid of [rootPid, ...descendantsOf(rootPid)]) {
    for (const tid of entries(`/proc/${pid}/task`)) {
      const nanoseconds = readOrNothing(`/proc/${pid}/task/${tid}/schedstat`)?.split(' ')[0];
      if (nanoseconds !== undefined) threads.set(`${pid}/${tid}`, Number(nanoseconds));
    }
    const stat = statFields(pid);
    if (stat !== undefined) ticks += stat.ownTicks + stat.reapedTicks;
  }
  return { threads, tickedNanoseconds: ticks * nanosecondsPerTick };
}

/**
 * CPU time in nanoseconds between two readings: exact while no thread ends. When the coarse counter has clearly
 * seen more, threads or children lived and died in between, and the coarse counter is right.
 */
export function cpuBetween(before: CpuReading, after: CpuReading): number {
  let exact = 0;
  for (const [thread, nanoseconds] of after.threads) exact += nanoseconds - (before.threads.get(thread) ?? 0);
  const ticked = after.tickedNanoseconds - before.tickedNanoseconds;
  return ticked - exact > tickToleranceNanoseconds ? ticked : exact;
}

/** CPU time of the children of this process that have ended, in seconds; counted in ticks of 10 ms. */
export function endedChildrenCpuSeconds(): number {
  return ((statFields(process.pid)?.reapedTicks ?? 0) * nanosecondsPerTick) / 1e9;
}

/** Resident size in bytes, descendants included (pages they share count more than once). */
export function residentBytes(rootPid: number): number {
  let sum = 0;
  for (const pid of [rootPid, ...descendantsOf(rootPid)]) {
    const kibibytes = /^VmRSS:\s+(\d+) kB/m.exec(readOrNothing(`/proc/${pid}/status`) ?? '')?.[1];
    sum += Number(kibibytes ?? 0) * 1024;
  }
  if (sum === 0) throw new Error(`process ${rootPid} is gone, so nothing can be said of its memory`);
  return sum;
}

/** Fields of /proc/PID/stat (proc(5)); the name in parentheses may hold anything, so count from behind it. */
export function parseStat(text: string): { readonly parent: number; readonly ownTicks: number; readonly reapedTicks: number } {
  const fields = text.slice(text.lastIndexOf(')') + 2).split(' ').map(Number);
  const field = (number: number): number => fields[number - 3] ?? NaN; // the first behind the name is field 3
  return { parent: field(4), ownTicks: field(14) + field(15), reapedTicks: field(16) + field(17) };
}

function descendantsOf(rootPid: number): number[] {
  const children = new Map<number, number[]>();
  for (const name of entries('/proc')) {
    const pid = Number(name);
    const parent = Number.isInteger(pid) ? statFields(pid)?.parent : undefined;
    if (parent !== undefined) children.set(parent, [...(children.get(parent) ?? []), pid]);
  }
  const found: number[] = [];
  const waiting = [...(children.get(rootPid) ?? [])];
  for (let pid = waiting.pop(); pid !== undefined; pid = waiting.pop()) {
    found.push(pid);
    waiting.push(...(children.get(pid) ?? []));
  }
  return found;
}

function statFields(pid: number): ReturnType<typeof parseStat> | undefined {
  const text = readOrNothing(`/proc/${pid}/stat`);
  return text === undefined ? undefined : parseStat(text);
}

/** Processes and threads come and go while they are looked at. */
function entries(path: string): string[] {
  try {
    return readdirSync(path);
  } catch {
    return [];
  }
}

function readOrNothing(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return undefined;
  }
}
