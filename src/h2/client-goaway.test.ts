// How the server ends a connection, and how the client does (RFC 9113 §6.8), against a server driven by hand.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { data, frame, headers, uint32 } from '../testing/http2-peer.ts';
import type { Frame } from '../testing/http2-peer.ts';
import { Http2ServerPeer } from '../testing/http2-server-peer.ts';
import { errorCode } from './error-code.ts';

function answer(id: number, endStream: boolean): Buffer {
  return headers(id, endStream, [[':status', '200']]);
}

function goaway(lastStreamId: number, code: number, debug = ''): Buffer {
  return frame(7, 0, 0, Buffer.concat([uint32(lastStreamId, code), Buffer.from(debug)]));
}

/** Code of the first GOAWAY among the frames. */
function code(frames: readonly Frame[]): number | undefined {
  return frames.find(({ type }) => type === 7)?.payload.readUInt32BE(4);
}

function lastId(frames: readonly Frame[]): number | undefined {
  return frames.find(({ type }) => type === 7)?.payload.readUInt32BE(0);
}

describe('client: GOAWAY (RFC 9113 §6.8)', () => {
  it('§6.8: resets what is above the last stream as not processed, and lets the others end', () => {
    const peer = new Http2ServerPeer();
    const requests = [peer.open(), peer.open(), peer.open()];
    peer.take();
    const out = peer.send(goaway(3, errorCode.noError, 'bye'), answer(1, true));
    assert.deepEqual(out, [], 'nothing is said about streams that the server does not know');
    assert.deepEqual(requests.map(({ events }) => events), [['headers 200', 'end'], [], ['reset REFUSED_STREAM by peer, unprocessed']]);
    assert.equal(peer.connection.freeStreams, 0);
    assert.deepEqual(peer.connection.ending, { code: 0, byPeer: true, byGoaway: true, reason: 'bye' });
    assert.equal(peer.connection.isOver, false);
    const last = peer.send(answer(3, true));
    assert.deepEqual([last.length, code(last), lastId(last)], [1, errorCode.noError, 0]);
    assert.equal(peer.connection.isOver, true);
  });

  it('§6.8: two steps, where the first names no stream and the second the last one', () => {
    const peer = new Http2ServerPeer();
    const requests = [peer.open(), peer.open()];
    peer.send(goaway(0x7fff_ffff, errorCode.noError));
    assert.deepEqual([peer.connection.freeStreams, peer.connection.streamCount], [0, 2]);
    peer.send(goaway(1, errorCode.noError));
    assert.deepEqual(requests.map(({ events }) => events), [[], ['reset REFUSED_STREAM by peer, unprocessed']]);
    peer.send(goaway(0x7fff_ffff, errorCode.noError)); // may not rise again
    assert.deepEqual(peer.send(answer(3, true)), []);
    peer.send(answer(1, true));
    assert.equal(peer.connection.isOver, true);
  });

  it('§6.8: what still comes on streams that the server called unprocessed is dropped, within bounds', () => {
    const peer = new Http2ServerPeer({ idleFramesBurst: 20 });
    const kept = peer.open();
    peer.open();
    peer.send(goaway(1, errorCode.noError));
    const late = [answer(3, false), data(3, false, 3), headers(3, true, [['t', '1']]), frame(3, 0, 3, uint32(8)), frame(8, 0, 3, uint32(8))];
    assert.deepEqual(peer.send(...late), []);
    peer.send(answer(1, true));
    assert.deepEqual(kept.events, ['headers 200', 'end']);
    const flooded = new Http2ServerPeer({ idleFramesBurst: 20 });
    flooded.open();
    flooded.open();
    flooded.send(goaway(1, errorCode.noError));
    assert.equal(code(flooded.send(...Array.from({ length: 30 }, () => answer(3, false)))), errorCode.enhanceYourCalm);
  });

  it('ends at once when nothing is in progress, and keeps the reason that the server gave', () => {
    const peer = new Http2ServerPeer();
    peer.send(goaway(0, errorCode.enhanceYourCalm, 'too_many_pings'));
    assert.equal(peer.connection.isOver, true);
    peer.connection.abort();
    assert.deepEqual(peer.connection.ending, { code: errorCode.enhanceYourCalm, byPeer: true, byGoaway: true, reason: 'too_many_pings' });
  });

  it('§6.8: keeps the reason that comes with a later GOAWAY, and not its silence', () => {
    const told = (...goaways: readonly Buffer[]): unknown => {
      const peer = new Http2ServerPeer();
      peer.open();
      peer.send(...goaways);
      return [peer.connection.ending?.code, peer.connection.ending?.reason];
    };
    const [first, last] = [2 ** 31 - 1, 1];
    assert.deepEqual(told(goaway(first, errorCode.noError), goaway(last, errorCode.enhanceYourCalm, 'too_many_pings')), [errorCode.enhanceYourCalm, 'too_many_pings']);
    assert.deepEqual(told(goaway(first, errorCode.noError, 'max_age'), goaway(last, errorCode.noError)), [errorCode.noError, 'max_age']);
    assert.deepEqual(told(goaway(first, errorCode.noError), goaway(last, errorCode.noError, 'max_age')), [errorCode.noError, 'max_age']);
    assert.deepEqual(told(goaway(first, errorCode.enhanceYourCalm, 'too_many_pings'), goaway(last, errorCode.noError, 'bye')), [errorCode.enhanceYourCalm, 'too_many_pings']);
    assert.deepEqual(told(goaway(first, errorCode.noError, 'max_age'), goaway(last, errorCode.protocolError)), [errorCode.protocolError, '']);
  });

  it('§6.8: gives the words of a server fit for a log, whatever bytes they are', () => {
    const peer = new Http2ServerPeer();
    peer.send(goaway(0, errorCode.noError, `\x1b[2J\r\n"\u00e9${'x'.repeat(1_000)}`));
    assert.equal(peer.connection.ending?.reason, `\\x1b[2J\\x0d\\x0a"\\xc3\\xa9${'x'.repeat(247)}`);
  });

  it('§6.8: refuses a GOAWAY on a stream, or one that is too short', () => {
    assert.equal(code(new Http2ServerPeer().send(frame(7, 0, 1, uint32(0, 0)))), errorCode.protocolError);
    assert.equal(code(new Http2ServerPeer().send(frame(7, 0, 0, uint32(0)))), errorCode.frameSizeError);
  });

  it('drains: opens nothing more, says goodbye and is over after the last answer', () => {
    const peer = new Http2ServerPeer();
    const request = peer.open();
    peer.connection.drain();
    assert.equal(peer.connection.freeStreams, 0);
    assert.equal(peer.connection.isOver, false);
    const out = peer.send(answer(1, true));
    assert.deepEqual(request.events, ['headers 200', 'end']);
    assert.deepEqual([out.at(-1)?.type, code(out)], [7, errorCode.noError]);
    assert.equal(peer.connection.isOver, true);
  });

  it('tells every request when the connection is lost, and which of them never left', () => {
    const peer = new Http2ServerPeer();
    const sent = peer.open();
    peer.take();
    const unsent = peer.open();
    peer.connection.abort();
    assert.deepEqual([sent.events, unsent.events], [['reset CANCEL by peer'], ['reset CANCEL by peer, unprocessed']]);
    assert.equal(sent.resets[0]?.reason, 'the connection was lost');
    assert.equal(peer.connection.freeStreams, 0);
  });
});
