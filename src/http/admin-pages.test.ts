// Profiles over HTTP whose takers do not wait for them.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { Diagnostics } from '../base/diagnostics.ts';
import type { HttpExchange } from '../base/http-exchange.ts';
import { adminPages } from './admin-pages.ts';

/** Takes profiles that never end. */
const endless: Diagnostics = {
  takeCpuProfile: () => new Promise(() => {}),
  takeHeapSnapshot: () => new Promise(() => {}),
  list: async () => [],
};

function postOf(target: string, signal: AbortSignal): HttpExchange {
  return { method: 'POST', target, headers: {}, contentLength: 0, signal, body: () => assert.fail('it has none'), respond: () => assert.fail('the page only gives the answer') };
}

describe('adminPages', () => {
  for (const page of adminPages(endless, { defaultDurationMs: 10_000 })) {
    it(`K10-01: ${page.path} holds up nobody once its client is gone or cut off`, async () => {
      const client = new AbortController();
      const answer = Promise.resolve(page.answer(postOf(page.path, client.signal)));
      client.abort();
      await assert.rejects(answer, { code: 'cancelled' });
      await assert.rejects(Promise.resolve(page.answer(postOf(page.path, client.signal))), { code: 'cancelled' });
    });
  }
});
