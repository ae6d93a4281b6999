// Bodies on their way to a file whose writes and syncs end when a test says so.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { CacheError } from '../base/cache-error.ts';
import type { LogFile } from '../base/log-files.ts';
import { seededRandom } from '../testing/seeded-random.ts';
import { BodyWriter } from './body-writer.ts';
import { PieceMemory } from './piece-memory.ts';

interface Step {
  readonly what: 'write' | 'sync';
  readonly bytes: number;
  readonly outcome: PromiseWithResolvers<void>;
}

const turn = () => new Promise((resolve) => setImmediate(resolve));
const KiB = 1024;

function open({ isHeld = false, bytesMax = 2 ** 23, fromOffset = 0 } = {}) {
  const content = Buffer.alloc(2 ** 23);
  const steps: Step[] = [];
  let writtenEnd = fromOffset;
  const step = async (what: Step['what'], bytes: number): Promise<void> => {
    const made: Step = { what, bytes, outcome: Promise.withResolvers() };
    steps.push(made);
    if (!isHeld) made.outcome.resolve();
    await made.outcome.promise;
  };
  const file: Pick<LogFile, 'fd' | 'write'> = {
    fd: 1,
    async write(bytes, position) {
      assert.equal(position, writtenEnd, 'one behind the other');
      writtenEnd += bytes.byteLength;
      await step('write', bytes.byteLength);
      // Not before: what was given may not change until it is written.
      content.set(bytes, position);
    },
  };
  const hashed: Buffer[] = [];
  const hasher = {
    update: (bytes: Uint8Array) => void hashed.push(Buffer.from(bytes)),
    hex: async () => '',
    [Symbol.dispose]() {},
  };
  const memory = new PieceMemory(bytesMax);
  const writer = new BodyWriter(file as LogFile, fromOffset, { hasher, syncs: { sync: (_file, bytes) => step('sync', bytes) }, memory });
  return { writer, memory, content, steps, hashed };
}

describe('BodyWriter', () => {
  it('writes every byte in its place and in order, whatever the chunks are, and needs none longer than it takes it', async (t) => {
    const random = seededRandom(t);
    for (let round = 0; round < 30; round += 1) {
      const { writer, memory, content, hashed } = open({ fromOffset: 4096, bytesMax: round % 2 === 0 ? 0 : 2 ** 23 });
      const chunks: Buffer[] = [];
      for (let bytes = 0; bytes < 2 ** 20; ) {
        const chunk = random.bytes(random.integer(0, 2) === 0 ? random.integer(0, 300_000) : random.integer(0, 6_000));
        chunks.push(Buffer.from(chunk));
        bytes += chunk.byteLength;
        await writer.write(chunk);
        chunk.fill(0x55);
      }
      const whole = Buffer.concat(chunks);
      assert.equal(writer.endOffset, 4096 + whole.byteLength);
      await writer.durable();
      assert.ok(content.subarray(4096, 4096 + whole.byteLength).equals(whole));
      assert.ok(Buffer.concat(hashed).equals(whole));
      assert.equal(memory.lentBytes, 0);
    }
  });

  it('goes to the disk a few times for each MiB, and syncs each', async () => {
    const { writer, steps } = open();
    for (let count = 0; count < 32; count += 1) await writer.write(Buffer.alloc(64 * KiB));
    await writer.write(Buffer.alloc(4 * KiB));
    await writer.durable();
    const told = steps.map(({ what, bytes }) => `${what} ${bytes / KiB}`);
    const quarter = 'write 256';
    assert.deepEqual(told, [quarter, quarter, quarter, quarter, 'sync 1024', quarter, quarter, quarter, quarter, 'write 4', 'sync 1028']);
  });

  it('K1-08: a sync covers nothing that is being written', async () => {
    const { writer, steps } = open({ isHeld: true });
    for (let count = 0; count < 4; count += 1) await writer.write(Buffer.alloc(64 * KiB));
    const durable = writer.durable();
    await turn();
    assert.deepEqual(steps.map(({ what }) => what), ['write']);
    steps[0]?.outcome.resolve();
    await turn();
    assert.deepEqual(steps.map(({ what, bytes }) => `${what} ${bytes / KiB}`), ['write 256', 'sync 256']);
    steps[1]?.outcome.resolve();
    await durable;
  });

  it('takes the next piece while one is written, and no more', async () => {
    const { writer, memory } = open({ isHeld: true });
    for (let count = 0; count < 7; count += 1) await writer.write(Buffer.alloc(64 * KiB));
    let isTaken = false;
    void writer.write(Buffer.alloc(64 * KiB)).then(() => (isTaken = true));
    await turn();
    assert.equal(isTaken, false, 'two pieces are in memory');
    assert.equal(memory.lentBytes, 512 * KiB);
  });

  it('writes shorter pieces, and waits for each, once all bodies together hold enough', async () => {
    const { writer, memory, steps } = open({ isHeld: true, bytesMax: 256 * KiB });
    const other = memory.take();
    assert.equal(other.byteLength, 256 * KiB);
    let isTaken = false;
    const taken = writer.write(Buffer.alloc(64 * KiB)).then(() => (isTaken = true));
    await turn();
    assert.deepEqual(steps.map(({ bytes }) => bytes / KiB), [64]);
    assert.equal(isTaken, false, 'whoever brings more waits until it is written');
    steps[0]?.outcome.resolve();
    await taken;
    assert.equal(memory.lentBytes, 256 * KiB);
    memory.giveBack(other);
    assert.equal(memory.take(), other, 'long ones are used again');
  });

  it('tells whoever comes next that a write failed, and syncs nothing more', async () => {
    const { writer, memory, steps } = open({ isHeld: true });
    for (let count = 0; count < 4; count += 1) await writer.write(Buffer.alloc(64 * KiB));
    steps[0]?.outcome.reject(Object.assign(new Error('ENOSPC'), { code: 'ENOSPC', syscall: 'write' }));
    await turn();
    await assert.rejects(writer.durable(), (thrown: unknown) => thrown instanceof CacheError && thrown.kind === 'disk_full');
    assert.deepEqual(steps.map(({ what }) => what), ['write']);
    await writer.end();
    assert.equal(memory.lentBytes, 0);
  });

  it('ends in the middle: forgets what is not being written, and waits for what is', async () => {
    const { writer, memory, steps } = open({ isHeld: true });
    for (let count = 0; count < 5; count += 1) await writer.write(Buffer.alloc(64 * KiB));
    let isEnded = false;
    const ended = writer.end().then(() => (isEnded = true));
    await turn();
    assert.equal(isEnded, false);
    assert.equal(memory.lentBytes, 256 * KiB);
    steps[0]?.outcome.resolve();
    await ended;
    await writer.end();
    assert.equal(memory.lentBytes, 0);
    assert.equal(writer.endOffset, 256 * KiB, 'what may be in the file');
  });
});
