// Somebody else, in a thread of its own so that what attackers compute does not delay it: a steady rate of calls on one
// connection, each of which must be answered. Begins and ends when the main thread says so, and says then how long the
// calls took: as the server counts them, and as they were waited for.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { Agent } from 'node:http';
import { Agent as SecureAgent } from 'node:https';
import { connect } from 'node:net';
import type { Socket } from 'node:net';
import { connect as connectTls } from 'node:tls';
import { parentPort, workerData } from 'node:worker_threads';
import { clientPreface } from '../../src/h2/frames.ts';
import { framed } from '../../src/testing/grpc-harness.ts';
import { fetchHttp } from '../../src/testing/http-client.ts';
import { data, frame, settings } from '../../src/testing/http2-peer.ts';
import { begun, path, queryMessage } from '../../test/attack/calls.ts';
import { type, windowUpdate } from '../../test/attack/raw-http2.ts';
import { latenciesIn } from '../../test/attack/server-latency.ts';
import type { Latencies } from '../../test/attack/server-latency.ts';
import { percentile } from '../harness/statistics.ts';

/** Where the calls go; PEM of who has signed the server's certificate where it speaks TLS. */
export interface OthersPlace {
  readonly port: number;
  readonly authority: string | undefined;
}

/** What came of the calls between 'begin' and 'end'. */
export interface OthersReport {
  readonly calls: number;
  /** The server's histogram before and after. */
  readonly before: Latencies;
  readonly after: Latencies;
  /** Microseconds from the last byte of a call to the last of its answer, 99th percentile. */
  readonly waitedP99: number;
}

/** A call for each: what a machine with one core for all who ask can send beside any attacker. */
const tickMs = 1;
/** What a tick that came late makes up for; more would be a load of another kind. */
const lateMax = 8;
/** More do not wait at a time: a server lets no connection have more than 256. */
const waitingMax = 128;
/** A call that takes longer has failed, as it has for the tools that wait for it. */
const patienceMs = 20_000;

/** A call that no attacker makes, so that its latency is that of somebody else alone. */
const request = framed(queryMessage('0'.repeat(64), 1));
/** The prefix of an empty message: nobody has begun that upload. */
const answerBytes = 5;

class Others {
  readonly #socket: Socket;
  readonly #timer: NodeJS.Timeout;
  readonly #startedMs = performance.now();
  /** By number of the call. */
  readonly #askedAtMs: number[] = [];
  readonly #waitedMs: number[] = [];
  #ticks = 0;
  /** Whose HEADERS are sent, and whose message is. */
  #begun = 0;
  #asked = 0;
  #answeredBytes = 0;
  #rest: Buffer = Buffer.alloc(0);
  #failure: string | undefined;

