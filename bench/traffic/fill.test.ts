// Answers are checked by what they mean before anything is measured.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { create, toBinary } from '@bufbuild/protobuf';
import { BatchUpdateBlobsResponseSchema } from '../../src/proto/gen/build/bazel/remote/execution/v2/remote_execution_pb.ts';
import { contentMeaning, unaryFixture } from '../workloads/fixtures.ts';
import type { Workload } from '../workloads/workload.ts';
import { batchUpdateAnswer, batchUpdateRequest, digestOf, paths } from './calls.ts';
import { WrongAnswer, checkedAnswer } from './fill.ts';
import { framed, messagesIn } from './grpc-frame.ts';
import { lyingServer } from './lying-server.ts';

const blob = Buffer.from('a blob');
const digest = digestOf(blob);
const call = { path: paths.batchUpdate, request: batchUpdateRequest([blob]), answer: batchUpdateAnswer([digest]) };
const workload: Workload = { name: 'x', title: 'x', protocol: 'cas', fixture: unaryFixture(BatchUpdateBlobsResponseSchema, call), shapes: [] };

/** The same answer for that status code; `undefined`: without a status, which means the same as 0. */
function answerWith(code: number | undefined): Buffer {
  const entry = { digest: { hash: digest.hash, sizeBytes: BigInt(digest.sizeBytes) }, ...(code === undefined ? {} : { status: { code } }) };
  return framed(toBinary(BatchUpdateBlobsResponseSchema, create(BatchUpdateBlobsResponseSchema, { responses: [entry] })));
}

describe('checkedAnswer', () => {
  it('takes an answer that is encoded in another way but means the same', async () => {
    await using server = await lyingServer(answerWith(undefined), '0');
    const answer = await checkedAnswer(server, workload, 'answer');
    assert.ok(answer.equals(answerWith(undefined)));
  });
  it('refuses one that means something else', async () => {
    await using server = await lyingServer(answerWith(8), '0');
    await assert.rejects(checkedAnswer(server, workload, 'answer'), WrongAnswer);
  });
  it('refuses one that nobody can decode', async () => {
    await using server = await lyingServer(framed(Buffer.from('rubbish')), '0');
    await assert.rejects(checkedAnswer(server, workload, 'answer'), /nothing that can be decoded/);
  });
  it('refuses an error', async () => {
    await using server = await lyingServer(Buffer.alloc(0), '14');
    await assert.rejects(checkedAnswer(server, workload, 'answer'), /grpc-status 14/);
  });
  it('refuses a write that is missing afterwards', async () => {
    // To the question what is missing it answers with the same bytes, which name the blob in the same field.
    await using server = await lyingServer(answerWith(undefined), '0');
    const stored: Workload = { ...workload, fixture: { ...workload.fixture, storedAfterwards: [digest] } };
    await assert.rejects(checkedAnswer(server, stored, 'api'), /missing afterwards/);
  });
});

describe('messages', () => {
  it('are taken apart as they were put together, and a part of one is none', () => {
    const both = Buffer.concat([framed(Buffer.from('one')), framed(Buffer.alloc(0))]);
    assert.deepEqual(messagesIn(both).map(String), ['one', '']);
    assert.throws(() => messagesIn(both.subarray(0, 7)), /cut off/);
    assert.throws(() => messagesIn(Buffer.from([1, 0, 0, 0, 0])), /compressed/);
  });
});

describe('contentMeaning', () => {
  it('differs for bytes that differ', () => {
    assert.notEqual(contentMeaning(Buffer.from('a')), contentMeaning(Buffer.from('b')));
  });
});
