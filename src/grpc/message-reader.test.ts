// Messages cut out of pieces, to the byte.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { unboundedByteBudget } from '../base/byte-budget.ts';
import { seededRandom } from '../testing/seeded-random.ts';
import { CompressedMessage, isWholeMessage, MessageReader } from './message-reader.ts';
import type { ReaderMemory, ReceivedMessage } from './message-reader.ts';
import { StatusError } from './status-error.ts';

function unboundedMemory(): ReaderMemory {
  return { budget: unboundedByteBudget(), onRoom() {}, onRefused() {} };
}

function framed(message: Uint8Array, flag = 0): Uint8Array {
  const prefix = Buffer.alloc(5);
  prefix[0] = flag;
  prefix.writeUInt32BE(message.byteLength, 1);
  return new Uint8Array(Buffer.concat([prefix, message]));
}

/** All messages of the pieces. Each piece is overwritten after it was read, as the transport does. */
function readAll(reader: MessageReader, pieces: readonly Uint8Array[]): ReceivedMessage[] {
  const messages: ReceivedMessage[] = [];
  for (const piece of pieces) {
    for (let offset = 0; offset < piece.byteLength; ) {
      offset = reader.read(piece, offset);
      const message = reader.take();
      if (message !== undefined) messages.push(message);
    }
    piece.fill(0xee);
  }
  return messages;
}

describe('MessageReader', () => {
  it('HT-5: cuts any split of any messages the same, and keeps none of the input', (t) => {
    const random = seededRandom(t);
    for (let round = 0; round < 50; round += 1) {
      const messages = Array.from({ length: random.integer(1, 8) }, () => random.bytes(random.integer(0, 300)));
      const wire = new Uint8Array(Buffer.concat(messages.map((message) => framed(message))));
      const pieces: Uint8Array[] = [];
      for (let offset = 0; offset < wire.byteLength; ) {
        const length = random.integer(1, 20);
        pieces.push(wire.slice(offset, offset + length));
        offset += length;
      }
      const reader = new MessageReader(300, unboundedMemory());
      assert.deepEqual(readAll(reader, pieces), messages);
      assert.equal(reader.pendingBytes, 0);
    }
  });

  it('HT-5: gives many messages of one piece one by one, none in the place of another', () => {
    const reader = new MessageReader(10, unboundedMemory());
    const messages = readAll(reader, [new Uint8Array(Buffer.concat([framed(Uint8Array.of(1)), framed(Uint8Array.of(2, 3))]))]);
    assert.deepEqual(messages, [Uint8Array.of(1), Uint8Array.of(2, 3)]);
    (messages[0] as Uint8Array).fill(9);
    assert.deepEqual(messages[1], Uint8Array.of(2, 3));
  });

  it('counts what is pending of an unfinished message', () => {
    const reader = new MessageReader(10, unboundedMemory());
    readAll(reader, [framed(Uint8Array.of(1, 2, 3)).subarray(0, 3)]);
    assert.equal(reader.pendingBytes, 3);
    readAll(reader, [framed(Uint8Array.of(1, 2, 3)).subarray(3, 7)]);
    assert.equal(reader.pendingBytes, 7);
  });

  it('HT-1: refuses a message over the limit from its prefix, naming the limit', () => {
    const reader = new MessageReader(100, unboundedMemory());
    const refused = (error: unknown) => error instanceof StatusError && error.status === 8 && /\b101\b.*\b100\b/.test(error.message);
    assert.throws(() => reader.read(framed(new Uint8Array(101)).subarray(0, 5), 0), refused);
    assert.doesNotThrow(() => new MessageReader(100, unboundedMemory()).read(framed(new Uint8Array(100)), 0));
  });

  it('marks compressed messages and refuses unknown flags', () => {
    const [message] = readAll(new MessageReader(10, unboundedMemory()), [framed(Uint8Array.of(7), 1)]);
    assert.ok(message instanceof CompressedMessage);
    assert.deepEqual(message.bytes, Uint8Array.of(7));
    assert.throws(() => new MessageReader(10, unboundedMemory()).read(framed(Uint8Array.of(7), 2), 0), { name: 'StatusError', status: 13 });
  });
});

describe('isWholeMessage', () => {
  it('knows a piece that is exactly one plain message', () => {
    assert.ok(isWholeMessage(framed(Uint8Array.of(1, 2, 3)), 3));
    assert.ok(isWholeMessage(framed(new Uint8Array(0)), 3));
    assert.ok(isWholeMessage(framed(new Uint8Array(0x012345)), 0x012345));
  });

  it('leaves everything else to the reader', () => {
    const piece = framed(Uint8Array.of(1, 2, 3));
    assert.ok(!isWholeMessage(piece, 2)); // over the limit
    assert.ok(!isWholeMessage(piece.subarray(0, 7), 9)); // unfinished
    assert.ok(!isWholeMessage(piece.subarray(0, 4), 9));
    assert.ok(!isWholeMessage(new Uint8Array(Buffer.concat([piece, Uint8Array.of(0)])), 9)); // goes on
    assert.ok(!isWholeMessage(framed(Uint8Array.of(1), 1), 9)); // compressed
    assert.ok(!isWholeMessage(Uint8Array.of(0, 255, 255, 255, 255), 0xffff_ffff));
  });
});
