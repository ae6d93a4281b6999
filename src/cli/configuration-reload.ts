// SIGHUP: reads the configuration again, applies what can change in a running server, and says what cannot. A
// configuration with mistakes changes nothing.
import { CacheError } from '../base/cache-error.ts';
import { formatListenAddress } from '../base/listen-address.ts';
import type { Supervisor } from '../base/supervisor.ts';
import { readConfiguration } from '../config/read-configuration.ts';
import type { Configuration } from '../config/read-configuration.ts';
import { planReload } from '../config/reload-plan.ts';
import type { KeyChange } from '../config/reload-plan.ts';
import type { PinoLog } from '../platform/pino-log.ts';
import type { ProcessStart } from '../platform/process.ts';
import { readSmallFileAgain } from '../platform/small-file.ts';
import type { RunningServer } from '../wiring/running-server.ts';

export interface ReloadParts {
  /** What the process was started with: flags and variables stay what they were. */
  readonly start: ProcessStart;
  readonly log: PinoLog;
  readonly supervisor: Supervisor;
}

/** Mistakes logged of one attempt; "kiln config check" shows more. */
const mistakesLoggedMax = 20;

export class ConfigurationReload {
  readonly #parts: ReloadParts;
  #configuration: Configuration;
  /** Known while requests are served; a reload before that waits, one after it is left undone. */
  #server: RunningServer | undefined;
  #running = false;
  #askedAgain = false;

  constructor(configuration: Configuration, parts: ReloadParts) {
    this.#configuration = configuration;
    this.#parts = parts;
  }

  /** Begins to apply reloads to `server`; one that was asked for earlier is done now. */
  attach(server: RunningServer): void {
    this.#server = server;
    if (this.#askedAgain) this.request();
  }

  /** The server ends: there is nothing to reload any more. */
  end(): void {
    this.#server = undefined;
  }

  /** One reload at a time; whoever asks during one gets another one after it. */
  request(): void {
    if (this.#server === undefined || this.#running) {
      this.#askedAgain = true;
      return;
    }
    this.#askedAgain = false;
    this.#running = true;
    void this.#reload(this.#server).finally(() => {
      this.#running = false;
      if (this.#askedAgain) this.request();
    });
  }

  async #reload(server: RunningServer): Promise<void> {
    const { log, supervisor } = this.#parts;
    supervisor.reloading();
    try {
      await this.#apply(server);
    } catch (error) {
      if (error instanceof CacheError && error.code !== 'internal') this.#keep(error.message.split('\n\n').map(linesOf));
      else log.error('the configuration could not be reloaded, and stays as it was; this is a bug in Kiln', error);
    }
    // Whoever waits for the reload is told by the log what came of it; a server that ends is not ready again.
    if (this.#server !== undefined) supervisor.ready(`serves on ${server.addresses.map(formatListenAddress).join(', ')}`);
  }

  async #apply(server: RunningServer): Promise<void> {
    const { log, start } = this.#parts;
    const read = await readConfiguration('serve', start, readSmallFileAgain);
    if ('mistakes' in read) {
      this.#keep(read.mistakes);
      return;
    }
    const { changes, configuration } = planReload(this.#configuration, read.configuration);
    await server.reload(configuration.options);
    this.#configuration = configuration;
    const { file, options } = configuration;
    const waiting = changes.filter(({ applied }) => !applied).length;
    // With the more talkative of both levels: whoever turns the log down still sees that this was done.
    if (options.log.level === 'debug' || options.log.level === 'info') log.level = options.log.level;
    for (const change of changes) this.#logChange(change);
    log.info('configuration reloaded', { file, applied: changes.length - waiting, needRestart: waiting });
    log.level = options.log.level;
  }

  #logChange({ name, from, to, applied }: KeyChange): void {
    if (applied) this.#parts.log.info(`changed: ${name}`, { from, to });
    else this.#parts.log.warn(`changed in the configuration, but needs a restart: ${name}`, { running: from, configured: to });
  }

  #keep(mistakes: readonly { readonly problem: string; readonly advice: string }[]): void {
    const { log } = this.#parts;
    log.error('the configuration has mistakes and was not reloaded; the server goes on with what it has', undefined, { mistakes: mistakes.length });
    for (const { problem, advice } of mistakes.slice(0, mistakesLoggedMax)) log.error(problem, undefined, { fix: advice });
  }
}

function linesOf(message: string): { readonly problem: string; readonly advice: string } {
  const [problem = '', advice = ''] = message.split('\n');
  return { problem, advice };
}
