// The rules of a connection, frame by frame (RFC 9113). What h2spec covers as well is here only where it is ours to
// choose, or where the state afterwards matters.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { Http2Peer, data, frame, headers, requestHeaders, settings, uint32 } from '../testing/http2-peer.ts';
import type { Frame } from '../testing/http2-peer.ts';
import { errorCode } from './error-code.ts';
import { clientPreface } from './frames.ts';
import { prepareHeaders } from './header-encoder.ts';

const ok = prepareHeaders([[':status', '200']]);

/** Frames in short: type, stream, flags and length or code. */
function short(frames: readonly Frame[]): string[] {
  const names = ['DATA', 'HEADERS', 'PRIORITY', 'RST', 'SETTINGS', 'PUSH', 'PING', 'GOAWAY', 'WINDOW', 'CONTINUATION'];
  return frames.map(({ type, flags, streamId, payload }) => {
    const name = names[type] ?? String(type);
    const end = (type === 0 || type === 1) && flags & 1 ? ' end' : '';
    if (name === 'RST') return `RST ${streamId} ${payload.readUInt32BE(0)}`;
    if (name === 'GOAWAY') return `GOAWAY ${payload.readUInt32BE(0)} ${payload.readUInt32BE(4)}`;
    if (name === 'WINDOW') return `WINDOW ${streamId} ${payload.readUInt32BE(0)}`;
    if (name === 'SETTINGS' || name === 'PING') return flags & 1 ? `${name} ack` : name;
    return name === 'DATA' ? `DATA ${streamId} ${payload.length}${end}` : `${name} ${streamId}${end}`;
  });
}

function goawayCode(frames: readonly Frame[]): number | undefined {
  return frames.find(({ type }) => type === 7)?.payload.readUInt32BE(4);
}

describe('connection: beginning and end', () => {
  it('sends SETTINGS and the connection window first, and acknowledges the settings of the peer', () => {
    const peer = new Http2Peer({}, { raw: true });
    assert.deepEqual(short(peer.take()), ['SETTINGS', `WINDOW 0 ${16_777_216 - 65_535}`]);
    assert.deepEqual(short(peer.send(clientPreface, settings())), ['SETTINGS ack']);
  });

  it('answers what is not HTTP/2, and a first frame that is not SETTINGS, with GOAWAY', () => {
    for (const input of [Buffer.from('GET / HTTP/1.1\r\n\r\n'), Buffer.concat([clientPreface, frame(6, 0, 0, Buffer.alloc(8))])]) {
      const peer = new Http2Peer({}, { raw: true });
      assert.equal(goawayCode(peer.send(input)), errorCode.protocolError);
      assert.equal(peer.connection.isOver, true);
      assert.deepEqual(peer.send(settings()), []);
    }
  });

  it('tells every open stream when the connection fails', () => {
    const peer = new Http2Peer();
    peer.send(headers(1, false), headers(3, true));
    peer.send(frame(0, 0, 0, Buffer.alloc(1)));
    assert.deepEqual(peer.stream(0).events, ['reset 1 by us']);
    assert.deepEqual(peer.stream(1).events, ['end', 'reset 1 by us']);
    peer.stream(0).stream.sendHeaders(ok, true);
    assert.deepEqual(peer.take(), []);
  });

  it('ends the connection, and not more, when a handler throws', () => {
    const peer = new Http2Peer();
    peer.onEnd = () => {
      throw new Error('a bug above');
    };
    assert.throws(() => peer.send(headers(1, true)), /a bug above/);
    peer.connection.fail();
    assert.equal(goawayCode(peer.take()), errorCode.internalError);
    assert.equal(peer.connection.isOver, true);
  });
});

