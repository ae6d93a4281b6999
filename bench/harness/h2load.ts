// The load generator for one call over and over: h2load of nghttp2. It does not look into answers; they are checked
// by hand beforehand, and the bytes received are counted here.
import { grpcHeaders } from '../traffic/grpc-call.ts';
import type { RunOutcome } from '../traffic/traffic.ts';
import { runToEnd } from './children.ts';
import { pinnedTo } from './pinning.ts';
import { endedChildrenCpuSeconds } from './process-usage.ts';
import { runTimeoutMs } from './run.ts';
import type { Run } from './run.ts';

/** The same for all servers, whatever they would choose by themselves. h2load trusts any certificate. */
const tlsCipher = 'TLS_AES_128_GCM_SHA256';

/** What h2load prints of a run. */
export interface LoadSummary {
  readonly seconds: number;
  readonly succeeded: number;
  readonly dataBytes: number;
}

/** @throws Error unless all calls succeeded and brought the right number of bytes. */
export async function runH2load(program: string, run: Run): Promise<RunOutcome> {
  const { server, operations, protocol, core } = run;
  const secure = server.authority !== undefined;
  const words = [...(protocol === 'http' ? http1Words(run) : grpcWords(run)), ...(secure ? ['--tls13-ciphers', tlsCipher] : [])];
  const url = `${secure ? 'https' : 'http'}://${server.host}:${server.port}${run.path}`;
  const cpuBefore = endedChildrenCpuSeconds();
  const { output, complaint } = await runToEnd(pinnedTo(core, [program, ...words, url]), runTimeoutMs);
  const cpuSeconds = endedChildrenCpuSeconds() - cpuBefore;
  const summary = parseSummary(output);
  if (summary?.succeeded !== operations) throw new Error(`h2load against ${server.name} failed:\n${output}${complaint}`);
  if (summary.dataBytes !== operations * run.answerBytes) {
    throw new Error(`${server.name} sent ${summary.dataBytes} bytes where ${operations * run.answerBytes} were right`);
  }
  return { operations, seconds: summary.seconds, generatorCores: cpuSeconds / summary.seconds };
}

function grpcWords({ operations, concurrency, requestFile }: Run): readonly string[] {
  const { connections, streams, windowBits } = concurrency;
  return [
    ...['-n', String(operations), '-c', String(connections), '-m', String(streams)],
    ...['-w', String(windowBits), '-W', String(windowBits), '-d', requestFile],
    ...Object.entries(grpcHeaders).flatMap(([name, value]) => ['-H', `${name}: ${value}`]),
  ];
}

function http1Words({ operations, concurrency }: Run): readonly string[] {
  return ['--h1', '-n', String(operations), '-c', String(concurrency.connections), '-m', '1'];
}

const secondsIn: Readonly<Record<string, number>> = { us: 1e-6, ms: 1e-3, s: 1, min: 60 };

/** Undefined where the text is not a finished run's. */
export function parseSummary(text: string): LoadSummary | undefined {
  const [, time, unit] = /finished in ([\d.]+)([a-z]+),/.exec(text) ?? [];
  const succeeded = /(\d+) succeeded/.exec(text)?.[1];
  const dataBytes = /\((\d+)\) data/.exec(text)?.[1];
  const factor = secondsIn[unit ?? ''];
  if (time === undefined || factor === undefined || succeeded === undefined || dataBytes === undefined) return undefined;
  return { seconds: Number(time) * factor, succeeded: Number(succeeded), dataBytes: Number(dataBytes) };
}
