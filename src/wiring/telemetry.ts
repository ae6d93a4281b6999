// What observes the server: made before the stores and ended after them, so that nothing that happens is missed.
import type { HttpHandler } from '../base/http-exchange.ts';
import { noMeter } from '../base/metrics.ts';
import type { Meter } from '../base/metrics.ts';
import type { CallObserver } from '../grpc/call-observer.ts';
import type { OpenStores } from './open-stores.ts';
import type { RunningServer } from './running-server.ts';

/** Disposing it sends what was gathered; it never fails. */
export interface Telemetry extends AsyncDisposable {
  readonly meter: Meter;
  /** Of gRPC calls; undefined when nobody wants to know. */
  readonly calls: CallObserver | undefined;
  /** `stores`, observed. Whoever owned them owns them still. */
  observedStores(stores: OpenStores): OpenStores;
  /** `handler`, observed. */
  observedHttp(handler: HttpHandler): HttpHandler;
  /** Begins to watch what only a whole server has: connections, its process, its event loop. Called once, when it serves. */
  watch(server: RunningServer): void;
}

/** Every part that is switched on, as one. */
export function openTelemetry(): Telemetry {
  return {
    meter: noMeter,
    calls: undefined,
    observedStores: (stores) => stores,
    observedHttp: (handler) => handler,
    watch() {},
    async [Symbol.asyncDispose]() {},
  };
}