describe('connection: drain (RFC 9113 §6.8)', () => {
  it('HT-3: warns, serves what was on its way, then names the last stream and ends after it', () => {
    const peer = new Http2Peer();
    peer.send(headers(1, true));
    peer.connection.drain();
    const warning = peer.take();
    assert.deepEqual(short(warning), ['GOAWAY 2147483647 0', 'PING']);
    peer.send(headers(3, true));
    assert.equal(peer.streams.length, 2);
    const ping = warning[1]?.payload ?? Buffer.alloc(8);
    assert.deepEqual(short(peer.send(frame(6, 1, 0, ping))), ['GOAWAY 3 0']);
    // The client knows from GOAWAY that it is not processed; one that does not look learns that it may be tried again.
    assert.deepEqual(short(peer.send(headers(5, false), data(5, true, 10))), [`RST 5 ${errorCode.refusedStream}`]);
    assert.equal(peer.streams.length, 2);
    peer.stream(0).stream.sendHeaders(ok, true);
    assert.equal(peer.connection.isOver, false);
    peer.stream(1).stream.sendHeaders(ok, true);
    assert.equal(peer.connection.isOver, true);
  });

  it('never names a higher last stream than before, or a refused request would count as processed', () => {
    const peer = new Http2Peer();
    peer.connection.drain();
    const ping = peer.take()[1]?.payload ?? Buffer.alloc(8);
    assert.deepEqual(short(peer.send(headers(1, false), frame(6, 1, 0, ping))), ['GOAWAY 1 0']);
    assert.deepEqual(short(peer.send(headers(3, true), frame(0, 0, 0))), [`RST 3 ${errorCode.refusedStream}`, `GOAWAY 1 ${errorCode.protocolError}`]);
  });

  it('HT-3: refuses new streams of a peer that answers no PING, once it is told to', () => {
    const peer = new Http2Peer();
    peer.connection.refuseNew(); // before the warning it does nothing
    assert.deepEqual(short(peer.take()), []);
    peer.connection.drain();
    peer.take();
    peer.send(headers(1, true));
    peer.connection.refuseNew();
    assert.deepEqual(short(peer.take()), ['GOAWAY 1 0']);
    peer.connection.refuseNew(); // twice does no harm
    assert.deepEqual(short(peer.send(headers(3, true))), [`RST 3 ${errorCode.refusedStream}`]);
    assert.equal(peer.streams.length, 1);
    peer.stream(0).stream.sendHeaders(ok, true);
    assert.equal(peer.connection.isOver, true);
  });

  it('decodes refused requests all the same, for the table', () => {
    const peer = new Http2Peer();
    peer.connection.drain();
    const ping = peer.take()[1]?.payload ?? Buffer.alloc(8);
    peer.connection.drain(); // twice does no harm
    peer.send(headers(1, false), frame(6, 1, 0, ping));
    const indexed = Buffer.from('838684 400161 0162'.replaceAll(' ', ''), 'hex');
    peer.send(frame(1, 0x4, 3, indexed));
    peer.send(frame(1, 0x5, 1, Buffer.from('be', 'hex')));
    assert.deepEqual(peer.stream(0).events, ['end a=b']);
  });
});

