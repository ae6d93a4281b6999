// What statistics are told of a connection: each reset once, whoever made it, and why a connection was ended.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { Http2Peer, data, frame, headers, uint32 } from '../testing/http2-peer.ts';
import { errorCode, errorCodeName } from './error-code.ts';
import { prepareHeaders } from './header-encoder.ts';

describe('connection events', () => {
  it('tells of a reset by the client, by its code, and of one by a handler', () => {
    const peer = new Http2Peer();
    peer.send(headers(1, false), headers(3, false), headers(5, false));
    peer.send(frame(3, 0, 1, uint32(errorCode.cancel)));
    peer.send(frame(3, 0, 5, uint32(0xdead)));
    peer.stream(1).stream.reset(errorCode.internalError);
    peer.stream(1).stream.reset(errorCode.internalError); // is over already
    assert.deepEqual(peer.mishaps, ['reset CANCEL by peer', 'reset other by peer', 'reset INTERNAL_ERROR by us']);
  });

  it('tells of a request that is refused, and of DATA on a stream that is closed', () => {
    const peer = new Http2Peer({ concurrentStreamsMax: 1 });
    peer.send(headers(1, false), headers(3, false));
    peer.send(data(1, true, 0));
    peer.stream(0).stream.sendHeaders(prepareHeaders([[':status', '200']]), true);
    peer.send(data(1, true, 4));
    assert.deepEqual(peer.mishaps, ['reset REFUSED_STREAM by us', 'reset STREAM_CLOSED by us']);
  });

  it('says which frames a flood was made of, and nothing of that for another fault', () => {
    const floods = [
      [frame(6, 0, 0, Buffer.alloc(8)), 'ENHANCE_YOUR_CALM: PING'],
      [frame(2, 0, 1, Buffer.alloc(5)), 'ENHANCE_YOUR_CALM: PRIORITY'],
      [frame(4, 0, 0), 'ENHANCE_YOUR_CALM: SETTINGS'],
    ] as const;
    for (const [sent, mishap] of floods) {
      const peer = new Http2Peer({ idleFramesBurst: 3, idleFramesPerSecond: 1 });
      peer.send(sent, sent, sent, sent, sent);
      assert.deepEqual(peer.mishaps, [mishap]);
    }
    const peer = new Http2Peer();
    peer.send(frame(0, 0, 0, Buffer.alloc(1)), frame(0, 0, 0, Buffer.alloc(1)));
    assert.deepEqual(peer.mishaps, ['PROTOCOL_ERROR'], 'once: the connection is over');
  });

  it('tells nothing of calls that end well, nor of a drain', () => {
    const peer = new Http2Peer();
    peer.onEnd = ({ stream }) => stream.sendHeaders(prepareHeaders([[':status', '200']]), true);
    peer.send(headers(1, true));
    peer.connection.drain();
    peer.connection.abort();
    assert.deepEqual(peer.mishaps, []);
  });

  it('RFC 9113 §7: names every code', () => {
    assert.deepEqual(Object.values(errorCode).map(errorCodeName), [
      ...['NO_ERROR', 'PROTOCOL_ERROR', 'INTERNAL_ERROR', 'FLOW_CONTROL_ERROR', 'SETTINGS_TIMEOUT', 'STREAM_CLOSED', 'FRAME_SIZE_ERROR'],
      ...['REFUSED_STREAM', 'CANCEL', 'COMPRESSION_ERROR', 'CONNECT_ERROR', 'ENHANCE_YOUR_CALM', 'INADEQUATE_SECURITY', 'HTTP_1_1_REQUIRED'],
    ]);
    assert.equal(errorCodeName(0xe), 'other');
  });
});
