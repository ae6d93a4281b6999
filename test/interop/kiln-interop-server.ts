// grpc.testing.TestService on what production serves connections with: listener, TLS, HTTP/2 and gRPC of our own.
import { defaultGrpcLimits } from '../../src/grpc/limits.ts';
import { GrpcRouter } from '../../src/grpc/router.ts';
import { http2Limits } from '../../src/h2/limits.ts';
import { serveHttp2 } from '../../src/h2/session.ts';
import type { Http2Session } from '../../src/h2/session.ts';
import { monotonicClock, timers } from '../../src/platform/clocks.ts';
import { Listener } from '../../src/platform/listener.ts';
import type { ListenerTls } from '../../src/platform/listener.ts';
import { nodeSocket } from '../../src/platform/node-socket.ts';
import { TlsTerminator } from '../../src/platform/tls-terminator.ts';
import { createInteropTestService } from '../../src/testing/interop-test-service.ts';
import { nobodyKnown } from '../../src/testing/open-rights.ts';
import { RecordedLog } from '../../src/testing/recorded-log.ts';
import { ExpectedCompression } from './expected-compression.ts';

const listenerLimits = { connectionsMax: 1_000, firstBytesTimeoutMs: 10_000 };
const handshakeLimits = { handshakesMax: 100, handshakeTimeoutMs: 10_000 };

/** PEM. */
export interface ServerCertificate {
  readonly certificate: string;
  readonly key: string;
}

export interface KilnInteropServer extends AsyncDisposable {
  readonly port: number;
  readonly log: RecordedLog;
  /** Refuses new streams, finishes running calls, closes. */
  drain(): Promise<void>;
}

/** On a free port of 127.0.0.1; over TLS when it is given a certificate. */
export async function kilnInteropServer(tls?: ServerCertificate): Promise<KilnInteropServer> {
  const log = new RecordedLog();
  const router = new GrpcRouter([createInteropTestService()], { authenticator: nobodyKnown, timers, log, limits: defaultGrpcLimits });
  const sessions = new Set<Http2Session>();
  const listener = await Listener.open({ kind: 'tcp', host: '127.0.0.1', port: 0 }, listenerLimits, log, tls === undefined ? undefined : tlsWith(tls, log));
  listener.serve({
    http2(socket, head) {
      const session = serveHttp2(nodeSocket(socket, head), new ExpectedCompression(router), http2Limits, { clock: monotonicClock, log });
      sessions.add(session);
      void session.closed.then(() => sessions.delete(session));
    },
    other: (socket) => socket.destroy(),
  });
  const { address } = listener;
  return {
    port: address.kind === 'tcp' ? address.port : 0,
    log,
    async drain() {
      listener.stopAccepting();
      await Promise.all([...sessions].map((session) => session.drain()));
      await router.idle();
    },
    async [Symbol.asyncDispose]() {
      for (const session of sessions) session.close();
      await listener[Symbol.asyncDispose]();
      await router.idle();
    },
  };
}

function tlsWith({ certificate, key }: ServerCertificate, log: RecordedLog): ListenerTls {
  const settings = { certificateChain: certificate, key, clientAuthorities: undefined, clientCertificates: 'off', minVersion: '1.2' } as const;
  const nothing = (): Uint8Array => new Uint8Array(0);
  return { terminator: new TlsTerminator(settings, handshakeLimits, log), refusals: { http1: nothing, http2: nothing } };
}
