// Puts into a server what a workload reads, through the server's own API, and checks one answer before anything is
// measured.
import type { Contender } from '../contenders/contender.ts';
import type { ServerProcess } from '../harness/processes.ts';
import type { Fixture, Workload } from '../workloads/workload.ts';
import {
  batchUpdateRequest,
  chunksOf,
  digestOf,
  findMissingAnswer,
  findMissingRequest,
  paths,
  updateActionResultRequest,
  uploadPieces,
} from './calls.ts';
import { GrpcCaller, answerTimeoutMs } from './grpc-call.ts';
import { framed } from './grpc-frame.ts';

/** A server's answer is not what it must be: not a matter of speed. */
export class WrongAnswer extends Error {
  override readonly name = 'WrongAnswer';
}

/** Blobs above go by ByteStream; a batch of them stays below what servers take. */
const batchedBytesMax = 64 * 1024;
const batchBytesMax = 1024 * 1024;
const uploadChunkBytes = 64 * 1024;
/** One upload after the other, so any identifier will do. */
const uploadId = '00000000-0000-4000-8000-000000000000';

/** @throws Error when a call fails. */
export async function fill(server: ServerProcess, { fixture, protocol }: Workload): Promise<void> {
  if (protocol === 'http') {
    for (const blob of fixture.blobs) await putOverHttp(server, blob);
    return;
  }
  using caller = new GrpcCaller(server);
  const small = fixture.blobs.filter(({ byteLength }) => byteLength <= batchedBytesMax);
  for (const batch of batches(small)) await caller.call(paths.batchUpdate, framed(batchUpdateRequest(batch)));
  for (const blob of fixture.blobs) {
    if (blob.byteLength <= batchedBytesMax) continue;
    await caller.call(paths.write, Buffer.concat(uploadPieces(chunksOf(blob, uploadChunkBytes), digestOf(blob), uploadId)));
  }
  for (const { action, result } of fixture.actions) await caller.call(paths.updateActionResult, framed(updateActionResultRequest(action, result)));
}

/**
 * The DATA of the server's answer to the fixture's call.
 * @throws WrongAnswer when it means something else than it must, or when what was written is not there.
 */
export async function checkedAnswer(server: ServerProcess, { fixture, protocol }: Workload, filling: Contender['filling']): Promise<Buffer> {
  try {
    const answer = protocol === 'http' ? await getOverHttp(server, fixture.path) : await callOnce(server, fixture, filling);
    if (!answer.equals(fixture.answer) && meaningOf(fixture, answer) !== fixture.meaning(fixture.answer)) {
      throw new Error(`${fixture.path}: ${answer.length} bytes that mean ${meaningOf(fixture, answer).slice(0, 300)}`);
    }
    return answer;
  } catch (thrown) {
    throw new WrongAnswer(`${server.name} gave a wrong answer: ${String(thrown)}`, { cause: thrown });
  }
}

function meaningOf(fixture: Fixture, answer: Buffer): string {
  try {
    return fixture.meaning(answer);
  } catch (thrown) {
    return `nothing that can be decoded (${String(thrown)})`;
  }
}

async function callOnce(server: ServerProcess, fixture: Fixture, filling: Contender['filling']): Promise<Buffer> {
  using caller = new GrpcCaller(server);
  const answer = await caller.call(fixture.path, fixture.request, { statusless: filling === 'files' });
  if (fixture.storedAfterwards !== undefined && filling === 'api') {
    const missing = await caller.call(paths.findMissing, framed(findMissingRequest(fixture.storedAfterwards)));
    if (!missing.equals(framed(findMissingAnswer([])))) throw new Error('what was written is missing afterwards');
  }
  return answer;
}

async function putOverHttp({ name, host, port }: ServerProcess, blob: Uint8Array): Promise<void> {
  const response = await fetch(`http://${host}:${port}/cas/${digestOf(blob).hash}`, { method: 'PUT', body: Buffer.from(blob), signal: AbortSignal.timeout(answerTimeoutMs) });
  if (!response.ok) throw new Error(`${name} refused a PUT with status ${response.status}: ${await response.text()}`);
}

async function getOverHttp({ host, port }: ServerProcess, path: string): Promise<Buffer> {
  const response = await fetch(`http://${host}:${port}${path}`, { signal: AbortSignal.timeout(answerTimeoutMs) });
  if (response.status !== 200) throw new Error(`HTTP status ${response.status}`);
  return Buffer.from(await response.arrayBuffer());
}

function* batches(blobs: readonly Uint8Array[]): Generator<Uint8Array[]> {
  let batch: Uint8Array[] = [];
  let bytes = 0;
  for (const blob of blobs) {
    if (batch.length > 0 && bytes + blob.byteLength > batchBytesMax) {
      yield batch;
      batch = [];
      bytes = 0;
    }
    batch.push(blob);
    bytes += blob.byteLength;
  }
  if (batch.length > 0) yield batch;
}
