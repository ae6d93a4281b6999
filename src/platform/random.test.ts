// Bytes of the system's generator: of the length asked for, and each given once.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { systemRandom } from './random.ts';

describe('systemRandom', () => {
  it('gives as many bytes as are asked for, whatever was asked before', () => {
    for (const length of [0, 1, 6, 64, 65, 4_095, 4_096, 10_000, 16]) assert.equal(systemRandom.bytes(length).byteLength, length);
  });

  it('gives no byte twice, and keeps none that it gave', () => {
    const seen = new Set<string>();
    const kept: Uint8Array[] = [];
    for (let count = 0; count < 2_000; count += 1) {
      const bytes = systemRandom.bytes(16);
      seen.add(Buffer.from(bytes).toString('hex'));
      kept.push(bytes);
    }
    assert.equal(seen.size, 2_000);
    assert.equal(new Set(kept.map((bytes) => Buffer.from(bytes).toString('hex'))).size, 2_000, 'what was given does not change');
    assert.ok(!seen.has('0'.repeat(32)));
  });
});
