// The load that an attack is compared with: as many connections and as many bytes in a second as its attackers have and
// send, all of it what well-behaved clients send.
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import type { Socket } from 'node:net';
import { connect as connectTls } from 'node:tls';
import { create, toBinary } from '@bufbuild/protobuf';
import { FindMissingBlobsRequestSchema } from '../../src/proto/gen/build/bazel/remote/execution/v2/remote_execution_pb.ts';
import { ReadRequestSchema, WriteRequestSchema } from '../../src/proto/gen/google/bytestream/bytestream_pb.ts';
import { framed } from '../../src/testing/grpc-harness.ts';
import { fetchHttp } from '../../src/testing/http-client.ts';
import { data } from '../../src/testing/http2-peer.ts';
import { begun, namedBlob, path, whole } from '../../test/attack/calls.ts';
import type { NamedBlob } from '../../test/attack/calls.ts';
import { RawHttp2, windowUpdate } from '../../test/attack/raw-http2.ts';

/** What attackers were seen to do. */
export interface Load {
  /** Connections that were opened in a second, or for a load that is held, all of them. */
  readonly connections: number;
  readonly bytesPerSecond: number;
}

/** Calls of one connection that wait for an answer at a time: as many as attackers begin before they look at one. */
const callsAtATime = 200;
/** The largest frame that is sent, and what a server lets an unread stream have. */
const frameBytes = 16_384;

/** One FindMissingBlobs, in pieces of a frame. */
class OrdinaryCall {
  readonly #message: Buffer;

  constructor(digests: number) {
    const blobDigests = Array.from({ length: digests }, (_, index) => ({ hash: (index + 1).toString(16).padStart(64, '0'), sizeBytes: 1n }));
    this.#message = Buffer.from(framed(toBinary(FindMissingBlobsRequestSchema, create(FindMissingBlobsRequestSchema, { blobDigests }))));
  }

  bytes(streamId: number): Buffer {
    const frames = [begun(streamId, path.findMissing)];
    for (let from = 0; from < this.#message.length; from += frameBytes) {
      frames.push(data(streamId, from + frameBytes >= this.#message.length, this.#message.subarray(from, from + frameBytes)));
    }
    return Buffer.concat(frames);
  }
}

/** Connections that come, make their calls, wait for the answers and go, `attackers` at a time and no faster than the attack's. */
export async function comingAndGoing(port: number, { connections, bytesPerSecond }: Load, { attackers, digests, endMs }: { readonly attackers: number; readonly digests: number; readonly endMs: number }): Promise<void> {
  const call = new OrdinaryCall(digests);
  const bytesEach = bytesPerSecond / Math.max(1, connections);
  const calls = Math.max(1, Math.round(bytesEach / call.bytes(1).length));
  const startedMs = performance.now();
  let opened = 0;
  const one = async (): Promise<void> => {
    while (performance.now() < endMs) {
      const dueMs = startedMs + (opened / Math.max(1, connections)) * 1_000;
      opened += 1;
      await new Promise((resolve) => setTimeout(resolve, Math.max(0, Math.min(dueMs, endMs) - performance.now())));
      if (performance.now() < endMs) await answered(port, call, calls);
    }
  };
  await Promise.all(Array.from({ length: attackers }, one));
}

async function answered(port: number, call: OrdinaryCall, calls: number): Promise<void> {
  const client = await RawHttp2.open(port);
  for (let sent = 0; sent < calls; ) {
    const next = Math.min(sent + callsAtATime, calls);
    await client.send(...Array.from({ length: next - sent }, (_, index) => call.bytes(1 + 2 * (sent + index))));
    sent = next;
    await client.until(({ headersFrames }) => headersFrames >= 2 * sent); // headers and trailers of each
  }
  client.destroy();
  await client.closed;
}

/** What each connection of a load that is held does before it is quiet: as many calls as its attacker makes, to their end. */
export type HeldCalls = 'none' | 'lookups' | 'reads' | 'uploads' | 'gets';

/** Calls on each connection over HTTP/2; over HTTP/1.1 there is one. */
export const heldCalls = 100;

/** What the server reads of a large blob for a reader who takes nothing: two pieces of its file. */
const readBytes = 2 * 256 * 1024;

/** SETTINGS_INITIAL_WINDOW_SIZE, so that flow control is never in the way. */
const wideWindow = [4, 0x7fff_ffff] as const;
const uploadBytes = 1_024;

/** A whole upload of what nobody has. */
function uploadCall(streamId: number): Buffer {
  const blob = namedBlob(randomBytes(uploadBytes));
  const resourceName = `uploads/00000000-0000-4000-8000-${String(streamId).padStart(12, '0')}/blobs/${blob.hash}/${uploadBytes}`;
  return whole(streamId, path.write, toBinary(WriteRequestSchema, create(WriteRequestSchema, { resourceName, writeOffset: 0n, finishWrite: true, data: blob.bytes })));
}

/** The beginning of a large blob: of the same file as what attackers do not take. */
function readOf({ hash, bytes }: NamedBlob, streamId: number): Buffer {
  const message = create(ReadRequestSchema, { resourceName: `blobs/${hash}/${bytes.length}`, readLimit: BigInt(readBytes) });
  return whole(streamId, path.read, toBinary(ReadRequestSchema, message));
}

async function heldConnection(port: number, { calls, blob }: Held): Promise<Socket> {
  const client = await RawHttp2.open(port, [wideWindow]);
  if (calls === 'none' || calls === 'gets') return client.socket;
  const lookup = new OrdinaryCall(1);
  const make = { lookups: (id: number) => lookup.bytes(id), reads: (id: number) => readOf(blob, id), uploads: uploadCall }[calls];
  await client.send(windowUpdate(0, 0x7fff_0000), ...Array.from({ length: heldCalls }, (_, index) => make(1 + 2 * index)));
  await client.until(({ headersFrames }) => headersFrames >= 2 * heldCalls);
  return client.socket;
}

export interface Held {
  readonly calls: HeldCalls;
  /** What is read where `calls` is 'reads', some of it, or 'gets', all. */
  readonly blob: NamedBlob;
  /** PEM of who has signed the server's certificate: HTTP/2 over TLS. */
  readonly authority: string | undefined;
  readonly attackers: number;
  readonly endMs: number;
}

/** Connections that make their calls, as many at a time as there are attackers, and are open and quiet from then to the end. */
export async function openAndQuiet(port: number, { connections }: Load, held: Held): Promise<void> {
  const { calls, blob, attackers, authority, endMs } = held;
  const open: Socket[] = [];
  let opened = 0;
  const one = async (): Promise<void> => {
    while (opened < connections && performance.now() < endMs) {
      opened += 1;
      if (calls === 'gets') await fetchHttp(port, `/cas/${blob.hash}`);
      open.push(authority === undefined ? await heldConnection(port, held) : await openTls(port, authority));
    }
  };
  try {
    await Promise.all(Array.from({ length: attackers }, one));
    await new Promise((resolve) => setTimeout(resolve, endMs - performance.now()));
  } finally {
    for (const socket of open) socket.destroy();
  }
}

async function openTls(port: number, authority: string): Promise<Socket> {
  const socket = connectTls({ port, host: '127.0.0.1', ca: authority, ALPNProtocols: ['h2'] });
  await once(socket, 'secureConnect');
  socket.on('error', () => {}); // it is destroyed at the end, whoever does it
  return socket;
}
