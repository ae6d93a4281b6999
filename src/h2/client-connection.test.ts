// The client's end of a connection, rule by rule, against a server driven by hand.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { data, frame, headers, parseFrames, settings, uint32 } from '../testing/http2-peer.ts';
import type { Frame } from '../testing/http2-peer.ts';
import { Http2ServerPeer, RecordedAnswer } from '../testing/http2-server-peer.ts';
import { errorCode } from './error-code.ts';
import { clientPreface } from './frames.ts';
import { prepareRequest } from './header-encoder.ts';
import type { OutgoingHeaders } from './stream.ts';

const ok: OutgoingHeaders = [[':status', '200']];
const get: OutgoingHeaders = [[':method', 'GET'], [':scheme', 'http'], [':path', '/']];
const head: OutgoingHeaders = [[':method', 'HEAD'], [':scheme', 'http'], [':path', '/']];

function answer(id: number, endStream: boolean, list: OutgoingHeaders = ok): Buffer {
  return headers(id, endStream, list);
}

function goaway(lastStreamId: number, code: number, debug = ''): Buffer {
  return frame(7, 0, 0, Buffer.concat([uint32(lastStreamId, code), Buffer.from(debug)]));
}

/** Code of the first RST_STREAM or GOAWAY among the frames. */
function code(frames: readonly Frame[], type: 3 | 7): number | undefined {
  return frames.find((sent) => sent.type === type)?.payload.readUInt32BE(type === 3 ? 0 : 4);
}

function dataBytes(frames: readonly Frame[], id?: number): number {
  return frames.filter(({ type, streamId }) => type === 0 && (id === undefined || id === streamId)).reduce((sum, { payload }) => sum + payload.length, 0);
}

describe('client: the beginning', () => {
  it('RFC 9113 §3.4, §6.5.2, §8.4: sends the preface and SETTINGS with push off, before it has heard anything', () => {
    const peer = new Http2ServerPeer({}, { raw: true });
    const bytes = peer.takeBytes();
    assert.ok(bytes.subarray(0, clientPreface.length).equals(clientPreface));
    const [first, window] = parseFrames(bytes.subarray(clientPreface.length));
    assert.equal(first?.type, 4);
    const pairs = Array.from({ length: (first?.payload.length ?? 0) / 6 }, (_, index) => [first?.payload.readUInt16BE(6 * index), first?.payload.readUInt32BE(6 * index + 2)]);
    assert.deepEqual(pairs, [[1, 4_096], [2, 0], [4, 1_048_576], [5, 16_384], [6, 65_536]]);
    assert.deepEqual([window?.type, window?.streamId, window?.payload.readUInt32BE(0)], [8, 0, 16_777_216 - 65_535]);
  });

  it('RFC 9113 §3.4: sends requests before the SETTINGS of the server came', () => {
    const peer = new Http2ServerPeer({}, { raw: true });
    peer.takeBytes();
    peer.open();
    assert.deepEqual(peer.take().map(({ type, streamId, flags }) => [type, streamId, flags]), [[1, 1, 5]]);
  });

  it('RFC 9113 §3.4: takes nothing but SETTINGS as the first frame of a server', () => {
    for (const first of [answer(1, true), frame(4, 1, 0), frame(6, 0, 0, Buffer.alloc(8)), data(1, false, 1)]) {
      const peer = new Http2ServerPeer({}, { raw: true });
      peer.takeBytes();
      peer.open();
      peer.take();
      assert.equal(code(peer.send(first), 7), errorCode.protocolError);
      assert.equal(peer.connection.isOver, true);
    }
  });

  it('says so when the server speaks HTTP/1.1, or TLS', () => {
    for (const [bytes, what] of [['HTTP/1.1 400 Bad Request\r\n\r\n', /HTTP\/1\.1/], ['\x15\x03\x01\x00\x02\x02\x46', /TLS/]] as const) {
      const peer = new Http2ServerPeer({}, { raw: true });
      const request = peer.open();
      peer.takeBytes();
      peer.send(Buffer.from(bytes, 'latin1'));
      assert.match(peer.connection.ending?.reason ?? '', what);
      assert.match(request.resets[0]?.reason ?? '', what);
    }
  });

  it('RFC 9113 §6.5: acknowledges the SETTINGS of the server, and refuses one that wants to be pushed to', () => {
    const peer = new Http2ServerPeer();
    assert.deepEqual(peer.send(settings([2, 0])).map(({ type, flags }) => [type, flags]), [[4, 1]]);
    assert.equal(code(peer.send(settings([2, 1])), 7), errorCode.protocolError);
  });
});

