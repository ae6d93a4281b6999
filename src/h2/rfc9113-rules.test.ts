// RFC 9113 §3 to §8, rule by rule, where a rule is not about the state of one stream (rfc9113-states.test.ts), not about
// flow control (connection-flow.test.ts) and not about answers alone (client-connection.test.ts).
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { Http2Peer, data, frame, headers, requestHeaders, settings, uint32 } from '../testing/http2-peer.ts';
import type { Frame } from '../testing/http2-peer.ts';
import { Http2ServerPeer } from '../testing/http2-server-peer.ts';
import { errorCodeName } from './error-code.ts';
import { clientPreface } from './frames.ts';
import { encodeHeaders } from './header-encoder.ts';
import type { Http2Limits } from './limits.ts';
import type { OutgoingHeaders } from './stream.ts';

/** One end, with stream 1 open and able to receive a body. */
interface End {
  readonly send: (...bytes: Buffer[]) => Frame[];
  readonly isOver: () => boolean;
  /** What stream 1 was told. */
  readonly events: () => readonly string[];
}

const roles: Readonly<Record<'server' | 'client', (limits?: Partial<Http2Limits>) => End>> = {
  server: (limits) => {
    const peer = new Http2Peer(limits);
    peer.send(headers(1, false));
    return { send: (...bytes) => peer.send(...bytes), isOver: () => peer.connection.isOver, events: () => peer.stream(0).events };
  },
  client: (limits) => {
    const peer = new Http2ServerPeer(limits);
    const { events } = peer.open({ endStream: false });
    peer.send(headers(1, false, [[':status', '200']]));
    events.length = 0;
    return { send: (...bytes) => peer.send(...bytes), isOver: () => peer.connection.isOver, events: () => events };
  },
};

/** What a connection says of an error: `stream ID CODE` and `connection CODE`; all else that goes out is left out. */
function verdict(sent: readonly Frame[]): string {
  const words: string[] = [];
  for (const { type, streamId, payload } of sent) {
    if (type === 3) words.push(`stream ${streamId} ${errorCodeName(payload.readUInt32BE(0))}`);
    if (type === 7) words.push(`connection ${errorCodeName(payload.readUInt32BE(4))}`);
  }
  return words.join(', ') || 'ok';
}

const block = encodeHeaders([['t', '1']]);
const trailersBegin = frame(1, 0x1, 1, block.subarray(0, 1));

/** The rule, what is sent on a connection with stream 1 open, what comes of it, and other limits than usual. */
type Rule = readonly [rule: string, bytes: readonly Buffer[], wanted: string, limits?: Partial<Http2Limits>];

