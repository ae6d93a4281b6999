// A copy of what is damaged has one name wherever it was found, and nothing fails for want of one.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { CacheError } from '../base/cache-error.ts';
import { RecordedLog } from '../testing/recorded-log.ts';
import { keepDamaged } from './damaged-bytes.ts';

describe('keepDamaged', () => {
  it('names the copy by segment and offset, as its file is named, and tells whether it is new', async () => {
    const [log, kept] = [new RecordedLog(), new Map<string, Uint8Array>()];
    const keeping = { keep: async (name: string, bytes: Uint8Array) => !kept.has(name) && kept.set(name, bytes).size > 0 };
    const damaged = { segmentId: 0x1f, offset: 4_096, bytes: Buffer.from('wrong') };
    assert.equal(await keepDamaged({ keeping, log }, damaged), true);
    assert.equal(await keepDamaged({ keeping, log }, damaged), false);
    assert.deepEqual([...kept.keys()], ['segment-000000000000001f-4096']);
    assert.deepEqual(log.lines, []);
  });

  it('K1-09: goes on where the disk is full, and says so; a mistake of ours is told', async () => {
    const log = new RecordedLog();
    const damaged = { segmentId: 1, offset: 8, bytes: Buffer.from('wrong') };
    const full = { keep: () => Promise.reject(new CacheError('disk_full', 'the disk is full')) };
    assert.equal(await keepDamaged({ keeping: full, log }, damaged), false);
    assert.match(log.lines.join('\n'), /^warn what is damaged could not be copied/);
    const mistaken = { keep: () => Promise.reject(new TypeError('a mistake')) };
    await assert.rejects(keepDamaged({ keeping: mistaken, log }, damaged), TypeError);
  });
});
