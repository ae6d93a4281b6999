// What a connection keeps, counted in the budget: answers that wait for windows and for the socket, bodies, unfinished header
// blocks; and that it reads nothing while the budget is used up, and is ended when it stands still then.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { ByteBudget, unboundedByteBudget } from '../base/byte-budget.ts';
import { byteSourceOf } from '../base/byte-source.ts';
import type { HttpExchange } from '../base/http-exchange.ts';
import type { Socket, SocketHandler } from '../base/socket.ts';
import { data, frame, headers, settings, uint32 } from '../testing/http2-peer.ts';
import { ManualClock } from '../testing/manual-clock.ts';
import { RecordedLog } from '../testing/recorded-log.ts';
import { seededRandom } from '../testing/seeded-random.ts';
import { clientPreface } from './frames.ts';
import { httpAcceptor } from './http-acceptor.ts';
import { http2Limits } from './limits.ts';
import { serveHttp2 } from './session.ts';
import type { Http2Session } from './session.ts';
import type { OutgoingHeaders } from './stream.ts';

const mebibyte = 1024 * 1024;
const put: OutgoingHeaders = [[':method', 'PUT'], [':scheme', 'http'], [':path', '/']];
const windowUpdate = (streamId: number, bytes: number): Buffer => frame(8, 0, streamId, uint32(bytes));

/** Takes `roomBytes` of what is written, and keeps the rest queued until there is more room. */
class NarrowSocket implements Socket {
  readonly peerName = 'fake';
  queuedBytes = 0;
  isPaused = false;
  isDestroyed = false;
  roomBytes = Infinity;
  #handler: SocketHandler | undefined;

  start(handler: SocketHandler): void {
    this.#handler = handler;
  }
  receive(...bytes: Uint8Array[]): void {
    if (!this.isDestroyed) this.#handler?.onData(Buffer.concat(bytes));
  }
  write(slices: readonly Uint8Array[]): void {
    for (const { length } of slices) this.queuedBytes += length;
    this.#pass();
  }
  room(bytes: number): void {
    this.roomBytes += bytes;
    this.#pass();
    if (this.queuedBytes === 0 && !this.isDestroyed) this.#handler?.onDrain();
  }
  pause(): void {
    this.isPaused = true;
  }
  resume(): void {
    this.isPaused = false;
  }
  end(): void {
    this.destroy();
  }
  destroy(): void {
    if (this.isDestroyed) return;
    this.isDestroyed = true;
    queueMicrotask(() => this.#handler?.onClose());
  }
  #pass(): void {
    const bytes = Math.min(this.queuedBytes, this.roomBytes);
    this.queuedBytes -= bytes;
    this.roomBytes -= bytes;
  }
}

interface Served {
  readonly socket: NarrowSocket;
  readonly session: Http2Session;
  readonly budget: ByteBudget;
}

/** Each request is answered by `handler`; the preface has been exchanged. */
function serve(budget: ByteBudget, handler: (exchange: HttpExchange) => Promise<void>, limits = http2Limits): Served {
  const socket = new NarrowSocket();
  const log = new RecordedLog();
  const acceptor = httpAcceptor(handler, { unreadBodyBytesMax: mebibyte }, { httpDate: () => 'now', log, budget });
  const session = serveHttp2(socket, acceptor, limits, { clock: new ManualClock(), log, budget });
  socket.receive(clientPreface, settings(), frame(4, 1, 0));
  return { socket, session, budget };
}

/** What was begun has run as far as it gets. */
async function settle(): Promise<void> {
  for (let turns = 0; turns < 3; turns += 1) await new Promise((resolve) => setImmediate(resolve));
}

const answerWith = (bytes: number) => (exchange: HttpExchange): Promise<void> => exchange.respond(200, {}, new Uint8Array(bytes));

