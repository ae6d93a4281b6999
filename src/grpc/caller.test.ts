// Who makes a call: found out once per header block, waited for without losing anything, and never found out in vain.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { Authenticator, Caller } from '../base/authorizer.ts';
import { CacheError } from '../base/cache-error.ts';
import type { MaybePromise } from '../base/maybe-promise.ts';
import { SimpleRequestSchema, StreamingInputCallRequestSchema, StreamingInputCallResponseSchema } from '../proto/gen/grpc/testing/messages_pb.ts';
import { TestService } from '../proto/gen/grpc/testing/test_pb.ts';
import { FakeServerStream, headerBlock } from '../testing/fake-server-stream.ts';
import { decoded, encoded, GrpcHarness, settle } from '../testing/grpc-harness.ts';
import type { EndedCall } from './call-observer.ts';
import { implementService } from './service.ts';
import type { CallContext } from './service.ts';

const path = (method: string): string => `/grpc.testing.TestService/${method}`;
const request = encoded(SimpleRequestSchema, {});
const input = (size: number) => encoded(StreamingInputCallRequestSchema, { payload: { body: new Uint8Array(size) } });
const named = (name: string): Caller => ({ kind: 'identity', name });

/** `now NAME` is known at once, `later NAME` when `finish` says so, anything else is wrong. */
class FakeAuthenticator implements Authenticator {
  generation = 0;
  readonly asked: (string | undefined)[] = [];
  readonly #waiting: PromiseWithResolvers<Caller>[] = [];

  identify(authorization: string | undefined): MaybePromise<Caller> {
    this.asked.push(authorization);
    const [when, name = ''] = authorization?.split(' ') ?? [];
    if (when === 'now') return named(name);
    if (when !== 'later') throw new CacheError('unauthenticated', 'who is that?');
    const waiting = Promise.withResolvers<Caller>();
    this.#waiting.push(waiting);
    return waiting.promise;
  }

  async finish(outcome: Caller | Error): Promise<void> {
    for (const { resolve, reject } of this.#waiting.splice(0)) {
      if (outcome instanceof Error) reject(outcome);
      else resolve(outcome);
    }
    await settle();
  }
}

function harness({ forEveryone = false } = {}) {
  const authenticator = new FakeAuthenticator();
  const callers: string[] = [];
  const statuses: number[] = [];
  const saw = ({ caller }: CallContext): void => void callers.push(caller.name);
  const service = implementService(
    TestService,
    {
      unaryCall: (_, context) => (saw(context), {}),
      async *streamingOutputCall(_, context) {
        saw(context);
        yield {};
      },
      async streamingInputCall(requests, context) {
        saw(context);
        let aggregatedPayloadSize = 0;
        for await (const { payload } of requests) aggregatedPayloadSize += payload?.body.byteLength ?? 0;
        return { aggregatedPayloadSize };
      },
    },
    { forEveryone },
  );
  const observer = { ended: ({ status }: EndedCall) => void statuses.push(status) };
  const made = new GrpcHarness(service, {}, observer, authenticator);
  const open = (method: string, authorization?: string, more: Record<string, string> = {}) => made.open(path(method), { ...(authorization !== undefined && { authorization }), ...more });
  const send = (...of: Parameters<typeof open>) => {
    const call = open(...of);
    call.handler.onData(request);
    call.handler.onEnd(undefined);
    return call;
  };
  return { authenticator, callers, statuses, router: made.router, clock: made.clock, open, send };
}

describe('a call whose caller is known at once', () => {
  it('runs in the turn of the loop in which its request ended', () => {
    const { callers, send } = harness();
    assert.equal(send('UnaryCall', 'now ann').stream.status('grpc-status'), '0');
    assert.deepEqual(callers, ['ann']);
  });

  it('is not asked about again with the same header block, until rights change', () => {
    const { authenticator, callers, router } = harness();
    const block = headerBlock({ ':method': 'POST', ':path': path('UnaryCall'), 'content-type': 'application/grpc', authorization: 'now ann' });
    const call = () => {
      const handler = router.onStream(new FakeServerStream(), block);
      handler.onData(request);
      handler.onEnd(undefined);
    };
    call();
    call();
    assert.equal(authenticator.asked.length, 1);
    authenticator.generation += 1;
    call();
    call();
    assert.equal(authenticator.asked.length, 2);
    assert.deepEqual(callers, ['ann', 'ann', 'ann', 'ann']);
  });
});