describe('client: answers (RFC 9113 §8.1)', () => {
  it('§8.1: tells of headers, data and trailers in their order', () => {
    const peer = new Http2ServerPeer();
    const request = peer.open();
    assert.deepEqual(peer.fieldsOf(peer.take()[0]), [':method', 'POST', ':scheme', 'http', ':path', '/']);
    peer.send(answer(1, false), data(1, false, 5), data(1, false, 6), headers(1, true, [['t', '1']]));
    assert.deepEqual(request.events, ['headers 200', 'data 5', 'data 6', 'end t=1']);
    assert.equal(peer.connection.streamCount, 0);
    assert.equal(request.stream?.closed, true);
  });

  it('§8.1: takes headers alone, and an end by empty DATA, as whole answers', () => {
    const peer = new Http2ServerPeer();
    const [alone, empty] = [peer.open(), peer.open()];
    peer.send(answer(1, true), answer(3, false), data(3, true, 0));
    assert.deepEqual([alone.events, empty.events], [['headers 200', 'end'], ['headers 200', 'end']]);
  });

  it('§8.1, §8.1.1: tells of any number of interim answers before the final one', () => {
    const peer = new Http2ServerPeer();
    const request = peer.open({ endStream: false });
    peer.send(answer(1, false, [[':status', '100']]), answer(1, false, [[':status', '103'], ['link', 'x']]), answer(1, false));
    assert.deepEqual(request.events, ['information 100', 'information 103', 'headers 200']);
  });

  it('§8.1: goes on sending after the whole answer came, until it is told not to', () => {
    const peer = new Http2ServerPeer();
    const request = peer.open({ endStream: false });
    peer.send(answer(1, true));
    assert.deepEqual(request.events, ['headers 200', 'end']);
    request.stream?.sendData([new Uint8Array(3)], false);
    assert.equal(dataBytes(peer.take()), 3);
    peer.send(frame(3, 0, 1, uint32(errorCode.noError)));
    assert.deepEqual(request.events.at(-1), 'reset NO_ERROR by peer');
    assert.equal(peer.connection.streamCount, 0);
  });

  it('§8.1: sends a body and trailers of its own', () => {
    const peer = new Http2ServerPeer();
    const { stream } = peer.open({ endStream: false });
    stream?.sendData([new Uint8Array(2)], false);
    stream?.sendTrailers([['sum', '2']]);
    const sent = peer.take();
    assert.deepEqual(sent.map(({ type, flags, streamId }) => [type, flags, streamId]), [[1, 4, 1], [0, 0, 1], [1, 5, 1]]);
    assert.equal(stream?.closed, false);
  });

  const malformed: readonly (readonly [string, Buffer, OutgoingHeaders?])[] = [
    ['§8.1: DATA before the headers', data(1, false, 1)],
    ['§8.1: DATA after an interim answer', Buffer.concat([answer(1, false, [[':status', '100']]), data(1, false, 1)])],
    ['§8.1: an interim answer that ends the stream', answer(1, true, [[':status', '100']])],
    ['§8.1: trailers that do not end the stream', Buffer.concat([answer(1, false), headers(1, false, [['t', '1']])])],
    ['§8.1: a pseudo-header in trailers', Buffer.concat([answer(1, false), headers(1, true, ok)])],
    ['§8.2.1: a name in capitals', frame(1, 5, 1, Buffer.concat([Buffer.from([0x88, 0x00, 0x01]), Buffer.from('A'), Buffer.from([0x01]), Buffer.from('b')]))],
    ['§8.2.1: a value with a line break', frame(1, 5, 1, Buffer.concat([Buffer.from([0x88, 0x00, 0x01]), Buffer.from('a'), Buffer.from([0x02]), Buffer.from('\nb')]))],
    ['§8.2.1: a forbidden value in trailers', Buffer.concat([answer(1, false), frame(1, 5, 1, Buffer.from('000161010a', 'hex'))])],
    ['§8.2.2: a connection-specific header', answer(1, true, [...ok, ['connection', 'close']])],
    ['§8.2.2: transfer-encoding', answer(1, true, [...ok, ['transfer-encoding', 'chunked']])],
    ['§8.3: a pseudo-header after a header', answer(1, true, [['a', 'b'], ...ok])],
    ['§8.3: an unknown pseudo-header', answer(1, true, [...ok, [':other', 'x']])],
    ['§8.3: a pseudo-header of requests', answer(1, true, [...ok, [':path', '/']])],
    ['§8.3: :status twice', answer(1, true, [...ok, ...ok])],
    ['§8.3.2: no :status', answer(1, true, [['a', 'b']])],
    ['§8.3.2: a :status that is no number', answer(1, true, [[':status', '2oo']])],
    ['§8.3.2: a :status of four digits', answer(1, true, [[':status', '2000']])],
    ['§8.6: 101', answer(1, false, [[':status', '101']])],
    ['§8.1.1: more than content-length', Buffer.concat([answer(1, false, [...ok, ['content-length', '2']]), data(1, false, 3)])],
    ['§8.1.1: less than content-length', Buffer.concat([answer(1, false, [...ok, ['content-length', '2']]), data(1, true, 1)])],
    ['§8.1.1: less than content-length, with trailers', Buffer.concat([answer(1, false, [...ok, ['content-length', '2']]), headers(1, true, [['t', '1']])])],
    ['§8.1.1: content-length and nothing', answer(1, true, [...ok, ['content-length', '2']])],
    ['§8.1.1: a content-length that is none', answer(1, true, [...ok, ['content-length', '-1']])],
    ['§8.1.1: a body in answer to HEAD', Buffer.concat([answer(1, false, [...ok, ['content-length', '2']]), data(1, true, 2)]), head],
    ['§8.1.1: a body with 304', Buffer.concat([answer(1, false, [[':status', '304'], ['content-length', '2']]), data(1, true, 2)])],
    ['§5.3.1 of RFC 7540: a stream that depends on itself', frame(1, 0x25, 1, Buffer.from([0, 0, 0, 1, 0, 0x88]))],
  ];
  for (const [name, sent, request = get] of malformed) {
    it(`${name} is malformed: the stream is reset, and the others go on`, () => {
      const peer = new Http2ServerPeer();
      const [bad, good] = [peer.open({ headers: request }), peer.open()];
      const out = peer.send(sent);
      assert.equal(code(out, 3), errorCode.protocolError);
      assert.equal(bad.events.at(-1), 'reset PROTOCOL_ERROR by us');
      assert.equal(bad.resets[0]?.unprocessed, false);
      assert.match(bad.resets[0]?.reason ?? '', /[a-z]/);
      peer.send(answer(3, true));
      assert.deepEqual(good.events, ['headers 200', 'end']);
    });
  }

  it('§8.1.1: takes content-length of what HEAD, 204, 304 and CONNECT do not send for what it is', () => {
    const peer = new Http2ServerPeer();
    const connect: OutgoingHeaders = [[':method', 'CONNECT'], [':authority', 'a:1']];
    const requests = [peer.open({ headers: head }), peer.open(), peer.open(), peer.open({ headers: connect, endStream: false })];
    const length = ['content-length', '7'] as const;
    peer.send(answer(1, true, [...ok, length]), answer(3, true, [[':status', '304'], length]), answer(5, true, [[':status', '204'], length]), answer(7, false, [...ok, length]), data(7, true, 9));
    assert.deepEqual(requests.map(({ events }) => events.at(-1)), ['end', 'end', 'end', 'end']);
  });

  it('§10.5.1: resets a stream whose headers are longer than it said that it takes, and stays in step', () => {
    const peer = new Http2ServerPeer({ headerListBytesMax: 200 });
    const [long, next] = [peer.open(), peer.open()];
    const indexed = frame(1, 4, 1, Buffer.concat([Buffer.from([0x88, 0x40, 0x01]), Buffer.from('x'), Buffer.from([0x7f, 0xad, 0x01]), Buffer.alloc(300, 'y')]));
    assert.equal(code(peer.send(indexed), 3), errorCode.enhanceYourCalm);
    assert.match(long.resets[0]?.reason ?? '', /headers/);
    peer.send(frame(1, 5, 3, Buffer.from([0x88, 0x00, 0x01, 0x7a, 0x01, 0x61])));
    assert.deepEqual(next.events, ['headers 200', 'end']);
  });
});

