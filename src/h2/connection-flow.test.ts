// Flow control both ways, and what is done when the socket below does not keep up (RFC 9113 §5.2, §6.9).
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { Http2Peer, data, frame, headers, settings, uint32 } from '../testing/http2-peer.ts';
import type { Frame } from '../testing/http2-peer.ts';
import { errorCode } from './error-code.ts';
import { prepareHeaders } from './header-encoder.ts';

const ok = prepareHeaders([[':status', '200']]);

function windowUpdate(id: number, increment: number): Buffer {
  return frame(8, 0, id, uint32(increment));
}

function dataBytes(frames: readonly Frame[], id?: number): number {
  return frames.filter(({ type, streamId }) => type === 0 && (id === undefined || id === streamId)).reduce((sum, { payload }) => sum + payload.length, 0);
}

function code(frames: readonly Frame[], type: 3 | 7): number | undefined {
  return frames.find((sent) => sent.type === type)?.payload.readUInt32BE(type === 3 ? 0 : 4);
}

/** A peer whose requests 1, 3, ... are answered with that many bytes each. */
function peerAsking(streams: number, bytes: number, ...first: Buffer[]): { peer: Http2Peer; sent: Frame[] } {
  const peer = new Http2Peer();
  peer.onEnd = ({ stream }) => {
    stream.sendHeaders(ok, false);
    stream.sendData([new Uint8Array(bytes)], false);
    stream.sendTrailers([['t', '1']]);
  };
  const sent = peer.send(...first, ...Array.from({ length: streams }, (_, index) => headers(2 * index + 1, true)));
  return { peer, sent };
}

describe('flow control: sending', () => {
  it('sends no more than both windows allow, in frames of the size allowed, trailers last', () => {
    const { peer, sent } = peerAsking(1, 100_000);
    assert.equal(dataBytes(sent), 65_535);
    assert.ok(sent.every(({ payload }) => payload.length <= 16_384));
    assert.equal(peer.stream().stream.queuedBytes, 100_000 - 65_535);
    assert.equal(dataBytes(peer.send(windowUpdate(0, 1_000_000))), 0);
    assert.equal(dataBytes(peer.send(windowUpdate(1, 4_465))), 4_465);
    const last = peer.send(windowUpdate(1, 100_000));
    assert.equal(dataBytes(last), 30_000);
    assert.equal(last.at(-1)?.type, 1);
    assert.deepEqual(peer.stream().events, ['end', 'drained']);
    assert.equal(peer.connection.streamCount, 0);
  });

  it('tells when a queue has drained, and not from within sendData', () => {
    const peer = new Http2Peer();
    peer.send(headers(1, true));
    const { stream, events } = peer.stream();
    stream.sendHeaders(ok, false);
    stream.sendData([new Uint8Array(65_535)], false);
    assert.equal(stream.queuedBytes, 0);
    stream.sendData([new Uint8Array(10)], false);
    assert.equal(stream.queuedBytes, 10);
    assert.deepEqual(events, ['end']);
    peer.send(windowUpdate(0, 100), windowUpdate(1, 9));
    assert.deepEqual(events, ['end']);
    peer.send(windowUpdate(1, 1));
    assert.deepEqual(events, ['end', 'drained']);
  });

  it('ends a stream with its last DATA frame', () => {
    const peer = new Http2Peer();
    peer.send(settings([4, 10]), headers(1, true));
    peer.stream().stream.sendHeaders(ok, false);
    peer.stream().stream.sendData([new Uint8Array(7), new Uint8Array(8)], true);
    assert.equal(dataBytes(peer.take()), 10);
    const last = peer.send(windowUpdate(1, 100));
    assert.deepEqual(last.map(({ type, flags, payload }) => [type, flags, payload.length]), [[0, 1, 5]]);
  });

  it('sends an empty end without any window', () => {
    const peer = new Http2Peer();
    peer.send(settings([4, 0]), headers(1, true));
    peer.stream().stream.sendHeaders(ok, false);
    peer.stream().stream.sendData([], true);
    assert.deepEqual(peer.take().map(({ type, flags }) => [type, flags]), [[1, 4], [0, 1]]);
  });

  it('shares a small connection window among all streams', () => {
    const { peer, sent } = peerAsking(4, 200_000, settings([4, 1_000_000]));
    assert.equal(dataBytes(sent), 65_535);
    let frames: Frame[] = [];
    for (let round = 0; round < 12; round++) frames = frames.concat(peer.send(windowUpdate(0, 65_536)));
    for (const id of [1, 3, 5, 7]) assert.ok(dataBytes(frames, id) >= 100_000, `stream ${id} got ${dataBytes(frames, id)}`);
    assert.equal(dataBytes(frames) + dataBytes(sent), 4 * 200_000);
  });

  it('lets windows go negative when the peer lowers them, and rechecks all streams when it raises them', () => {
    const { peer, sent } = peerAsking(3, 30_000, windowUpdate(0, 1_000_000), settings([4, 20_000]));
    assert.equal(dataBytes(sent), 60_000);
    assert.equal(dataBytes(peer.send(settings([4, 100]))), 0); // -19,900 each
    assert.equal(dataBytes(peer.send(windowUpdate(1, 19_900))), 0);
    assert.equal(dataBytes(peer.send(windowUpdate(1, 1))), 1);
    assert.equal(dataBytes(peer.send(settings([4, 40_000]))), 3 * 10_000 - 1);
    assert.equal(peer.connection.streamCount, 0);
  });

  it('refuses windows above 2^31-1, on a stream, on the connection, and by SETTINGS', () => {
    const peer = new Http2Peer();
    peer.send(headers(1, false));
    assert.equal(code(peer.send(windowUpdate(1, 0x7fff_ffff)), 3), errorCode.flowControlError);
    assert.equal(code(peer.send(windowUpdate(0, 0x7fff_ffff)), 7), errorCode.flowControlError);
    const other = new Http2Peer();
    other.send(headers(1, false), windowUpdate(1, 0x7fff_0000));
    assert.equal(code(other.send(settings([4, 0x7fff_ffff])), 7), errorCode.flowControlError);
  });

  it('drops what is queued when the stream is reset, and gives others the window', () => {
    const { peer } = peerAsking(2, 60_000, settings([4, 100_000]));
    assert.equal(dataBytes(peer.send(frame(3, 0, 1, uint32(8)))), 0);
    assert.equal(dataBytes(peer.send(windowUpdate(0, 100_000)), 1), 0);
    assert.equal(peer.connection.streamCount, 0);
  });
});

