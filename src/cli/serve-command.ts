// `kiln serve`: starts the server, says where it is, and ends it when a signal asks for that.
import type { Log } from '../base/log.ts';
import { readServeOptions } from '../config/read-serve-options.ts';
import type { ServeOptions } from '../config/serve-options.ts';
import { wallClock } from '../platform/clocks.ts';
import { exitNow, exitStatusOf, onStopSignal, onUncaught, saveCompiledCode } from '../platform/process.ts';
import type { ProcessStart, StopSignal } from '../platform/process.ts';
import { removeStaleReadyFile, writeReadyFile } from '../platform/ready-file.ts';
import { createTextLog } from '../platform/text-log.ts';
import type { RunningServer } from '../wiring/running-server.ts';
import { startServer } from '../wiring/start-server.ts';
import { endpointsOf, startUpText } from './start-up-text.ts';
import { exitStatus } from './terminal.ts';
import type { Terminal } from './terminal.ts';
import { version } from './version.ts';

/**
 * Serves until a stop signal comes; gives the exit status.
 * @throws CacheError when it cannot start (see `reportFailure`).
 */
export async function serve(start: ProcessStart, terminal: Terminal): Promise<number> {
  const options = await readServeOptions(start);
  const log = createTextLog(terminal.error, wallClock, options.log.level);
  onUncaught((error) => {
    log.error('something failed that nobody foresaw; this is a bug in Kiln, and the server ends', error);
    exitNow(exitStatus.failure);
  });
  using stop = new StopRequest(log);
  if (options.readyFile !== undefined) await removeStaleReadyFile(options.readyFile);
  const server = await startServer(options, { log, version, pid: start.pid, startedAt: start.startedAt });
  try {
    await using _readyFile = await announce(server, options, { start, terminal });
    saveCompiledCode();
    const signal = await stop.requested;
    log.info('a signal asks to stop; a second one ends at once', { signal });
    const { cutOffCalls, flushed } = await server.stop();
    // What waits for a disk that does not answer would hold up a regular end as well.
    if (!flushed) killSelf();
    return cutOffCalls === 0 ? exitStatusOf(signal) : exitStatus.failure;
  } finally {
    await server.stop();
  }
}

/** Prints the start-up text and writes the ready file; disposing the result removes the file. */
async function announce(server: RunningServer, options: ServeOptions, given: { start: ProcessStart; terminal: Terminal }): Promise<AsyncDisposable | null> {
  const [first] = server.addresses;
  const file =
    options.readyFile === undefined || first === undefined
      ? null
      : await writeReadyFile(options.readyFile, { pid: given.start.pid, ...endpointsOf(first), version });
  given.terminal.out(startUpText({ server, version, hostName: given.start.hostName }));
  return file;
}

/** Waits for the first stop signal; the second ends the process at once. */
class StopRequest implements Disposable {
  readonly requested: Promise<StopSignal>;
  readonly #subscription: Disposable;

  constructor(log: Log) {
    const { promise, resolve } = Promise.withResolvers<StopSignal>();
    this.requested = promise;
    let signals = 0;
    this.#subscription = onStopSignal((signal) => {
      signals += 1;
      if (signals === 1) {
        resolve(signal);
        return;
      }
      log.warn('second signal: ending at once', { signal });
      exitNow(exitStatusOf(signal));
    });
  }

  [Symbol.dispose](): void {
    this.#subscription[Symbol.dispose]();
  }
}
