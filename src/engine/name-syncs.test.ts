// Which thread syncs the directories of large files, and when.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { NameSyncs } from './name-syncs.ts';

describe('NameSyncs', () => {
  it('needs one thread at start, and keeps out of the way of small syncs from then on', async () => {
    const asked: string[] = [];
    const port = (name: string) => ({
      sync: async (fd: number, target: string) => {
        asked.push(`${name} ${fd} ${target}`);
        return 1;
      },
    });
    const names = new NameSyncs({ smallSyncs: port('small'), largeSyncs: port('large') });
    assert.equal(await names.sync(3, 'names'), 1);
    names.serve();
    await names.sync(4, 'names');
    assert.deepEqual(asked, ['small 3 names', 'large 4 names']);
  });
});