describe('connection: requests', () => {
  it('gives the same block object for the same bytes, also when a chunk ends in between', () => {
    const peer = new Http2Peer();
    peer.send(headers(1, true));
    const again = headers(3, true);
    peer.send(again.subarray(0, 11));
    peer.send(again.subarray(11));
    assert.equal(peer.stream(0).block, peer.stream(1).block);
    peer.stream(0).block.memo = 'kept';
    assert.equal(peer.stream(1).block.memo, 'kept');
  });

  it('decodes a block anew when it changes the table, or the table has changed since', () => {
    const peer = new Http2Peer();
    const adds = Buffer.from('838684 400161 0162'.replaceAll(' ', ''), 'hex');
    const uses = Buffer.from('838684be', 'hex');
    peer.send(frame(1, 0x5, 1, adds), frame(1, 0x5, 3, uses), frame(1, 0x5, 5, uses), frame(1, 0x5, 7, adds), frame(1, 0x5, 9, uses));
    const blocks = peer.streams.map(({ block }) => block);
    assert.ok(blocks.every((block) => block.get('a') === 'b'));
    assert.equal(blocks[1], blocks[2]);
    assert.notEqual(blocks[0], blocks[3]);
    assert.notEqual(blocks[1], blocks[4]);
  });

  it('joins CONTINUATION, up to the limits on their number and bytes', () => {
    const block = Buffer.from(headers(1, true).subarray(9));
    const peer = new Http2Peer({ continuationFramesMax: 3 });
    peer.send(frame(1, 0x1, 1, block.subarray(0, 1)), frame(9, 0, 1), frame(9, 0, 1, block.subarray(1, 2)), frame(9, 0x4, 1, block.subarray(2)));
    assert.deepEqual(peer.stream().events, ['end']);
    const open = frame(1, 0x1, 3, block);
    assert.equal(goawayCode(peer.send(open, frame(9, 0, 3), frame(9, 0, 3), frame(9, 0, 3), frame(9, 0, 3))), errorCode.enhanceYourCalm);
    const other = new Http2Peer({ headerBlockBytesMax: 20_000 });
    assert.equal(goawayCode(other.send(frame(1, 0x1, 1, Buffer.alloc(16_000)), frame(9, 0, 1, Buffer.alloc(4_001)))), errorCode.enhanceYourCalm);
  });

  it('resets a stream whose header list is too long, and goes on', () => {
    const peer = new Http2Peer({ headerListBytesMax: 500 });
    assert.deepEqual(short(peer.send(headers(1, true, [...requestHeaders, ['x', 'y'.repeat(500)]]))), [`RST 1 ${errorCode.enhanceYourCalm}`]);
    peer.send(headers(3, true));
    assert.equal(peer.streams.length, 1);
  });

  it('refuses streams above the limit so that the client may try again', () => {
    const peer = new Http2Peer({ concurrentStreamsMax: 2 });
    assert.deepEqual(short(peer.send(headers(1, true), headers(3, true), headers(5, true))), [`RST 5 ${errorCode.refusedStream}`]);
    peer.stream(0).stream.sendHeaders(ok, true);
    peer.take();
    assert.deepEqual(short(peer.send(headers(7, true))), []);
    assert.equal(peer.streams.length, 3);
  });

  it('resets malformed requests, among them bodies that do not fit their content-length', () => {
    const withLength: readonly (readonly [string, string])[] = [...requestHeaders, ['content-length', '5']];
    const peer = new Http2Peer();
    const rst = (id: number) => [`RST ${id} ${errorCode.protocolError}`];
    assert.deepEqual(short(peer.send(headers(1, true, [[':method', 'GET']]))), rst(1));
    assert.deepEqual(short(peer.send(headers(3, true, withLength))), rst(3));
    assert.deepEqual(short(peer.send(headers(5, false, withLength), data(5, true, 4))), rst(5));
    assert.deepEqual(short(peer.send(headers(7, false, withLength), data(7, false, 6))), rst(7));
    assert.deepEqual(short(peer.send(headers(9, false, withLength), data(9, false, 4), headers(9, true, [['a', 'b']]))), rst(9));
    assert.deepEqual(short(peer.send(headers(11, false, withLength), data(11, true, 5))), []);
    assert.deepEqual(peer.streams.map(({ events }) => events.at(-1)), ['reset 1 by us', 'reset 1 by us', 'reset 1 by us', 'end']);
  });

  it('gives trailers, and refuses those that do not end the stream', () => {
    const peer = new Http2Peer();
    peer.send(headers(1, false), data(1, false, 3), headers(1, true, [['t', '1']]));
    assert.deepEqual(peer.stream().events, ['data 3', 'end t=1']);
    assert.deepEqual(short(peer.send(headers(3, false), headers(3, false, [['t', '1']]))), [`RST 3 ${errorCode.protocolError}`]);
  });

  it('takes no more after the end of a request', () => {
    const peer = new Http2Peer();
    assert.deepEqual(short(peer.send(headers(1, true), data(1, false, 1))), [`RST 1 ${errorCode.streamClosed}`]);
    assert.deepEqual(short(peer.send(headers(3, true), headers(3, true, [['t', '1']]))), [`RST 3 ${errorCode.streamClosed}`]);
  });

  it('knows frames that were on their way when it reset the stream from frames that should not be', () => {
    const peer = new Http2Peer();
    peer.send(headers(1, false), headers(3, false), headers(7, true));
    peer.stream(0).stream.reset(errorCode.cancel);
    assert.deepEqual(peer.stream(0).events, ['reset 8 by us']);
    peer.take();
    assert.deepEqual(short(peer.send(data(1, true, 10), frame(8, 0, 1, uint32(5)), frame(3, 0, 1, uint32(8)), headers(1, true, [['t', '1']]))), []);
    peer.send(frame(3, 0, 3, uint32(errorCode.cancel)));
    assert.deepEqual(peer.stream(1).events, ['reset 8 by peer']);
    assert.deepEqual(short(peer.send(data(3, true, 10))), [`RST 3 ${errorCode.streamClosed}`]);
    assert.equal(goawayCode(peer.send(headers(5, true))), errorCode.protocolError); // never was, and is below 7
  });

  it('lets a stream be answered or reset while its handler is being made', () => {
    const peer = new Http2Peer();
    peer.onStream = (stream) => stream.reset(errorCode.refusedStream);
    assert.deepEqual(short(peer.send(headers(1, true))), [`RST 1 ${errorCode.refusedStream}`]);
    assert.deepEqual(peer.stream(0).events, ['reset 7 by us']);
    peer.onStream = (stream) => stream.sendHeaders(ok, true);
    assert.deepEqual(short(peer.send(headers(3, true), headers(5, false))), ['HEADERS 3 end', 'HEADERS 5 end']);
    assert.deepEqual(peer.stream(1).events, ['end']);
    assert.deepEqual(short(peer.send(data(5, true, 1))), []);
    assert.deepEqual(peer.stream(2).events, ['data 1', 'end']);
    assert.equal(peer.connection.streamCount, 0);
  });
});