  constructor(socket: Socket) {
    this.#socket = socket;
    socket.setNoDelay(true);
    socket.on('data', (bytes: Buffer) => this.#read(bytes));
    socket.on('error', (error) => (this.#failure ??= String(error)));
    socket.on('close', () => (this.#failure ??= 'the connection of somebody else was closed'));
    socket.write(Buffer.concat([clientPreface, settings(), windowUpdate(0, 0x7fff_0000)]));
    this.#timer = setInterval(() => this.#tick(), tickMs);
  }

  /** Ends it once all calls have. @throws Error when one was not answered as it must be. */
  async end(): Promise<Pick<OthersReport, 'calls' | 'waitedP99'>> {
    clearInterval(this.#timer);
    this.#send(0);
    const giveUpAtMs = performance.now() + patienceMs;
    while (this.#waitedMs.length < this.#asked && this.#failure === undefined && performance.now() < giveUpAtMs) await new Promise((resolve) => setTimeout(resolve, tickMs));
    this.#socket.destroy();
    const calls = this.#waitedMs.length;
    assert.equal(this.#failure, undefined);
    assert.equal(calls, this.#asked, `after ${patienceMs} ms only ${calls} of ${this.#asked} calls of somebody else were answered`);
    assert.equal(this.#answeredBytes, calls * answerBytes, 'calls of somebody else were refused');
    return { calls, waitedP99: percentile(this.#waitedMs.toSorted((a, b) => a - b), 0.99) * 1_000 };
  }

  #tick(): void {
    const due = Math.floor((performance.now() - this.#startedMs) / tickMs);
    const late = due - this.#ticks;
    this.#ticks = due;
    this.#send(Math.min(late, lateMax, waitingMax - (this.#asked - this.#waitedMs.length)));
  }

  /**
   * The messages of the calls that have begun, and the headers of as many new ones. So each call comes in two pieces:
   * the server counts from its headers, and what comes as one would be counted from within the turn that answers it.
   */
  #send(count: number): void {
    const pieces: Uint8Array[] = [];
    for (; this.#asked < this.#begun; this.#asked += 1) pieces.push(data(1 + 2 * this.#asked, true, request));
    const last = this.#begun + Math.max(0, count);
    for (; this.#begun < last; this.#begun += 1) pieces.push(begun(1 + 2 * this.#begun, path.query));
    if (pieces.length === 0) return;
    this.#socket.write(Buffer.concat(pieces));
    const nowMs = performance.now();
    while (this.#askedAtMs.length < this.#asked) this.#askedAtMs.push(nowMs);
  }

  #read(bytes: Buffer): void {
    let rest = this.#rest.length === 0 ? bytes : Buffer.concat([this.#rest, bytes]);
    for (let end = 9; rest.length >= 9 && rest.length >= (end = 9 + rest.readUIntBE(0, 3)); rest = rest.subarray(end)) {
      this.#onFrame({ kind: rest[3] ?? 0, flags: rest[4] ?? 0, streamId: rest.readUInt32BE(5) }, rest.subarray(9, end));
    }
    this.#rest = rest;
  }

  #onFrame({ kind, flags, streamId }: { readonly kind: number; readonly flags: number; readonly streamId: number }, payload: Buffer): void {
    if (kind === type.settings && (flags & 1) === 0) this.#socket.write(frame(type.settings, 1, 0));
    if (kind === type.ping && (flags & 1) === 0) this.#socket.write(frame(type.ping, 1, 0, payload));
    if (kind === type.goaway || kind === type.rstStream) this.#failure ??= `a call of somebody else got a frame of type ${kind}: ${payload.toString('latin1')}`;
    if (kind === type.data) this.#answeredBytes += payload.length;
    if (kind === type.headers && (flags & 1) === 1) this.#waitedMs.push(performance.now() - (this.#askedAtMs[(streamId - 1) / 2] ?? NaN));
  }
}

/** Counts are asked for on one connection: where attackers hold all that there may be, no new one is let in. */
async function scraped({ port, authority }: OthersPlace, agent: Agent): Promise<Latencies> {
  return latenciesIn((await fetchHttp(port, '/metrics', { authority, agent })).text);
}

async function opened({ port, authority }: OthersPlace): Promise<Socket> {
  const socket = authority === undefined ? connect(port, '127.0.0.1') : connectTls({ port, host: '127.0.0.1', ca: authority, ALPNProtocols: ['h2'] });
  await once(socket, authority === undefined ? 'connect' : 'secureConnect');
  return socket;
}

/** Answers each 'begin' with 'begun', and each 'end' with an OthersReport or the text of what went wrong. */
async function serve(place: OthersPlace, port: NonNullable<typeof parentPort>): Promise<void> {
  const kept = { keepAlive: true, maxSockets: 1 };
  const agent = place.authority === undefined ? new Agent(kept) : new SecureAgent(kept);
  for (;;) {
    await once(port, 'message');
    try {
      const before = await scraped(place, agent);
      const others = new Others(await opened(place));
      port.postMessage('begun');
      await once(port, 'message');
      const ended = await others.end();
      port.postMessage({ ...ended, before, after: await scraped(place, agent) } satisfies OthersReport);
    } catch (thrown) {
      port.postMessage(String(thrown));
    }
  }
}

if (parentPort !== null) void serve(workerData as OthersPlace, parentPort);