describe('a call with wrong credentials', () => {
  for (const method of ['UnaryCall', 'StreamingOutputCall', 'StreamingInputCall']) {
    it(`ERR-5: gets UNAUTHENTICATED with HTTP status 200 before its request, and its handler never runs (${method})`, () => {
      const { callers, statuses, open } = harness();
      const { stream, handler } = open(method, 'wrong');
      assert.equal(stream.status(':status'), '200');
      assert.equal(stream.status('grpc-status'), '16');
      assert.ok(stream.answered);
      handler.onData(input(1000));
      handler.onEnd(undefined);
      assert.equal(stream.consumedBytes, input(1000).byteLength, 'the rest is dropped, not held');
      assert.deepEqual([callers, statuses], [[], [16]]);
    });
  }

  it('is asked about every time: a failure may be over', () => {
    const { authenticator, router } = harness();
    const block = headerBlock({ ':method': 'POST', ':path': path('UnaryCall'), 'content-type': 'application/grpc', authorization: 'wrong' });
    for (let count = 0; count < 2; count += 1) router.onStream(new FakeServerStream(), block);
    assert.equal(authenticator.asked.length, 2);
  });

  it('HC-4: is served like any other where nobody is asked', () => {
    const { authenticator, callers, send } = harness({ forEveryone: true });
    for (const authorization of ['wrong', 'later ann', undefined]) assert.equal(send('UnaryCall', authorization).stream.status('grpc-status'), '0');
    assert.deepEqual([callers, authenticator.asked], [['anonymous', 'anonymous', 'anonymous'], []]);
  });
});

describe('a call whose caller is found out later', () => {
  for (const method of ['UnaryCall', 'StreamingOutputCall']) {
    it(`waits with its whole request, and then runs (${method})`, async () => {
      const { authenticator, callers, router, send } = harness();
      const { stream } = send(method, 'later ann');
      await settle();
      assert.deepEqual([callers, stream.answered, router.runningHandlers], [[], false, 1]);
      await authenticator.finish(named('ann'));
      assert.deepEqual([callers, stream.status('grpc-status'), router.runningHandlers], [['ann'], '0', 0]);
    });
  }

  it('loses nothing of a stream of messages, and is given credit for one message only meanwhile', async () => {
    const { authenticator, callers, open } = harness();
    const { stream, handler } = open('StreamingInputCall', 'later ann');
    for (let count = 0; count < 20; count += 1) handler.onData(input(1000));
    await settle();
    assert.ok(stream.consumedBytes <= input(1000).byteLength, `${stream.consumedBytes} bytes of credit`);
    await authenticator.finish(named('ann'));
    for (let count = 0; count < 20; count += 1) handler.onData(input(1000));
    handler.onEnd(undefined);
    await settle();
    assert.deepEqual(decoded(StreamingInputCallResponseSchema, stream.data).map(({ aggregatedPayloadSize }) => aggregatedPayloadSize), [40_000]);
    assert.equal(stream.consumedBytes, 40 * input(1000).byteLength);
    assert.deepEqual(callers, ['ann']);
  });

  for (const method of ['UnaryCall', 'StreamingOutputCall', 'StreamingInputCall']) {
    it(`is refused when the credentials turn out to be wrong (${method})`, async () => {
      const { authenticator, callers, statuses, router, send } = harness();
      const { stream } = send(method, 'later eve');
      await authenticator.finish(new CacheError('unauthenticated', 'wrong password'));
      assert.deepEqual([stream.status('grpc-status'), callers, statuses, router.runningHandlers], ['16', [], [16], 0]);
    });

    it(`HT-3: is over at once when its client leaves, and its handler never runs (${method})`, async () => {
      const { authenticator, callers, statuses, router, send } = harness();
      const { stream } = send(method, 'later ann');
      stream.lose({ code: 8, byPeer: true });
      assert.deepEqual(statuses, [1]);
      await authenticator.finish(named('ann'));
      assert.deepEqual([callers, router.runningHandlers, stream.answered], [[], 0, false]);
    });

    it(`is over at its deadline, and its handler never runs (${method})`, async () => {
      const { authenticator, callers, clock, router, send } = harness();
      const { stream } = send(method, 'later ann', { 'grpc-timeout': '100m' });
      await settle();
      clock.advance(100);
      assert.equal(stream.status('grpc-status'), '4');
      await authenticator.finish(named('ann'));
      assert.deepEqual([callers, router.runningHandlers], [[], 0]);
    });
  }

  it('shares the question with others of the same header block, and asks again after a failure', async () => {
    const { authenticator, callers, router } = harness();
    const block = headerBlock({ ':method': 'POST', ':path': path('UnaryCall'), 'content-type': 'application/grpc', authorization: 'later ann' });
    const call = () => {
      const handler = router.onStream(new FakeServerStream(), block);
      handler.onData(request);
      handler.onEnd(undefined);
    };
    call();
    call();
    assert.equal(authenticator.asked.length, 1);
    await authenticator.finish(new CacheError('unavailable', 'too many'));
    call();
    call();
    assert.equal(authenticator.asked.length, 2);
    await authenticator.finish(named('ann'));
    call();
    assert.equal(authenticator.asked.length, 2);
    assert.deepEqual(callers, ['ann', 'ann', 'ann']);
  });

  it('does not take an answer from before a change of rights for one after it', async () => {
    const { authenticator, router } = harness();
    const block = headerBlock({ ':method': 'POST', ':path': path('UnaryCall'), 'content-type': 'application/grpc', authorization: 'later ann' });
    router.onStream(new FakeServerStream(), block);
    authenticator.generation += 1;
    router.onStream(new FakeServerStream(), block);
    assert.equal(authenticator.asked.length, 2);
    await authenticator.finish(named('ann'));
    router.onStream(new FakeServerStream(), block);
    assert.equal(authenticator.asked.length, 2);
  });
});
