// Attackers that speak gRPC: messages that are too large or lie about it, and deadlines that are over.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { gzipSync } from 'node:zlib';
import { framed } from '../../src/testing/grpc-harness.ts';
import { data } from '../../src/testing/http2-peer.ts';
import { attackedServer } from './attacked-server.ts';
import type { AttackedServer } from './attacked-server.ts';
import { begun, findMissingMessage, path, whole } from './calls.ts';
import { RawHttp2, repeated } from './raw-http2.ts';

const calls = 200;

/** Calls of a method that ended with `code`, over all of the server. */
function ended(server: AttackedServer, method: string, code: string): Promise<number> {
  const service = method === 'Write' ? 'google.bytestream.ByteStream' : 'build.bazel.remote.execution.v2.ContentAddressableStorage';
  return server.metric('kiln_grpc_calls_total', { service, method, code });
}

/** The prefix of a message of `bytes`. */
function prefix(bytes: number, flag = 0): Buffer {
  const five = Buffer.alloc(5);
  five[0] = flag;
  five.writeUInt32BE(bytes, 1);
  return five;
}

/** Opens `calls` calls on one connection, and waits until each has an answer. */
async function allAnswered(port: number, make: (streamId: number) => Uint8Array): Promise<void> {
  const client = await RawHttp2.open(port);
  await client.send(repeated(calls, (index) => make(1 + 2 * index)));
  await client.until(({ headersFrames, resets }) => headersFrames + [...resets.values()].reduce((sum, count) => sum + count, 0) >= calls);
  assert.equal(client.isClosed, false);
  client.destroy();
}

describe('attackers over gRPC', () => {
  it('messages that announce 4 GiB are refused at their first five bytes', async (t) => {
    const server = await attackedServer(t);
    await server.endures(() => allAnswered(server.port, (id) => Buffer.concat([begun(id, path.batchUpdate), data(id, false, prefix(0xffff_ffff))])));
    assert.equal(await ended(server, 'BatchUpdateBlobs', 'RESOURCE_EXHAUSTED'), calls);
  });

  it('messages that announce all they may and never come hold no more than the memory for them, and end', async (t) => {
    const server = await attackedServer(t, '--limits-stall-timeout', '2s', '--limits-busy-stall-timeout', '2s');
    await server.endures(() => allAnswered(server.port, (id) => Buffer.concat([begun(id, path.batchUpdate), data(id, false, Buffer.concat([prefix(8_388_608), Buffer.alloc(1)]))])));
    assert.equal((await ended(server, 'BatchUpdateBlobs', 'DEADLINE_EXCEEDED')) + (await ended(server, 'BatchUpdateBlobs', 'UNAVAILABLE')), calls);
  });

  it('messages shorter than they said are told apart from whole ones', async (t) => {
    const server = await attackedServer(t);
    const message = findMissingMessage('0'.repeat(64), 1);
    await server.endures(() => allAnswered(server.port, (id) => Buffer.concat([begun(id, path.findMissing), data(id, true, Buffer.concat([prefix(message.length + 1), message]))])));
    assert.equal(await ended(server, 'FindMissingBlobs', 'INTERNAL'), calls);
  });

  it('messages longer than they said are a second one that nobody asked for', async (t) => {
    const server = await attackedServer(t);
    const message = findMissingMessage('0'.repeat(64), 1);
    await server.endures(() => allAnswered(server.port, (id) => Buffer.concat([begun(id, path.findMissing), data(id, true, Buffer.concat([prefix(message.length - 1), message]))])));
    // The first of them cannot be read, or there is a second one.
    assert.equal((await ended(server, 'FindMissingBlobs', 'INTERNAL')) + (await ended(server, 'FindMissingBlobs', 'INVALID_ARGUMENT')), calls);
  });

  it('messages that unpack to more than they may are refused', async (t) => {
    const server = await attackedServer(t);
    const bomb = gzipSync(Buffer.alloc(200 * 1024 * 1024));
    assert.ok(bomb.length < 300_000);
    const client = await RawHttp2.open(server.port);
    await server.endures(async () => {
      for (let index = 0; index < 20; index += 1) {
        const id = 1 + 2 * index;
        const body = Buffer.concat([prefix(bomb.length, 1), bomb]);
        await client.send(begun(id, path.batchUpdate, [['grpc-encoding', 'gzip']]));
        for (let from = 0; from < body.length; from += 16_384) await client.send(data(id, from + 16_384 >= body.length, body.subarray(from, from + 16_384)));
      }
      await client.until(({ headersFrames }) => headersFrames >= 20);
    });
    client.destroy();
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
      await client.send(repeated(calls, (index) => whole(1 + 2 * (calls + index), path.findMissing, message, [['grpc-timeout', '0m']])));
      await client.until(({ headersFrames }) => headersFrames >= 2 * calls);
    });
    assert.equal(client.isClosed, false, JSON.stringify(client.received.goaway));
    client.destroy();
    assert.ok((await ended(server, 'FindMissingBlobs', 'DEADLINE_EXCEEDED')) >= calls);
  });
});
