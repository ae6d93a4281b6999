// Frames come out the same wherever the chunks of the input end.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { seededRandom } from '../testing/seeded-random.ts';
import { ConnectionError, errorCode } from './error-code.ts';
import { FrameReader } from './frame-reader.ts';
import type { FrameSink } from './frame-reader.ts';
import { frameType } from './frames.ts';

/** Writes down what it is told, the pieces of one DATA frame joined. */
class Recorder implements FrameSink {
  readonly events: string[] = [];
  pieces = 0;
  #data = '';

  onFrame(frame: { type: number; flags: number; streamId: number }, bytes: Uint8Array, from: number, end: number): void {
    this.events.push(`${frame.type} ${frame.flags} ${frame.streamId} ${Buffer.from(bytes.subarray(from, end)).toString('hex')}`);
  }
  onDataBegin(frame: { streamId: number; length: number }, contentBytes: number): void {
    this.events.push(`data ${frame.streamId} ${frame.length} ${contentBytes}`);
    this.#data = '';
  }
  onDataPiece(bytes: Uint8Array): void {
    assert.ok(bytes.length > 0);
    this.pieces++;
    this.#data += Buffer.from(bytes).toString('hex');
  }
  onDataEnd(): void {
    this.events.push(`end ${this.#data}`);
  }
}

function frame(type: number, flags: number, streamId: number, payload: Uint8Array): Buffer {
  const header = Buffer.alloc(9);
  header.writeUIntBE(payload.length, 0, 3);
  header[3] = type;
  header[4] = flags;
  header.writeUInt32BE(streamId, 5);
  return Buffer.concat([header, payload]);
}

describe('FrameReader', () => {
  it('does not care where chunks end', (t) => {
    const random = seededRandom(t);
    const frames = Array.from({ length: 200 }, () => {
      const payload = random.bytes(random.pick([0, 1, 4, 8, 100, 2_000]));
      const padded = payload.length > 0 && random.integer(0, 2) === 0;
      if (padded) payload[0] = random.integer(0, Math.min(255, payload.length - 1));
      return frame(random.pick([0, 0, 1, 3, 4, 8, 9, 200]), padded ? 0x9 : 0x1, random.integer(0, 9), payload);
    });
    const input = Buffer.concat(frames);
    const whole = new Recorder();
    new FrameReader(whole, 16_384).push(input, 0);
    assert.ok(whole.events.length >= 200);
    for (const sizes of [[1], [1, 2, 3], [9], [8, 10], [500, 1]]) {
      const split = new Recorder();
      const reader = new FrameReader(split, 16_384);
      for (let at = 0; at < input.length; ) {
        const size = random.pick(sizes);
        reader.push(input.subarray(at, at + size), 0);
        at += size;
      }
      assert.deepEqual(split.events, whole.events);
    }
  });

  it('hands DATA on as it comes, as views of the chunk', () => {
    const recorder = new Recorder();
    const reader = new FrameReader(recorder, 16_384);
    const input = frame(frameType.data, 0, 1, new Uint8Array(1_000));
    reader.push(input.subarray(0, 400), 0);
    assert.equal(recorder.pieces, 1);
    reader.push(input.subarray(400, 401), 0);
    assert.equal(recorder.pieces, 2);
    reader.push(input.subarray(401), 0);
    assert.equal(recorder.pieces, 3);
  });

  it('refuses frames above the limit with their header, and padding above the payload', () => {
    const code = (expected: number) => (thrown: unknown) => thrown instanceof ConnectionError && thrown.code === expected;
    const oversized = frame(frameType.headers, 0, 1, new Uint8Array(16_385)).subarray(0, 9);
    assert.throws(() => new FrameReader(new Recorder(), 16_384).push(oversized, 0), code(errorCode.frameSizeError));
    const overpadded = frame(frameType.data, 0x8, 1, Buffer.from([4, 0, 0, 0]));
    assert.throws(() => new FrameReader(new Recorder(), 16_384).push(overpadded, 0), code(errorCode.protocolError));
    new FrameReader(new Recorder(), 16_384).push(frame(frameType.data, 0x8, 1, Buffer.from([3, 0, 0, 0])), 0);
    assert.throws(() => new FrameReader(new Recorder(), 16_384).push(frame(frameType.data, 0x8, 1, Buffer.alloc(0)), 0), code(errorCode.frameSizeError));
  });

  it('goes no further once stopped', () => {
    const recorder = new Recorder();
    const reader = new FrameReader(recorder, 16_384);
    reader.stop();
    reader.push(frame(frameType.ping, 0, 0, new Uint8Array(8)), 0);
    assert.deepEqual(recorder.events, []);
  });
});