describe('client: streams of its own (RFC 9113 §5.1)', () => {
  it('§5.1.1: uses odd ids that rise, and no more than there are', () => {
    const peer = new Http2ServerPeer();
    const ids = [peer.open(), peer.open(), peer.open()].map(({ stream }) => stream?.id);
    assert.deepEqual(ids, [1, 3, 5]);
  });

  it('§5.1.1: ends by itself when the ids are used up', () => {
    const peer = new Http2ServerPeer({}, { firstStreamId: 0x7fff_fffd });
    const [before, last] = [peer.open(), peer.open()];
    assert.deepEqual([before.stream?.id, last.stream?.id], [0x7fff_fffd, 0x7fff_ffff]);
    assert.equal(peer.connection.freeStreams, 0);
    peer.send(answer(0x7fff_fffd, true), answer(0x7fff_ffff, true));
    assert.deepEqual([before.events, last.events], [['headers 200', 'end'], ['headers 200', 'end']]);
    assert.equal(peer.connection.isOver, true);
  });

  it('§5.1.2: opens 100 until it knows, then what the server says, also less than are open, and 0', () => {
    const peer = new Http2ServerPeer({}, { raw: true });
    assert.equal(peer.connection.freeStreams, 100);
    for (let count = 0; count < 3; count++) peer.open();
    peer.takeBytes();
    peer.send(settings([3, 4]), frame(4, 1, 0));
    assert.equal(peer.connection.freeStreams, 1);
    peer.send(settings([3, 2]));
    assert.equal(peer.connection.freeStreams, 0);
    peer.send(answer(1, true), answer(3, true));
    assert.equal(peer.connection.freeStreams, 1);
    peer.send(settings([3, 0]));
    assert.equal(peer.connection.freeStreams, 0);
    const before = peer.changes;
    peer.send(settings([3, 1_000_000]));
    assert.equal(peer.connection.freeStreams, 255, 'our own limit is 256');
    assert.ok(peer.changes > before);
  });

  it('§6.5.2: takes SETTINGS without a word about streams as no limit', () => {
    assert.equal(new Http2ServerPeer().connection.freeStreams, 256);
  });

  it('§5.1: refuses frames on streams that nobody opened', () => {
    const cases = [answer(2, true), answer(3, true), data(2, false, 1), data(3, false, 1), frame(3, 0, 3, uint32(8)), frame(3, 0, 2, uint32(8)), frame(8, 0, 3, uint32(1)), frame(8, 0, 2, uint32(1))];
    for (const sent of cases) {
      const peer = new Http2ServerPeer();
      peer.open();
      assert.equal(code(peer.send(sent), 7), errorCode.protocolError);
    }
  });

  it('§5.1: a second answer is a fault of the connection, after a reset of ours it is only late', () => {
    const peer = new Http2ServerPeer();
    const request = peer.open();
    peer.open();
    request.stream?.reset(errorCode.cancel);
    assert.deepEqual(peer.send(answer(1, false), data(1, false, 10), headers(1, true, [['t', '1']])).filter(({ type }) => type !== 1 && type !== 3), []);
    assert.deepEqual(request.events, ['reset CANCEL by us']);
    peer.send(answer(3, true));
    assert.equal(code(peer.send(answer(3, true)), 7), errorCode.streamClosed);
  });

  it('§5.1: answers what comes after END_STREAM, while we still send, with STREAM_CLOSED', () => {
    for (const late of [data(1, false, 1), headers(1, true, [['t', '1']])]) {
      const peer = new Http2ServerPeer();
      const request = peer.open({ endStream: false });
      peer.send(answer(1, true));
      assert.equal(code(peer.send(late), 3), errorCode.streamClosed);
      assert.equal(request.events.at(-1), 'reset STREAM_CLOSED by us');
    }
  });

  it('§8.4: refuses PUSH_PROMISE', () => {
    const peer = new Http2ServerPeer();
    peer.open();
    assert.equal(code(peer.send(frame(5, 4, 1, Buffer.concat([uint32(2), Buffer.from([0x82])]))), 7), errorCode.protocolError);
  });

  it('§8.7: tells of a refused stream as not processed, of any other reset as processed', () => {
    const peer = new Http2ServerPeer();
    const requests = [peer.open(), peer.open()];
    peer.send(frame(3, 0, 1, uint32(errorCode.refusedStream)), frame(3, 0, 3, uint32(errorCode.cancel)));
    assert.deepEqual(requests.map(({ events }) => events), [['reset REFUSED_STREAM by peer, unprocessed'], ['reset CANCEL by peer']]);
  });

  it('does not hold it against a server that it resets whatever we open', () => {
    const peer = new Http2ServerPeer({ idleFramesBurst: 5 });
    for (let id = 1; id < 2_000; id += 2) {
      peer.open({ endStream: false });
      peer.send(frame(3, 0, id, uint32(errorCode.refusedStream)));
    }
    assert.equal(peer.connection.isOver, false);
  });

  it('throws for headers that cannot be sent, or are longer than the server takes, and opens nothing', () => {
    const short = new Http2ServerPeer({}, { settings: settings([6, 200]) });
    const shared = prepareRequest([...get, ['a', 'b'.repeat(20)]]);
    short.connection.open({ shared, own: [] }, true, new RecordedAnswer(short));
    assert.throws(() => short.connection.open({ shared, own: [['c', 'd'.repeat(20)]] }, true, new RecordedAnswer(short)), { code: 'resource_exhausted', message: /^the request headers count \d+ bytes .* takes 200/ });
    assert.equal(short.connection.streamCount, 1);
    const peer = new Http2ServerPeer({}, { settings: settings([6, 200]) });
    assert.throws(() => peer.open({ headers: [...get, ['Name', 'x']] }), /header name/);
    assert.throws(() => peer.open({ headers: [...get, ['name', 'x'.repeat(200)]] }), { code: 'resource_exhausted', message: /count \d+ bytes .* takes 200; send less metadata/ });
    assert.equal(peer.connection.streamCount, 0);
    assert.deepEqual(peer.take(), []);
    assert.equal(peer.open().stream?.id, 1);
  });
});

