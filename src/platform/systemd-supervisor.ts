// Tells systemd how the service is (the sd_notify protocol): datagrams to the socket that NOTIFY_SOCKET names, or,
// where this process cannot send any, through the program systemd-notify.
import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import type { Log } from '../base/log.ts';
import type { Supervisor } from '../base/supervisor.ts';
import { noSupervisor } from '../base/supervisor.ts';
import { openDatagramSocket } from './unix-datagram.ts';
import type { DatagramSocket } from './unix-datagram.ts';

/** `VARIABLE=value` lines of one message. */
type Message = readonly string[];

export interface SupervisorContext {
  readonly environment: Readonly<Record<string, string | undefined>>;
  readonly pid: number;
  readonly log: Log;
}

/** Messages that wait for systemd-notify; beyond them the oldest go, being the least true. */
const waitingMax = 16;
/** How long systemd-notify may take. */
const programTimeoutMs = 10_000;
/** It ends well before this when nobody took the message; after this, when somebody did and did not say so. */
const programFailureMs = 4_000;
/** A status longer than this is of no use to anybody. */
const statusCharsMax = 200;

/**
 * Who started this process and wants to hear of it, by its environment (`NOTIFY_SOCKET`, `WATCHDOG_USEC`, `WATCHDOG_PID`).
 * The watchdog is fed at half of its time for as long as the event loop turns. Never fails: a message that nobody
 * takes is reported once, as a warning.
 */
export function openSupervisor(context: SupervisorContext): Supervisor {
  const socketName = context.environment['NOTIFY_SOCKET'] ?? '';
  if (socketName === '') return noSupervisor;
  const channel = new Channel(socketName, openDatagramSocket(), context.log);
  feedWatchdog(channel, context);
  return new SystemdService(channel);
}

class SystemdService implements Supervisor {
  readonly #channel: Channel;

  constructor(channel: Channel) {
    this.#channel = channel;
  }

  ready(status: string): void {
    this.#channel.send(['READY=1', statusLine(status)]);
  }

  status(text: string): void {
    this.#channel.send([statusLine(text)]);
  }

  reloading(): void {
    // The time orders this against the signal that asked for it: CLOCK_MONOTONIC, as systemd reads it.
    this.#channel.send(['RELOADING=1', `MONOTONIC_USEC=${process.hrtime.bigint() / 1000n}`, statusLine('reading the configuration again')]);
  }

  stopping(status: string): void {
    this.#channel.send(['STOPPING=1', statusLine(status)]);
  }

  extendTimeout(ms: number): void {
    this.#channel.send([`EXTEND_TIMEOUT_USEC=${Math.round(ms * 1000)}`]);
  }
}

function statusLine(text: string): string {
  return `STATUS=${text.replaceAll(/\s+/g, ' ').slice(0, statusCharsMax)}`;
}

function feedWatchdog(channel: Channel, { environment, pid }: SupervisorContext): void {
  const limitUsec = Number(environment['WATCHDOG_USEC'] ?? '');
  const watched = environment['WATCHDOG_PID'] ?? '';
  if (!Number.isSafeInteger(limitUsec) || limitUsec <= 0 || (watched !== '' && Number(watched) !== pid)) return;
  setInterval(() => channel.send(['WATCHDOG=1']), Math.max(limitUsec / 2000, 1)).unref();
}

/** The way to the service manager: the socket while that works, then the program while that works, then none. */
class Channel {
  readonly #socketName: string;
  readonly #log: Log;
  #sender: DatagramSocket | undefined;
  /** Bounded by `waitingMax`. */
  readonly #waiting: Message[] = [];
  #running = false;
  #broken = false;

  constructor(socketName: string, sender: DatagramSocket | undefined, log: Log) {
    this.#socketName = socketName;
    this.#sender = sender;
    this.#log = log;
  }

  send(message: Message): void {
    if (this.#broken) return;
    if (this.#sender === undefined) {
      this.#sendByProgram(message);
      return;
    }
    this.#sender.send(Buffer.from(message.join('\n')), this.#socketName, (error) => {
      if (error === undefined) return;
      this.#sender = undefined; // what did not work once, such as an abstract name, will not work later
      this.#sendByProgram(message);
    });
  }

  #sendByProgram(message: Message): void {
    this.#waiting.push(message);
    if (this.#waiting.length > waitingMax) this.#waiting.shift();
    if (!this.#running) this.#runNext();
  }

  /** One after the other: READY must not overtake RELOADING. */
  #runNext(): void {
    const message = this.#waiting.shift();
    this.#running = message !== undefined;
    if (message === undefined) return;
    const startedMs = performance.now();
    const child = this.#spawned(message);
    if (child === undefined) return;
    child.unref();
    child.once('error', () => this.#giveUp('systemd-notify cannot be run'));
    child.once('exit', (status) => {
      if (status !== 0 && performance.now() - startedMs < programFailureMs) this.#giveUp(`systemd-notify failed with status ${status}`);
      else this.#runNext();
    });
  }

  /** Undefined when the system has no memory for another process, for instance: Node throws that. */
  #spawned(message: Message): ChildProcess | undefined {
    const env = { PATH: process.env['PATH'], NOTIFY_SOCKET: this.#socketName };
    try {
      return spawn('systemd-notify', [...message], { stdio: 'ignore', timeout: programTimeoutMs, env });
    } catch (error) {
      this.#giveUp(String(error));
      return undefined;
    }
  }

  #giveUp(reason: string): void {
    if (this.#broken) return;
    this.#broken = true;
    this.#waiting.length = 0;
    this.#log.warn(
      'the service manager cannot be told how the service is; if it waits for that, it will end this process. Install the optional package ' +
        'node-unix-socket-linux-x64-gnu beside Kiln, or the program systemd-notify and NotifyAccess=all in the unit, or set Type=exec and no WatchdogSec',
      { reason, socket: this.#socketName },
    );
  }
}
