// gRPC services on a loopback port, over the production stack, for tests with real clients.
import { createServer } from 'node:net';
import type { AddressInfo } from 'node:net';
import type { Authenticator } from '../base/authorizer.ts';
import type { Log } from '../base/log.ts';
import { defaultGrpcLimits } from '../grpc/limits.ts';
import type { GrpcLimits } from '../grpc/limits.ts';
import { GrpcRouter } from '../grpc/router.ts';
import type { ServiceImplementation } from '../grpc/service.ts';
import { http2Limits } from '../h2/limits.ts';
import type { Http2Limits } from '../h2/limits.ts';
import { serveHttp2 } from '../h2/session.ts';
import type { Http2Session } from '../h2/session.ts';
import { monotonicClock, timers } from '../platform/clocks.ts';
import { nodeSocket } from '../platform/node-socket.ts';
import { nobodyKnown } from './open-rights.ts';
import { RecordedLog } from './recorded-log.ts';

export interface ServeGrpcOptions {
  readonly grpc?: Partial<GrpcLimits>;
  readonly http2?: Partial<Http2Limits>;
  readonly log?: Log;
  readonly authenticator?: Authenticator;
}

/** Disposing it closes the port and all connections, and waits for the handlers. */
export interface GrpcTestServer extends AsyncDisposable {
  readonly port: number;
  /** `127.0.0.1:PORT`. */
  readonly address: string;
  readonly router: GrpcRouter;
  /** What was logged, unless the options have a log of their own. */
  readonly log: RecordedLog;
  /** Refuses new streams, finishes running calls, closes. */
  drain(): Promise<void>;
}

export async function serveGrpc(
  services: readonly ServiceImplementation[],
  options: ServeGrpcOptions = {},
): Promise<GrpcTestServer> {
  const recorded = new RecordedLog();
  const log = options.log ?? recorded;
  const router = new GrpcRouter(services, { authenticator: options.authenticator ?? nobodyKnown, timers, log, limits: { ...defaultGrpcLimits, ...options.grpc } });
  const sessions = new Set<Http2Session>();
  const limits = { ...http2Limits, ...options.http2 };
  const server = createServer((socket) => {
    const session = serveHttp2(nodeSocket(socket), router, limits, { clock: monotonicClock, log });
    sessions.add(session);
    void session.closed.then(() => sessions.delete(session));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  const closed = new Promise<void>((resolve) => server.once('close', resolve));
  return {
    port,
    address: `127.0.0.1:${port}`,
    router,
    log: recorded,
    async drain() {
      server.close();
      await Promise.all([...sessions].map((session) => session.drain()));
      await router.idle();
    },
    async [Symbol.asyncDispose]() {
      server.close();
      for (const session of sessions) session.close();
      await closed;
      await router.idle();
    },
  };
}
