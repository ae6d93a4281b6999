// SIGTERM while clients are at work: what they see of it, how long it takes, and what is there afterwards.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { connect } from 'node:http2';
import type { ClientHttp2Session, ClientHttp2Stream } from 'node:http2';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import type { TestContext } from 'node:test';
import { create, fromBinary, toBinary } from '@bufbuild/protobuf';
import { Digest } from '../../src/digest/digest.ts';
import { sha256 } from '../../src/digest/digest-function.ts';
import { Capabilities } from '../../src/proto/gen/build/bazel/remote/execution/v2/remote_execution_pb.ts';
import { ByteStream, ReadRequestSchema, ReadResponseSchema } from '../../src/proto/gen/google/bytestream/bytestream_pb.ts';
import { GrpcJsClient } from '../../src/testing/grpc-js-client.ts';
import { fetchHttp } from '../../src/testing/http-client.ts';
import { startDaemon } from './daemon.ts';
import type { Daemon } from './daemon.ts';
import { temporaryDirectory } from './file-tree.ts';

/** gRPC's code for what may be tried again. */
const unavailable = 14;

const connections = 20;
const readsPerConnection = 10;
/** Far more than the window of a stream, so that a read that is not taken is a read that runs. */
const content = Buffer.alloc(600_000, 'what a slow client reads');
const digest = Digest.of(content, sha256);
const windowBytes = 65_535;

/**
 * One gRPC read on node:http2 whose client takes nothing until told, beyond what the window of the stream holds.
 * (grpc-js reads sixteen messages ahead, which is megabytes.)
 */
class SlowRead {
  readonly #stream: ClientHttp2Stream;
  #status: string | undefined;

