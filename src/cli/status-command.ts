// `kiln status`: asks a running server how it is. For people, for scripts (--json), and for health checks.
import { resolve } from 'node:path';
import { CacheError } from '../base/cache-error.ts';
import { parseDurationMs } from '../base/units.ts';
import { readGrpcHealth } from '../client/grpc-health.ts';
import { readServerStatus } from '../client/server-status.ts';
import { nearestName } from '../config/nearest-name.ts';
import { wallClock } from '../platform/clocks.ts';
import type { ProcessStart } from '../platform/process.ts';
import { readSmallFile } from '../platform/small-file.ts';
import { openCalls } from '../wiring/open-calls.ts';
import { openChannel } from '../wiring/open-channel.ts';
import { statusText } from './status-text.ts';
import { exitStatus } from './terminal.ts';
import type { Terminal } from './terminal.ts';
import { usageError } from './usage-error.ts';

interface StatusOptions {
  readonly url: string;
  readonly tokenFile: string | undefined;
  readonly silenceTimeoutMs: number;
  readonly json: boolean;
}

/** What `kiln serve` listens on by default. */
const defaultUrl = 'http://127.0.0.1:9092';
const defaultTimeoutMs = 5_000;
/** A token has some 50 characters; a file that is longer than this is another one. */
const tokenFileBytesMax = 4_096;

/** @throws CacheError `invalid_argument` (usage), and what keeps the server from being asked. */
export async function status({ args, workingDirectory }: ProcessStart, terminal: Terminal): Promise<number> {
  const options = parseOptions(args);
  const token = options.tokenFile === undefined ? undefined : await tokenIn(resolve(workingDirectory, options.tokenFile));
  const { silenceTimeoutMs } = options;
  await using opened = openCalls(options.url, { credentials: token === undefined ? undefined : { token }, silenceTimeoutMs, connectionsMax: 1 });
  const answer = await readServerStatus(opened.calls, opened).catch((thrown: unknown) => {
    throw explained(thrown, opened.url);
  });
  const { url, instance } = opened;
  const { metrics, ...facts } = answer;
  // What lets HTTP/1.1 through may stop HTTP/2, and then the server is up and Bazel cannot reach it.
  await using channel = openChannel(url, { limits: { connectTimeoutMs: silenceTimeoutMs } });
  const grpc = await readGrpcHealth(channel, { timeoutMs: silenceTimeoutMs });
  if (options.json) terminal.out(`${JSON.stringify({ url, instance, ...facts, grpc, metrics: metrics && Object.fromEntries(metrics) })}\n`);
  else terminal.out(statusText({ url, instance, status: answer, grpc, nowMs: wallClock.nowMs() }));
  return answer.status === 'ok' ? exitStatus.fine : exitStatus.failure;
}

/** With what to do about it, for the failures that a person meets first. */
function explained(thrown: unknown, url: string): unknown {
  if (!(thrown instanceof CacheError)) return thrown;
  const advice = {
    unavailable: `is it running? Start it with "kiln serve", or give its URL: kiln status http://HOST:PORT (asked was ${url})`,
    deadline_exceeded: 'it hangs, or something between here and there drops packets; its log says more',
    unauthenticated: 'the server does not know these credentials; a new token is made with "kiln token create"',
  }[thrown.code as string];
  return advice === undefined ? thrown : new CacheError(thrown.code, `${thrown.message}\n${advice}`, { cause: thrown });
}

async function tokenIn(path: string): Promise<string> {
  const bytes = await readSmallFile(path, tokenFileBytesMax);
  const token = Buffer.from(bytes).toString('utf8').trim();
  if (token !== '' && !/\s/.test(token)) return token;
  throw usageError(`${path} does not hold a token alone: it ${token === '' ? 'is empty' : 'has several words or lines'}`, 'write it with: kiln token create > FILE');
}

function parseOptions(args: readonly string[]): StatusOptions {
  const values = new Map<string, string>();
  let json = false;
  let url: string | undefined;
  for (let index = 0; index < args.length; index += 1) {
    const argument = args[index] ?? '';
    const [, written = argument, joined] = /^(--[^=]+)=(.*)$/s.exec(argument) ?? [];
    if (written === '--json' && joined === undefined) json = true;
    else if (written === '--token-file' || written === '--timeout') {
      const text = joined ?? args[(index += 1)];
      if (text === undefined || text === '') throw usageError(`${written} needs a value`, `example: ${written} ${written === '--timeout' ? '5s' : 'token.txt'}`);
      if (values.has(written)) throw usageError(`${written} is given twice`, `give ${written} once`);
      values.set(written, text);
    } else if (argument.startsWith('-')) throw unknownOption(argument);
    else if (url === undefined) url = argument;
    else throw usageError(`unexpected argument ${JSON.stringify(argument)}`, '"kiln status" takes one URL');
  }
  return { url: url ?? defaultUrl, tokenFile: values.get('--token-file'), silenceTimeoutMs: timeoutOf(values.get('--timeout')), json };
}

function unknownOption(argument: string): CacheError {
  const nearest = nearestName(argument, ['--token-file', '--timeout', '--json']);
  return usageError(`unknown option ${argument}`, nearest === undefined ? '"kiln help status" lists the options' : `did you mean ${nearest}?`);
}

function timeoutOf(text: string | undefined): number {
  if (text === undefined) return defaultTimeoutMs;
  try {
    const timeoutMs = parseDurationMs(text);
    if (timeoutMs > 0) return timeoutMs;
  } catch (thrown) {
    throw usageError(`--timeout: ${CacheError.from(thrown).message}`, 'example: --timeout 5s');
  }
  throw usageError('--timeout: a server cannot answer in no time', 'example: --timeout 5s');
}