describe('flow control: WINDOW_UPDATE that asks for nothing (HT-12)', () => {
  it('HT-12: ends a connection that gives credit for nothing, on the connection, on streams and on closed ones', () => {
    for (const id of [0, 1, 3]) {
      const peer = new Http2Peer({ idleFramesBurst: 50 });
      peer.send(headers(1, false), headers(3, true));
      peer.stream(1).stream.sendHeaders(ok, true);
      peer.take();
      let count = 0;
      while (!peer.connection.isOver && count < 100) {
        peer.send(windowUpdate(id, 1));
        count++;
      }
      assert.ok(count >= 50 && count < 60, `stream ${id}: ${count}`);
      assert.equal(peer.mishaps.at(-1), 'ENHANCE_YOUR_CALM: WINDOW_UPDATE');
    }
  });

  it('does not save up more of them than a large answer earns', () => {
    const { peer } = peerAsking(1, 100_000_000, settings([4, 0x7fff_ffff]), windowUpdate(0, 0x7fff_0000));
    let count = 0;
    while (!peer.connection.isOver && count < 20_000) {
      peer.send(windowUpdate(1, 1));
      count++;
    }
    assert.ok(count >= 10_000 && count < 12_000, `${count}`);
  });

  // Figures of clients: a stream and a connection update per answer (Python's h2), per 4 KiB read (Go's net/http2), per
  // half window (nghttp2, Netty, gRPC).
  const readers: readonly (readonly [string, number, number])[] = [
    ['small answers, each acknowledged twice', 77, 77],
    ['answers read by 4 KiB', 200_000, 4_096],
    ['answers read by 1,000 bytes', 200_000, 1_000],
    ['answers read by half windows', 200_000, 32_768],
  ];
  for (const [name, bytes, readBytes] of readers) {
    it(`leaves clients alone that give credit for what they read: ${name}`, () => {
      const { peer } = peerAsking(0, bytes);
      for (let id = 1; id < 400; id += 2) {
        const unread = [...peer.send(headers(id, true))];
        let left = bytes;
        while (left > 0) {
          const got = dataBytes(unread.splice(0), id);
          assert.ok(got > 0);
          for (let read = 0; read < got; read += readBytes) {
            const credit = Math.min(readBytes, got - read);
            unread.push(...peer.send(windowUpdate(id, credit), windowUpdate(0, credit)));
          }
          left -= got;
        }
        assert.equal(peer.connection.isOver, false);
      }
    });
  }
});

