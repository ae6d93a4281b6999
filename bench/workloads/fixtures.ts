// Contents that workloads share, and what answers mean.
import { fromBinary, toJsonString } from '@bufbuild/protobuf';
import type { DescMessage } from '@bufbuild/protobuf';
import { digestOf } from '../traffic/calls.ts';
import { framed, messagesIn } from '../traffic/grpc-frame.ts';
import { SeededRandom } from '../../src/testing/seeded-random.ts';
import type { Fixture } from './workload.ts';

/** `count` different blobs of that size that do not compress. The same in every run. */
export function randomBlobs(count: number, bytes: number): readonly Uint8Array[] {
  return Array.from({ length: count }, (_, index) => new SeededRandom(index * 7919 + bytes).bytes(bytes));
}

/** A digest that no server has. */
export const absentDigest = { hash: 'ab'.repeat(32), sizeBytes: 1_234 };

/** A fixture for a call with one message each way. */
export function unaryFixture(schema: DescMessage, call: { readonly path: string; readonly request: Uint8Array; readonly answer: Uint8Array }): Fixture {
  return {
    blobs: [],
    actions: [],
    path: call.path,
    request: framed(call.request),
    answer: framed(call.answer),
    meaning: (answer) => messagesIn(answer).map((message) => decoded(schema, message)).join('\n'),
  };
}

/** As JSON; an empty status is as good as none. */
function decoded(schema: DescMessage, message: Uint8Array): string {
  return toJsonString(schema, fromBinary(schema, message)).replaceAll(/,?"status":\{\}/g, '');
}

/** The meaning of bytes that stand for themselves. */
export function contentMeaning(bytes: Uint8Array): string {
  const { hash, sizeBytes } = digestOf(bytes);
  return `${sizeBytes} bytes with the SHA-256 ${hash}`;
}