describe('memory of an HTTP/2 connection', () => {
  it('is what an answer has queued for the windows of the client, less what they let out', async () => {
    const { socket, budget } = serve(unboundedByteBudget(), answerWith(500_000));
    socket.receive(headers(1, true));
    await settle();
    assert.equal(budget.usedBytes, 500_000 - 65_535);
    socket.receive(windowUpdate(1, 1_000_000), windowUpdate(0, 100_000));
    await settle();
    assert.equal(budget.usedBytes, 400_000 - 65_535);
    socket.receive(windowUpdate(0, 1_000_000));
    await settle();
    assert.equal(budget.usedBytes, 0);
  });

  it('is what the socket has not taken', async () => {
    const { socket, budget } = serve(unboundedByteBudget(), answerWith(60_000));
    socket.roomBytes = 0;
    socket.receive(headers(1, true));
    await settle();
    assert.ok(budget.usedBytes >= 60_000);
    assert.equal(budget.usedBytes, socket.queuedBytes);
    socket.room(100_000);
    await settle();
    assert.equal(budget.usedBytes, 0);
  });

  it('is a body that nobody takes, and the part of a frame or of a header block that has come', async () => {
    let take = (): void => {};
    const taken = new Promise<void>((resolve) => (take = resolve));
    const { socket, budget } = serve(unboundedByteBudget(), async (exchange) => {
      await taken;
      for await (const _ of exchange.body());
      await exchange.respond(200);
    });
    socket.receive(headers(1, false, put), data(1, false, 10_000));
    assert.equal(budget.usedBytes, 10_000);
    take();
    await settle();
    assert.equal(budget.usedBytes, 0);
    socket.receive(data(1, true, 10_000));
    await settle();
    assert.equal(budget.usedBytes, 0);
    const block = headers(3, true);
    socket.receive(block.subarray(0, 10));
    assert.equal(budget.usedBytes, block.length - 9);
    socket.receive(block.subarray(10));
    await settle();
    assert.equal(budget.usedBytes, 0);
    socket.receive(frame(1, 0, 5, new Uint8Array(1_000)));
    assert.equal(budget.usedBytes, 1_000, 'CONTINUATION must follow');
  });

  it('is nothing after a reset, after the answer to a body that was not read, and after the end of the connection', async () => {
    const { socket, budget, session } = serve(unboundedByteBudget(), answerWith(500_000));
    socket.receive(headers(1, true), headers(3, false, put), data(3, true, 10_000), headers(5, false, put), data(5, false, 10_000));
    await settle();
    assert.equal(budget.usedBytes, 3 * 500_000 - 65_535 + 20_000, 'answers, and bodies that are dropped behind them');
    socket.receive(frame(3, 0, 1, uint32(8)));
    await settle();
    assert.equal(budget.usedBytes, 2 * 500_000 + 20_000);
    session.close();
    await settle();
    assert.equal(budget.usedBytes, 0);
  });

  it('ERR-4: a body that grows although little is left is refused with 503', async () => {
    let status = 0;
    const budget = new ByteBudget({ maxBytes: 16 * mebibyte, waitersMax: 10 });
    const { socket } = serve(budget, async (exchange) => {
      await settle();
      try {
        for await (const _ of exchange.body());
      } catch (thrown) {
        status = (thrown as { code?: string }).code === 'unavailable' ? 503 : 500;
        await exchange.respond(status);
      }
    });
    const block = Array.from({ length: 5 }, () => data(1, false, 16_000));
    socket.receive(headers(1, false, put), ...block);
    budget.take(14 * mebibyte);
    socket.receive(data(1, false, 16_000));
    assert.equal(budget.usedBytes, 14 * mebibyte);
    await settle();
    await settle();
    assert.equal(status, 503);
  });

  it('stops reading when all is used, whoever uses it, and goes on when there is room again', async () => {
    const budget = new ByteBudget({ maxBytes: 16 * mebibyte, waitersMax: 10 });
    const { socket } = serve(budget, answerWith(10));
    const other = serve(budget, answerWith(10));
    assert.equal(socket.isPaused, false);
    budget.take(16 * mebibyte);
    assert.deepEqual([socket.isPaused, other.socket.isPaused], [true, true]);
    const late = serve(budget, answerWith(10));
    assert.equal(late.socket.isPaused, true);
    budget.give(mebibyte);
    await settle();
    assert.equal(socket.isPaused, true, 'not before there is room to speak of');
    budget.give(2 * mebibyte);
    await settle();
    assert.deepEqual([socket.isPaused, other.socket.isPaused, late.socket.isPaused], [false, false, false]);
  });

  it('does not read on for the sake of the budget while its own output backs up', async () => {
    const budget = new ByteBudget({ maxBytes: 64 * mebibyte, waitersMax: 10 });
    const { socket } = serve(budget, answerWith(2 * mebibyte), { ...http2Limits, outputBytesMax: 1_000 }); // passed by the first frame
    socket.roomBytes = 0;
    socket.receive(settings([4, 2 ** 31 - 1]), windowUpdate(0, 2 ** 30), headers(1, true));
    await settle();
    assert.equal(socket.isPaused, true);
    budget.take(64 * mebibyte);
    budget.give(64 * mebibyte);
    await settle();
    assert.equal(socket.isPaused, true);
    socket.room(Infinity);
    await settle();
    assert.equal(socket.isPaused, false);
    assert.equal(budget.usedBytes, 0);
  });
});

