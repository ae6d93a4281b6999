// Attackers that are slow: they begin what they do not end, take nothing of what they asked for, or only open
// connections. What they wait for is what the server makes of them.
import { connect } from 'node:net';
import type { Socket } from 'node:net';
import { clientPreface } from '../../src/h2/frames.ts';
import { encodeHeaders } from '../../src/h2/header-encoder.ts';
import { data, frame } from '../../src/testing/http2-peer.ts';
import { begun, callHeaders, path, readCall, uploadBegun } from './calls.ts';
import type { NamedBlob } from './calls.ts';
import { closeOf, RawHttp2, repeated, type, windowUpdate } from './raw-http2.ts';

/** A byte this often: more than any timeout that only asks whether something moved. */
const trickleMs = 20;
/** On each of many calls, which is no flood either. */
const callTrickleMs = 500;

/** A byte of an answer. */
const readMs = 100;

/** The identifier of SETTINGS_INITIAL_WINDOW_SIZE. */
const initialWindowSize = 4;

/** Sends `head` at once and `bytes` one by one, until the connection is closed; gives what came back. */
export async function trickled(port: number, bytes: Uint8Array, head = ''): Promise<string> {
  const socket = connect({ port, host: '127.0.0.1', noDelay: true });
  let received = '';
  socket.on('data', (chunk: Buffer) => (received += chunk.toString('latin1')));
  socket.write(head);
  let at = 0;
  const timer = setInterval(() => {
    if (at < bytes.length) socket.write(bytes.subarray(at, (at += 1)));
  }, trickleMs);
  await closeOf(socket);
  clearInterval(timer);
  return received;
}

/** The preface of HTTP/2, and not all of it for long. */
export function slowPreface(port: number): Promise<string> {
  return trickled(port, clientPreface.subarray(0, -1));
}

/** All of the preface, and then nothing. */
export async function withoutSettings(port: number): Promise<RawHttp2> {
  const client = await RawHttp2.connect(port);
  await client.send(clientPreface);
  return client;
}

/** A header block that never comes to its end. */
export async function slowHeaders(port: number): Promise<RawHttp2> {
  const client = await RawHttp2.open(port);
  await client.send(frame(type.headers, 0, 1, encodeHeaders(callHeaders(path.findMissing))));
  return client;
}

/** Opens `connections` and shows nothing on any. Closed ones are among them. */
export async function silentConnections(port: number, connections: number): Promise<readonly Socket[]> {
  const sockets = Array.from({ length: connections }, () => connect({ port, host: '127.0.0.1' }));
  await Promise.all(
    sockets.map(async (socket) => {
      socket.resume();
      await Promise.race([new Promise((resolve) => socket.once('connect', resolve)), closeOf(socket)]);
    }),
  );
  return sockets;
}

/** How an attacker takes an answer: not at all, byte by byte, or not even from the system. */
export type Taking = 'nothing' | 'nothing_of_the_connection' | 'bytes' | 'nothing_of_the_socket';

/** Asks `calls` times for `blob`, and takes next to nothing of it. */
export async function slowReader(port: number, { blob, calls, taking }: { readonly blob: NamedBlob; readonly calls: number; readonly taking: Taking }): Promise<RawHttp2> {
  const window = { nothing: 0, bytes: 0, nothing_of_the_connection: 0x7fff_ffff, nothing_of_the_socket: 0x7fff_ffff }[taking];
  const client = await RawHttp2.open(port, [[initialWindowSize, window]]);
  if (taking === 'nothing_of_the_socket') {
    await client.send(windowUpdate(0, 0x7fff_0000));
    client.socket.pause();
  }
  await client.send(repeated(calls, (index) => readCall(1 + 2 * index, blob)));
  if (taking !== 'bytes') return client;
  const timer = setInterval(() => void client.send(repeated(calls, (index) => windowUpdate(1 + 2 * index, 1))), callTrickleMs);
  void client.closed.then(() => clearInterval(timer));
  return client;
}

/** Opens windows by one byte as fast as goes, until it is stopped. */
export async function oneByteWindows(port: number, blob: NamedBlob): Promise<RawHttp2> {
  const client = await RawHttp2.open(port, [[initialWindowSize, 1]]);
  await client.send(readCall(1, blob));
  // In packets of their own, as far as the system goes along: what comes together is answered together.
  await client.flood(() => windowUpdate(1, 1), 5_000);
  return client;
}

/** How an attacker leaves its requests. */
export type Unfinished = 'headers_only' | 'half_a_message' | 'upload' | 'upload_in_bytes';

/** Begins `calls` calls and ends none. */
export async function unfinished(port: number, calls: number, how: Unfinished): Promise<RawHttp2> {
  const client = await RawHttp2.open(port);
  const start = {
    headers_only: (id: number) => begun(id, path.findMissing),
    half_a_message: (id: number) => Buffer.concat([begun(id, path.findMissing), data(id, false, Buffer.from([0, 0, 0, 1, 0, 1]))]),
    upload: (id: number) => uploadBegun(id, 10_000_000),
    // A message of 100,000 bytes, one after the other.
    upload_in_bytes: (id: number) => Buffer.concat([uploadBegun(id, 10_000_000), data(id, false, Buffer.from([0, 0, 1, 0x86, 0xa0]))]),
  }[how];
  await client.send(repeated(calls, (index) => start(1 + 2 * index)));
  if (how !== 'upload_in_bytes') return client;
  const timer = setInterval(() => void client.send(repeated(calls, (index) => data(1 + 2 * index, false, 1))), callTrickleMs);
  void client.closed.then(() => clearInterval(timer));
  return client;
}

/** The beginning of a ClientHello: a record of 512 bytes of which ten come. */
const halfHello = Buffer.from([0x16, 0x03, 0x01, 0x02, 0x00, 0x01, 0x00, 0x01, 0xfc, 0x03]);

/** TLS handshakes that are begun and never ended. */
export function halfHandshakes(port: number, connections: number): readonly Socket[] {
  return Array.from({ length: connections }, () => {
    const socket = connect({ port, host: '127.0.0.1' });
    socket.on('error', () => {});
    socket.write(halfHello);
    socket.resume();
    return socket;
  });
}

/** Sends `request` over HTTP/1.1 and takes a byte of the answer now and then, until the connection is closed. */
export function slowHttp1Reader(port: number, request: string): Socket {
  const socket = connect({ port, host: '127.0.0.1' });
  socket.pause();
  socket.write(request);
  const timer = setInterval(() => socket.read(1), readMs);
  void closeOf(socket).then(() => clearInterval(timer));
  return socket;
}

/** A peer that is gone without a word: the connection is open, and nothing will ever come. */
export async function halfOpen(port: number, calls: number): Promise<RawHttp2> {
  const client = await RawHttp2.open(port);
  await client.send(repeated(calls, (index) => begun(1 + 2 * index, '/grpc.health.v1.Health/Watch')), repeated(calls, (index) => data(1 + 2 * index, true, new Uint8Array(5))));
  return client;
}
