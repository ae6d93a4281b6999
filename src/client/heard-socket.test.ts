// What counts as a sign of life.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { Socket, SocketHandler } from '../base/socket.ts';
import { HeardSocket } from './heard-socket.ts';

/** The rest of a socket that a test drives by hand. */
class FakeSocket implements Socket {
  readonly peerName = 'fake';
  queuedBytes = 0;
  handler: SocketHandler | undefined;
  readonly calls: string[] = [];
  start(handler: SocketHandler): void {
    this.handler = handler;
  }
  write(slices: readonly Uint8Array[]): void {
    for (const { byteLength } of slices) this.queuedBytes += byteLength;
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
}

function heard(): { readonly inner: FakeSocket; readonly socket: HeardSocket; readonly events: string[] } {
  const inner = new FakeSocket();
  const socket = new HeardSocket(inner);
  const events: string[] = [];
  socket.start({ onData: ({ byteLength }) => events.push(`data ${byteLength}`), onEnd: () => events.push('end'), onDrain: () => events.push('drain'), onClose: (error) => events.push(`close ${String(error)}`) });
  return { inner, socket, events };
}

describe('HeardSocket', () => {
  it('passes everything on, both ways', () => {
    const { inner, socket, events } = heard();
    inner.handler?.onData(new Uint8Array(3));
    inner.handler?.onDrain();
    inner.handler?.onEnd();
    inner.handler?.onClose(new RangeError('x'));
    socket.pause();
    socket.resume();
    socket.end();
    socket.destroy();
    assert.deepEqual([events, inner.calls, socket.peerName], [['data 3', 'drain', 'end', 'close RangeError: x'], ['pause', 'resume', 'end', 'destroy'], 'fake']);
  });

  it('takes what is read for a sign of life, and what the kernel takes at once for none', () => {
    const { inner, socket } = heard();
    assert.equal(socket.takeSignOfLife(), false);
    inner.handler?.onData(new Uint8Array(1));
    assert.deepEqual([socket.takeSignOfLife(), socket.takeSignOfLife()], [true, false]);
    socket.write([new Uint8Array(100)]);
    inner.queuedBytes = 0; // the kernel takes much for a peer that is dead
    assert.equal(socket.takeSignOfLife(), false);
  });

  it('takes it for one that what waited goes, since there is room in the kernel only for what was received', () => {
    const { inner, socket } = heard();
    socket.write([new Uint8Array(100)]);
    assert.equal(socket.takeSignOfLife(), false);
    inner.queuedBytes = 40;
    assert.deepEqual([socket.takeSignOfLife(), socket.takeSignOfLife()], [true, false]);
  });

  it('blames nobody while this side does not read, unless what is to go out stands still', () => {
    const { inner, socket } = heard();
    socket.pause();
    assert.deepEqual([socket.takeSignOfLife(), socket.takeSignOfLife()], [true, true]);
    socket.write([new Uint8Array(100)]);
    assert.deepEqual([socket.takeSignOfLife(), socket.takeSignOfLife()], [false, false]);
    inner.queuedBytes = 0;
    assert.equal(socket.takeSignOfLife(), true);
    socket.resume();
    assert.equal(socket.takeSignOfLife(), false);
  });

  it('knows how the connection ended before anybody is told', () => {
    const loss = (end: (handler: SocketHandler | undefined) => void): string | undefined => {
      const { inner, socket } = heard();
      end(inner.handler);
      return socket.loss?.message;
    };
    assert.equal(heard().socket.loss, undefined);
    assert.equal(loss((handler) => handler?.onEnd()), 'the other side closed the connection');
    assert.equal(loss((handler) => handler?.onClose()), 'the connection was closed');
    assert.equal(loss((handler) => handler?.onClose(Object.assign(new Error('x'), { code: 'ECONNRESET' }))), 'the connection broke (ECONNRESET)');
    assert.equal(loss((handler) => (handler?.onEnd(), handler?.onClose(new Error('x')))), 'the other side closed the connection');
  });
});
