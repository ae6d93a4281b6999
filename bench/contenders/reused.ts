// In a quick run one server of a kind serves all workloads: starting it anew for each would take most of the time, and
// figures of a quick run mean little anyway.
import type { ServerProcess } from '../harness/processes.ts';
import type { Contender } from './contender.ts';

/** Starts at most one server per kind of protocol; `stack` ends them. Servers that need to hold something from their start, or that speak TLS, are not shared. */
export function reused(contender: Contender, stack: AsyncDisposableStack): Contender {
  if (contender.filling !== 'api') return contender;
  const running = new Map<string, Promise<ServerProcess>>();
  return {
    ...contender,
    async start(at) {
      if (at.numbered > 0 || at.tls !== undefined) return contender.start(at);
      const kind = at.protocol === 'http' ? 'http' : 'grpc';
      const started = running.get(kind) ?? contender.start(at).then((server) => stack.use(server));
      running.set(kind, started);
      const server = await started;
      return { ...server, async [Symbol.asyncDispose]() {} };
    },
  };
}
