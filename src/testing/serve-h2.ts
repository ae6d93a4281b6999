// Our HTTP/2 engine on a loopback port, for tests that need real sockets.
import { once } from 'node:events';
import { createServer } from 'node:net';
import type { Http2Limits } from '../h2/limits.ts';
import { http2Limits } from '../h2/limits.ts';
import { serveHttp2 } from '../h2/session.ts';
import type { Http2Session } from '../h2/session.ts';
import type { StreamAcceptor } from '../h2/stream.ts';
import { monotonicClock } from '../platform/clocks.ts';
import { nodeSocket } from '../platform/node-socket.ts';
import { RecordedLog } from './recorded-log.ts';

export interface ServedH2 extends AsyncDisposable {
  readonly url: string;
  readonly port: number;
  readonly log: RecordedLog;
  /** In the order they were accepted. */
  readonly sessions: readonly Http2Session[];
}

/** Serves HTTP/2 with prior knowledge. Disposing closes every connection. */
export async function serveH2(acceptor: StreamAcceptor, limits: Partial<Http2Limits> = {}): Promise<ServedH2> {
  const log = new RecordedLog();
  const sessions: Http2Session[] = [];
  const server = createServer({ allowHalfOpen: true }, (socket) => {
    sessions.push(serveHttp2(nodeSocket(socket), acceptor, { ...http2Limits, ...limits }, { clock: monotonicClock, log }));
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  const port = typeof address === 'object' && address !== null ? address.port : 0;
  return {
    url: `http://127.0.0.1:${port}`,
    port,
    log,
    sessions,
    async [Symbol.asyncDispose]() {
      server.close();
      for (const session of sessions) session.close();
      await Promise.all(sessions.map(({ closed }) => closed));
    },
  };
}
