// A shutdown waits for HTTP handlers, also for those whose client has left.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { connect } from 'node:net';
import { it } from 'node:test';
import { RunningCount } from '../base/running-count.ts';
import { serveHandler } from '../testing/serve-http.ts';
import { countedHandler } from './counted-handler.ts';

it('HT-3: a handler counts until it is done, although its client has left', async () => {
  const running = new RunningCount();
  const entered = Promise.withResolvers<AbortSignal>();
  const release = Promise.withResolvers<void>();
  await using served = await serveHandler(countedHandler(async (exchange) => {
    entered.resolve(exchange.signal);
    await release.promise;
  }, running));
  const client = connect(served.port, '127.0.0.1');
  client.write('GET / HTTP/1.1\r\nhost: a\r\n\r\n');
  const signal = await entered.promise;
  client.resetAndDestroy(); // an end alone may mean that it waits for the answer
  if (!signal.aborted) await once(signal, 'abort');
  let idle = false;
  const waiting = running.idle().then(() => (idle = true));
  await new Promise(setImmediate);
  assert.equal(idle, false, 'the client has left, the handler is at work');
  release.resolve();
  await waiting;
});

it('a handler that throws counts no longer, and its error passes', async () => {
  const running = new RunningCount();
  const failing = countedHandler(() => Promise.reject(new Error('broken')), running);
  await assert.rejects(failing({} as Parameters<typeof failing>[0]), { message: 'broken' });
  assert.equal(running.value, 0);
});
