// One run of a generator against one server: what it is told, and which generator can do it.
import type { Protocol } from '../contenders/contender.ts';
import type { Concurrency, Traffic } from '../traffic/traffic.ts';
import type { ServerProcess } from './processes.ts';

export interface Run {
  readonly server: ServerProcess;
  readonly protocol: Protocol;
  readonly path: string;
  readonly traffic: Traffic;
  readonly concurrency: Concurrency;
  readonly operations: number;
  readonly seed: number;
  readonly requestFile: string;
  readonly answerFile: string;
  /** Length of what is in `answerFile`. */
  readonly answerBytes: number;
  readonly compare: 'bytes' | 'length';
  /** The generator's core. */
  readonly core: number | undefined;
  /** Where the generator's job may be written. */
  readonly directory: string;
}

/** A round is meant to take a second, and the longest ones take some: what takes so long hangs. */
export const runTimeoutMs = 300_000;

/** Which generator a run needs: h2load where it can do it, since a C program disturbs least. */
export function generatorFor({ protocol, traffic, secure = false }: { readonly protocol: Protocol; readonly traffic: Traffic; readonly secure?: boolean }, h2load: string | undefined): 'h2load' | 'own' | undefined {
  if (protocol === 'http' || secure) return h2load === undefined ? undefined : 'h2load';
  return traffic.kind === 'same' && h2load !== undefined ? 'h2load' : 'own';
}
