// How a command that could not do its work says so: one line what is wrong, one line what to do.
import { CacheError } from '../base/cache-error.ts';
import type { Log } from '../base/log.ts';
import { exitStatus } from './terminal.ts';
import type { Terminal } from './terminal.ts';

/**
 * Prints `thrown` and gives the exit status. What a person can set right is printed without a stack: the first
 * line of the message is the problem, the rest (or what follows its first semicolon) the way out. What nobody
 * foresaw goes to the log with stack and causes.
 */
export function reportFailure(thrown: unknown, terminal: Terminal, log: Log): number {
  if (!(thrown instanceof CacheError) || thrown.code === 'internal') {
    log.error('unexpected failure; this is a bug in Kiln', thrown);
    return exitStatus.failure;
  }
  const [problem, advice] = splitMessage(thrown.message);
  terminal.error(`kiln: ${problem}\n${advice === '' ? '' : `  ${advice}\n`}`);
  return thrown.code === 'invalid_argument' ? exitStatus.usage : exitStatus.failure;
}

function splitMessage(message: string): readonly [problem: string, advice: string] {
  const separator = message.includes('\n') ? '\n' : '; ';
  const end = message.indexOf(separator);
  if (end === -1) return [message, ''];
  return [message.slice(0, end), message.slice(end + separator.length)];
}
