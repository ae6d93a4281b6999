// The load generator: h2load of nghttp2, pinned to its own core. It does not look at gRPC statuses, so the
// answer is checked once by hand beforehand and the received bytes are compared afterwards.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { connect, constants } from 'node:http2';
import { generatorCore } from './processes.ts';
import type { ServerProcess } from './processes.ts';

export interface Load {
  readonly path: string;
  /** One gRPC message with its prefix. */
  readonly bodyFile: string;
  readonly body: Uint8Array;
  /** What a right answer's DATA holds. */
  readonly expected: Uint8Array;
  readonly connections: number;
  readonly streams: number;
}

export interface LoadResult {
  readonly requestsPerSecond: number;
  readonly requests: number;
}

const grpcHeaders = { 'content-type': 'application/grpc', te: 'trailers' } as const;

/** @throws Error unless one call gives grpc-status 0 and exactly the expected bytes. */
export async function checkAnswer(server: ServerProcess, load: Load): Promise<void> {
  const session = connect(`http://${server.host}:${server.port}`);
  try {
    const stream = session.request({ ':method': 'POST', ':path': load.path, ...grpcHeaders });
    let status: unknown;
    stream.on('response', (headers) => (status ??= headers['grpc-status']));
    stream.on('trailers', (trailers) => (status = trailers['grpc-status']));
    const chunks: Buffer[] = [];
    stream.on('data', (chunk: Buffer) => chunks.push(chunk));
    stream.end(load.body);
    await once(stream, 'end');
    const answer = Buffer.concat(chunks);
    if (status !== '0') throw new Error(`${server.name} answered grpc-status ${String(status)}`);
    if (!answer.equals(load.expected)) throw new Error(`${server.name} answered ${answer.toString('hex')}`);
  } finally {
    session.close();
    session.destroy(undefined, constants.NGHTTP2_NO_ERROR);
  }
}

/** Runs `requests` calls. @throws Error unless all of them succeeded with the expected number of bytes. */
export async function runLoad(server: ServerProcess, load: Load, requests: number): Promise<LoadResult> {
  const words = [
    ...['-c', String(generatorCore), 'h2load', '-n', String(requests), '-c', String(load.connections)],
    ...['-m', String(load.streams), '-d', load.bodyFile],
    ...Object.entries(grpcHeaders).flatMap(([name, value]) => ['-H', `${name}: ${value}`]),
    `http://${server.host}:${server.port}${load.path}`,
  ];
  const child = spawn('taskset', words, { stdio: ['ignore', 'pipe', 'inherit'] });
  let output = '';
  child.stdout.on('data', (chunk: Buffer) => (output += chunk.toString()));
  await once(child, 'close');
  const rate = /finished in [^,]+, ([\d.]+) req\/s/.exec(output)?.[1];
  const succeeded = /(\d+) succeeded/.exec(output)?.[1];
  const dataBytes = /\((\d+)\) data/.exec(output)?.[1];
  if (rate === undefined || Number(succeeded) !== requests) throw new Error(`h2load against ${server.name} failed:\n${output}`);
  if (Number(dataBytes) !== requests * load.expected.byteLength) {
    throw new Error(`${server.name} sent ${dataBytes} bytes of data where ${requests * load.expected.byteLength} were right`);
  }
  return { requestsPerSecond: Number(rate), requests };
}
