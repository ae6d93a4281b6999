// Small answers from memory: which blobs are missing, and what an action gave.
import { FindMissingBlobsResponseSchema } from '../../src/proto/gen/build/bazel/remote/execution/v2/remote_execution_pb.ts';
import { ActionResultSchema } from '../../src/proto/gen/build/bazel/remote/execution/v2/remote_execution_pb.ts';
import { loadBenchmark } from '../harness/load-benchmark.ts';
import { actionResultBytes, actionResultOf, digestOf, findMissingAnswer, findMissingRequest, getActionResultRequest, paths } from '../traffic/calls.ts';
import { absentDigest, randomBlobs, unaryFixture } from './fixtures.ts';
import { unlimited, wideWindowBits } from './workload.ts';
import type { Shape, Workload } from './workload.ts';

/** The same call at that concurrency. */
export function sameCall(connections: number, streams: number, windowBits: number = wideWindowBits): Shape {
  return { label: `${connections} x ${streams}`, traffic: { kind: 'same' }, concurrency: { connections, streams, windowBits }, operationsMax: unlimited };
}

/** FindMissingBlobs of one absent digest: nearly all transport. */
export const oneMissing = unaryFixture(FindMissingBlobsResponseSchema, {
  path: paths.findMissing,
  request: findMissingRequest([absentDigest]),
  answer: findMissingAnswer([absentDigest]),
});

export const unary = loadBenchmark('unary', 'FindMissingBlobs of one absent digest', (quick) => ({
  name: 'unary',
  title: 'FindMissingBlobs of one absent digest',
  protocol: 'cas',
  fixture: oneMissing,
  shapes: quick ? [sameCall(4, 32)] : [sameCall(4, 32), sameCall(1, 100), sameCall(16, 1), sameCall(1, 1)],
}));

export const unaryTls = loadBenchmark('unary-tls', 'FindMissingBlobs of one absent digest, over TLS', (quick) => ({
  name: 'unary-tls',
  title: 'FindMissingBlobs of one absent digest over TLS 1.3 (AES-128-GCM, key on P-256)',
  protocol: 'cas',
  overTls: true,
  fixture: oneMissing,
  shapes: quick ? [sameCall(4, 32)] : [sameCall(4, 32), sameCall(16, 1), sameCall(1, 1)],
}));

export const findMissingHundred = loadBenchmark('find-missing-100', 'FindMissingBlobs of 100 digests, half of them there', (): Workload => {
  const present = randomBlobs(50, 1_024);
  const asked = present.flatMap((blob, index) => [digestOf(blob), { ...absentDigest, hash: index.toString(16).padStart(64, '0') }]);
  const missing = asked.filter((_, index) => index % 2 === 1);
  const fixture = unaryFixture(FindMissingBlobsResponseSchema, { path: paths.findMissing, request: findMissingRequest(asked), answer: findMissingAnswer(missing) });
  return {
    name: 'find-missing-100',
    title: 'FindMissingBlobs of 100 digests, half of them there, the same in every call',
    protocol: 'cas',
    fixture: { ...fixture, blobs: present },
    shapes: [sameCall(4, 32)],
  };
});

export const findMissingHot = loadBenchmark('find-missing-hot', 'FindMissingBlobs of 100 digests, all of them there', (): Workload => {
  const present = randomBlobs(100, 1_024);
  const fixture = unaryFixture(FindMissingBlobsResponseSchema, { path: paths.findMissing, request: findMissingRequest(present.map(digestOf)), answer: findMissingAnswer([]) });
  return {
    name: 'find-missing-hot',
    title: 'FindMissingBlobs of 100 digests, all of them there, the same in every call',
    protocol: 'cas',
    fixture: { ...fixture, blobs: present },
    shapes: [sameCall(4, 32)],
  };
});

export const actionResult = loadBenchmark('action-result', 'GetActionResult, a hit with ten outputs', (): Workload => {
  const files = randomBlobs(10, 1_024);
  const action = digestOf(Buffer.from('the action of the benchmark'));
  const result = actionResultOf(files);
  const fixture = unaryFixture(ActionResultSchema, { path: paths.getActionResult, request: getActionResultRequest(action), answer: actionResultBytes(result) });
  return {
    name: 'action-result',
    title: 'GetActionResult, a hit whose ten outputs and standard output are checked to be there',
    protocol: 'action-cache',
    fixture: { ...fixture, blobs: files, actions: [{ action, result }] },
    shapes: [sameCall(4, 32)],
  };
});
