// One HTTP/2 connection that stands: made, asked for a first sign of life, and watched for what comes from the server.
import type { ByteBudget } from '../base/byte-budget.ts';
import { CacheError } from '../base/cache-error.ts';
import type { MonotonicClock, Timers } from '../base/clock.ts';
import { targetName } from '../base/connector.ts';
import type { ConnectTarget, Connector } from '../base/connector.ts';
import type { Log } from '../base/log.ts';
import type { ConnectionEnd } from '../h2/client-connection.ts';
import { connectHttp2 } from '../h2/client-session.ts';
import type { Http2Client } from '../h2/client-session.ts';
import { errorCode } from '../h2/error-code.ts';
import type { Http2Limits } from '../h2/limits.ts';
import { farewellOf } from './farewell.ts';
import { HeardSocket } from './heard-socket.ts';

/** What a connection of the pool stands on. */
export interface GrpcSession {
  readonly http2: Http2Client;
  /** Whether the server has shown a sign of life since this was asked last, or could not have. */
  takeSignOfLife(): boolean;
  /** Why the transport is gone, in words for people; undefined while it is there. */
  readonly loss: string | undefined;
}

export interface SessionOptions {
  readonly signal: AbortSignal;
  readonly timeoutMs: number;
  /** Streams may have become free, or the end has come. */
  readonly onChange: () => void;
}

/**
 * Makes sessions. One that comes back takes calls: the server has sent its SETTINGS and answered. A failure leaves no
 * socket open.
 * @throws CacheError as `Connector.connect`; `unavailable` when nothing answers that speaks HTTP/2; `failed_precondition`
 *   when the server wants TLS, or another client certificate.
 */
export type OpenSession = (options: SessionOptions) => Promise<GrpcSession>;

export interface SessionPorts {
  readonly connector: Connector;
  readonly clock: MonotonicClock;
  readonly timers: Timers;
  readonly log: Log;
  readonly budget: ByteBudget;
}

/** Sessions over the network. */
export function sessionsTo(target: ConnectTarget, limits: Http2Limits, ports: SessionPorts): OpenSession {
  return async ({ signal, timeoutMs, onChange }) => {
    const beganMs = ports.clock.nowMs();
    const socket = new HeardSocket(await ports.connector.connect(target, { signal, timeoutMs }));
    const http2 = connectHttp2(socket, limits, { clock: ports.clock, log: ports.log, budget: ports.budget, onChange });
    let gaveUp: CacheError | undefined;
    const giveUp = (reason: CacheError): void => {
      gaveUp ??= reason;
      http2.close(); // ends the ping
    };
    const onAbort = (): void => giveUp(new CacheError('cancelled', `connecting to ${targetName(target)} was cancelled`));
    const onSilence = (): void => giveUp(new CacheError('unavailable', `cannot connect to ${targetName(target)}: the connection stands, and no HTTP/2 came back within ${timeoutMs} ms`));
    using _timer = ports.timers.after(Math.max(0, timeoutMs - (ports.clock.nowMs() - beganMs)), onSilence);
    signal.addEventListener('abort', onAbort, { once: true });
    if (signal.aborted) onAbort();
    try {
      // SETTINGS are the first frame of a server (RFC 9113 §3.4), so its answer to a PING comes behind them: from here on
      // it is known how many calls the connection takes, and that somebody is there who speaks HTTP/2.
      await http2.ping();
    } catch {
      http2.close();
      await http2.closed;
      throw gaveUp ?? failureOf(target, http2, socket);
    } finally {
      signal.removeEventListener('abort', onAbort);
    }
    return new SocketSession(http2, socket);
  };
}

class SocketSession implements GrpcSession {
  readonly http2: Http2Client;
  readonly #socket: HeardSocket;

  constructor(http2: Http2Client, socket: HeardSocket) {
    this.http2 = http2;
    this.#socket = socket;
  }

  takeSignOfLife(): boolean {
    return this.#socket.takeSignOfLife();
  }

  get loss(): string | undefined {
    return this.#socket.loss?.message;
  }
}

/** Why nothing came of a connection that stood. */
function failureOf(target: ConnectTarget, { ending }: Http2Client, { loss }: HeardSocket): CacheError {
  if (loss !== undefined && loss.code !== 'unavailable') return loss; // says already whom it is about
  // As of plaintext where TLS is spoken, or a client certificate that is not believed: no wait mends it.
  const isLasting = ending?.byGoaway === true && ending.code === errorCode.inadequateSecurity;
  return new CacheError(isLasting ? 'failed_precondition' : 'unavailable', `cannot connect to ${targetName(target)}: ${whyNothing(target, ending, loss)}`, { cause: loss });
}

function whyNothing(target: ConnectTarget, ending: ConnectionEnd | undefined, loss: CacheError | undefined): string {
  if (ending?.byGoaway === true) return `it ended the connection at once; ${farewellOf(ending) ?? 'it gave no reason'}`;
  if (ending?.byPeer === false) return ending.reason;
  return `${loss?.message ?? 'the other side ended the connection'} before any HTTP/2 came back${target.tls === undefined ? '; does it want TLS?' : ''}`;
}
