// The client role of the engine as the fuzzer drives it.
import assert from 'node:assert/strict';
import { CacheError } from '../../src/base/cache-error.ts';
import { ClientConnection } from '../../src/h2/client-connection.ts';
import type { EngineParts, EngineUnderTest } from './engine-under-test.ts';
import { ScriptedCall } from './scripted-call.ts';
import { streamsOpenedFirst } from './server-session-generator.ts';

export function clientUnderTest({ random, ...parts }: EngineParts): EngineUnderTest {
  const streams: ScriptedCall[] = [];
  let isActing = false;
  const onChange = (): void => assert.ok(!isActing, 'told of a change from within a call from above');
  const connection = new ClientConnection({ ...parts, onChange });
  /** HEAD answers have no body, which the prepared answers to the first streams do not know. */
  const open = (method: string): void => {
    if (connection.freeStreams === 0) return;
    const call = new ScriptedCall(random, method);
    try {
      call.opened(connection.open(call.headers, call.endsAtOnce, call));
      streams.push(call);
    } catch (thrown) {
      // The server takes no headers of that length, and has said so.
      if (!(thrown instanceof CacheError) || thrown.code !== 'resource_exhausted') throw thrown;
    }
  };
  for (let count = streamsOpenedFirst; count > 0; count--) open('POST');
  return {
    outlet: connection.outlet,
    get isOver() {
      return connection.isOver;
    },
    get gatheredBytes() {
      return connection.gatheredBytes;
    },
    get streamCount() {
      return connection.streamCount;
    },
    receive: (bytes) => connection.receive(bytes),
    abort: () => connection.abort(random.integer(0, 1) === 0),
    onTake: () => connection.onTake(),
    streams,
    act() {
      isActing = true;
      const what = random.integer(0, 99);
      const running = streams.filter(({ isOpen }) => isOpen);
      if (what === 0) connection.drain();
      else if (what < 4) connection.ping().catch(() => {});
      else if (what < 15 || running.length === 0) open(random.pick(['GET', 'POST', 'HEAD', 'CONNECT']));
      else random.pick(running).act();
      isActing = false;
    },
  };
}
