// The server role of the engine as the fuzzer drives it.
import { ServerConnection } from '../../src/h2/server-connection.ts';
import type { EngineParts, EngineUnderTest } from './engine-under-test.ts';
import { ScriptedRequest } from './scripted-request.ts';

export function serverUnderTest({ limits, random, clock, budget, wake }: EngineParts): EngineUnderTest {
  const streams: ScriptedRequest[] = [];
  const connection = new ServerConnection({
    acceptor: {
      onStream(stream, headers) {
        const request = new ScriptedRequest(stream, headers, random);
        streams.push(request);
        return request;
      },
    },
    limits,
    clock,
    budget,
    wake,
  });
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
    abort: () => connection.abort(),
    streams,
    act() {
      const open = streams.filter(({ isOpen }) => isOpen);
      const what = random.integer(0, 199);
      if (what === 0) connection.drain();
      else if (what === 1) connection.refuseNew();
      else if (what === 2) connection.cutOff();
      else if (open.length > 0) random.pick(open).act();
    },
  };
}
