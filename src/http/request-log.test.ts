// The line of a request.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { HttpExchange } from '../base/http-exchange.ts';
import { ManualClock } from '../testing/manual-clock.ts';
import { RecordedLog } from '../testing/recorded-log.ts';
import { loggedHttp } from './request-log.ts';

const exchange: HttpExchange = {
  method: 'GET',
  target: `/cas/${'a'.repeat(1_000)}`,
  headers: { 'user-agent': 'curl/8', authorization: 'Bearer secret-secret' },
  contentLength: undefined,
  signal: new AbortController().signal,
  async *body() {},
  async respond() {},
};

describe('the log of requests', () => {
  it('K11-07: passes the exchange on untouched while debug is off', async () => {
    const log = new RecordedLog();
    log.debugEnabled = false;
    let seen: HttpExchange | undefined;
    await loggedHttp(async (given) => void (seen = given), log, new ManualClock())(exchange);
    assert.equal(seen, exchange);
    assert.deepEqual(log.lines, []);
  });

  it('says what was asked, how it was answered and how long that took, and nothing of credentials', async () => {
    const log = new RecordedLog();
    const clock = new ManualClock();
    const handler = loggedHttp(async (given) => {
      clock.advance(12);
      await given.respond(404);
    }, log, clock);
    await handler(exchange);
    assert.equal(log.lines[0], `debug request {"method":"GET","target":"/cas/${'a'.repeat(295)}","status":404,"durationMs":12,"client":"curl/8"}`);
  });

  it('has a line without a status for what was not answered', async () => {
    const log = new RecordedLog();
    await assert.rejects(loggedHttp(async () => Promise.reject(new Error('gone')), log, new ManualClock())(exchange), /gone/);
    assert.doesNotMatch(log.lines[0] ?? '', /status/);
  });
});
