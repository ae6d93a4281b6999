// The load that an attack is compared with: as many connections and as many bytes in a second as its attackers have and
// send, all of it what well-behaved clients send.
import { once } from 'node:events';
import type { Socket } from 'node:net';
import { connect as connectTls } from 'node:tls';
import { create, toBinary } from '@bufbuild/protobuf';
import { FindMissingBlobsRequestSchema } from '../../src/proto/gen/build/bazel/remote/execution/v2/remote_execution_pb.ts';
import { framed } from '../../src/testing/grpc-harness.ts';
import { data } from '../../src/testing/http2-peer.ts';
import { begun, path } from '../../test/attack/calls.ts';
import { RawHttp2 } from '../../test/attack/raw-http2.ts';

/** What attackers were seen to do. */
export interface Load {
  /** Connections that were opened in a second, or for a load that is held, all of them. */
  readonly connections: number;
  readonly bytesPerSecond: number;
}

/** Calls of one connection that wait for an answer at a time. */
const callsAtATime = 100;
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

/** Connections that are open and quiet until `endMs`, HTTP/2 or, with `authority`, HTTP/2 over TLS. */
export async function openAndQuiet(port: number, { connections }: Load, { authority, endMs }: { readonly authority: string | undefined; readonly endMs: number }): Promise<void> {
  const open: Socket[] = [];
  for (let count = 0; count < connections; count += 1) open.push(authority === undefined ? (await RawHttp2.open(port)).socket : await openTls(port, authority));
  await new Promise((resolve) => setTimeout(resolve, endMs - performance.now()));
  for (const socket of open) socket.destroy();
}

async function openTls(port: number, authority: string): Promise<Socket> {
  const socket = connectTls({ port, host: '127.0.0.1', ca: authority, ALPNProtocols: ['h2'] });
  await once(socket, 'secureConnect');
  return socket;
}
