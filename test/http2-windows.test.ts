// Windows of HTTP/2 are what they are configured to be, and worth it: over a line with delay, an upload is as fast as the
// window lets it be.
import assert from 'node:assert/strict';
import { createHash, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { connect as connectHttp2 } from 'node:http2';
import { connect, createServer } from 'node:net';
import type { AddressInfo, Socket } from 'node:net';
import { describe, it } from 'node:test';
import type { TestContext } from 'node:test';
import { clientPreface } from '../src/h2/frames.ts';
import { parseFrames, settings } from '../src/testing/http2-peer.ts';
import { serveKiln, temporaryDirectory } from '../src/testing/kiln-process.ts';

/** From one end to the other; there and back is twice that. */
const oneWayMs = 25;

const uploadBytes = 4 * 1024 * 1024;

async function serve(t: TestContext, ...flags: readonly string[]): Promise<number> {
  return (await serveKiln(t, ['--listen', '127.0.0.1:0', '--data', await temporaryDirectory(t), ...flags])).port;
}

/** A port that leads to `port`, every byte `oneWayMs` later in either direction; as much as comes is under way at once. */
async function distant(t: TestContext, port: number): Promise<number> {
  const pipe = (from: Socket, to: Socket): void => {
    from.on('data', (bytes: Buffer) => void setTimeout(() => to.write(bytes), oneWayMs));
    from.on('close', () => void setTimeout(() => to.destroy(), oneWayMs));
    from.on('error', () => {});
  };
  const server = createServer({ noDelay: true }, (near) => {
    const far = connect({ port, host: '127.0.0.1', noDelay: true });
    pipe(near, far);
    pipe(far, near);
  });
  server.listen(0, '127.0.0.1');
  t.after(() => server.close());
  await once(server, 'listening');
  return (server.address() as AddressInfo).port;
}

/** Milliseconds that one upload takes, from its first byte to its answer. */
async function uploadMs(t: TestContext, port: number): Promise<number> {
  const session = connectHttp2(`http://127.0.0.1:${port}`);
  t.after(() => session.destroy());
  await once(session, 'remoteSettings'); // what is measured is the window, not the handshake
  await new Promise((resolve) => session.ping((_error, durationMs) => resolve(durationMs)));
  const body = randomBytes(uploadBytes);
  const hash = createHash('sha256').update(body).digest('hex');
  const startedMs = performance.now();
  const stream = session.request({ ':method': 'PUT', ':path': `/cas/${hash}`, 'content-length': String(body.length) });
  stream.end(body);
  const [head] = (await once(stream, 'response')) as [Record<string, unknown>];
  assert.equal(head[':status'], 200);
  return performance.now() - startedMs;
}

describe('windows of HTTP/2', () => {
  it('K6-04: appear in the handshake as they are configured', async (t) => {
    const flags = ['--limits-http2-stream-window', '2MiB', '--limits-http2-connection-window', '32MiB', '--limits-http2-header-size', '100KiB', '--limits-streams', '77'];
    const socket = connect({ port: await serve(t, ...flags), host: '127.0.0.1' });
    t.after(() => socket.destroy());
    socket.write(Buffer.concat([clientPreface, settings()]));
    let received = Buffer.alloc(0);
    while (received.length < 9 + 30 + 13) received = Buffer.concat([received, ((await once(socket, 'data')) as [Buffer])[0]]);
    const [first, second] = parseFrames(received);
    assert.equal(first?.type, 4);
    const announced = new Map<number, number>();
    for (let at = 0; at < first.payload.length; at += 6) announced.set(first.payload.readUInt16BE(at), first.payload.readUInt32BE(at + 2));
    assert.equal(announced.get(4), 2 * 2 ** 20, 'SETTINGS_INITIAL_WINDOW_SIZE');
    assert.equal(announced.get(3), 77, 'SETTINGS_MAX_CONCURRENT_STREAMS');
    assert.equal(announced.get(6), 100 * 2 ** 10, 'SETTINGS_MAX_HEADER_LIST_SIZE');
    assert.deepEqual([second?.type, second?.streamId, second?.payload.readUInt32BE(0)], [8, 0, 32 * 2 ** 20 - 65_535]);
  });

  it('K6-04: over 50 ms, the defaults are several times as fast as those of the protocol', async (t) => {
    const small = await uploadMs(t, await distant(t, await serve(t, '--limits-http2-stream-window', '64KiB', '--limits-http2-connection-window', '64KiB')));
    const usual = await uploadMs(t, await distant(t, await serve(t)));
    const large = await uploadMs(t, await distant(t, await serve(t, '--limits-http2-stream-window', '16MiB')));
    t.diagnostic(`${uploadBytes / 2 ** 20} MiB: windows of 64 KiB ${small.toFixed(0)} ms, defaults ${usual.toFixed(0)} ms, 16 MiB ${large.toFixed(0)} ms`);
    assert.ok(small > (uploadBytes / 65_536) * 2 * oneWayMs * 0.9, 'one window per round trip, or the delay is not there');
    assert.ok(usual * 3 < small, `${usual} ms instead of ${small} ms`);
  });
});
