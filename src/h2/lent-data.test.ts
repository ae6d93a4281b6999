// Memory that an answer stands in goes back once all of it was written, and not before.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { ReusedMemory } from '../base/reused-memory.ts';
import type { LentMemory } from '../base/reused-memory.ts';
import { Http2Peer, frame, headers, settings, uint32 } from '../testing/http2-peer.ts';
import { OutputBatch } from './output-batch.ts';
import { SendQueue } from './send-queue.ts';

class Memory implements LentMemory {
  readonly bytes = Buffer.alloc(100_000, 'some content, ');
  readonly view = new DataView(this.bytes.buffer, this.bytes.byteOffset, this.bytes.byteLength);
  backCount = 0;
  giveBack(): void {
    this.backCount += 1;
  }
}

describe('lent memory', () => {
  it('goes back when the batch is written, not when it is taken', () => {
    const batch = new OutputBatch();
    const memory = new Memory();
    batch.append(memory.bytes);
    batch.hold(memory);
    batch.wrote(0);
    assert.equal(memory.backCount, 0, 'it is not even taken');
    batch.take();
    assert.equal(memory.backCount, 0);
    batch.wrote(1);
    assert.equal(memory.backCount, 0, 'its last byte waits');
    batch.wrote(0);
    batch.wrote(0);
    assert.equal(memory.backCount, 1);
  });

  it('goes back although something is always on its way behind it', () => {
    const batch = new OutputBatch();
    const all = Array.from({ length: 20 }, () => new Memory());
    for (const [index, memory] of all.entries()) {
      batch.append(memory.bytes);
      batch.hold(memory);
      batch.take();
      batch.append(Buffer.alloc(10)); // gathered, and not taken
      batch.wrote(index === 0 ? 100_000 : 100_010);
      assert.deepEqual(all.map(({ backCount }) => backCount), all.map((_, other) => (other < index ? 1 : 0)), `after ${index}`);
    }
    batch.take();
    batch.wrote(11);
    assert.equal(all.at(-1)?.backCount, 0);
    batch.wrote(10);
    assert.equal(all.at(-1)?.backCount, 1);
  });

  it('leaves a queue with its last byte', () => {
    const [queue, batch, memory, other] = [new SendQueue(), new OutputBatch(), new Memory(), new Memory()];
    const { bytes } = memory;
    queue.push([bytes.subarray(0, 50_000), bytes.subarray(50_000)], 100_000, memory);
    queue.push([other.bytes], 100_000, other);
    const move = (count: number): readonly number[] => {
      queue.moveTo(batch, count);
      batch.take();
      batch.wrote(0);
      return [memory.backCount, other.backCount];
    };
    assert.deepEqual(move(50_000), [0, 0]);
    assert.deepEqual(move(49_999), [0, 0]);
    assert.deepEqual(move(1), [1, 0]);
    assert.deepEqual(move(99_999), [1, 0]);
    assert.deepEqual(move(1), [1, 1]);
  });

  it('waits for the windows of the client, and for the socket to take what was written', () => {
    const peer = new Http2Peer();
    peer.send(settings([4, 70_000]), headers(1, true));
    const memory = new Memory();
    const { stream } = peer.stream();
    stream.sendHeaders([[':status', '200']], false);
    stream.sendData([memory.bytes.subarray(0, 90_000)], true, memory);
    const { outlet } = peer.connection;
    const write = (waitingBytes: number): void => {
      outlet.take();
      outlet.onBacklog(waitingBytes);
    };
    write(0);
    assert.equal(memory.backCount, 0, 'the window has let 65,535 bytes out');
    peer.connection.receive(Buffer.concat([frame(8, 0, 0, uint32(1_000_000)), frame(8, 0, 1, uint32(1_000_000))]));
    write(5_000);
    assert.equal(stream.queuedBytes, 0);
    assert.equal(memory.backCount, 0, 'the socket has not taken all');
    outlet.onBacklog(0);
    assert.equal(memory.backCount, 1);
  });

  it('is left to the collector when the stream ends before', () => {
    const peer = new Http2Peer();
    peer.send(headers(1, true));
    const memory = new Memory();
    const { stream } = peer.stream();
    stream.sendHeaders([[':status', '200']], false);
    stream.sendData([memory.bytes], true, memory);
    peer.connection.outlet.take();
    stream.reset(8);
    for (let write = 0; write < 3; write += 1) {
      peer.connection.outlet.take();
      peer.connection.outlet.onBacklog(0);
    }
    assert.equal(memory.backCount, 0, 'some of it may still be on its way');
  });

  it('is not lent to another answer while this one is on its way', () => {
    const memory = new ReusedMemory(1_000_000);
    const peer = new Http2Peer();
    peer.send(headers(1, true));
    const first = memory.take(10_000);
    const { stream } = peer.stream();
    stream.sendHeaders([[':status', '200']], false);
    stream.sendData([first.bytes.subarray(0, 10_000)], true, first);
    assert.notEqual(memory.take(10_000).bytes, first.bytes);
    peer.connection.outlet.take();
    peer.connection.outlet.onBacklog(0);
    assert.equal(memory.take(10_000).bytes, first.bytes);
  });
});
