// Only the thread that asks for it gives way.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { getPriority } from 'node:os';
import { describe, it } from 'node:test';
import { Worker } from 'node:worker_threads';

const program = `
import { readlinkSync } from 'node:fs';
import { getPriority } from 'node:os';
import { parentPort } from 'node:worker_threads';
import { lowerThreadPriority } from ${JSON.stringify(new URL('./thread-priority.ts', import.meta.url).href)};
const own = () => getPriority(Number(readlinkSync('/proc/thread-self').split('/').at(-1)));
const before = own();
const outcomes = [lowerThreadPriority(2), lowerThreadPriority(100)];
parentPort.postMessage({ before, outcomes, after: own() });
`;

describe('lowerThreadPriority', { skip: process.platform === 'linux' ? false : 'there are no priorities of threads here' }, () => {
  it('lowers that of the calling thread and of no other, as far as it goes', async () => {
    const before = getPriority();
    const worker = new Worker(new URL(`data:text/javascript,${encodeURIComponent(program)}`));
    const [found] = await once(worker, 'message');
    assert.deepEqual(found, { before, outcomes: [true, true], after: 19 });
    assert.equal(getPriority(), before);
    await worker.terminate();
  });
});
