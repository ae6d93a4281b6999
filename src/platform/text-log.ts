// The Log port as lines of text: time, level, message, key=value. An error's stack and causes follow, indented.
import type { WallClock } from '../base/clock.ts';
import type { Log, LogFields, LogLevel } from '../base/log.ts';

const rankOf = { debug: 0, info: 1, warn: 2, error: 3 } as const satisfies Record<LogLevel, number>;

/** A chain of causes longer than this is a loop, or of no use to anybody. */
const causesMax = 8;

/** Lines of at least `level`, each handed to `write` with its line break. */
export function createTextLog(write: (text: string) => void, clock: WallClock, level: LogLevel): Log {
  const line = (lineLevel: LogLevel, message: string, fields: LogFields | undefined, cause?: unknown): void => {
    if (rankOf[lineLevel] < rankOf[level]) return;
    const time = new Date(clock.nowMs()).toISOString();
    write(`${time} ${lineLevel.padEnd(5)} ${oneLine(message)}${formatFields(fields)}\n${cause === undefined ? '' : formatCause(cause)}`);
  };
  return {
    debugEnabled: level === 'debug',
    debug: (message, fields) => line('debug', message, fields),
    info: (message, fields) => line('info', message, fields),
    warn: (message, fields) => line('warn', message, fields),
    error: (message, cause, fields) => line('error', message, fields, cause),
  };
}

function formatFields(fields: LogFields = {}): string {
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

function formatCause(cause: unknown): string {
  let text = '';
  let current: unknown = cause;
  for (let depth = 0; current !== undefined && depth < causesMax; depth += 1) {
    text += `    ${depth === 0 ? '' : 'caused by: '}${describe(current).replaceAll('\n', '\n    ')}\n`;
    current = current instanceof Error ? current.cause : undefined;
  }
  return text;
}

function describe(thrown: unknown): string {
  if (!(thrown instanceof Error)) return String(thrown);
  const code = 'code' in thrown && typeof thrown.code === 'string' ? ` [${thrown.code}]` : '';
  return (thrown.stack ?? `${thrown.name}: ${thrown.message}`) + code;
}