const rules: readonly Rule[] = [
  ['§4.1: the reserved bit before a stream id is ignored', [frame(0, 1, 0x8000_0001, Buffer.alloc(3))], 'ok'],
  ['§4.1: flags that mean nothing for a frame are ignored', [frame(0, 0xf6, 1, Buffer.alloc(3)), frame(6, 0xfe, 0, Buffer.alloc(8)), frame(4, 0xfe, 0)], 'ok'],
  ['§4.1, §5.5: a frame of an unknown type is ignored, on any stream', [frame(0xfe, 0xff, 0, Buffer.alloc(9)), frame(0xfe, 0xff, 99, Buffer.alloc(9))], 'ok'],
  ['§4.2: a frame of the most that was allowed is taken', [data(1, true, 16_384)], 'ok'],
  ['§4.2: longer DATA is FRAME_SIZE_ERROR', [data(1, true, 16_385)], 'connection FRAME_SIZE_ERROR'],
  ['§4.2: longer HEADERS is FRAME_SIZE_ERROR', [frame(1, 5, 1, Buffer.alloc(16_385))], 'connection FRAME_SIZE_ERROR'],
  ['§4.2: a longer frame of an unknown type is FRAME_SIZE_ERROR', [frame(0xfe, 0, 0, Buffer.alloc(16_385))], 'connection FRAME_SIZE_ERROR'],
  ['§4.2: a longer frame is taken by who has allowed it', [data(1, true, 30_000)], 'ok', { frameBytesMax: 32_768 }],
  ['§4.3: a block that cannot be decoded is COMPRESSION_ERROR', [frame(1, 5, 1, Buffer.from([0xff, 0xff, 0xff, 0xff, 0xff, 0xff]))], 'connection COMPRESSION_ERROR'],
  ['§4.3: a block in several frames is one block', [frame(1, 1, 1, block.subarray(0, 2)), frame(9, 0, 1), frame(9, 4, 1, block.subarray(2))], 'ok'],
  ['§4.3, §6.10: DATA within a block', [trailersBegin, data(1, false, 1)], 'connection PROTOCOL_ERROR'],
  ['§4.3, §6.10: HEADERS within a block', [trailersBegin, frame(1, 5, 1, block)], 'connection PROTOCOL_ERROR'],
  ['§4.3, §6.10: PING within a block', [trailersBegin, frame(6, 0, 0, Buffer.alloc(8))], 'connection PROTOCOL_ERROR'],
  ['§4.3, §6.10: CONTINUATION of another stream within a block', [trailersBegin, frame(9, 4, 3, block)], 'connection PROTOCOL_ERROR'],
  ['§5.5, §6.10: an unknown frame within a block', [trailersBegin, frame(0xfe, 0, 1)], 'connection PROTOCOL_ERROR'],
  ['§6.10: CONTINUATION after the end of a block', [frame(1, 4, 1, block), frame(9, 4, 1, block)], 'stream 1 PROTOCOL_ERROR, connection PROTOCOL_ERROR'],
  ['§5.2, §6.9: padding counts in the window of the stream', Array.from({ length: 300 }, () => frame(0, 8, 1, Buffer.concat([Buffer.from([250]), Buffer.alloc(251)]))), 'ok', { streamWindowBytes: 65_535 }],
  ['§5.3: a priority in HEADERS is ignored', [frame(1, 0x25, 1, Buffer.concat([uint32(0x8000_0003), Buffer.from([255]), block]))], 'ok'],
  ['§5.3 of RFC 7540: a stream in HEADERS that depends on itself', [frame(1, 0x25, 1, Buffer.concat([uint32(0x8000_0001), Buffer.from([255]), block]))], 'stream 1 PROTOCOL_ERROR'],
  ['§6.1: padding alone is a body of nothing', [frame(0, 9, 1, Buffer.from([3, 0, 0, 0]))], 'ok'],
  ['§6.1: padding as long as the payload', [frame(0, 9, 1, Buffer.from([4, 0, 0, 0]))], 'connection PROTOCOL_ERROR'],
  ['§6.1: padded DATA without a length of it', [frame(0, 9, 1)], 'connection FRAME_SIZE_ERROR'],
  ['§6.2: padded HEADERS with padding that leaves room', [frame(1, 0xd, 1, Buffer.concat([Buffer.from([2]), block, Buffer.alloc(2)]))], 'ok'],
  ['§6.2: padding longer than HEADERS', [frame(1, 0xd, 1, Buffer.concat([Buffer.from([block.length + 3]), block, Buffer.alloc(2)]))], 'connection PROTOCOL_ERROR'],
  ['§6.2: padding into the priority of HEADERS', [frame(1, 0x2d, 1, Buffer.concat([Buffer.from([3]), Buffer.alloc(7)]))], 'connection PROTOCOL_ERROR'],
  ['§6.2: padded HEADERS without a length of it', [frame(1, 0xd, 1)], 'connection FRAME_SIZE_ERROR'],
  ['§6.2: HEADERS too short for their priority', [frame(1, 0x25, 1, Buffer.alloc(4))], 'connection FRAME_SIZE_ERROR'],
  ['§6.5: SETTINGS that end within a setting', [frame(4, 0, 0, Buffer.alloc(7))], 'connection FRAME_SIZE_ERROR'],
  ['§6.5: an acknowledgement with a payload', [frame(4, 1, 0, Buffer.alloc(6))], 'connection FRAME_SIZE_ERROR'],
  ['§6.5.2: unknown settings are ignored', [settings([0xff, 0xffff_ffff], [7, 1], [8, 1])], 'ok'],
  ['§6.5.2: ENABLE_PUSH is 0 or 1', [settings([2, 2])], 'connection PROTOCOL_ERROR'],
  ['§6.5.2: INITIAL_WINDOW_SIZE is at most 2^31-1', [settings([4, 0x8000_0000])], 'connection FLOW_CONTROL_ERROR'],
  ['§6.5.2: MAX_FRAME_SIZE is at least 16,384', [settings([5, 16_383])], 'connection PROTOCOL_ERROR'],
  ['§6.5.2: MAX_FRAME_SIZE is at most 2^24-1', [settings([5, 16_777_216])], 'connection PROTOCOL_ERROR'],
  ['§6.5.2: what is at the edge is taken', [settings([5, 16_384], [5, 16_777_215], [4, 0], [4, 0x7fff_ffff], [3, 0], [3, 0xffff_ffff], [1, 0xffff_ffff], [6, 0xffff_ffff], [2, 0])], 'ok'],
  ['§6.7: PING of 7 bytes', [frame(6, 0, 0, Buffer.alloc(7))], 'connection FRAME_SIZE_ERROR'],
  ['§6.7: PING of 9 bytes', [frame(6, 1, 0, Buffer.alloc(9))], 'connection FRAME_SIZE_ERROR'],
  ['§6.8: GOAWAY of 7 bytes', [frame(7, 0, 0, Buffer.alloc(7))], 'connection FRAME_SIZE_ERROR'],
  ['§6.9: WINDOW_UPDATE of 3 bytes', [frame(8, 0, 0, Buffer.alloc(3))], 'connection FRAME_SIZE_ERROR'],
  ['§6.9: the reserved bit of WINDOW_UPDATE is ignored', [frame(8, 0, 1, uint32(0x8000_0001)), frame(8, 0, 0, uint32(0x8000_0001))], 'ok'],
  ['§6.9.1: a window of exactly 2^31-1', [frame(8, 0, 1, uint32(0x7fff_ffff - 65_535)), frame(8, 0, 0, uint32(0x7fff_ffff - 65_535))], 'ok'],
  ['§6.9.2: SETTINGS that bring a window above 2^31-1', [frame(8, 0, 1, uint32(1)), settings([4, 0x7fff_ffff])], 'connection FLOW_CONTROL_ERROR'],
  ['§7: a code that nobody knows in RST_STREAM', [frame(3, 0, 1, uint32(0xffff_fff0))], 'ok'],
  ['§7: a code that nobody knows in GOAWAY', [frame(7, 0, 0, uint32(0x7fff_ffff, 0xffff_fff0))], 'ok'],
  ['§8.1: trailers that do not end the stream', [frame(1, 4, 1, block)], 'stream 1 PROTOCOL_ERROR'],
  ['§8.1: a pseudo-header in trailers', [headers(1, true, [[':path', '/']])], 'stream 1 PROTOCOL_ERROR'],
  ['§8.2.2: a connection-specific header in trailers', [headers(1, true, [['keep-alive', '1']])], 'stream 1 PROTOCOL_ERROR'],
  ['§8.4: PUSH_PROMISE', [frame(5, 4, 1, Buffer.concat([uint32(2), block]))], 'connection PROTOCOL_ERROR'],
];