describe('client: windows and settings of the server', () => {
  it('§6.9.2: heeds the initial window, also when it changes below zero', () => {
    const peer = new Http2ServerPeer({}, { settings: settings([4, 10]) });
    const request = peer.open({ endStream: false });
    request.stream?.sendData([new Uint8Array(100)], true);
    assert.equal(dataBytes(peer.take()), 10);
    assert.equal(dataBytes(peer.send(settings([4, 4]))), 0); // -6
    assert.equal(dataBytes(peer.send(frame(8, 0, 1, uint32(6)))), 0);
    assert.equal(dataBytes(peer.send(frame(8, 0, 1, uint32(3)))), 3);
    const rest = peer.send(settings([4, 1_000]));
    assert.equal(dataBytes(rest), 87);
    assert.equal(rest.at(-1)?.flags, 1);
    assert.deepEqual(request.events, ['drained']);
  });

  it('§6.9.1, §6.9.2: refuses windows above 2^31-1', () => {
    const cases = [
      [frame(8, 0, 1, uint32(0x7fff_ffff)), 3],
      [frame(8, 0, 0, uint32(0x7fff_ffff)), 7],
      [settings([4, 0x8000_0000]), 7],
      [Buffer.concat([frame(8, 0, 1, uint32(0x7fff_0000)), settings([4, 0x7fff_ffff])]), 7],
    ] as const;
    for (const [sent, type] of cases) {
      const peer = new Http2ServerPeer();
      peer.open({ endStream: false });
      assert.equal(code(peer.send(sent), type), errorCode.flowControlError);
    }
  });

  it('§6.9: refuses more DATA than it allowed, and returns credit for what was consumed', () => {
    const peer = new Http2ServerPeer({ streamWindowBytes: 65_535, connectionWindowBytes: 200_000 });
    peer.consumes = false;
    const request = peer.open();
    assert.deepEqual(peer.send(answer(1, false), data(1, false, 16_384), data(1, false, 16_384), data(1, false, 16_384)).slice(1), []);
    request.stream?.consumed(49_000);
    assert.deepEqual(peer.take().map(({ type, streamId, payload }) => [type, streamId, payload.readUInt32BE(0)]), [[8, 1, 49_000]]);
    assert.equal(code(peer.send(data(1, false, 16_384), data(1, false, 16_384), data(1, false, 16_384), data(1, false, 16_384)), 3), errorCode.flowControlError);
  });

  it('§4.2, §6.5.2: cuts DATA and header blocks to the frames the server takes', () => {
    const peer = new Http2ServerPeer({}, { settings: settings([4, 1_000_000]) });
    const { stream } = peer.open({ headers: [...get, ['x', '~'.repeat(20_000)]], endStream: false });
    assert.deepEqual(peer.take().map(({ type, flags }) => [type, flags]), [[1, 0], [9, 4]]);
    stream?.sendData([new Uint8Array(20_000)], true);
    assert.deepEqual(peer.take().map(({ payload }) => payload.length), [16_384, 3_616]);
    peer.send(settings([5, 70_000]));
    const wide = peer.open({ endStream: false });
    wide.stream?.sendData([new Uint8Array(20_000)], true);
    assert.deepEqual(peer.take().map(({ type, payload }) => (type === 0 ? payload.length : type)), [1, 20_000]);
  });

  it('RFC 7541 §4.2: opens the next block with a table size update when the server lowers the table', () => {
    const peer = new Http2ServerPeer({}, { settings: settings([1, 100]) });
    peer.open();
    peer.open();
    const [first, second] = peer.take();
    assert.equal(first?.payload[0], 0x20);
    assert.notEqual(second?.payload[0], 0x20);
  });

  it('RFC 7541 §7.1.3: never lets secrets be indexed', () => {
    const peer = new Http2ServerPeer();
    peer.open({ headers: [...get, ['authorization', 'Bearer abc'], ['cookie', 'a=b'], ['x-api-key', 'k'], ['plain', 'v']] });
    const block = peer.take()[0]?.payload ?? Buffer.alloc(0);
    const at = block.indexOf(Buffer.from([0x1f, 23 - 15]));
    assert.ok(at > 0, 'authorization as a literal never indexed, its name by index 23');
    assert.ok(block.includes(Buffer.from([0x1f, 32 - 15])), 'cookie likewise, index 32');
    assert.equal(block[3], 0x1f);
  });
});

