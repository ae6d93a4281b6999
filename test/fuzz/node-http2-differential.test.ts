// The same octets for our engine and for node:http2 (nghttp2): what keeps the rules, both understand alike, in either
// role; and of header blocks that are damaged, both refuse the same ones.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import * as http2 from 'node:http2';
import { connect, createServer } from 'node:net';
import type { AddressInfo, Server, Socket } from 'node:net';
import { describe, it } from 'node:test';
import { ClientConnection } from '../../src/h2/client-connection.ts';
import { clientPreface } from '../../src/h2/frames.ts';
import { http2Limits } from '../../src/h2/limits.ts';
import { ServerConnection } from '../../src/h2/server-connection.ts';
import type { HeaderBlock, ResponseHandler } from '../../src/h2/stream.ts';
import { frame, Http2Peer, settings } from '../../src/testing/http2-peer.ts';
import { ManualClock } from '../../src/testing/manual-clock.ts';
import { SeededRandom } from '../../src/testing/seeded-random.ts';
import { clientSession } from './client-session-generator.ts';
import { HpackWriter } from './hpack-writer.ts';
import type { Field } from './hpack-writer.ts';
import { serverSession, streamsOpenedFirst } from './server-session-generator.ts';
import type { SentMessage } from './session-writer.ts';

const sessionsPerRole = 60;
const damagedBlocks = 400;
const compressionError = 9;
/** What node:http2 has: no more than the default window before it reads. */
const limits = { ...http2Limits, streamWindowBytes: 65_535, idleFramesBurst: 10_000 };

/** A request or an answer as it was understood; bodies as hex, so that a difference can be read. */
interface Understood {
  readonly id: number;
  fields: readonly string[];
  body: string;
  trailers: readonly string[] | undefined;
}

function asUnderstood({ id, fields, body, trailers }: SentMessage): Understood {
  // A body that ends with an empty block of trailers ends like one without.
  return { id, fields: fields.flat(), body: body.toString('hex'), trailers: trailers === undefined || trailers.length === 0 ? undefined : trailers.flat() };
}

function byId(messages: Iterable<Understood>): Understood[] {
  return [...messages].toSorted((left, right) => left.id - right.id).map((one) => ({ ...one, trailers: one.trailers?.length === 0 ? undefined : one.trailers }));
}

async function listening(server: Server | http2.Http2Server): Promise<number> {
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return (server.address() as AddressInfo).port;
}

/** Reads a message of node:http2 to its end. */
function readMessage(stream: http2.Http2Stream, message: Understood, onEnd: () => void): void {
  stream.on('data', (bytes: Buffer) => (message.body += bytes.toString('hex')));
  stream.on('trailers', (_headers: unknown, _flags: number, raw: readonly string[]) => (message.trailers = raw));
  stream.on('end', onEnd);
}

async function requestsByNode(frames: readonly Buffer[], count: number): Promise<Understood[]> {
  const server = http2.createServer();
  const requests = new Map<number, Understood>();
  const done = Promise.withResolvers<void>();
  server.on('stream', (stream: http2.ServerHttp2Stream, _headers: unknown, _flags: number, raw: readonly string[]) => {
    const message: Understood = { id: stream.id ?? 0, fields: raw, body: '', trailers: undefined };
    readMessage(stream, message, () => {
      requests.set(message.id, message);
      if (requests.size === count) done.resolve();
    });
    stream.on('error', done.reject);
  });
  server.on('sessionError', done.reject);
  const socket = connect(await listening(server), '127.0.0.1');
  socket.on('close', () => done.reject(new Error(`node:http2 closed the connection after ${requests.size} of ${count} requests`)));
  socket.resume();
  socket.write(Buffer.concat(frames));
  try {
    if (count > 0) await done.promise;
  } finally {
    socket.destroy();
    server.close();
  }
  return byId(requests.values());
}

function requestsByUs(frames: readonly Buffer[]): Understood[] {
  const requests: Understood[] = [];
  const connection = new ServerConnection({
    acceptor: {
      onStream({ id }, { fields }) {
        const message: Understood = { id, fields, body: '', trailers: undefined };
        return {
          onData: (bytes) => (message.body += Buffer.from(bytes).toString('hex')),
          onEnd(trailers) {
            message.trailers = trailers?.fields;
            requests.push(message);
          },
          onReset: ({ code }) => assert.fail(`stream ${id} was reset with ${code}`),
          onDrained() {},
        };
      },
    },
    limits,
    clock: new ManualClock(),
    wake: () => {},
  });
  connection.receive(Buffer.concat(frames));
  assert.ok(!connection.isOver, 'the connection was ended');
  return byId(requests);
}

/** Answers to four requests without a body, as a client of node:http2 takes them. */
async function answersByNode(frames: readonly Buffer[]): Promise<Understood[]> {
  const server = createServer((socket: Socket) => {
    socket.on('error', () => {});
    let heard = Buffer.alloc(0);
    socket.on('data', (bytes: Buffer) => {
      const before = countHeaders(heard);
      heard = Buffer.concat([heard, bytes]);
      if (before < streamsOpenedFirst && countHeaders(heard) >= streamsOpenedFirst) socket.write(Buffer.concat(frames));
    });
  });
  const client = http2.connect(`http://127.0.0.1:${await listening(server)}`);
  const failed = Promise.withResolvers<never>();
  client.on('error', failed.reject);
  const answers = Array.from({ length: streamsOpenedFirst }, async () => {
    const stream = client.request({ ':method': 'GET', ':path': '/' });
    const done = Promise.withResolvers<Understood>();
    stream.on('error', done.reject);
    stream.on('response', (_headers: unknown, _flags: number, raw: readonly string[]) => {
      const message: Understood = { id: stream.id ?? 0, fields: raw, body: '', trailers: undefined };
      readMessage(stream, message, () => done.resolve(message));
    });
    return done.promise;
  });
  try {
    return byId(await Promise.race([Promise.all(answers), failed.promise]));
  } finally {
    client.destroy();
    server.close();
  }
}