for (const [role, open] of Object.entries(roles)) {
  describe(`RFC 9113 §4 to §8, as ${role}`, () => {
    for (const [rule, bytes, wanted, limits] of rules) {
      it(`${rule}: ${wanted}`, () => {
        const end = open(limits);
        const sent = end.send(...bytes);
        assert.equal(verdict(sent), wanted);
        assert.equal(end.isOver(), wanted.includes('connection'));
        // The same octet by octet, since nothing may depend on where chunks end.
        const slow = open(limits);
        const trickled: Frame[] = [];
        for (const octet of Buffer.concat(bytes)) trickled.push(...slow.send(Buffer.from([octet])));
        assert.equal(verdict(trickled), wanted);
      });
    }

    it('§3.4: the first frame is SETTINGS, not even their acknowledgement', () => {
      for (const first of [frame(4, 1, 0), frame(6, 0, 0, Buffer.alloc(8)), frame(0xfe, 0, 0), frame(8, 0, 0, uint32(1))]) {
        const peer = role === 'server' ? new Http2Peer({}, { raw: true }) : new Http2ServerPeer({}, { raw: true });
        peer.takeBytes();
        if (role === 'server') peer.send(clientPreface);
        assert.equal(verdict(peer.send(first)), 'connection PROTOCOL_ERROR');
      }
    });

    /** Stream 1 is open, and our SETTINGS with a table of 1,000 bytes are not acknowledged yet. */
    const withSmallTable = (): Http2Peer | Http2ServerPeer => {
      const limits = { headerTableBytesMax: 1_000 };
      const peer = role === 'server' ? new Http2Peer(limits, { raw: true }) : new Http2ServerPeer(limits, { raw: true });
      peer.takeBytes();
      if (peer instanceof Http2ServerPeer) peer.open({ endStream: false });
      const prefix = role === 'server' ? [clientPreface, settings(), headers(1, false)] : [settings(), headers(1, false, [[':status', '200']])];
      assert.equal(verdict(peer.send(...prefix)), 'ok', 'until then the peer may go on with 4,096');
      return peer;
    };
    const sizeUpdate = (bytes: number): Buffer => Buffer.from([0x3f, ((bytes - 31) & 0x7f) | 0x80, (bytes - 31) >> 7]);
    const updates: readonly (readonly [string, readonly Uint8Array[], string])[] = [
      ['no word of a smaller table', [block], 'connection COMPRESSION_ERROR'],
      ['a table as small as we said', [sizeUpdate(1_000), block], 'ok'],
      ['a table that is not as small as we said', [sizeUpdate(1_001), block], 'connection COMPRESSION_ERROR'],
      ['a table that became small and larger again', [Buffer.from([0x20]), sizeUpdate(1_000), block], 'ok'],
      ['a size after a field', [sizeUpdate(1_000), block, Buffer.from([0x20])], 'connection COMPRESSION_ERROR'],
    ];
    for (const [what, parts, wanted] of updates) {
      it(`§4.3.1, RFC 7541 §4.2: after our lower HEADER_TABLE_SIZE, ${what}: ${wanted}`, () => {
        assert.equal(verdict(withSmallTable().send(frame(4, 1, 0), frame(1, 5, 1, Buffer.concat(parts)))), wanted);
      });
    }

    it('§5.4.1: a connection error names the last stream and is the last thing that is said', () => {
      const end = open();
      const sent = end.send(frame(0, 0, 0), frame(6, 0, 0, Buffer.alloc(8)), headers(3, true));
      assert.deepEqual(sent.map(({ type, payload }) => [type, payload.readUInt32BE(0)]), [[7, role === 'server' ? 1 : 0]]);
      assert.deepEqual(end.send(frame(6, 0, 0, Buffer.alloc(8))), []);
      assert.deepEqual(end.events(), [role === 'server' ? 'reset 1 by us' : 'reset PROTOCOL_ERROR by us']);
    });

    it('§6.5.3: every SETTINGS is acknowledged in its turn, and in force from there on', () => {
      const end = open();
      const sent = end.send(settings([5, 20_000]), frame(6, 0, 0, Buffer.alloc(8)), settings(), settings([4, 1]));
      assert.deepEqual(sent.map(({ type, flags }) => [type, flags]), [[4, 1], [6, 1], [4, 1], [4, 1]]);
      assert.deepEqual(end.send(frame(4, 1, 0)), [], 'an acknowledgement is not answered');
    });

    it('§6.7: PING is answered with what it carries, an answer is not', () => {
      const end = open();
      const [answer] = end.send(frame(6, 0, 0, Buffer.from('abcdefgh')));
      assert.deepEqual([answer?.type, answer?.flags, answer?.payload.toString()], [6, 1, 'abcdefgh']);
      assert.deepEqual(end.send(frame(6, 1, 0, Buffer.from('abcdefgh'))), []);
    });

    it('§8.1: trailers end a body', () => {
      const end = open();
      end.send(data(1, false, 2), headers(1, true, [['t', '1']]));
      assert.deepEqual(end.events(), ['data 2', 'end t=1']);
    });
  });
}

