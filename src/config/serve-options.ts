// The options of `kiln serve`, and the plain values they become.
import { join } from 'node:path';
import { assert } from '../base/assert.ts';
import { CacheError } from '../base/cache-error.ts';
import type { ListenAddress } from '../base/listen-address.ts';
import { byteSize, duration, listenAddress, oneOf, path } from './option.ts';
import type { Option, OptionTable } from './option.ts';
import { parseOptions } from './parse-options.ts';
import type { StartContext } from './parse-options.ts';

/** Below this a cache holds nothing of use, and a forgotten unit (`--max-size 10KiB`) is likelier than an intention. */
const maxSizeBytesMin = 2 ** 20;

/** A string option of the table keeps its type through this. */
function option<T>(definition: Option<T>): Option<T> {
  return definition;
}

export const serveOptionTable = {
  listen: option({
    flag: '--listen',
    environment: 'KILN_LISTEN',
    type: listenAddress,
    example: '127.0.0.1:9092',
    default: { text: '127.0.0.1:9092' },
    repeats: true,
    help: 'Address to serve on; may be given several times. Port 0 picks a free one. An address that other machines can reach needs --allow-anonymous.',
  }),
  data: option({
    flag: '--data',
    environment: 'KILN_DATA',
    type: path('DIR'),
    example: '/var/cache/kiln',
    default: { derived: 'kiln in the cache directory of the user' },
    help: 'Directory that holds everything the cache keeps; created when missing, owned by one Kiln at a time.',
  }),
  maxSize: option({
    flag: '--max-size',
    environment: 'KILN_MAX_SIZE',
    type: byteSize,
    example: '10GiB',
    default: { derived: '10 % of the disk not used by others, at least 1GiB' },
    help: 'How much the data directory may hold; what was used longest ago goes first.',
  }),
  allowAnonymous: option({
    flag: '--allow-anonymous',
    environment: 'KILN_ALLOW_ANONYMOUS',
    type: oneOf('read', 'write'),
    example: 'read',
    default: { derived: 'write on loopback and unix sockets; none elsewhere' },
    help: 'What everyone who can reach the server may do; write includes read.',
  }),
  readyFile: option({
    flag: '--ready-file',
    environment: 'KILN_READY_FILE',
    type: path('FILE'),
    example: '/run/kiln/ready.json',
    default: { derived: 'none' },
    help: 'File to write once requests are served: JSON with pid, grpc, http and version. Removed at the end.',
  }),
  drainTimeout: option({
    flag: '--drain-timeout',
    environment: 'KILN_DRAIN_TIMEOUT',
    type: duration,
    example: '30s',
    default: { text: '30s' },
    help: 'How long running calls may take to finish after SIGTERM or SIGINT.',
  }),
  logLevel: option({
    flag: '--log-level',
    environment: 'KILN_LOG_LEVEL',
    type: oneOf('debug', 'info', 'warn', 'error'),
    example: 'debug',
    default: { text: 'info' },
    help: 'The least important lines that are still logged.',
  }),
} as const satisfies OptionTable;

/** What `kiln serve` is asked to do. Checked values; paths are absolute. */
export interface ServeOptions {
  /** At least one. */
  readonly listen: readonly ListenAddress[];
  readonly dataDirectory: string;
  /** Undefined: derived from the free disk once the directory is known to exist. */
  readonly maxBytes: number | undefined;
  /** Undefined: read and write for callers on this machine, nobody else. */
  readonly allowAnonymous: 'read' | 'write' | undefined;
  readonly readyFile: string | undefined;
  readonly drainTimeoutMs: number;
  readonly logLevel: 'debug' | 'info' | 'warn' | 'error';
}

/** @throws CacheError `invalid_argument`; first line what is wrong, second line what to do. */
export function parseServeOptions(context: StartContext): ServeOptions {
  const values = parseOptions('serve', serveOptionTable, context);
  const maxBytes = values.maxSize[0];
  if (maxBytes !== undefined && maxBytes < maxSizeBytesMin) {
    throw new CacheError('invalid_argument', `--max-size: ${maxBytes} bytes are too few for a cache; the least is 1MiB\nexample: --max-size ${serveOptionTable.maxSize.example}`);
  }
  const [drainTimeoutMs, logLevel] = [values.drainTimeout[0], values.logLevel[0]];
  assert(drainTimeoutMs !== undefined && logLevel !== undefined, 'an option whose default is a text always has a value');
  return {
    listen: values.listen,
    dataDirectory: values.data[0] ?? defaultDataDirectory(context),
    maxBytes,
    allowAnonymous: values.allowAnonymous[0],
    readyFile: values.readyFile[0],
    drainTimeoutMs,
    logLevel,
  };
}

/** Where a user's caches belong: the XDG base directory specification, or ~/Library/Caches on macOS. */
function defaultDataDirectory({ environment, platform }: StartContext): string {
  const cacheHome = environment['XDG_CACHE_HOME'] ?? '';
  // The specification says to ignore a relative path.
  if (platform !== 'darwin' && cacheHome.startsWith('/')) return join(cacheHome, 'kiln');
  const home = environment['HOME'] ?? '';
  if (!home.startsWith('/')) {
    throw new CacheError('invalid_argument', `no place for the data: ${platform === 'darwin' ? 'HOME is not set' : 'neither XDG_CACHE_HOME nor HOME is set'}\nname a directory: --data ${serveOptionTable.data.example}`);
  }
  return platform === 'darwin' ? join(home, 'Library', 'Caches', 'kiln') : join(home, '.cache', 'kiln');
}
