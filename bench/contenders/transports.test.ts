// Servers with nothing behind their transport, and servers over TLS: each gives the right answer to the call that is
// measured, to a client that is none of ours.
import assert from 'node:assert/strict';
import { mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, it } from 'node:test';
import { removeTree } from '../harness/processes.ts';
import { writeTlsFiles } from '../harness/tls-files.ts';
import { checkedAnswer } from '../traffic/fill.ts';
import { chunksOf, digestOf, paths, uploadPieces, writeAnswer } from '../traffic/calls.ts';
import { GrpcCaller } from '../traffic/grpc-call.ts';
import { framed } from '../traffic/grpc-frame.ts';
import { randomBlobs } from '../workloads/fixtures.ts';
import { oneMissing } from '../workloads/lookups.ts';
import { readFixture } from '../workloads/transfers.ts';
import type { Contender, StartPlace } from './contender.ts';
import { kiln } from './kiln.ts';
import { ownReferences } from './own-references.ts';

const directory = mkdtempSync(join(tmpdir(), 'kiln-test-'));
after(() => removeTree(directory));
const tls = writeTlsFiles(directory);
const [blob = new Uint8Array(0)] = randomBlobs(1, 1024 * 1024);
const reading = { name: 'read', title: '', protocol: 'byte-stream', fixture: readFixture(blob), shapes: [] } as const;
const missing = { name: 'missing', title: '', protocol: 'cas', fixture: oneMissing, shapes: [] } as const;

function place(change: Partial<StartPlace>): StartPlace {
  return { directory: mkdtempSync(join(directory, 'place-')), core: undefined, numbered: 0, files: new Map(), answer: reading.fixture.answer, protocol: 'byte-stream', ...change };
}

const overTls: readonly Contender[] = [kiln, ...ownReferences].filter(({ speaksTls }) => speaksTls);

describe('a transport with nothing behind it', () => {
  for (const { name, startTransport } of [kiln, ...ownReferences]) {
    if (startTransport === undefined) continue;
    it(`${name} gives what is read, whole`, async () => {
      await using server = await startTransport(place({}));
      await checkedAnswer(server, reading, 'answer');
    });
    it(`${name} takes an upload of many windows, and says that it has it`, async () => {
      const answer = framed(writeAnswer(digestOf(blob)));
      await using server = await startTransport(place({ answer }));
      using caller = new GrpcCaller(server);
      const upload = Buffer.concat(uploadPieces(chunksOf(blob, 64 * 1024), digestOf(blob), '00000000-0000-4000-8000-000000000001'));
      for (let call = 0; call < 3; call += 1) assert.ok((await caller.call(paths.write, upload)).equals(answer));
    });
  }
});

describe('a server over TLS', () => {
  for (const { name, filling, start } of overTls) {
    it(`${name} is believed, and gives the right answer`, async () => {
      await using server = await start(place({ tls, protocol: 'cas', answer: oneMissing.answer }));
      assert.equal(server.authority, tls.authority);
      await checkedAnswer(server, missing, filling);
      const { authority: _, ...plain } = server;
      await assert.rejects(checkedAnswer({ ...plain, [Symbol.asyncDispose]: async () => undefined }, missing, filling), /gave a wrong answer/);
    });
  }
  it('the socket sends a large answer in order', async () => {
    const socket = ownReferences.find(({ name }) => name === 'socket');
    assert.ok(socket !== undefined);
    await using server = await socket.start(place({ tls }));
    for (let call = 0; call < 3; call += 1) await checkedAnswer(server, reading, 'answer');
  });
});
