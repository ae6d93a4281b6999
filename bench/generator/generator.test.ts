// The generator against real servers: all its kinds of traffic are answered rightly by the references, through narrow
// windows as well, and a server that lies is found out.
import assert from 'node:assert/strict';
import { mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { ownReferences } from '../contenders/own-references.ts';
import { removeTree } from '../harness/processes.ts';
import type { ServerProcess } from '../harness/processes.ts';
import { runOwn } from '../harness/own-generator.ts';
import { findMissingAnswer, findMissingRequest, paths } from '../traffic/calls.ts';
import { framed } from '../traffic/grpc-frame.ts';
import { lyingServer } from '../traffic/lying-server.ts';
import type { GeneratorJob, RunOutcome } from '../traffic/traffic.ts';
import { absentDigest } from '../workloads/fixtures.ts';
import { generate } from './generate.ts';

const numbered = 500;
const directory = mkdtempSync(join(tmpdir(), 'kiln-test-'));
const [requestFile, answerFile] = [join(directory, 'request'), join(directory, 'answer')];
const request = framed(findMissingRequest([absentDigest]));
const answer = framed(findMissingAnswer([absentDigest]));
writeFileSync(requestFile, request);
writeFileSync(answerFile, answer);

/** In this process, which is faster than starting one for each run. */
function run({ host, port }: ServerProcess, change: Partial<GeneratorJob>): Promise<RunOutcome> {
  return generate({
    host,
    port,
    path: paths.findMissing,
    traffic: { kind: 'same' },
    concurrency: { connections: 2, streams: 3, windowBits: 16 },
    operations: 40,
    seed: 1,
    requestFile,
    answerFile,
    compare: 'bytes',
    ...change,
  });
}

after(() => removeTree(directory));

for (const name of ['node:http2', 'grpc-js']) {
  describe(`the generator against ${name}`, () => {
    let server: ServerProcess;
    before(async () => {
      const reference = ownReferences.find((one) => one.name === name);
      assert.ok(reference !== undefined);
      const place = mkdtempSync(join(directory, 'server-'));
      server = await reference.start({ directory: place, core: undefined, numbered, files: new Map(), answer, protocol: 'cas' });
    });
    after(() => server[Symbol.asyncDispose]());

    it('repeats one call as often as asked', async () => {
      const { operations, seconds, generatorCores } = await run(server, {});
      assert.equal(operations, 40);
      assert.ok(seconds > 0 && generatorCores > 0);
    });
    it('asks for random blobs and knows which are missing', async () => {
      await run(server, { traffic: { kind: 'lookups', digestsPerCall: 20, present: numbered } });
      // With one blob less than it believes, some answer must be another one.
      await assert.rejects(run(server, { traffic: { kind: 'lookups', digestsPerCall: 100, present: numbered + 200 }, operations: 20 }), /a wrong answer/);
    });
    it('writes batches of unique blobs', async () => {
      await run(server, { path: paths.batchUpdate, traffic: { kind: 'unique-batches', blobsPerCall: 5, blobBytes: 1_024 } });
    });
    it('uploads in several messages, as the windows of the server allow', async () => {
      await run(server, { path: paths.write, traffic: { kind: 'unique-uploads', blobBytes: 300_001, chunkBytes: 65_536 }, operations: 12 });
    });
    it('sends at a steady rate and says how long it took', async () => {
      const { latency, seconds } = await run(server, { traffic: { kind: 'steady', ratePerSecond: 200 } });
      assert.ok(latency !== undefined && latency.p50 > 0 && latency.p50 <= latency.p999 && latency.p999 <= latency.worst);
      assert.ok(seconds >= 0.19, `40 calls at 200/s took ${seconds} s`);
    });
  });
}

describe('the generator finds out', () => {
  it('a byte that is wrong', async () => {
    const wrong = Buffer.from(answer);
    wrong[wrong.length - 1] = (wrong.at(-1) ?? 0) ^ 1;
    await using server = await lyingServer(wrong, '0');
    await assert.rejects(run(server, {}), /a wrong answer/);
    await run(server, { compare: 'length' });
  });
  it('an answer that is short, or too long', async () => {
    await using short = await lyingServer(answer.subarray(0, -1), '0');
    await assert.rejects(run(short, { compare: 'length' }), /an answer of \d+ bytes where \d+ were right/);
    await using long = await lyingServer(Buffer.concat([answer, answer]), '0');
    await assert.rejects(run(long, { compare: 'length' }), /a wrong answer/);
  });
  it('a status that is not 0', async () => {
    await using server = await lyingServer(answer, '13');
    await assert.rejects(run(server, {}), /grpc-status 13/);
  });
});

describe('the generator as a process', () => {
  const job = {
    protocol: 'cas',
    path: paths.findMissing,
    traffic: { kind: 'same' },
    concurrency: { connections: 1, streams: 1, windowBits: 30 },
    operations: 5,
    seed: 1,
    requestFile,
    answerFile,
    answerBytes: answer.length,
    compare: 'bytes',
    core: undefined,
    directory,
  } as const;

  it('says what came of a run', async () => {
    await using server = await lyingServer(answer, '0');
    assert.equal((await runOwn({ ...job, server })).operations, 5);
  });
  it('fails with the reason, and with the name of the server', async () => {
    await using server = await lyingServer(answer, '13');
    await assert.rejects(runOwn({ ...job, server }), /against a liar failed: Error: the answer has grpc-status 13/);
  });
});