describe('connection: output', () => {
  it('answers in one batch, with trailers after all DATA', () => {
    const peer = new Http2Peer();
    peer.onEnd = ({ stream }) => {
      stream.sendHeaders(ok, false);
      stream.sendData([Buffer.from('ab'), Buffer.from('cd')], false);
      stream.sendTrailers([['grpc-status', '0']]);
    };
    const sent = peer.send(headers(1, true), headers(3, true));
    assert.deepEqual(short(sent), ['HEADERS 1', 'DATA 1 4', 'HEADERS 1 end', 'HEADERS 3', 'DATA 3 4', 'HEADERS 3 end']);
    assert.deepEqual(peer.fieldsOf(sent[2]), ['grpc-status', '0']);
    assert.equal(peer.wakes, 0);
  });

  it('asks once to be taken when something is sent outside of input', () => {
    const peer = new Http2Peer();
    peer.send(headers(1, true));
    peer.stream().stream.sendHeaders(ok, false);
    peer.stream().stream.sendData([Buffer.from('ab')], true);
    assert.equal(peer.wakes, 1);
    assert.deepEqual(short(peer.take()), ['HEADERS 1', 'DATA 1 2 end']);
  });

  it('cuts a header block into CONTINUATION by the frame size of the peer', () => {
    const peer = new Http2Peer();
    peer.send(headers(1, true));
    peer.stream().stream.sendHeaders([[':status', '200'], ['x', '~'.repeat(40_000)]], true);
    const sent = peer.take();
    assert.deepEqual(short(sent), ['HEADERS 1 end', 'CONTINUATION 1', 'CONTINUATION 1']);
    assert.deepEqual(sent.map(({ flags }) => flags & 4), [0, 0, 4]);
    const block = Buffer.concat(sent.map(({ payload }) => payload));
    assert.equal(peer.fieldsOf({ type: 1, flags: 0, streamId: 1, payload: block })[3]?.length, 40_000);
  });

  it('opens the next block with a table size update when the peer wants a smaller table', () => {
    const peer = new Http2Peer();
    peer.send(settings([1, 0]), headers(1, true), headers(3, true));
    peer.stream(0).stream.sendHeaders(ok, true);
    peer.stream(1).stream.sendHeaders(ok, true);
    assert.deepEqual(peer.take().map(({ payload }) => payload.toString('hex')), ['2088', '88']);
  });

  it('does nothing after the end of a stream', () => {
    const peer = new Http2Peer();
    peer.send(headers(1, true));
    const { stream } = peer.stream();
    stream.sendHeaders(ok, true);
    assert.equal(stream.closed, true);
    peer.take();
    stream.sendHeaders(ok, true);
    stream.sendData([Buffer.from('x')], true);
    stream.sendTrailers([]);
    stream.reset(1);
    stream.consumed(100);
    assert.deepEqual(peer.take(), []);
    assert.deepEqual(peer.stream().events, ['end']);
  });
});

