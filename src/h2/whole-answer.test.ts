// Answers that go out in one piece: the same frames as piece by piece, or nothing at all.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { Http2Peer, frame, headers, settings, uint32 } from '../testing/http2-peer.ts';
import { prepareHeaders } from './header-encoder.ts';
import type { ContentWriter } from './stream.ts';

const ends = { headers: prepareHeaders([[':status', '200'], ['content-type', 'text/plain']]), trailers: prepareHeaders([['t', '1']]) };

/** Content is a text; one with a "!" it cannot write. `bytesMax` is more than it is, as mostly. */
const writer: ContentWriter = {
  bytesMax: (content) => String(content).length + 20,
  write(content, into, at) {
    const written = into.write(String(content), at, 'latin1');
    return String(content).endsWith('!') ? -1 : at + written;
  },
};

/** A peer that has asked once, with these frames before. */
function asking(...first: Buffer[]): Http2Peer {
  const peer = new Http2Peer();
  peer.send(...first, headers(1, true));
  return peer;
}

function sendWhole(peer: Http2Peer, content: string): number {
  return peer.stream().stream.trySendWhole?.(ends, writer, content) ?? assert.fail('the engine can send whole answers');
}

describe('an answer sent whole', () => {
  for (const content of ['', 'x', 'some content', 'y'.repeat(2_000)]) {
    it(`has the frames of one sent in pieces: ${content.length} bytes`, () => {
      const whole = asking();
      assert.equal(sendWhole(whole, content), content.length);
      const pieces = asking();
      const { stream } = pieces.stream();
      stream.sendHeaders(ends.headers, false);
      stream.sendData([Buffer.from(content)], false);
      stream.sendTrailers(ends.trailers);
      assert.deepEqual(whole.take(), pieces.take());
      assert.equal(whole.connection.streamCount, 0);
      assert.equal(whole.stream().stream.closed, true);
    });
  }

  it('asks once how long the content may be', () => {
    let asked = 0;
    const counting: ContentWriter = { ...writer, bytesMax: (content) => ((asked += 1), writer.bytesMax(content)) };
    assert.equal(asking().stream().stream.trySendWhole?.(ends, counting, 'some content'), 12);
    assert.equal(asked, 1);
  });

  it('counts against the windows of the stream and of the connection', () => {
    const peer = asking(settings([4, 40]));
    assert.equal(sendWhole(peer, 'z'.repeat(21)), -1, 'it might be 41 bytes');
    assert.deepEqual(peer.take(), []);
    peer.send(frame(8, 0, 1, uint32(1)));
    assert.equal(sendWhole(peer, 'z'.repeat(21)), 21);
    const all = new Http2Peer();
    let sentBytes = 0;
    for (let id = 1; ; id += 2) {
      all.send(headers(id, true));
      const bytes = all.stream((id - 1) / 2).stream.trySendWhole?.(ends, writer, 'z'.repeat(1_980)) ?? -1;
      if (bytes < 0) break;
      sentBytes += bytes;
    }
    assert.equal(sentBytes, 33 * 1_980); // 65,535 bytes are 33 times 1,980 and less than 2,000 more
  });

  it('sends nothing when the content is long, or its writer gives up', () => {
    const peer = asking();
    assert.equal(sendWhole(peer, 'z'.repeat(2_029)), -1);
    assert.equal(sendWhole(peer, 'no!'), -1);
    assert.deepEqual(peer.take(), []);
    assert.equal(sendWhole(peer, 'yes'), 3, 'and the stream is as it was');
  });

  it('leaves the first block after a smaller table to who can open it with the update', () => {
    const peer = asking(settings([1, 0]));
    assert.equal(sendWhole(peer, 'x'), -1);
    peer.stream().stream.sendHeaders(ends.headers, true);
    assert.equal(peer.take().find(({ type }) => type === 1)?.payload[0], 0x20);
    peer.send(headers(3, true));
    assert.equal(peer.stream(1).stream.trySendWhole?.(ends, writer, 'x'), 1);
  });

  it('does nothing on a stream that has ended, or that has begun to queue', () => {
    const peer = asking(settings([4, 10]));
    peer.stream().stream.sendHeaders(ends.headers, false);
    peer.stream().stream.sendData([new Uint8Array(20)], false);
    assert.equal(sendWhole(peer, ''), -1);
    peer.stream().stream.reset(8);
    peer.take();
    assert.equal(sendWhole(peer, ''), -1);
    assert.deepEqual(peer.take(), []);
  });
});
