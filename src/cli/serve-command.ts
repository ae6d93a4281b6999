// `kiln serve`: starts the server, says where it is, and ends it when a signal asks for that.
import { formatListenAddress } from '../base/listen-address.ts';
import type { Supervisor } from '../base/supervisor.ts';
import { readServeConfiguration } from '../config/read-serve-configuration.ts';
import type { ServeOptions } from '../config/serve-options.ts';
import { monotonicClock, timers, wallClock } from '../platform/clocks.ts';
import { onDiagnosticSignals } from '../platform/diagnostic-signals.ts';
import { takeInheritedSockets } from '../platform/inherited-sockets.ts';
import { openPinoLog } from '../platform/pino-log.ts';
import type { PinoLog } from '../platform/pino-log.ts';
import { endAtOnce, endBySignal, endWouldWait, onUncaught, saveCompiledCode } from '../platform/process.ts';
import type { HangUps, ProcessStart, StopSignal, StopSignals } from '../platform/process.ts';
import { removeStaleReadyFile, writeReadyFile } from '../platform/ready-file.ts';
import { readSmallFile } from '../platform/small-file.ts';
import { openSupervisor } from '../platform/systemd-supervisor.ts';
import type { RunningServer } from '../wiring/running-server.ts';
import { ConfigurationReload } from './configuration-reload.ts';
import { endOfServe } from './end-of-serve.ts';
import { credentialFacts, endpointsOf, startUpText } from './start-up-text.ts';
import { exitStatus } from './terminal.ts';
import type { Terminal } from './terminal.ts';
import { version } from './version.ts';

/**
 * Serves until a stop signal comes; gives the exit status.
 * @throws CacheError when it cannot start (see `reportFailure`).
 */
export async function serve(start: ProcessStart, terminal: Terminal, { hangUps, stops }: { readonly hangUps: HangUps; readonly stops: StopSignals }): Promise<number> {
  // Answered while requests are served; before and after they must not end the process, which is their default.
  using _harmless = onDiagnosticSignals(() => {}, () => {});
  const configuration = await readServeConfiguration(start, readSmallFile);
  const { options } = configuration;
  const log = openPinoLog(options.log, { wallClock, clock: monotonicClock, timers });
  onUncaught((error) => {
    log.error('something failed that nobody foresaw; this is a bug in Kiln, and the server ends', error);
    log.end();
    endAtOnce(exitStatus.failure); // a regular end might wait for a disk, and nobody would start the server again
  });
  const stop = new StopRequest(stops, log);
  if (options.readyFile !== undefined) await removeStaleReadyFile(options.readyFile);
  const supervisor = openSupervisor({ environment: start.environment, pid: start.pid, log });
  const reload = new ConfigurationReload(configuration, { start, log, supervisor });
  hangUps.listen(() => reload.request());
  const inheritedSockets = takeInheritedSockets(start.environment, start.pid);
  const { startServer } = await import('../wiring/start-server.ts'); // a mistake in the configuration is told before all that is loaded
  const starting = startServer(options, { log, version, pid: start.pid, startedAt: start.startedAt, supervisor, inheritedSockets });
  // A start may take as long as there is much to take in. Whatever it is at, it may be broken off: see docs/crash-points.md.
  const early = await Promise.race([starting.then(() => undefined), stop.requested]);
  if (early !== undefined) {
    log.info('stopped before requests were served', { signal: early });
    log.end();
    endBySignal(early);
  }
  const server = await starting;
  reload.attach(server);
  const signal = await served(server, stop, { options, start, terminal, supervisor });
  reload.end();
  const { calls, connections } = server.progress;
  log.info('stopping: no new calls are taken, those that run may finish; a second signal ends it at once', { signal, calls, connections });
  const end = endOfServe(await server.stop(), { signal, wouldWait: endWouldWait() });
  if (end.kind === 'regular') return end.status;
  log.end();
  if (end.kind === 'at-once') endAtOnce(end.status);
  endBySignal(end.signal);
}

/** Tells everybody that requests are served, until a signal comes; gives the signal. Stops the server if that fails. */
async function served(server: RunningServer, stop: StopRequest, announcement: Announcement): Promise<StopSignal> {
  try {
    await using _readyFile = await announce(server, announcement);
    saveCompiledCode();
    return await stop.requested;
  } catch (thrown) {
    await server.stop();
    throw thrown;
  }
}

interface Announcement {
  readonly options: ServeOptions;
  readonly start: ProcessStart;
  readonly terminal: Terminal;
  readonly supervisor: Supervisor;
}

/** Prints the start-up text and writes the ready file; disposing the result removes the file. */
async function announce(server: RunningServer, { options, start, terminal, supervisor }: Announcement): Promise<AsyncDisposable | null> {
  const [first] = server.addresses;
  const file =
    options.readyFile === undefined || first === undefined
      ? null
      : await writeReadyFile(options.readyFile, { pid: start.pid, ...endpointsOf(first), version });
  supervisor.ready(`serves on ${server.addresses.map(formatListenAddress).join(', ')}`);
  const clientCertificates = options.tls?.clientCertificates ?? 'off';
  terminal.out(startUpText({ server, version, hostName: start.hostName, ...credentialFacts(options.rights), clientCertificates }));
  return file;
}

/** Waits for the first stop signal; the second ends the process at once. */
class StopRequest {
  readonly requested: Promise<StopSignal>;

  constructor(stops: StopSignals, log: PinoLog) {
    const { promise, resolve } = Promise.withResolvers<StopSignal>();
    this.requested = promise;
    let signals = 0;
    stops.listen((signal) => {
      signals += 1;
      if (signals === 1) {
        resolve(signal);
        return;
      }
      log.warn('second signal: ending at once', { signal });
      log.end(); // what ends by a signal runs nothing any more
      endBySignal(signal);
    });
  }
}
