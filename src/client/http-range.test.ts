// What a reply says it holds: only what was asked for is taken.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { HttpReply } from '../base/http-client.ts';
import { rangeHeader, rangeOf } from './http-range.ts';

const replyWith = (status: number, contentRange?: string): HttpReply => ({ status, headers: { 'content-range': contentRange }, contentLength: 50, body: (async function* () {})(), async [Symbol.asyncDispose]() {} });

describe('the range of a reply', () => {
  it('is where its part begins, or the whole', () => {
    assert.equal(rangeHeader({ offset: 10, length: 5 }), 'bytes=10-14');
    assert.deepEqual(rangeOf(replyWith(200), 10), { offset: 0, totalBytes: 50 });
    assert.deepEqual(rangeOf(replyWith(206, 'bytes 10-59/100'), 10), { offset: 10, totalBytes: 100 });
    assert.deepEqual(rangeOf(replyWith(206, 'bytes 0-59/*'), 10), { offset: 0, totalBytes: undefined });
  });

  it('is refused when it begins too late or is not told: other bytes would pass for those asked for', () => {
    for (const contentRange of ['bytes 11-59/100', undefined, 'bytes */100', 'lines 1-2/3']) {
      assert.throws(() => rangeOf(replyWith(206, contentRange), 10), { code: 'data_loss' }, String(contentRange));
    }
  });
});
