// The health service over sockets, with an independent client.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { describe, it } from 'node:test';
import grpc from '@grpc/grpc-js';
import { Health, HealthCheckResponse_ServingStatus as ServingStatus } from '../proto/gen/grpc/health/v1/health_pb.ts';
import { GrpcJsClient, statusOf } from '../testing/grpc-js-client.ts';
import { serveGrpc } from '../testing/serve-grpc.ts';
import { createHealthService, HealthStatus } from './health.ts';

const { check, list, watch } = Health.method;

async function open() {
  const stack = new AsyncDisposableStack();
  const health = new HealthStatus(['a.Service', 'b.Service']);
  const server = stack.use(await serveGrpc([createHealthService(health)]));
  const client = stack.use(new GrpcJsClient(server.address));
  return { health, server, client, [Symbol.asyncDispose]: () => stack.disposeAsync() };
}

describe('grpc.health.v1.Health', () => {
  it('HC-1: Check tells the whole server, a service, and NOT_FOUND for an unknown one', async () => {
    await using opened = await open();
    const ask = async (service: string) => (await opened.client.unary(check, { service })).message.status;
    assert.equal(await ask(''), ServingStatus.SERVING);
    assert.equal(await ask('a.Service'), ServingStatus.SERVING);
    opened.health.setServing('a.Service', false);
    assert.equal(await ask('a.Service'), ServingStatus.NOT_SERVING);
    assert.equal(await ask('b.Service'), ServingStatus.SERVING);
    await assert.rejects(ask('c.Service'), { code: grpc.status.NOT_FOUND, details: /c\.Service/ });
  });

  it('HC-4: needs no credentials and no storage: it is answered for anybody, in the turn in which it is asked', () => {
    const handler = createHealthService(new HealthStatus(['a.Service'])).handlers['check'];
    assert.ok(typeof handler === 'function');
    const noContext = new Proxy({}, { get: () => assert.fail('a health check looks at who asks') });
    for (const service of ['', 'a.Service']) assert.deepEqual(handler({ service }, noContext), { status: ServingStatus.SERVING });
  });

  it('HC-3: List has every service, and all are NOT_SERVING while draining', async () => {
    await using opened = await open();
    const all = async () => {
      const { statuses } = (await opened.client.unary(list, {})).message;
      return Object.fromEntries(Object.entries(statuses).map(([service, { status }]) => [service, status]));
    };
    const { SERVING, NOT_SERVING } = ServingStatus;
    assert.deepEqual(await all(), { '': SERVING, 'a.Service': SERVING, 'b.Service': SERVING });
    opened.health.drain();
    opened.health.setServing('a.Service', true); // too late
    assert.deepEqual(await all(), { '': NOT_SERVING, 'a.Service': NOT_SERVING, 'b.Service': NOT_SERVING });
  });

  it('HC-2: Watch sends the state at once and every change, and ends when the server drains', async () => {
    await using opened = await open();
    const call = opened.client.serverStream(watch, { service: 'a.Service' });
    const ended = statusOf(call);
    const next = async () => (await once(call, 'data'))[0].status;
    assert.equal(await next(), ServingStatus.SERVING);
    opened.health.setServing('b.Service', false); // none of its business
    opened.health.setServing('a.Service', false);
    assert.equal(await next(), ServingStatus.NOT_SERVING);
    opened.health.setServing('a.Service', true);
    assert.equal(await next(), ServingStatus.SERVING);
    opened.health.drain();
    assert.equal(await next(), ServingStatus.NOT_SERVING);
    assert.equal((await ended).code, grpc.status.UNAVAILABLE);
    await opened.server.drain();
  });

  it('HC-2: Watch of an unknown service sends SERVICE_UNKNOWN and stays open', async () => {
    await using opened = await open();
    const call = opened.client.serverStream(watch, { service: 'c.Service' });
    const ended = statusOf(call);
    assert.equal((await once(call, 'data'))[0].status, ServingStatus.SERVICE_UNKNOWN);
    assert.equal(opened.server.router.runningHandlers, 1);
    call.cancel();
    assert.equal((await ended).code, grpc.status.CANCELLED);
    await opened.server.router.idle();
  });
});
