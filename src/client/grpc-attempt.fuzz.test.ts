// Answers at random: right ones, right ones cut and bent, and nonsense. A call always comes to an end, and is never OK
// when its answer was not.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { create, toBinary } from '@bufbuild/protobuf';
import { SimpleResponseSchema } from '../proto/gen/grpc/testing/messages_pb.ts';
import { TestService } from '../proto/gen/grpc/testing/test_pb.ts';
import { FakeSessions, turn } from '../testing/fake-grpc-session.ts';
import type { FakeClientStream } from '../testing/fake-grpc-session.ts';
import { grpcChannelTo } from '../testing/grpc-channel-to.ts';
import { framed } from '../testing/grpc-harness.ts';
import { ManualClock } from '../testing/manual-clock.ts';
import { seededRandom } from '../testing/seeded-random.ts';
import type { SeededRandom } from '../testing/seeded-random.ts';
import { GrpcError } from './grpc-error.ts';

const { unaryCall, streamingOutputCall } = TestService.method;
const rounds = 400;

interface Answer {
  readonly head: Readonly<Record<string, string>>;
  readonly body: Uint8Array;
  readonly trailers: Readonly<Record<string, string>> | undefined;
  /** Messages of an answer that is whole and OK; undefined for any other. */
  readonly messages: number | undefined;
}

const grpcHead = { ':status': '200', 'content-type': 'application/grpc' };

function answerAtRandom(random: SeededRandom): Answer {
  const messages = random.integer(0, 3);
  const whole = Buffer.concat(Array.from({ length: messages }, () => framed(toBinary(SimpleResponseSchema, create(SimpleResponseSchema, { username: 'x'.repeat(random.integer(0, 300)) })))));
  switch (random.integer(0, 5)) {
    case 0: { // bent
      const body = Buffer.from(whole);
      for (let count = random.integer(1, 4); count > 0 && body.length > 0; count -= 1) body[random.integer(0, body.length - 1)] = random.integer(0, 255);
      return { head: grpcHead, body, trailers: { 'grpc-status': '0' }, messages: undefined };
    }
    case 1: // cut
      return { head: grpcHead, body: whole.subarray(0, random.integer(0, Math.max(0, whole.length - 1))), trailers: { 'grpc-status': '0' }, messages: undefined };
    case 2: // nonsense
      return {
        head: { ':status': random.pick(['200', '204', '404', '503']), 'content-type': random.pick(['application/grpc', 'text/html', '']), 'grpc-encoding': random.pick(['identity', 'gzip', 'br']) },
        body: random.bytes(random.integer(0, 100)),
        trailers: random.fraction() < 0.2 ? undefined : random.pick([{}, { 'grpc-status': random.pick(['0', '5', 'x', '99', '']), 'grpc-message': '%FF%', 'grpc-status-details-bin': random.pick(['', 'AAAA', '!!']) }]),
        messages: undefined,
      };
    case 3: // failed
      return { head: grpcHead, body: whole, trailers: { 'grpc-status': String(random.integer(1, 16)) }, messages: undefined };
    default:
      return { head: grpcHead, body: whole, trailers: { 'grpc-status': '0' }, messages };
  }
}

async function play(stream: FakeClientStream, { head, body, trailers }: Answer, random: SeededRandom): Promise<void> {
  stream.head(head);
  for (let at = 0; at < body.length; ) {
    const end = Math.min(body.length, at + random.integer(1, 200));
    stream.data(new Uint8Array(body.subarray(at, end)));
    at = end;
    if (random.fraction() < 0.2) await turn();
  }
  stream.end(trailers);
}

describe('GrpcAttempt', () => {
  it('comes to an end with any answer, and takes only whole ones for OK', async (t) => {
    const random = seededRandom(t);
    for (let round = 0; round < rounds; round += 1) {
      const clock = new ManualClock();
      const sessions = new FakeSessions();
      await using channel = grpcChannelTo({ address: { kind: 'tcp', host: 'fake', port: 1 } }, { openSession: sessions.open, limits: { attemptsMax: 1, messageBytesMax: 10_000 } }, { clock, timers: clock, random });
      const answer = answerAtRandom(random);
      const streams = random.fraction() < 0.5;
      const outcome = (streams ? Array.fromAsync(channel.serverStream(streamingOutputCall, {})) : channel.unary(unaryCall, {}).then((one) => [one])).then(
        (messages) => messages.length,
        (thrown: unknown) => thrown,
      );
      const session = await sessions.accept();
      const [stream] = session.streams;
      assert.ok(stream !== undefined);
      await play(stream, answer, random);
      const ended = await outcome; // or the time limit of the test says that it never did
      const text = `round ${round}: ${JSON.stringify({ ...answer, body: Buffer.from(answer.body).toString('hex') })} as ${streams ? 'a stream' : 'one'}`;
      assert.ok(typeof ended === 'number' || ended instanceof GrpcError, text);
      if (answer.messages !== undefined) assert.equal(ended instanceof GrpcError ? 'failed' : ended, streams || answer.messages === 1 ? answer.messages : 'failed', text);
      if (answer.trailers?.['grpc-status'] !== '0') assert.ok(ended instanceof GrpcError, text);
      assert.equal(session.streamCount, 0);
    }
  });
});
