// `kiln status`: asks a running server how it is. For people, for scripts (--json), and for health checks.
import { resolve } from 'node:path';
import { CacheError } from '../base/cache-error.ts';
import type { ClientTls } from '../base/connector.ts';
import { formatByteSize, parseDurationMs } from '../base/units.ts';
import { parseCacheUrl } from '../client/cache-url.ts';
import { readGrpcHealth } from '../client/grpc-health.ts';
import { readServerStatus } from '../client/server-status.ts';
import { nearestName } from '../config/nearest-name.ts';
import { wallClock } from '../platform/clocks.ts';
import type { NodeHttpTls } from '../platform/node-http-client.ts';
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
  /** Of TLS, as they were given. */
  readonly caFile: string | undefined;
  readonly certificateFile: string | undefined;
  readonly keyFile: string | undefined;
  readonly silenceTimeoutMs: number;
  readonly json: boolean;
}

/** What `kiln serve` listens on by default. */
const defaultUrl = 'http://127.0.0.1:9092';
const defaultTimeoutMs = 5_000;
/** A token has some 50 characters; a file that is longer than this is another one. */
const tokenFileBytesMax = 4_096;

/** The bundles of authorities that systems bring along have a quarter of it. */
const tlsFileBytesMax = 1_048_576;

const valueOptions: readonly string[] = ['--token-file', '--ca-file', '--certificate-file', '--key-file', '--timeout'];

/** @throws CacheError `invalid_argument` (usage), and what keeps the server from being asked. */
export async function status({ args, workingDirectory }: ProcessStart, terminal: Terminal): Promise<number> {
  const options = parseOptions(args);
  const token = options.tokenFile === undefined ? undefined : await tokenIn(resolve(workingDirectory, options.tokenFile));
  const { silenceTimeoutMs } = options;
  const tls = await tlsOf(options, workingDirectory);
  // Who gives a certificate expects that it is asked for, and a server that does not know them might be taken for one that refuses them.
  if (!parseCacheUrl(options.url).tls && Object.values(tls.texts).some((text) => text !== undefined)) throw usageError('files for TLS are given, and the URL is not one of TLS', 'begin it with https://, or leave them out');
  await using opened = openCalls(options.url, { tls: tls.texts, credentials: token === undefined ? undefined : { token }, silenceTimeoutMs, connectionsMax: 1 });
  const answer = await readServerStatus(opened.calls, opened).catch((thrown: unknown) => {
    throw explained(thrown, opened.url);
  });
  const { url, instance } = opened;
  const { metrics, ...facts } = answer;
  // What lets HTTP/1.1 through may stop HTTP/2, and then the server is up and Bazel cannot reach it.
  await using channel = openChannel(url, { limits: { connectTimeoutMs: silenceTimeoutMs } }, tls.files);
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
    // Of connecting, that is only TLS and the rules of the machine.
    failed_precondition: url.startsWith('https:') ? '--ca-file says whom to trust; --certificate-file and --key-file, what to show to a server that asks for it; one without TLS is asked at http://' : undefined,
    unauthenticated: 'the server does not know these credentials; a new token is made with "kiln token create"',
  }[thrown.code as string];
  return advice === undefined ? thrown : new CacheError(thrown.code, `${thrown.message}\n${advice}`, { cause: thrown });
}

async function tokenIn(path: string): Promise<string> {
  const token = (await wholeFile(path, tokenFileBytesMax, 'name the file that holds the token alone')).trim();
  if (token !== '' && !/\s/.test(token)) return token;
  throw usageError(`${path} does not hold a token alone: it ${token === '' ? 'is empty' : 'has several words or lines'}`, 'write it with: kiln token create > FILE');
}

/** A file of which a part would mean something else. @throws CacheError `invalid_argument` as `readSmallFile`, and for one that is longer; `advice` is for that. */
async function wholeFile(path: string, bytesMax: number, advice: string): Promise<string> {
  const bytes = await readSmallFile(path, bytesMax + 1);
  if (bytes.byteLength > bytesMax) throw usageError(`${path} is longer than ${formatByteSize(bytesMax)}`, advice);
  return Buffer.from(bytes).toString('utf8');
}

/** What is known of TLS, for the client of HTTP as texts and for that of gRPC as files. */
async function tlsOf({ caFile, certificateFile, keyFile }: StatusOptions, directory: string): Promise<{ readonly texts: NodeHttpTls; readonly files: ClientTls }> {
  const path = (file: string | undefined) => (file === undefined ? undefined : resolve(directory, file));
  const text = async (file: string | undefined, what: 'CERTIFICATE' | 'PRIVATE KEY') => {
    if (file === undefined) return undefined;
    const pem = await wholeFile(resolve(directory, file), tlsFileBytesMax, 'keep in it only the certificates that are needed');
    // Without one of them it would count as a file that trusts nobody, and the server would seem to be at fault.
    if (!new RegExp(`-----BEGIN [A-Z0-9 ]*${what}-----`).test(pem)) throw usageError(`${resolve(directory, file)} has no ${what.toLowerCase()} in PEM: there is no "-----BEGIN ${what}-----" in it`, 'name a file that has');
    return pem;
  };
  if ((certificateFile === undefined) !== (keyFile === undefined)) throw usageError('a client certificate needs its key, and a key its certificate', 'give both: --certificate-file FILE --key-file FILE');
  const [ca, certificate, key] = [path(caFile), path(certificateFile), path(keyFile)];
  return {
    texts: { ca: await text(caFile, 'CERTIFICATE'), certificate: await text(certificateFile, 'CERTIFICATE'), key: await text(keyFile, 'PRIVATE KEY') },
    files: { caFile: ca, certificate: certificate === undefined || key === undefined ? undefined : { certificateFile: certificate, keyFile: key } },
  };
}

function parseOptions(args: readonly string[]): StatusOptions {
  const values = new Map<string, string>();
  let json = false;
  let url: string | undefined;
  for (let index = 0; index < args.length; index += 1) {
    const argument = args[index] ?? '';
    const [, written = argument, joined] = /^(--[^=]+)=(.*)$/s.exec(argument) ?? [];
    if (written === '--json' && joined === undefined) json = true;
    else if (valueOptions.includes(written)) {
      const text = joined ?? args[(index += 1)];
      if (text === undefined || text === '') throw usageError(`${written} needs a value`, `example: ${written} ${written === '--timeout' ? '5s' : written === '--token-file' ? 'token.txt' : `${written.slice(2, -'-file'.length)}.pem`}`);
      if (values.has(written)) throw usageError(`${written} is given twice`, `give ${written} once`);
      values.set(written, text);
    } else if (argument.startsWith('-')) throw unknownOption(argument);
    else if (url === undefined) url = argument;
    else throw usageError(`unexpected argument ${JSON.stringify(argument)}`, '"kiln status" takes one URL');
  }
  const [caFile, certificateFile, keyFile] = ['--ca-file', '--certificate-file', '--key-file'].map((name) => values.get(name));
  return { url: url ?? defaultUrl, tokenFile: values.get('--token-file'), caFile, certificateFile, keyFile, silenceTimeoutMs: timeoutOf(values.get('--timeout')), json };
}

function unknownOption(argument: string): CacheError {
  const nearest = nearestName(argument, [...valueOptions, '--json']);
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
