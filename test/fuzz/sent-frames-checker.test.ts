// The reader that judges the engine's output, held against output that breaks one rule each.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { clientPreface } from '../../src/h2/frames.ts';
import { http2Limits } from '../../src/h2/limits.ts';
import { data, frame, headers, parseFrames, settings, uint32 } from '../../src/testing/http2-peer.ts';
import { SentFramesChecker } from './sent-frames-checker.ts';

const ok = headers(1, false, [[':status', '200']]);
const limits = { ...http2Limits, connectionWindowBytes: 70_000, streamWindowBytes: 70_000 };

/** The server sends each of `sent` after what the client of `request` sent; the last is expected to be refused. */
function serverSends(...sent: Buffer[]): void {
  const checker = new SentFramesChecker('server', limits);
  checker.onOutput(settings());
  for (const one of parseFrames(Buffer.concat([settings([4, 100]), headers(1, true)]))) checker.onPeerFrame(one);
  for (const one of sent) checker.onOutput(one);
  checker.finish();
}

describe('SentFramesChecker', () => {
  it('takes an answer that keeps the rules', () => {
    serverSends(frame(4, 1, 0), ok, data(1, false, 50), data(1, false, 50), headers(1, true, [['t', '1']]));
    serverSends(headers(1, false, [[':status', '103']]), ok, data(1, true, 0), frame(7, 0, 0, uint32(1, 0)), frame(7, 0, 0, uint32(1, 11)));
    serverSends(frame(8, 0, 0, uint32(4_465)), frame(8, 0, 1, uint32(4_465)));
  });

  const broken: readonly (readonly [string, Buffer[], RegExp])[] = [
    ['more DATA than the window of the stream', [ok, data(1, false, 101)], /exceeds its window by 1/],
    ['DATA before headers', [data(1, false, 1)], /before its headers/],
    ['DATA after the end', [ok, data(1, true, 0), data(1, false, 1)], /after its end/],
    ['DATA after a reset', [ok, frame(3, 0, 1, uint32(8)), data(1, false, 1)], /after its reset/],
    ['an answer on an idle stream', [headers(3, true, [[':status', '200']])], /idle/],
    ['RST_STREAM on an idle stream', [frame(3, 0, 2, uint32(8))], /idle/],
    ['a frame that is too long', [ok, frame(0, 0, 1, Buffer.alloc(16_385))], /the peer takes 16384/],
    ['trailers that do not end', [ok, headers(1, false, [['t', '1']])], /do not end it/],
    ['an answer without a status', [headers(1, true, [['x', '1']])], /the head of an answer/],
    ['a header block that is interrupted', [frame(1, 0, 1, ok.subarray(9)), data(1, false, 1)], /interrupted/],
    ['a header block without an end', [frame(1, 0, 1, ok.subarray(9))], /within a header block/],
    ['half a frame', [ok.subarray(0, 9)], /within a frame/],
    ['an acknowledgement too many', [frame(4, 1, 0), frame(4, 1, 0)], /nobody sent/],
    ['a PING that was not asked for', [frame(6, 1, 0, Buffer.alloc(8))], /repeats it/],
    ['more credit than there is', [frame(8, 0, 0, uint32(4_466))], /the limit of a connection/],
    ['more credit for a stream than there is', [frame(8, 0, 1, uint32(4_466))], /the limit is 70000/],
    ['credit of nothing', [frame(8, 0, 1, uint32(0))], /WINDOW_UPDATE by 0/],
    ['something after the last GOAWAY', [frame(7, 0, 0, uint32(1, 1)), ok], /after a GOAWAY/],
    ['a GOAWAY that takes back', [frame(7, 0, 0, uint32(0, 0)), frame(7, 0, 0, uint32(1, 0))], /takes back/],
    ['a GOAWAY for what never was', [frame(7, 0, 0, uint32(3, 0))], /never was/],
    ['a type that is not sent', [frame(5, 4, 1, uint32(2))], /type 5/],
  ];
  for (const [what, sent, refusal] of broken) {
    it(`refuses ${what}`, () => {
      assert.throws(() => serverSends(...sent), refusal);
    });
  }

  it('wants the table size update that a lower limit asks for, once', () => {
    const checker = new SentFramesChecker('server', limits);
    checker.onOutput(settings());
    for (const one of parseFrames(Buffer.concat([settings([1, 100]), headers(1, true), headers(3, true)]))) checker.onPeerFrame(one);
    const block = headers(1, true, [[':status', '200']]).subarray(9);
    assert.throws(() => checker.onOutput(frame(1, 5, 1, block)), /must open with a table size update/);
    checker.onOutput(frame(1, 5, 1, Buffer.concat([Buffer.from([0x20]), block])));
    checker.onOutput(frame(1, 5, 3, block));
  });

  it('wants answers to SETTINGS and PING', () => {
    const checker = new SentFramesChecker('server', limits);
    const [setting, ping] = parseFrames(Buffer.concat([settings(), frame(6, 0, 0, Buffer.alloc(8, 1))]));
    assert.ok(setting !== undefined && ping !== undefined);
    checker.onPeerFrame(ping);
    assert.throws(() => checker.checkAnswered(), /PING without an answer/);
    checker.onOutput(Buffer.concat([settings(), frame(6, 1, 0, Buffer.alloc(8, 1))]));
    checker.onPeerFrame(setting);
    assert.throws(() => checker.checkAnswered(), /SETTINGS without/);
  });

  it('holds a client to its preface, to ids that grow, and to the streams that it may open', () => {
    const request = (id: number) => headers(id, true);
    const started = (...more: Buffer[]): SentFramesChecker => {
      const checker = new SentFramesChecker('client', limits);
      checker.onOutput(Buffer.concat([Buffer.from(clientPreface), settings(), ...more]));
      return checker;
    };
    started(request(1), request(3)).finish();
    assert.throws(() => new SentFramesChecker('client', limits).onOutput(settings()), /preface/);
    assert.throws(() => started(request(3), request(1)), /idle/);
    assert.throws(() => started(request(2)), /a client opened stream 2/);
    const limited = started(request(1));
    for (const one of parseFrames(settings([3, 1]))) limited.onPeerFrame(one);
    assert.throws(() => limited.onOutput(request(3)), /one more than the 1/);
  });
});
