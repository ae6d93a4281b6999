// Attackers that speak gRPC: messages that are too large or lie about it, and deadlines that are over.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { framed } from '../../src/testing/grpc-harness.ts';
import { data } from '../../src/testing/http2-peer.ts';
import { attackedServer } from './attacked-server.ts';
import type { AttackedServer } from './attacked-server.ts';
import { begun, findMissingMessage, path } from './calls.ts';
import { allAnswered, announces4GiB, announcesAll, deadlineInThePast, longerThanSaid, shorterThanSaid, unpacksToTooMuch } from './lying-calls.ts';
import type { LyingCall } from './lying-calls.ts';
import { RawHttp2, repeated } from './raw-http2.ts';

const calls = 200;

/** Calls of a method that ended with `code`, over all of the server. */
function ended(server: AttackedServer, method: string, code: string): Promise<number> {
  const service = method === 'Write' ? 'google.bytestream.ByteStream' : 'build.bazel.remote.execution.v2.ContentAddressableStorage';
  return server.metric('kiln_grpc_calls_total', { service, method, code });
}

/** Makes so many of them; none costs the others on its connection anything. */
async function make(port: number, call: LyingCall, count = calls): Promise<void> {
  const client = await allAnswered(port, call, count);
  assert.equal(client.isClosed, false, JSON.stringify(client.received.goaway));
  client.destroy();
}

describe('attackers over gRPC', () => {
  it('messages that announce 4 GiB are refused at their first five bytes', async (t) => {
    const server = await attackedServer(t);
    await server.endures(() => make(server.port, announces4GiB));
    assert.equal(await ended(server, 'BatchUpdateBlobs', 'RESOURCE_EXHAUSTED'), calls);
  });

  it('messages that announce all they may and never come hold no more than the memory for them, and end', async (t) => {
    const server = await attackedServer(t, '--limits-stall-timeout', '2s', '--limits-busy-stall-timeout', '2s');
    await server.endures(() => make(server.port, announcesAll));
    assert.equal((await ended(server, 'BatchUpdateBlobs', 'DEADLINE_EXCEEDED')) + (await ended(server, 'BatchUpdateBlobs', 'UNAVAILABLE')), calls);
  });

  it('messages shorter than they said are told apart from whole ones', async (t) => {
    const server = await attackedServer(t);
    await server.endures(() => make(server.port, shorterThanSaid));
    assert.equal(await ended(server, 'FindMissingBlobs', 'INTERNAL'), calls);
  });

  it('messages longer than they said are a second one that nobody asked for', async (t) => {
    const server = await attackedServer(t);
    await server.endures(() => make(server.port, longerThanSaid));
    // The first of them cannot be read, or there is a second one.
    assert.equal((await ended(server, 'FindMissingBlobs', 'INTERNAL')) + (await ended(server, 'FindMissingBlobs', 'INVALID_ARGUMENT')), calls);
  });

  it('messages that unpack to more than they may are refused', async (t) => {
    const server = await attackedServer(t);
    await server.endures(() => make(server.port, unpacksToTooMuch, 20));
    assert.equal(await ended(server, 'BatchUpdateBlobs', 'RESOURCE_EXHAUSTED'), 20);
  });

  it('deadlines in the past are answered with DEADLINE_EXCEEDED', async (t) => {
    const server = await attackedServer(t);
    const message = findMissingMessage('0'.repeat(64), 1);
    const client = await RawHttp2.open(server.port);
    await server.endures(async () => {
      await client.send(repeated(calls, (index) => begun(1 + 2 * index, path.findMissing, [['grpc-timeout', '0n']])));
      await client.until(({ headersFrames }) => headersFrames >= calls);
      // A client that does not know it yet goes on with its request.
      await client.send(repeated(calls, (index) => data(1 + 2 * index, true, framed(message))));
      await client.send(repeated(calls, (index) => deadlineInThePast(1 + 2 * (calls + index))));
      await client.until(({ headersFrames }) => headersFrames >= 2 * calls);
    });
    assert.equal(client.isClosed, false, JSON.stringify(client.received.goaway));
    client.destroy();
    assert.equal(await ended(server, 'FindMissingBlobs', 'DEADLINE_EXCEEDED'), 2 * calls);
  });
});
