// What is gathered comes out in order, and buffers are written again only when that is allowed.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { seededRandom } from '../testing/seeded-random.ts';
import { OutputBatch } from './output-batch.ts';

function write(batch: OutputBatch, text: string): void {
  const at = batch.reserve(text.length);
  batch.into.set(Buffer.from(text), at);
}

describe('OutputBatch', () => {
  it('makes one slice of many small writes, and passes a large body on without a copy', () => {
    const batch = new OutputBatch();
    const body = new Uint8Array(10_000);
    write(batch, 'ab');
    batch.append(Buffer.from('cd'));
    batch.append(body);
    write(batch, 'ef');
    assert.equal(batch.bytes, 10_006);
    const slices = batch.take();
    assert.equal(slices.length, 3);
    assert.equal(slices[1], body);
    assert.equal(Buffer.concat([slices[0] ?? body, slices[2] ?? body]).toString(), 'abcdef');
    assert.equal(batch.bytes, 0);
    assert.deepEqual(batch.take(), []);
  });

  it('never touches what was taken until it is written', () => {
    const batch = new OutputBatch();
    write(batch, 'first');
    const [first] = batch.take();
    write(batch, 'second');
    const [second] = batch.take();
    assert.equal(Buffer.from(first ?? []).toString(), 'first');
    batch.wrote(0);
    write(batch, 'THIRD');
    assert.equal(Buffer.from(second ?? []).toString(), 'second');
    assert.equal(Buffer.from(first ?? []).toString(), 'THIRD');
  });

  it('gives back in order whatever was put in, over any number of buffers', (t) => {
    const random = seededRandom(t);
    const batch = new OutputBatch();
    const expected: Uint8Array[] = [];
    const got: Uint8Array[] = [];
    for (let round = 0; round < 2_000; round++) {
      const bytes = random.bytes(random.pick([0, 1, 9, 100, 2_048, 2_049]));
      expected.push(bytes);
      if (bytes.length < 200) {
        const at = batch.reserve(bytes.length);
        batch.into.set(bytes, at);
      } else {
        batch.append(bytes);
      }
      if (random.integer(0, 9) > 0) continue;
      got.push(...batch.take().map((slice) => new Uint8Array(slice)));
      if (random.integer(0, 1) === 0) batch.wrote(0);
    }
    got.push(...batch.take());
    assert.equal(Buffer.compare(Buffer.concat(got), Buffer.concat(expected)), 0);
  });
});