describe('client: PING', () => {
  it('§6.7: measures the round trip, with one PING on the wire, and answers those of the server', async () => {
    const peer = new Http2ServerPeer();
    const [first, second] = [peer.connection.ping(), peer.connection.ping()];
    const [ping, ...others] = peer.take();
    assert.deepEqual([ping?.type, ping?.flags, others.length], [6, 0, 0]);
    peer.clock.advance(30);
    peer.send(frame(6, 1, 0, Buffer.alloc(8, 9))); // an answer to nothing
    peer.clock.advance(12);
    peer.send(frame(6, 1, 0, ping?.payload));
    assert.deepEqual(await Promise.all([first, second]), [42, 42]);
    assert.deepEqual(peer.send(frame(6, 0, 0, Buffer.from('12345678'))).map(({ flags, payload }) => [flags, payload.toString()]), [[1, '12345678']]);
    void peer.connection.ping();
    assert.notDeepEqual(peer.take()[0]?.payload, ping?.payload);
  });

  it('rejects when the connection ends first, however it ends, and after it', async () => {
    const ends: readonly ((peer: Http2ServerPeer) => void)[] = [
      (peer) => peer.connection.abort(),
      (peer) => peer.connection.drain(),
      (peer) => peer.send(goaway(0, 0)),
      (peer) => peer.send(frame(0, 0, 0)),
    ];
    for (const end of ends) {
      const peer = new Http2ServerPeer();
      const ping = peer.connection.ping();
      end(peer);
      await assert.rejects(ping, { code: 'unavailable' });
      await assert.rejects(peer.connection.ping(), { code: 'unavailable' });
    }
  });
});