describe('flow control: a socket that backs up', () => {
  it('holds DATA back, keeps it in its stream, and goes on when there is room', () => {
    const peer = new Http2Peer({ outputBytesMax: 50_000 });
    const { outlet } = peer.connection;
    peer.send(settings([4, 1_000_000]), windowUpdate(0, 1_000_000), headers(1, true));
    peer.stream().stream.sendHeaders(ok, false);
    peer.stream().stream.sendData([new Uint8Array(200_000)], false);
    const first = outlet.take().reduce((sum, slice) => sum + slice.length, 0);
    assert.ok(first >= 50_000 && first < 70_000, `${first}`);
    outlet.onBacklog(first);
    assert.equal(outlet.hasOutput, false);
    peer.stream().stream.sendData([new Uint8Array(1)], true);
    assert.ok(peer.stream().stream.queuedBytes > 130_000);
    peer.connection.receive(headers(3, true)); // a small answer of another stream has to wait as well
    peer.stream(1).stream.sendData([new Uint8Array(5)], true);
    assert.equal(peer.stream(1).stream.queuedBytes, 5);
    outlet.onBacklog(0);
    assert.equal(outlet.hasOutput, true);
    const rest = peer.take();
    assert.ok(dataBytes(rest, 1) > 130_000);
    assert.equal(dataBytes(rest, 3), 5);
    assert.deepEqual(peer.stream().events, ['end', 'drained']);
    assert.equal(peer.connection.streamCount, 0);
  });

  it('does not recurse when every drained queue is filled again at once', () => {
    const peer = new Http2Peer();
    let rounds = 0;
    peer.onDrained = ({ stream }) => {
      if (++rounds < 20_000) stream.sendData([new Uint8Array(1), new Uint8Array(16_384)], false);
    };
    peer.send(settings([4, 0x7fff_ffff]), windowUpdate(0, 0x7fff_ffff - 65_535), headers(1, true));
    peer.stream().stream.sendHeaders(ok, false);
    peer.connection.outlet.onBacklog(10_000_000);
    peer.stream().stream.sendData([new Uint8Array(20_000)], false);
    peer.connection.outlet.onBacklog(0);
    peer.take();
    assert.equal(rounds, 20_000);
  });
});

describe('flow control: receiving', () => {
  const small = { streamWindowBytes: 65_535, connectionWindowBytes: 100_000 };

  it('HT-4: returns credit for what was consumed, in large steps, and padding at once', () => {
    const peer = new Http2Peer(small);
    peer.consumes = false;
    assert.deepEqual(peer.send(headers(1, false), data(1, false, 16_384), data(1, false, 16_384), data(1, false, 16_384)), []);
    peer.stream().stream.consumed(30_000);
    assert.deepEqual(peer.take(), []);
    peer.stream().stream.consumed(19_000);
    assert.deepEqual(peer.take().map(({ streamId, payload }) => [streamId, payload.readUInt32BE(0)]), [[1, 49_000]]);
    const padded = frame(0, 8, 1, Buffer.concat([Buffer.from([255]), new Uint8Array(300)]));
    peer.consumes = true;
    for (let round = 0; round < 1_000; round++) peer.send(padded);
    assert.equal(peer.stream().receivedBytes, 3 * 16_384 + 1_000 * 45);
    assert.deepEqual(peer.stream().events.at(-1), 'data 45');
  });

  it('ends a stream that is sent more than its window, and the connection for more than its own', () => {
    const peer = new Http2Peer(small);
    peer.consumes = false;
    const most = Array.from({ length: 4 }, (_, index) => data(1, false, index < 3 ? 16_384 : 16_383));
    assert.deepEqual(peer.send(headers(1, false), ...most), []);
    assert.equal(code(peer.send(data(1, false, 1)), 3), errorCode.flowControlError);
    const other = new Http2Peer(small);
    other.consumes = false;
    other.send(headers(1, false), headers(3, false), ...most);
    other.send(data(3, false, 16_384), data(3, false, 16_384));
    assert.equal(code(other.send(data(3, false, 16_384)), 7), errorCode.flowControlError);
  });

  it('counts DATA of streams that are gone, and never loses their credit', () => {
    const peer = new Http2Peer(small);
    peer.consumes = false;
    let given = 0;
    let used = 0;
    for (let id = 1; id < 200; id += 2) {
      const sent = peer.send(headers(id, false), data(id, false, 5_000));
      peer.streams.at(-1)?.stream.reset(errorCode.cancel);
      sent.push(...peer.send(data(id, false, 5_000), data(id, true, 2_000)));
      used += 12_000;
      given += sent.filter(({ type, streamId }) => type === 8 && streamId === 0).reduce((sum, { payload }) => sum + payload.readUInt32BE(0), 0);
      assert.equal(peer.connection.isOver, false);
    }
    assert.ok(used - given < 50_000 + 12_000, `${used - given} not given back`);
  });

  it('gives the connection back what a stream never consumed, when it ends', () => {
    const peer = new Http2Peer(small);
    peer.consumes = false;
    for (let id = 1; id < 40; id += 2) {
      peer.send(headers(id, false), data(id, true, 16_384), data(id, true, 0));
      peer.streams.at(-1)?.stream.sendHeaders(ok, true);
      peer.take();
    }
    assert.equal(peer.connection.isOver, false);
    assert.equal(peer.connection.streamCount, 0);
  });

  it('allows the default window until the peer has acknowledged a smaller one', () => {
    const peer = new Http2Peer({ streamWindowBytes: 1_000 }, { raw: true });
    peer.consumes = false;
    peer.take();
    peer.send(Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n'), settings(), headers(1, false), data(1, false, 10_000));
    assert.deepEqual(peer.stream().events, ['data 10000']);
    assert.deepEqual(peer.send(frame(4, 1, 0), headers(3, false)), []);
    assert.equal(code(peer.send(data(3, false, 1_001)), 3), errorCode.flowControlError);
    assert.equal(code(peer.send(data(1, false, 1)), 3), errorCode.flowControlError);
  });
});