/** Whole HEADERS frames of a client. */
function countHeaders(heard: Buffer): number {
  let count = 0;
  for (let at = clientPreface.length; heard.length - at >= 9; ) {
    const end = at + 9 + heard.readUIntBE(at, 3);
    if (heard[at + 3] === 1 && end <= heard.length) count++;
    at = end;
  }
  return count;
}

function answersByUs(frames: readonly Buffer[]): Understood[] {
  const client = new ClientConnection({ limits, clock: new ManualClock(), wake: () => {} });
  const answers: Understood[] = [];
  for (let index = 0; index < streamsOpenedFirst; index++) {
    const message: Understood = { id: 2 * index + 1, fields: [], body: '', trailers: undefined };
    const handler: ResponseHandler = {
      onHeaders: (headers: HeaderBlock) => (message.fields = headers.fields),
      onData: (bytes) => (message.body += Buffer.from(bytes).toString('hex')),
      onEnd(trailers) {
        message.trailers = trailers?.fields;
        answers.push(message);
      },
      onReset: ({ code }) => assert.fail(`stream ${message.id} was reset with ${code}`),
      onDrained() {},
    };
    client.open([[':method', 'GET'], [':scheme', 'http'], [':path', '/']], true, handler);
  }
  client.receive(Buffer.concat(frames));
  return byId(answers);
}

/** The code of the GOAWAY that a server of node:http2 answers with, or undefined when it takes everything. */
async function faultByNode(port: number, bytes: Buffer): Promise<number | undefined> {
  const socket = connect(port, '127.0.0.1');
  let heard = Buffer.alloc(0);
  const fault = Promise.withResolvers<number | undefined>();
  socket.on('data', (data: Buffer) => {
    heard = Buffer.concat([heard, data]);
    for (let at = 0; heard.length - at >= 9 && heard.length - at >= 9 + heard.readUIntBE(at, 3); at += 9 + heard.readUIntBE(at, 3)) {
      if (heard[at + 3] === 7) fault.resolve(heard.readUInt32BE(at + 13));
      // The answer to the PING that follows: whatever came before it was taken.
      if (heard[at + 3] === 6) fault.resolve(undefined);
    }
  });
  socket.on('error', () => {});
  socket.on('close', () => fault.resolve(-1));
  socket.write(bytes);
  try {
    return await fault.promise;
  } finally {
    socket.destroy();
  }
}

function faultByUs(bytes: Buffer): number | undefined {
  const peer = new Http2Peer({}, { raw: true });
  const sent = peer.send(bytes);
  return sent.find(({ type }) => type === 7)?.payload.readUInt32BE(4);
}

/** A block whose first part is right, with a few octets changed, left out or put in. */
function damagedBlock(random: SeededRandom): Buffer {
  const fields: Field[] = [[':method', 'GET'], [':scheme', 'http'], [':path', '/'], [':authority', 'a'], ['x-a', 'value'], ['x-a', 'value'], ['user-agent', '~'.repeat(random.integer(0, 40))]];
  const block = new HpackWriter(random).block(fields);
  const at = random.integer(0, block.length);
  const cut = random.integer(0, 3);
  const put = random.bytes(random.integer(0, 3));
  return Buffer.concat([block.subarray(0, at), put, block.subarray(at + cut)]);
}

describe('node:http2 and we understand the same', () => {
  it('of requests, in every form that a client may send them', async () => {
    for (let seed = 1; seed <= sessionsPerRole; seed++) {
      const { frames, requests } = clientSession(new SeededRandom(seed), limits, { steps: 40, completes: true });
      const expected = byId(requests.map(asUnderstood));
      assert.deepEqual(requestsByUs(frames), expected, `seed ${seed}, we`);
      assert.deepEqual(await requestsByNode(frames, requests.length), expected, `seed ${seed}, node:http2`);
    }
  });

  it('of answers, in every form that a server may send them', async () => {
    for (let seed = 1; seed <= sessionsPerRole; seed++) {
      const { frames, answers } = serverSession(new SeededRandom(seed), limits, { steps: 40, completes: true });
      const expected = byId(answers.map(asUnderstood));
      assert.deepEqual(answersByUs(frames), expected, `seed ${seed}, we`);
      assert.deepEqual(await answersByNode(frames), expected, `seed ${seed}, node:http2`);
    }
  });

  it('of header blocks that are damaged: both end the connection for the same ones (RFC 7541)', async () => {
    const server = http2.createServer();
    server.on('stream', (stream) => stream.on('error', () => {}).resume());
    server.on('sessionError', () => {});
    const port = await listening(server);
    const refused = { byBoth: 0, byNone: 0 };
    try {
      for (let seed = 1; seed <= damagedBlocks; seed++) {
        const block = damagedBlock(new SeededRandom(seed));
        const bytes = Buffer.concat([clientPreface, settings(), frame(1, 0x5, 1, block), frame(6, 0, 0, Buffer.alloc(8))]);
        const [ours, theirs] = [faultByUs(bytes), await faultByNode(port, bytes)];
        assert.equal(ours === compressionError, theirs === compressionError, `seed ${seed}: we ${ours}, node:http2 ${theirs}; ${block.toString('hex')}`);
        if (ours === compressionError) refused.byBoth++;
        else refused.byNone++;
      }
    } finally {
      server.close();
    }
    assert.ok(refused.byBoth > damagedBlocks / 10 && refused.byNone > damagedBlocks / 10, JSON.stringify(refused));
  });
});