describe('connection: floods (HT-12)', () => {
  const floods: Readonly<Record<string, (peer: Http2Peer, index: number) => Buffer>> = {
    PING: () => frame(6, 0, 0, Buffer.alloc(8)),
    SETTINGS: () => settings(),
    'SETTINGS ack': () => frame(4, 1, 0),
    'rapid reset': (_, index) => Buffer.concat([headers(2 * index + 1, false), frame(3, 0, 2 * index + 1, uint32(8))]),
    'empty DATA': (_, index) => (index === 0 ? headers(1, false) : data(1, false, 0)),
    'padding only': (_, index) => (index === 0 ? headers(1, false) : frame(0, 8, 1, Buffer.from([3, 0, 0, 0]))),
    PRIORITY: () => frame(2, 0, 1, Buffer.from([0, 0, 0, 3, 1])),
    'unknown frames': () => frame(99, 0, 0, Buffer.alloc(3)),
    'malformed requests': (_, index) => headers(2 * index + 1, true, [[':method', 'GET']]),
    'bodies that are too short': (_, index) =>
      Buffer.concat([headers(2 * index + 1, false, [...requestHeaders, ['content-length', '5']]), data(2 * index + 1, true, 4)]),
    'bodies that are too short before trailers': (_, index) =>
      Buffer.concat([headers(2 * index + 1, false, [...requestHeaders, ['content-length', '5']]), headers(2 * index + 1, true, [['a', 'b']])]),
    'window overflow': (_, index) => Buffer.concat([headers(2 * index + 1, false), frame(8, 0, 2 * index + 1, uint32(0x7fff_ffff))]),
    'zero increments': (_, index) => Buffer.concat([headers(2 * index + 1, false), frame(8, 0, 2 * index + 1, uint32(0))]),
    'DATA on closed streams': (peer, index) => {
      peer.onStream = (stream) => stream.sendHeaders(ok, true);
      return index === 0 ? headers(1, true) : data(1, false, 1);
    },
  };
  for (const [name, attack] of Object.entries(floods)) {
    it(`ends a connection that floods with ${name}`, () => {
      const peer = new Http2Peer({ idleFramesBurst: 50 });
      let frames = 0;
      while (!peer.connection.isOver && frames < 100) {
        const sent = peer.send(attack(peer, frames++));
        if (!peer.connection.isOver) continue;
        assert.equal(goawayCode(sent), errorCode.enhanceYourCalm);
        if (name === 'PING') assert.match(String(sent.at(-1)?.payload), /too_many_pings$/); // HT-2
      }
      assert.ok(frames > 25 && frames < 60, `${frames} frames`);
    });
  }

  it('HT-2: lets clients ping as often as they are answered, which is how grpc-go measures the path', () => {
    const peer = new Http2Peer({ idleFramesBurst: 5, idleFramesPerSecond: 1 });
    peer.onStream = (stream) => {
      stream.sendHeaders(ok, false);
      stream.sendData([Buffer.from('answer')], true);
    };
    for (let id = 1; id < 2_000; id += 2) peer.send(headers(id, true), frame(6, 0, 0, Buffer.alloc(8)));
    assert.equal(peer.connection.isOver, false);
    for (let extra = 0; extra < 10; extra += 1) peer.send(frame(6, 0, 0, Buffer.alloc(8)));
    assert.equal(peer.connection.isOver, true, 'without answers in between it is a flood');
  });

  it('lets clients ping for ever at a modest rate, and cancel calls that were answered already', () => {
    const peer = new Http2Peer({ idleFramesBurst: 5, idleFramesPerSecond: 1 });
    for (let round = 0; round < 100; round++) {
      peer.clock.advance(1_000);
      assert.deepEqual(short(peer.send(frame(6, 0, 0, Buffer.alloc(8)))), ['PING ack']);
    }
    peer.onStream = (stream) => stream.sendHeaders(ok, true);
    for (let id = 1; id < 400; id += 2) peer.send(headers(id, false), frame(3, 0, id, uint32(8)));
    assert.equal(peer.connection.isOver, false);
  });

  it('HT-12: lets clients cancel as many calls as they let end, as builds do that race two ways, and no more', () => {
    const peer = new Http2Peer({ idleFramesBurst: 5, idleFramesPerSecond: 1 });
    let id = 1;
    const ask = (cancels: boolean): void => {
      peer.onStream = cancels ? () => {} : (stream) => stream.sendHeaders(ok, true);
      peer.send(headers(id, true), cancels ? frame(3, 0, id, uint32(8)) : Buffer.alloc(0));
      id += 2;
    };
    for (let call = 0; call < 5_000; call += 1) ask(call % 2 === 1);
    for (let call = 0; call < 900; call += 1) ask(false);
    for (let call = 0; call < 900; call += 1) ask(true);
    assert.equal(peer.connection.isOver, false);
    for (let call = 0; call < 6; call += 1) ask(true);
    assert.equal(peer.connection.isOver, true, 'more are a rapid reset');
  });

  it('HT-12: what was earned by calls that ended is not saved up for an attack', () => {
    const peer = new Http2Peer({ idleFramesBurst: 5, idleFramesPerSecond: 1 });
    let id = 1;
    peer.onStream = (stream) => stream.sendHeaders(ok, true);
    for (; id < 40_000; id += 2) peer.send(headers(id, true));
    peer.onStream = () => {};
    let resets = 0;
    for (; !peer.connection.isOver; id += 2, resets += 1) peer.send(headers(id, true), frame(3, 0, id, uint32(8)));
    assert.ok(resets < 1_100, `${resets} calls were opened and cancelled`);
  });
});
