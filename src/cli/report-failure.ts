// How a command that could not do its work says so: one line what is wrong, one line what to do, for each mistake.
import { CacheError } from '../base/cache-error.ts';
import type { WallClock } from '../base/clock.ts';
import { errorLine } from '../platform/log-line.ts';
import { exitStatus } from './terminal.ts';
import type { Terminal } from './terminal.ts';

/**
 * Prints `thrown` and gives the exit status. What a person can set right is printed without a stack: the first
 * line of the message is the problem, the rest (or what follows its first semicolon) the way out; an empty line
 * parts one mistake from the next. What nobody foresaw is printed as the log does it, with stack and causes.
 */
export function reportFailure(thrown: unknown, terminal: Terminal, clock: WallClock): number {
  if (!(thrown instanceof CacheError) || thrown.code === 'internal') {
    terminal.error(errorLine('unexpected failure; this is a bug in Kiln', thrown, clock));
    return exitStatus.failure;
  }
  for (const message of thrown.message.split('\n\n')) {
    const [problem, advice] = splitMessage(message);
    terminal.error(`kiln: ${problem}\n${advice === '' ? '' : `  ${advice}\n`}`);
  }
  return thrown.code === 'invalid_argument' ? exitStatus.usage : exitStatus.failure;
}

function splitMessage(message: string): readonly [problem: string, advice: string] {
  const separator = message.includes('\n') ? '\n' : '; ';
  const end = message.indexOf(separator);
  if (end === -1) return [message, ''];
  return [message.slice(0, end), message.slice(end + separator.length)];
}
