// The Socket port over real connections, with the reused input buffer and without.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import * as net from 'node:net';
import { describe, it } from 'node:test';
import type { Socket, SocketHandler } from '../base/socket.ts';
import { seededRandom } from '../testing/seeded-random.ts';
import { nodeSocket } from './node-socket.ts';

/** Copies what it is given and writes down what happens. */
class Recorder implements SocketHandler {
  readonly received: Buffer[] = [];
  readonly events: string[] = [];
  readonly closed = Promise.withResolvers<Error | undefined>();
  #wake: (() => void) | undefined;

  onData(bytes: Uint8Array): void {
    this.received.push(Buffer.from(bytes));
    this.#wake?.();
  }
  onEnd(): void {
    this.events.push('end');
    this.#wake?.();
  }
  onDrain(): void {
    this.events.push('drain');
    this.#wake?.();
  }
  onClose(error?: Error): void {
    this.events.push('close');
    this.closed.resolve(error);
  }

  get bytes(): Buffer {
    return Buffer.concat(this.received);
  }
  /** Resolves when something happened that makes `condition` true. */
  async until(condition: () => boolean): Promise<void> {
    while (!condition()) await new Promise<void>((resolve) => (this.#wake = resolve));
  }
}

interface Pair extends AsyncDisposable {
  readonly server: net.Server;
  readonly client: net.Socket;
  readonly accepted: net.Socket;
  readonly socket: Socket;
  readonly handler: Recorder;
}

/** A connection; `moves` is false when the port has to do without the reused buffer. */
async function connect(moves: boolean, initialBytes?: Uint8Array): Promise<Pair> {
  const server = net.createServer({ allowHalfOpen: true });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const client = net.connect((server.address() as net.AddressInfo).port, '127.0.0.1');
  const [accepted] = (await once(server, 'connection')) as [net.Socket];
  if (!moves) Object.defineProperty(accepted, 'constructor', { value: class Other {} });
  const handler = new Recorder();
  const socket = nodeSocket(accepted, initialBytes);
  socket.start(handler);
  return {
    server,
    client,
    accepted,
    socket,
    handler,
    async [Symbol.asyncDispose]() {
      client.destroy();
      socket.destroy();
      server.close();
      if (server.listening) await once(server, 'close');
    },
  };
}

for (const moves of [true, false]) {
  describe(`node socket ${moves ? 'with the reused buffer' : 'with data events'}`, () => {
    it('gives the bytes that were read before first, and none from within start', async () => {
      await using pair = await connect(moves, Buffer.from('first '));
      assert.deepEqual(pair.handler.received, []);
      pair.client.write('second');
      await pair.handler.until(() => pair.handler.bytes.length === 12);
      assert.equal(pair.handler.bytes.toString(), 'first second');
    });

    it('writes slices in order as one unit, however many, and counts what is still queued', async (t) => {
      const random = seededRandom(t);
      await using pair = await connect(moves);
      const got: Buffer[] = [];
      pair.client.on('data', (chunk: Buffer) => got.push(chunk));
      const sent = Array.from({ length: 300 }, () => random.bytes(random.pick([0, 1, 9, 20_000])));
      pair.socket.write(sent.slice(0, 1));
      pair.socket.write(sent.slice(1));
      pair.socket.write([]);
      pair.socket.end();
      await once(pair.client, 'end');
      assert.equal(Buffer.compare(Buffer.concat(got), Buffer.concat(sent)), 0);
      assert.equal(pair.socket.queuedBytes, 0);
    });

    it('tells when what backed up has left', async () => {
      await using pair = await connect(moves);
      pair.client.pause();
      while (pair.socket.queuedBytes < 1_000_000) pair.socket.write([Buffer.alloc(500_000), Buffer.alloc(500_000)]);
      pair.client.resume();
      await pair.handler.until(() => pair.handler.events.includes('drain'));
      assert.equal(pair.socket.queuedBytes, 0);
    });

    it('stops and goes on reading, and loses nothing', async (t) => {
      const random = seededRandom(t);
      await using pair = await connect(moves);
      const sent = random.bytes(3_000_000);
      pair.client.end(sent);
      let pauses = 0;
      await pair.handler.until(() => {
        pair.socket.pause();
        setImmediate(() => pair.socket.resume());
        pauses++;
        return pair.handler.events.includes('end');
      });
      assert.ok(pauses > 3);
      assert.equal(Buffer.compare(pair.handler.bytes, sent), 0);
    });

    it('lets others have their turn when what a peer sends costs much time', async () => {
      await using pair = await connect(moves);
      let turn = 0;
      let lastPieceIn = -1;
      let piecesInOneTurn = 0;
      let most = 0;
      const count = (): void => {
        turn += 1;
        if (!pair.handler.events.includes('end')) setImmediate(count);
      };
      setImmediate(count);
      pair.handler.onData = (bytes) => {
        pair.handler.received.push(Buffer.from(bytes));
        piecesInOneTurn = turn === lastPieceIn ? piecesInOneTurn + 1 : 1;
        lastPieceIn = turn;
        most = Math.max(most, piecesInOneTurn);
        const beganMs = performance.now();
        while (performance.now() - beganMs < 2);
      };
      const sent = Buffer.alloc(8_000_000, 'x');
      pair.client.end(sent);
      await pair.handler.until(() => pair.handler.events.includes('end'));
      assert.equal(Buffer.compare(pair.handler.bytes, sent), 0);
      assert.ok(most <= 2, `${most} pieces came in one turn`);
    });

    it('begins no turn while it is paused, and none early when it is resumed within one', async () => {
      await using pair = await connect(moves);
      const sent = Buffer.alloc(3_000_000, 'x');
      let turn = 0;
      let lastPieceIn = -1;
      let piecesInOneTurn = 0;
      let most = 0;
      let receivedBytes = 0;
      let pausedInTurn: number | undefined;
      pair.handler.onData = (bytes) => {
        assert.equal(pausedInTurn, undefined, 'nothing comes while it is paused');
        receivedBytes += bytes.length;
        piecesInOneTurn = turn === lastPieceIn ? piecesInOneTurn + 1 : 1;
        lastPieceIn = turn;
        most = Math.max(most, piecesInOneTurn);
        const beganMs = performance.now();
        while (performance.now() - beganMs < 1);
        pair.socket.pause();
        if (receivedBytes >= 1_000_000 && receivedBytes < sent.length) pausedInTurn = turn;
        else queueMicrotask(() => pair.socket.resume());
      };
      const count = (): void => {
        turn += 1;
        if (pausedInTurn !== undefined && turn > pausedInTurn + 20) {
          pausedInTurn = undefined;
          pair.socket.resume();
        }
        if (receivedBytes < sent.length) setImmediate(count);
      };
      setImmediate(count);
      pair.client.end(sent);
      await pair.handler.until(() => pair.handler.events.includes('end'));
      assert.equal(receivedBytes, sent.length);
      assert.ok(most <= 2, `${most} pieces came in one turn`);
    });

    it('sees the end of the peer, sends its own and closes once; the server counts it', async () => {
      await using pair = await connect(moves);
      pair.client.end('bye');
      await pair.handler.until(() => pair.handler.events.includes('end'));
      pair.socket.write([Buffer.from('answer')]);
      pair.socket.end();
      pair.socket.end();
      const [text] = (await once(pair.client, 'data')) as [Buffer];
      assert.equal(text.toString(), 'answer');
      assert.equal(await pair.handler.closed.promise, undefined);
      assert.deepEqual(pair.handler.events, ['end', 'close']);
      pair.socket.write([Buffer.from('late')]);
      pair.socket.pause();
      pair.socket.resume();
      pair.socket.destroy();
      const closed = once(pair.server, 'close');
      pair.server.close();
      await closed;
    });

    it('tells of a connection that breaks', async () => {
      await using pair = await connect(moves);
      pair.client.resetAndDestroy();
      const error = await pair.handler.closed.promise;
      assert.equal((error as NodeJS.ErrnoException | undefined)?.code, 'ECONNRESET');
    });

    it('closes a peer that never ends its side, some time after the end was sent', async () => {
      const server = net.createServer({ allowHalfOpen: true });
      server.listen(0, '127.0.0.1');
      await once(server, 'listening');
      const client = net.connect({ port: (server.address() as net.AddressInfo).port, host: '127.0.0.1', allowHalfOpen: true });
      const [accepted] = (await once(server, 'connection')) as [net.Socket];
      if (!moves) Object.defineProperty(accepted, 'constructor', { value: class Other {} });
      const handler = new Recorder();
      const socket = nodeSocket(accepted);
      socket.start(handler);
      socket.end();
      client.resume();
      client.on('error', () => {});
      const keepAlive = setInterval(() => {}, 1_000); // the port's own timer keeps no process alive
      await handler.closed.promise;
      clearInterval(keepAlive);
      client.destroy();
      server.close();
    });

    it('sends a last answer to its end, however slowly it is taken, as long as it is', async () => {
      await using pair = await connect(moves);
      const total = 48 * 1024 * 1024; // far more than the system takes at once
      let received = 0;
      pair.client.on('data', (bytes: Buffer) => {
        received += bytes.length;
        pair.client.pause();
      });
      const reading = setInterval(() => pair.client.resume(), 5); // some 12 MiB a second
      pair.socket.write([Buffer.alloc(total)]);
      pair.socket.end();
      await once(pair.client, 'end');
      clearInterval(reading);
      assert.equal(received, total);
    });

    it('tells of the end also when the connection was closed before it began', async () => {
      const server = net.createServer();
      server.listen(0, '127.0.0.1');
      await once(server, 'listening');
      const client = net.connect((server.address() as net.AddressInfo).port, '127.0.0.1');
      const [accepted] = (await once(server, 'connection')) as [net.Socket];
      accepted.destroy();
      await once(accepted, 'close');
      const handler = new Recorder();
      nodeSocket(accepted).start(handler);
      await handler.closed.promise;
      assert.deepEqual(handler.events, ['close']);
      client.destroy();
      server.close();
    });
  });
}

it('names its peer', async () => {
  await using pair = await connect(true);
  assert.equal(pair.socket.peerName, `127.0.0.1:${pair.client.localPort}`);
});

it('reads every connection through one buffer, without mixing them', async (t) => {
  const random = seededRandom(t);
  const pairs = await Promise.all(Array.from({ length: 8 }, () => connect(true)));
  const sent = pairs.map(() => random.bytes(random.integer(100_000, 900_000)));
  pairs.forEach(({ client }, index) => client.end(sent[index] ?? Buffer.alloc(0)));
  await Promise.all(pairs.map(({ handler }) => handler.until(() => handler.events.includes('end'))));
  pairs.forEach(({ handler }, index) => assert.equal(Buffer.compare(handler.bytes, sent[index] ?? Buffer.alloc(0)), 0));
  for (const pair of pairs) await pair[Symbol.asyncDispose]();
});