  constructor(stream: ClientHttp2Stream) {
    this.#stream = stream;
    stream.on('trailers', (trailers) => (this.#status = String(trailers['grpc-status'])));
    stream.on('error', () => {}); // told by the status that does not come
  }

  /** Resolves once the server answers. */
  static async open(session: ClientHttp2Session): Promise<SlowRead> {
    const stream = session.request({ ':method': 'POST', ':path': '/google.bytestream.ByteStream/Read', 'content-type': 'application/grpc', te: 'trailers' });
    const request = toBinary(ReadRequestSchema, create(ReadRequestSchema, { resourceName: `blobs/${digest.hash}/${digest.sizeBytes}` }));
    const prefix = Buffer.alloc(5);
    prefix.writeUInt32BE(request.byteLength, 1);
    stream.end(Buffer.concat([prefix, request]));
    await once(stream, 'response');
    return new SlowRead(stream);
  }

  /** Takes the rest, a piece every few milliseconds. Undefined when there came no status. */
  async finish(): Promise<{ readonly status: string | undefined; readonly bytes: Buffer }> {
    const pieces: Buffer[] = [];
    this.#stream.on('data', (piece: Buffer) => {
      pieces.push(piece);
      this.#stream.pause();
      setTimeout(() => this.#stream.resume(), 5);
    });
    if (!this.#stream.closed) await new Promise((resolve) => this.#stream.on('end', resolve).on('close', resolve));
    return { status: this.#status, bytes: dataOf(Buffer.concat(pieces)) };
  }
}

/** The bytes of the blob in a body of messages. */
function dataOf(body: Buffer): Buffer {
  const pieces: Uint8Array[] = [];
  for (let at = 0; at + 5 <= body.byteLength; ) {
    const end = at + 5 + body.readUInt32BE(at + 1);
    if (end > body.byteLength) break;
    pieces.push(fromBinary(ReadResponseSchema, body.subarray(at + 5, end)).data);
    at = end;
  }
  return Buffer.concat(pieces);
}

function connectTo(t: TestContext, { host, port }: Daemon): ClientHttp2Session {
  const session = connect(`http://${host}:${port}`, { settings: { initialWindowSize: windowBytes } });
  // Or one stream that stands would stop the others.
  session.once('connect', () => session.setLocalWindowSize(2 * readsPerConnection * windowBytes));
  session.on('error', () => {});
  t.after(() => session.destroy());
  return session;
}

/** Calls again and again until one is refused; every other outcome than an answer fails. */
async function untilRefused(client: GrpcJsClient): Promise<{ readonly answered: number }> {
  for (let answered = 0; ; answered += 1) {
    const code = await client.unary(Capabilities.method.getCapabilities, {}).then(
      () => 0,
      (error: { readonly code: number }) => error.code,
    );
    if (code === unavailable) return { answered };
    assert.equal(code, 0, 'an answer, or a refusal that may be tried again');
  }
}

describe('SIGTERM under 200 open reads', () => {
  it('K10-01, HT-3, ERR-4: all complete with the right bytes, new calls may be tried again, and it ends in time', async (t) => {
    const daemon = await startDaemon(t, join(temporaryDirectory(t, 'drain'), 'data'));
    assert.equal((await fetchHttp(daemon.port, `/cas/${digest.hash}`, { method: 'PUT', body: content })).status, 200);
    using idle = new GrpcJsClient(`${daemon.host}:${daemon.port}`);
    await idle.unary(Capabilities.method.getCapabilities, {});
    const reads: SlowRead[] = [];
    for (let connection = 0; connection < connections; connection += 1) {
      const session = connectTo(t, daemon);
      await once(session, 'connect');
      reads.push(...(await Promise.all(Array.from({ length: readsPerConnection }, () => SlowRead.open(session)))));
    }
    assert.equal(reads.length, 200);
    const startedMs = performance.now();
    const stopped = daemon.stop();
    stopped.catch(() => {}); // awaited below
    const refused = await untilRefused(idle);
    await assert.rejects(fetchHttp(daemon.port, '/status'), { code: 'ECONNREFUSED' });
    assert.match(daemon.logs(), /"calls":20\d,"connections":21/);
    for (const { status, bytes } of await Promise.all(reads.map((read) => read.finish()))) {
      assert.equal(status, '0');
      assert.ok(bytes.equals(content), 'the right bytes');
    }
    await stopped; // with 143: nothing was cut off
    const tookMs = performance.now() - startedMs;
    assert.ok(tookMs < 30_000, `${tookMs} ms`);
    const [, finished] = /"finishedCalls":(\d+),"cutOffCalls":0,"tookMs":\d+,"message":"stopped; every call has finished"/.exec(daemon.logs()) ?? [];
    assert.ok(Number(finished) >= reads.length, daemon.logs());
    t.diagnostic(`took ${tookMs.toFixed(0)} ms; ${refused.answered} calls were answered after the signal`);
  });

  it('K10-01: what does not go on is cut off at the limit of a listener, in a way that may be tried again', async (t) => {
    const flags = ['--drain-listener-timeout', '1s', '--drain-timeout', '2s'];
    const daemon = await startDaemon(t, join(temporaryDirectory(t, 'drain'), 'data'), { flags });
    assert.equal((await fetchHttp(daemon.port, `/cas/${digest.hash}`, { method: 'PUT', body: content })).status, 200);
    const read = await SlowRead.open(connectTo(t, daemon));
    using client = new GrpcJsClient(`${daemon.host}:${daemon.port}`);
    const other = Digest.of(Buffer.from('never whole'));
    const { call, outcome } = client.clientStream(ByteStream.method.write);
    call.on('error', () => {});
    const refused = assert.rejects(outcome, { code: unavailable });
    call.write({ resourceName: `uploads/7b0b8a3c-7d2e-4e39-9d1b-3a2a4f2b1c55/blobs/${other.hash}/${other.sizeBytes}`, data: Buffer.from('never') });
    await client.unary(Capabilities.method.getCapabilities, {}); // on the same connection, and after it
    const startedMs = performance.now();
    await assert.rejects(daemon.stop(), /must end in a clean drain/);
    const tookMs = performance.now() - startedMs;
    assert.ok(tookMs >= 1_000 && tookMs < 30_000, `${tookMs} ms`);
    assert.match(daemon.logs(), /"finishedCalls":0,"cutOffCalls":2,/);
    await refused;
    assert.equal((await read.finish()).status, undefined);
  });
});