describe('RFC 9113 §3, §5 and §8: rules of the server', () => {
  it('§3.4: what is not the preface is refused, at its first wrong octet', () => {
    for (const at of [0, 3, 14, 23]) {
      const wrong = Buffer.from(clientPreface);
      wrong[at] = 0x58;
      const peer = new Http2Peer({}, { raw: true });
      peer.takeBytes();
      assert.equal(verdict(peer.send(wrong.subarray(0, at + 1))), 'connection PROTOCOL_ERROR');
    }
  });

  it('§5.1.1: ids rise, and only odd ones are for clients', () => {
    const peer = new Http2Peer();
    assert.equal(verdict(peer.send(headers(5, true), headers(9, true))), 'ok');
    assert.equal(verdict(peer.send(headers(7, true))), 'connection PROTOCOL_ERROR');
    assert.equal(verdict(new Http2Peer().send(headers(2, true))), 'connection PROTOCOL_ERROR');
    assert.equal(verdict(new Http2Peer().send(headers(0x7fff_ffff, true))), 'ok');
  });

  const malformed: readonly (readonly [string, OutgoingHeaders])[] = [
    ['§8.3.1: no :method', [[':scheme', 'http'], [':path', '/']]],
    ['§8.3.1: no :scheme', [[':method', 'GET'], [':path', '/']]],
    ['§8.3.1: no :path', [[':method', 'GET'], [':scheme', 'http']]],
    ['§8.3.1: an empty :path', [[':method', 'GET'], [':scheme', 'http'], [':path', '']]],
    ['§8.3: a pseudo-header twice', [...requestHeaders, [':path', '/']]],
    ['§8.3: a pseudo-header of answers', [...requestHeaders, [':status', '200']]],
    ['§8.3: a pseudo-header that nobody knows', [...requestHeaders, [':protocol', 'x']]],
    ['§8.3: a pseudo-header after a header', [['a', 'b'], ...requestHeaders]],
    ['§8.3.1: host that differs from :authority', [...requestHeaders, [':authority', 'a:1'], ['host', 'b:1']]],
    ['§8.2.2: connection', [...requestHeaders, ['connection', 'x']]],
    ['§8.2.2: proxy-connection', [...requestHeaders, ['proxy-connection', 'x']]],
    ['§8.2.2: keep-alive', [...requestHeaders, ['keep-alive', 'x']]],
    ['§8.2.2: transfer-encoding', [...requestHeaders, ['transfer-encoding', 'chunked']]],
    ['§8.2.2: upgrade', [...requestHeaders, ['upgrade', 'h2c']]],
    ['§8.2.2: te other than trailers', [...requestHeaders, ['te', 'trailers, gzip']]],
    ['§8.1.1: a content-length that is no number', [...requestHeaders, ['content-length', '1x']]],
    ['§8.1.1: two content-lengths', [...requestHeaders, ['content-length', '1'], ['content-length', '2']]],
    ['§8.1.1: a content-length and no body', [...requestHeaders, ['content-length', '1']]],
    ['§8.5: CONNECT with a path', [[':method', 'CONNECT'], [':authority', 'a:1'], [':path', '/']]],
    ['§8.5: CONNECT with a scheme', [[':method', 'CONNECT'], [':authority', 'a:1'], [':scheme', 'http']]],
    ['§8.5: CONNECT without an authority', [[':method', 'CONNECT']]],
  ];
  for (const [rule, list] of malformed) {
    it(`${rule} is malformed: stream error PROTOCOL_ERROR, and no handler is asked`, () => {
      const peer = new Http2Peer();
      assert.equal(verdict(peer.send(headers(1, true, list))), 'stream 1 PROTOCOL_ERROR');
      assert.equal(peer.streams.length, 0);
      peer.send(headers(3, true));
      assert.deepEqual(peer.stream(0).events, ['end']);
    });
  }

  const octets: readonly (readonly [string, readonly number[]])[] = [
    ['§8.2.1: a name in capitals', [0x00, 1, 0x41, 1, 0x62]],
    ['§8.2.1: a blank in a name', [0x00, 1, 0x20, 1, 0x62]],
    ['§8.2.1: DEL in a name', [0x00, 1, 0x7f, 1, 0x62]],
    ['§8.2.1: an octet above ASCII in a name', [0x00, 1, 0xe9, 1, 0x62]],
    ['§8.2.1: a colon in a name', [0x00, 3, 0x61, 0x3a, 0x62, 1, 0x62]],
    ['§8.2.1: an empty name', [0x00, 0, 1, 0x62]],
    ['§8.2.1: NUL in a value', [0x00, 1, 0x61, 3, 0x62, 0x00, 0x62]],
    ['§8.2.1: CR in a value', [0x00, 1, 0x61, 3, 0x62, 0x0d, 0x62]],
    ['§8.2.1: LF in a value', [0x00, 1, 0x61, 3, 0x62, 0x0a, 0x62]],
    ['§8.2.1: a value that begins with a blank', [0x00, 1, 0x61, 2, 0x20, 0x62]],
    ['§8.2.1: a value that ends with a tab', [0x00, 1, 0x61, 2, 0x62, 0x09]],
    ['§8.2.1: LF in a pseudo-header', [0x04, 2, 0x2f, 0x0a]],
  ];
  for (const [rule, field] of octets) {
    it(`${rule} is malformed`, () => {
      const peer = new Http2Peer();
      const path = rule.includes('pseudo') ? [] : [0x84];
      assert.equal(verdict(peer.send(frame(1, 5, 1, Buffer.from([0x83, 0x86, ...path, ...field])))), 'stream 1 PROTOCOL_ERROR');
    });
  }

  const wellFormed: readonly (readonly [string, OutgoingHeaders])[] = [
    ['§8.3: pseudo-headers in any order', [[':path', '/'], [':authority', 'a'], [':scheme', 'https'], [':method', 'GET']]],
    ['§8.3.1: OPTIONS for all', [[':method', 'OPTIONS'], [':scheme', 'http'], [':path', '*']]],
    ['§8.3.1: host alone', [...requestHeaders, ['host', 'a:1']]],
    ['§8.3.1: host that is the authority in other letters', [...requestHeaders, [':authority', 'Example.org:1'], ['host', 'example.org:1']]],
    ['§8.2.2: te: trailers', [...requestHeaders, ['te', 'trailers']]],
    ['§8.2.1: blanks, tabs and octets above ASCII within a value', [...requestHeaders, ['a', 'b \t \u00e9c']]],
    ['§8.2.1: an empty value', [...requestHeaders, ['a', '']]],
    ['§8.5: CONNECT', [[':method', 'CONNECT'], [':authority', 'a:1']]],
    ['§8.1.1: content-length 0', [...requestHeaders, ['content-length', '0']]],
  ];
  for (const [rule, list] of wellFormed) {
    it(`${rule} is well-formed`, () => {
      const peer = new Http2Peer();
      assert.equal(verdict(peer.send(headers(1, true, list))), 'ok');
      assert.deepEqual(peer.stream(0).events, ['end']);
    });
  }

  it('§8.1: interim answers go out before the final one', () => {
    const peer = new Http2Peer();
    peer.send(headers(1, false));
    const { stream } = peer.stream(0);
    stream.sendHeaders([[':status', '100']], false);
    stream.sendHeaders([[':status', '103'], ['link', '</a>']], false);
    stream.sendHeaders([[':status', '200']], false);
    stream.sendTrailers([['t', '1']]);
    const sent = peer.take();
    assert.deepEqual(sent.map((out) => [out.flags, peer.fieldsOf(out)[1]]), [[4, '100'], [4, '103'], [4, '200'], [5, '1']]);
  });

  it('§8.1: a whole answer before the end of the request, then RST_STREAM with NO_ERROR', () => {
    const peer = new Http2Peer();
    peer.send(headers(1, false), data(1, false, 5));
    const { stream } = peer.stream(0);
    stream.sendHeaders([[':status', '413']], true);
    stream.reset(0);
    assert.deepEqual(peer.take().map(({ type }) => type), [1, 3]);
    assert.deepEqual(peer.send(data(1, false, 500), data(1, true, 500)), [], 'what was on its way is dropped');
    assert.equal(peer.connection.streamCount, 0);
  });
});