describe('client: floods of a hostile server (HT-12)', () => {
  it('§5.1: does not take for a flood what comes late on the streams that it has cancelled itself', () => {
    const peer = new Http2ServerPeer({ idleFramesBurst: 20 });
    const kept = peer.open();
    const cancelled: number[] = [];
    for (let round = 0; round < 50; round += 1) {
      const request = peer.open();
      cancelled.push(request.stream?.id ?? 0);
      request.stream?.reset(errorCode.cancel);
    }
    peer.take();
    const late = (id: number): Buffer[] => [answer(id, false), data(id, false, 5), headers(id, true, [['grpc-status', '0']])];
    assert.deepEqual(peer.send(...cancelled.flatMap(late)).map(({ type }) => type).filter((type) => type !== 8), []);
    peer.send(answer(1, true));
    assert.deepEqual(kept.events, ['headers 200', 'end']);
    // What no reset of ours accounts for is a flood as before.
    const flood = Array.from({ length: 21 }, () => answer(cancelled[0] ?? 0, false));
    assert.equal(code(peer.send(...flood), 7), errorCode.enhanceYourCalm);
  });

  const floods: readonly (readonly [string, (id: number) => Buffer])[] = [
    ['PING', () => frame(6, 0, 0, Buffer.alloc(8))],
    ['PING with ACK', () => frame(6, 1, 0, Buffer.alloc(8))],
    ['WINDOW_UPDATE', () => frame(8, 0, 1, uint32(1))],
    ['SETTINGS', () => settings()],
    ['PRIORITY', () => frame(2, 0, 1, Buffer.alloc(5))],
    ['empty DATA', () => data(1, false, 0)],
    ['interim answer', () => answer(3, false, [[':status', '103']])],
    ['HEADERS on a closed stream', () => answer(5, false)],
    ['of an unknown type', () => frame(0x10, 0, 0)],
    ['GOAWAY', () => goaway(0x7fff_ffff, 0)],
  ];
  for (const [what, make] of floods) {
    it(`HT-12: ends the connection for a flood of ${what}`, () => {
      const peer = new Http2ServerPeer({ idleFramesBurst: 50 });
      peer.open();
      peer.open();
      peer.open().stream?.reset(errorCode.cancel);
      peer.send(answer(1, false));
      for (let count = 0; count < 3 && !peer.connection.isOver; count++) peer.send(...Array.from({ length: 20 }, () => make(0)));
      assert.equal(peer.connection.isOver, true);
      assert.deepEqual(peer.mishaps.at(-1), `ENHANCE_YOUR_CALM: ${what}`);
      assert.match(peer.connection.ending?.reason ?? '', /too/);
    });
  }

  it('tells a pool in time, and lets it open streams from within', () => {
    const peer = new Http2ServerPeer({}, { settings: settings([3, 1]) });
    peer.open();
    peer.take();
    const opened: string[][] = [];
    peer.onChange = () => {
      if (peer.connection.freeStreams > 0) opened.push(peer.open().events);
    };
    const out = peer.send(answer(1, true));
    assert.deepEqual(out.map(({ type, streamId }) => [type, streamId]), [[1, 3]], 'with the same output');
    peer.send(answer(3, true));
    assert.deepEqual(opened[0], ['headers 200', 'end']);
  });
});
