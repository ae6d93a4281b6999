// How a session treats its socket: how often it writes, when it reads, and how it ends.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { Socket, SocketHandler } from '../base/socket.ts';
import { headers, parseFrames, requestHeaders, settings, uint32, frame } from '../testing/http2-peer.ts';
import type { Frame } from '../testing/http2-peer.ts';
import { ManualClock } from '../testing/manual-clock.ts';
import { RecordedLog } from '../testing/recorded-log.ts';
import { clientPreface } from './frames.ts';
import { prepareHeaders } from './header-encoder.ts';
import { errorCode } from './error-code.ts';
import { http2Limits } from './limits.ts';
import { serveHttp2 } from './session.ts';
import type { Http2Session } from './session.ts';
import type { ServerStream, StreamHandler, StreamReset } from './stream.ts';

const ok = prepareHeaders([[':status', '200']]);

/** Records writes. `stuck` keeps what is written queued until `drain`. */
class FakeSocket implements Socket {
  readonly peerName = 'fake';
  readonly writes: Buffer[] = [];
  readonly calls: string[] = [];
  queuedBytes = 0;
  stuck = false;
  #handler: SocketHandler | undefined;

  get handler(): SocketHandler {
    assert.ok(this.#handler);
    return this.#handler;
  }
  start(handler: SocketHandler): void {
    this.#handler = handler;
  }
  write(slices: readonly Uint8Array[]): void {
    const bytes = Buffer.concat(slices);
    this.writes.push(bytes);
    if (this.stuck) this.queuedBytes += bytes.length;
  }
  pause(): void {
    this.calls.push('pause');
  }
  resume(): void {
    this.calls.push('resume');
  }
  end(): void {
    this.calls.push('end');
  }
  destroy(): void {
    this.calls.push('destroy');
  }
  drain(): void {
    this.stuck = false;
    this.queuedBytes = 0;
    this.handler.onDrain();
  }
}

interface Served {
  readonly socket: FakeSocket;
  readonly session: Http2Session;
  readonly streams: ServerStream[];
  readonly handlers: StreamHandler[];
  readonly resets: number[];
  readonly log: RecordedLog;
}

/** A session after both prefaces; `onEnd` answers complete requests. */
function serve(onEnd: (stream: ServerStream) => void, outputBytesMax = 100_000): Served {
  const socket = new FakeSocket();
  const streams: ServerStream[] = [];
  const handlers: StreamHandler[] = [];
  const resets: number[] = [];
  const log = new RecordedLog();
  const onStream = (stream: ServerStream): StreamHandler => {
    streams.push(stream);
    const handler = { onData: () => {}, onEnd: () => onEnd(stream), onReset: ({ code }: StreamReset) => resets.push(code), onDrained: () => {} };
    handlers.push(handler);
    return handler;
  };
  const session = serveHttp2(socket, { onStream }, { ...http2Limits, outputBytesMax }, { clock: new ManualClock(), log });
  socket.handler.onData(Buffer.concat([clientPreface, settings([4, 1_000_000]), frame(8, 0, 0, uint32(1_000_000)), frame(4, 1, 0)]));
  assert.equal(socket.writes.length, 2);
  socket.writes.length = 0;
  return { socket, session, streams, handlers, resets, log };
}

function written(socket: FakeSocket): Frame[] {
  return parseFrames(Buffer.concat(socket.writes));
}

async function microtasks(): Promise<void> {
  await new Promise((resolve) => setImmediate(resolve));
}

describe('session', () => {
  it('writes once for all that one input event caused', () => {
    const { socket } = serve((stream) => {
      stream.sendHeaders(ok, false);
      stream.sendData([Buffer.alloc(5), Buffer.alloc(72)], false);
      stream.sendTrailers([['grpc-status', '0']]);
    });
    socket.handler.onData(Buffer.concat([headers(1, true), headers(3, true), headers(5, true)]));
    assert.equal(socket.writes.length, 1);
    assert.equal(written(socket).length, 9);
  });

  it('writes once per turn for answers that come later', async () => {
    const { socket, streams } = serve(() => {});
    socket.handler.onData(Buffer.concat([headers(1, true), headers(3, true)]));
    assert.equal(socket.writes.length, 0);
    await Promise.all(streams.map(async (stream) => Promise.resolve().then(() => stream.sendHeaders(ok, true))));
    await microtasks();
    assert.equal(socket.writes.length, 1);
    assert.equal(written(socket).length, 2);
  });

  it('holds DATA back while the output backs up, and goes on afterwards; the client is heard meanwhile', () => {
    const { socket, streams } = serve((stream) => stream.sendHeaders(ok, false));
    socket.handler.onData(headers(1, true));
    socket.stuck = true;
    streams[0]?.sendData([Buffer.alloc(500_000)], true);
    socket.handler.onData(frame(6, 0, 0, Buffer.alloc(8)));
    const heldBack = socket.writes.reduce((sum, bytes) => sum + bytes.length, 0);
    assert.ok(heldBack < 200_000, `${heldBack} bytes written to a socket that takes none`);
    assert.deepEqual(socket.calls, []);
    socket.drain();
    const bytes = written(socket).filter(({ type }) => type === 0).reduce((sum, { payload }) => sum + payload.length, 0);
    assert.equal(bytes, 500_000);
  });

  it('stops reading when what is not DATA fills the output once more, and goes on afterwards', () => {
    const { socket, streams } = serve((stream) => stream.sendHeaders([[':status', '200'], ['long', 'x'.repeat(15_000)]], false));
    socket.stuck = true;
    for (let id = 1; socket.calls.length === 0 && id < 200; id += 2) {
      socket.handler.onData(headers(id, true));
      streams.at(-1)?.sendData([Buffer.alloc(50_000)], true);
    }
    assert.deepEqual(socket.calls, ['pause']);
    const heldBack = socket.writes.reduce((sum, bytes) => sum + bytes.length, 0);
    assert.ok(heldBack > 200_000 && heldBack < 300_000, `${heldBack} bytes written to a socket that takes none`);
    socket.drain();
    assert.deepEqual(socket.calls, ['pause', 'resume']);
    const bytes = written(socket).filter(({ type }) => type === 0).reduce((sum, { payload }) => sum + payload.length, 0);
    assert.equal(bytes, 50_000 * streams.length);
  });

  it('notices what has left without a word, and uses its buffer again', () => {
    const { socket } = serve((stream) => stream.sendHeaders(ok, true));
    const starts: number[] = [];
    const write = socket.write.bind(socket);
    socket.write = (slices) => {
      starts.push(...slices.map(({ byteOffset }) => byteOffset));
      write(slices);
    };
    socket.stuck = true; // as a TLS socket, which takes what it is given a little later
    for (let id = 1; id < 20; id += 2) {
      socket.handler.onData(headers(id, true));
      socket.queuedBytes = 0;
    }
    assert.deepEqual(starts.slice(1), Array.from({ length: 9 }, () => starts[1]));
  });

  it('HT-8: resets what is in progress when the client goes away', async () => {
    const { socket, session, resets } = serve(() => {});
    socket.handler.onData(Buffer.concat([headers(1, true), headers(3, false)]));
    socket.handler.onEnd();
    assert.deepEqual(resets, [8, 8]);
    assert.deepEqual(socket.calls, ['end']);
    socket.handler.onClose();
    await session.closed;
  });

  it('says why it ends a connection, and reads no more', () => {
    const { socket } = serve(() => {});
    socket.handler.onData(frame(9, 0, 1));
    assert.deepEqual(written(socket).map(({ type }) => type), [7]);
    assert.deepEqual(socket.calls, ['end']);
    socket.handler.onData(headers(1, true));
    assert.equal(socket.writes.length, 1);
    assert.deepEqual(socket.calls, ['end']);
  });

  it('HT-3: drains: GOAWAY, the streams in progress, then the end', async () => {
    const { socket, session, streams } = serve(() => {});
    socket.handler.onData(headers(1, true));
    const drained = session.drain();
    await microtasks();
    const [goaway, ping] = written(socket);
    assert.equal(goaway?.type, 7);
    socket.handler.onData(Buffer.concat([headers(3, true), frame(6, 1, 0, ping?.payload)]));
    assert.deepEqual(socket.calls, []);
    streams[0]?.sendHeaders(ok, true);
    await microtasks();
    assert.deepEqual(socket.calls, []);
    streams[1]?.sendHeaders(ok, true);
    await microtasks();
    assert.deepEqual(socket.calls, ['end']);
    assert.deepEqual(written(socket).map(({ type }) => type), [7, 6, 7, 1, 1]);
    socket.handler.onClose();
    await drained;
  });

  it('HT-3: drains a client without streams that answers no PING, once nothing new is taken', async () => {
    const { socket, session } = serve((stream) => stream.sendHeaders(ok, true));
    socket.handler.onData(headers(1, true));
    void session.drain();
    await microtasks();
    assert.deepEqual(socket.calls, []);
    session.refuseNew();
    await microtasks();
    assert.deepEqual(socket.calls, ['end']);
  });

  it('ERR-4: gives every stream a last answer when it is cut off, or says that it may be tried again', async () => {
    const { socket, session, streams, handlers } = serve(() => {});
    socket.handler.onData(Buffer.concat([headers(1, true), headers(3, true)]));
    Object.assign(handlers[0] ?? {}, { onCutOff: () => streams[0]?.sendHeaders(ok, true) });
    void session.drain();
    await microtasks();
    session.cutOff();
    const [, , answer, reset, goaway] = written(socket);
    assert.deepEqual([answer?.type, answer?.streamId], [1, 1]);
    assert.deepEqual([reset?.type, reset?.streamId, reset?.payload.readUInt32BE()], [3, 3, errorCode.refusedStream]);
    assert.equal(goaway?.type, 7);
    assert.deepEqual(socket.calls, ['end']);
    session.cutOff(); // twice does no harm
  });

  it('closes at once when told to', () => {
    const { socket, session, resets } = serve(() => {});
    socket.handler.onData(headers(1, true));
    session.close();
    assert.deepEqual(resets, [8]);
    assert.deepEqual(socket.calls, ['destroy']);
  });

  it('logs what a handler throws, and ends only its connection', () => {
    const { socket, log } = serve(() => {
      throw new Error('a bug above');
    });
    socket.handler.onData(headers(1, true, requestHeaders));
    assert.deepEqual(socket.calls, ['end']);
    assert.equal(written(socket).at(-1)?.type, 7);
    assert.match(log.errors[0]?.message ?? '', /a stream handler threw/);
  });

  it('does the same for a handler that throws when it is told that its queue has drained', async () => {
    const { socket, log, handlers, streams } = serve((stream) => stream.sendHeaders(ok, false));
    socket.handler.onData(headers(1, true));
    const [handler] = handlers;
    assert.ok(handler);
    handler.onDrained = () => {
      throw new Error('a bug above');
    };
    socket.stuck = true;
    streams[0]?.sendData([Buffer.alloc(500_000)], false);
    await microtasks();
    socket.drain();
    assert.equal(log.errors.length, 1);
    assert.deepEqual(socket.calls.at(-1), 'end');
  });

  it('survives handlers that throw when they are told of the end, and tells the others', async () => {
    const ends: readonly ((served: Served) => void)[] = [
      ({ socket }) => socket.handler.onEnd(),
      ({ socket }) => socket.handler.onData(frame(0, 0, 0)),
      ({ session }) => session.cutOff(),
      ({ session }) => session.close(),
      ({ socket }) => socket.handler.onData(headers(5, true)), // whose handler throws first
      () => {},
    ];
    for (const [index, end] of ends.entries()) {
      let calls = 0;
      const served = serve(() => {
        calls += 1;
        if (calls === 3) throw new Error('a bug above');
      });
      const { socket, session, handlers, resets, log } = served;
      socket.handler.onData(Buffer.concat([headers(1, true), headers(3, true)]));
      const throws = () => {
        throw new Error('a bug in the end');
      };
      Object.assign(handlers[0] ?? {}, { onReset: throws });
      end(served);
      socket.handler.onClose();
      await session.closed;
      assert.ok(resets.length >= 1, `end ${index}: the other one is told`);
      assert.match(log.errors.map(({ cause }) => String(cause)).join(), /a bug in the end/, `end ${index}`);
    }
  });

  it('survives a handler that throws when a look ends its connection', () => {
    const { socket, session, handlers, log } = serve(() => {});
    Object.assign(socket, { traffic: { receivedBytes: 100, sentBytes: 100 } });
    socket.handler.onData(Buffer.concat([headers(1, false), frame(1, 0, 3)])); // the block of the second never ends
    Object.assign(handlers[0] ?? {}, {
      onReset: () => {
        throw new Error('a bug in the end');
      },
    });
    for (const nowMs of [2_000_000, 2_100_000]) session.look(nowMs, false);
    assert.deepEqual(log.errors.map(({ cause }) => String(cause)), ['Error: a bug in the end']);
  });
});
