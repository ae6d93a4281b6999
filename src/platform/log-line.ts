// A line of the log as people read it: time, level, message, key=value; stacks follow, indented.
import type { WallClock } from '../base/clock.ts';
import type { LogFields, LogLevel } from '../base/log.ts';
import { withoutCredentials } from './log-redaction.ts';

/** An error as the log writes it. */
export interface LoggedError {
  readonly name: string;
  readonly message: string;
  /** Of the operating system or a CacheError. */
  readonly code?: string;
  readonly stack?: string;
  readonly cause?: LoggedError;
}

/** A line before it is written. */
export interface LogRecord {
  /** ISO 8601, UTC. */
  readonly time: string;
  readonly level: LogLevel;
  readonly message: string;
  readonly err?: LoggedError;
  readonly fields: LogFields;
}

/** A chain of causes longer than this is a loop, or of no use to anybody. */
const causesMax = 8;

/** `thrown` and its causes as plain data. Something thrown that is no error has only a message. */
export function loggedError(thrown: unknown, depth = 1): LoggedError {
  if (!(thrown instanceof Error)) return { name: '', message: String(thrown) };
  const code = 'code' in thrown && typeof thrown.code === 'string' ? { code: thrown.code } : {};
  const stack = thrown.stack === undefined ? {} : { stack: thrown.stack };
  const cause = thrown.cause === undefined || depth === causesMax ? {} : { cause: loggedError(thrown.cause, depth + 1) };
  return { name: thrown.name, message: thrown.message, ...code, ...stack, ...cause };
}

/** The line of an error, for programs that have no log. */
export function errorLine(message: string, thrown: unknown, clock: WallClock): string {
  return withoutCredentials(textLine({ time: new Date(clock.nowMs()).toISOString(), level: 'error', message, err: loggedError(thrown), fields: {} }));
}

/** With its line break; several lines when there is a stack. */
export function textLine({ time, level, message, err, fields }: LogRecord): string {
  const { stack, ...others } = fields;
  const stackText = stack === undefined ? '' : `    ${indented(String(stack))}\n`;
  return `${time} ${level.padEnd(5)} ${oneLine(message)}${formatFields(others)}\n${stackText}${err === undefined ? '' : formatError(err)}`;
}

function formatFields(fields: LogFields): string {
  let text = '';
  for (const [name, value] of Object.entries(fields)) {
    if (value === undefined) continue;
    const written = String(value);
    text += ` ${name}=${/^[^\s"=\p{Cc}]+$/u.test(written) ? written : JSON.stringify(written)}`;
  }
  return text;
}

/** Peers choose parts of messages: a line break in one must not look like another line of the log. */
function oneLine(text: string): string {
  return text.replaceAll(/\p{Cc}+/gu, ' ');
}

function formatError(error: LoggedError): string {
  let text = '';
  for (let current: LoggedError | undefined = error; current !== undefined; current = current.cause) {
    text += `    ${current === error ? '' : 'caused by: '}${indented(describe(current))}\n`;
  }
  return text;
}

function describe({ name, message, stack, code }: LoggedError): string {
  const text = stack ?? (name === '' ? message : `${name}: ${message}`);
  return code === undefined ? text : `${text} [${code}]`;
}

/** A terminal obeys control characters; only line breaks have a use here. */
function indented(text: string): string {
  return text.replaceAll(/[^\P{Cc}\n\t]+/gu, ' ').replaceAll('\n', '\n    ');
}