describe('eviction for memory', () => {
  const never = (): boolean => false;

  it('resets streams whose client has taken nothing since the last look, and no others', async () => {
    const { socket, session, budget } = serve(unboundedByteBudget(), answerWith(500_000));
    socket.receive(windowUpdate(0, mebibyte), headers(1, true), headers(3, true), headers(5, true));
    await settle();
    assert.equal(session.evictStalled(never), 0, 'the first look notes where they are');
    socket.receive(windowUpdate(1, 100));
    assert.equal(session.evictStalled(() => true), 0, 'there is enough');
    socket.receive(windowUpdate(1, 100));
    assert.equal(session.evictStalled(never), 2);
    assert.equal(session.streamCount, 1);
    assert.ok(budget.usedBytes < 500_000);
  });

  it('leaves a request alone that waits for its handler, and ends one that waits for its client', async () => {
    const outcomes: string[] = [];
    const { socket, session } = serve(unboundedByteBudget(), async (exchange) => {
      if (exchange.target === '/reads') {
        try {
          for await (const _ of exchange.body());
        } catch (thrown) {
          outcomes.push((thrown as { code: string }).code);
          await exchange.respond(503);
        }
      } else await new Promise(() => {});
    });
    socket.receive(headers(1, false, put), data(1, false, 1_000), headers(3, false, [[':method', 'PUT'], [':scheme', 'http'], [':path', '/reads']]), data(3, false, 1_000));
    await settle();
    assert.equal(session.evictStalled(never), 0);
    assert.equal(session.evictStalled(never), 1);
    await settle();
    assert.deepEqual(outcomes, ['unavailable']);
  });

  it('leaves a connection alone whose client takes a part of a large write', async () => {
    const { socket, session } = serve(unboundedByteBudget(), answerWith(60_000));
    const traffic = { receivedBytes: 0, sentBytes: 0 };
    Object.assign(socket, { roomBytes: 0, traffic });
    socket.receive(headers(1, true));
    await settle();
    assert.equal(session.evictStalled(never), 0);
    traffic.sentBytes += 100; // of which `queuedBytes` knows nothing before all of the write has gone
    assert.equal(session.evictStalled(never), 0);
    assert.equal(session.evictStalled(never), 1);
  });

  it('closes a connection that takes nothing of what was written', async () => {
    const { socket, session, budget } = serve(unboundedByteBudget(), answerWith(60_000));
    socket.roomBytes = 0;
    socket.receive(headers(1, true));
    await settle();
    assert.equal(session.evictStalled(never), 0);
    socket.room(100);
    assert.equal(session.evictStalled(never), 0, 'it took something');
    assert.equal(session.evictStalled(never), 1);
    assert.equal(socket.isDestroyed, true);
    assert.equal(budget.usedBytes, 0);
  });
});

describe('memory of HTTP/2 connections under random schedules', () => {
  it('balances to nothing however requests, windows, sockets and connections come and go', async (t) => {
    const random = seededRandom(t);
    for (let round = 0; round < 10; round += 1) {
      const budget = new ByteBudget({ maxBytes: 16 * mebibyte, waitersMax: 100 });
      const handler = async (exchange: HttpExchange): Promise<void> => {
        if (random.integer(0, 1) === 0) await settle();
        const chunks = exchange.body()[Symbol.asyncIterator]();
        try {
          for (let left = random.integer(0, 20); left > 0 && (await chunks.next()).done !== true; left -= 1);
        } catch {
          if (exchange.signal.aborted) return;
        }
        await exchange.respond(200, {}, byteSourceOf(new Uint8Array(random.pick([0, 100, 70_000, 400_000]))));
      };
      const connections = Array.from({ length: 6 }, () => ({ ...serve(budget, handler), nextId: 1, open: [] as number[] }));
      for (let step = 0; step < 400; step += 1) {
        const connection = random.pick(connections);
        const { socket, session } = connection;
        const streamId = connection.open.length === 0 ? undefined : random.pick(connection.open);
        switch (random.integer(0, 10)) {
          case 0:
          case 1:
            socket.receive(headers(connection.nextId, false, put));
            connection.open.push(connection.nextId);
            connection.nextId += 2;
            break;
          case 2:
          case 3:
            if (streamId !== undefined) socket.receive(data(streamId, false, random.integer(1, 16_000)));
            break;
          case 4:
            if (streamId === undefined) break;
            socket.receive(data(streamId, true, random.integer(0, 100)));
            connection.open = connection.open.filter((id) => id !== streamId);
            break;
          case 5:
            socket.receive(windowUpdate(0, random.integer(1, 200_000)));
            break;
          case 6:
            if (connection.nextId > 1) socket.receive(windowUpdate(random.integer(0, (connection.nextId - 3) / 2) * 2 + 1, random.integer(1, 200_000)));
            break;
          case 7:
            socket.roomBytes = random.pick([0, 1_000, Infinity]);
            break;
          case 8:
            socket.room(random.integer(1, 100_000));
            break;
          case 9:
            if (random.integer(0, 9) === 0) session.evictStalled(() => random.integer(0, 1) === 0);
            else if (streamId !== undefined) {
              socket.receive(frame(3, 0, streamId, uint32(8)));
              connection.open = connection.open.filter((id) => id !== streamId);
            }
            break;
          default:
            await settle();
        }
      }
      await settle();
      for (const { session } of connections) session.close();
      await settle();
      await settle();
      assert.equal(budget.usedBytes, 0, `round ${round}`);
      assert.equal(budget.isExhausted, false);
    }
  });
});
