// Everything that can be said to `kiln serve`, in one schema: flags, variables, the file, defaults, errors, help, the
// reference page and the JSON Schema for editors are all read off it.
import * as z from 'zod/mini';
import { group, key, keysOf, listKey, mixedListKey, optionalKey, pairsKey } from './key.ts';
import type { Key } from './key.ts';
import { limitsGroup, messageSize } from './limits-schema.ts';
import { rightsGroup } from './rights-schema.ts';
import { tlsGroup } from './tls-schema.ts';
import { byteSize, count, duration, httpUrl, line, listenAddress, oneOf, orOff, path, percentage, ratio, secretLine, yesOrNo } from './value-type.ts';

/** Shorter is a forgotten unit, longer a forgotten point. */
const waits = { min: '0s', max: '1d' };

const drainGroup = group(
  { title: 'Stopping', help: 'What happens after SIGTERM or SIGINT. Whoever starts Kiln must wait longer than the sum of timeout and flush-timeout before it kills.' },
  {
    timeout: key(duration(waits), {
      help: 'How long running calls may take to finish, over all listeners; what is left then is cut off.',
      example: '35s',
      default: { text: '35s' },
      reload: true,
    }),
    'listener-timeout': optionalKey(duration(waits), {
      help: 'How long the calls of one listener may take to finish.',
      example: '30s',
      default: { derived: '30s, or drain.timeout if that is less' },
      reload: true,
    }),
    'flush-timeout': key(duration(waits), {
      help: 'How long the stores may take to write down what they hold, after the last call.',
      example: '30s',
      default: { text: '30s' },
      reload: true,
    }),
  },
);

const logGroup = group(
  { title: 'Log' },
  {
    level: key(oneOf('debug', 'info', 'warn', 'error'), {
      help: 'The least important lines that are still logged. Single calls are logged at debug.',
      example: 'debug',
      default: { text: 'info' },
      reload: true,
    }),
    format: key(oneOf('auto', 'json', 'text'), {
      help: 'JSON lines or text for people; auto is text at a terminal and JSON lines otherwise.',
      example: 'json',
      default: { text: 'auto' },
    }),
    'summary-interval': key(orOff(duration({ min: '1s', max: '1d' }), 0), {
      help: 'How often a line at info sums up what was asked and answered since the last one.',
      example: '60s',
      default: { text: '60s' },
    }),
  },
);

const metricsGroup = group(
  { title: 'Metrics' },
  {
    enabled: key(yesOrNo, {
      help: 'Whether anything is counted and /metrics is served, in the text format of Prometheus.',
      example: 'false',
      default: { text: 'true' },
    }),
  },
);

const tracesGroup = group(
  { title: 'Traces' },
  {
    endpoint: key(orOff(httpUrl, undefined), {
      help: 'Where spans are sent: an OpenTelemetry receiver for OTLP over HTTP.',
      example: 'http://127.0.0.1:4318/v1/traces',
      default: { text: 'off' },
    }),
    'sample-ratio': key(ratio, {
      help: 'Share of the calls that are traced when their client has not decided it; 0.01 is one in a hundred.',
      example: '0.01',
      default: { text: '0.01' },
    }),
    headers: pairsKey(
      // "authorization: Bearer SECRET" in the variable is a name as far as it can be read.
      secretLine('NAME', /^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/, 'is not the name of an HTTP header'),
      secretLine('SECRET', /^[\t\x20-\x7e]+$/, 'is not the value of an HTTP header'),
      {
        help: 'HTTP headers that the receiver of the spans asks for, such as a token. In the variable: NAME=VALUE,NAME=VALUE.',
        example: 'authorization=Bearer SECRET',
        default: { derived: 'none' },
        secret: true,
        from: 'file-and-environment',
      },
    ),
  },
);

const diagnosticsGroup = group(
  { title: 'Diagnostics', help: 'What Kiln finds out about itself when something is wrong. Profiles and snapshots are written to the directory "diagnostics" of the data directory.' },
  {
    'loop-stall': key(orOff(duration({ min: '50ms', max: '1h' }), 0), {
      help: 'How long the event loop may be busy with one thing before it is logged with its stack.',
      example: '500ms',
      default: { text: '500ms' },
    }),
    'store-stall': key(orOff(duration({ min: '100ms', max: '1h' }), 0), {
      help: 'How long an operation of a store may go without ending, and without taking more bytes, before it is logged with digest, size and stack.',
      example: '10s',
      default: { text: '10s' },
    }),
    'profile-cpu': key(orOff(percentage, 0), {
      help: 'Share of one core, over 30 seconds, from which on a CPU profile is written.',
      example: '95%',
      default: { text: '95%' },
    }),
    'profile-interval': key(duration({ min: '1s', max: '30d' }), {
      help: 'The least time between two CPU profiles, or two heap snapshots, that nobody asked for.',
      example: '1h',
      default: { text: '1h' },
    }),
    'profile-duration': key(duration({ min: '100ms', max: '5m' }), {
      help: 'How long a CPU profile records.',
      example: '10s',
      default: { text: '10s' },
    }),
    'heap-snapshot': key(orOff(byteSize({ min: '16MiB', max: '1TiB' }), undefined), {
      help: 'Size of the heap from which on a heap snapshot is written. Writing it stops the server for seconds per GiB and takes twice the memory.',
      example: '4GiB',
      default: { text: 'off' },
    }),
  },
);

/** What is said of the configuration itself, and so not in its file. */
const configFile = optionalKey(path('FILE'), {
  help: 'YAML file with any of these options. "kiln config check" says whether it is all right.',
  example: '/etc/kiln/kiln.yaml',
  default: { derived: 'none' },
});

/** What one address may have of its own, beside where it is. */
const listenerMembers = {
  tls: optionalKey(yesOrNo, {
    help: 'Whether this address speaks TLS.',
    example: 'false',
    default: { derived: 'true for TCP when there is a tls.certificate' },
  }),
  'message-size': optionalKey(messageSize, {
    help: 'Largest gRPC request message that comes by this address.',
    example: '16MiB',
    default: { derived: 'limits.message-size' },
  }),
};

/** Groups come after the keys of the top level, so that the keys of a group stand together in help texts. */
export const serveSchema = z.strictObject({
  listen: mixedListKey(listenAddress, { member: 'address', help: 'Where to listen.', others: listenerMembers }, {
    help: 'Addresses to serve on. Port 0 picks a free one. An address that other machines can reach needs rights: identities, or allow-anonymous. Under systemd socket activation the default is the sockets handed over. In the file, an address may have settings of its own: {address: HOST:PORT, tls: false, message-size: SIZE}.',
    example: '127.0.0.1:9092',
    default: { text: '127.0.0.1:9092' },
  }),
  'allowed-hosts': listKey(line('NAME', /^(?!.*:\/\/)[^\s/:*]+$/, 'is not the name of a host; write it without scheme, port, path and wildcards'), {
    help: 'Further names by which HTTP clients may call the server. On loopback all others are refused, since a web page could have made them point here; elsewhere they are once there is one.',
    example: 'cache.example',
    default: { derived: 'none' },
  }),
  data: optionalKey(path('DIR'), {
    help: 'Directory that holds everything the cache keeps; created when missing, owned by one Kiln at a time.',
    example: '/var/cache/kiln',
    default: { derived: 'kiln in the cache directory of the user' },
  }),
  // Below this a cache holds nothing of use, and a forgotten unit (10KiB) is likelier than an intention.
  'max-size': optionalKey(byteSize({ min: '1MiB', max: '4096TiB' }), {
    help: 'How much the data directory may hold; what was used longest ago goes first.',
    example: '10GiB',
    default: { derived: '10 % of the disk not used by others, at least 1GiB' },
  }),
  durability: key(oneOf('durable', 'relaxed'), {
    help: 'When a write is acknowledged: once it is on the disk, or, with relaxed, once the system has it. A power cut may then take the writes of the last moment; a kill of Kiln takes nothing in either case.',
    example: 'relaxed',
    default: { text: 'durable' },
  }),
  lease: key(duration({ min: '1s', max: '365d' }), {
    help: 'How long what a client was told is there stays there, at least, as far as leases have room.',
    example: '3h',
    default: { text: '3h' },
  }),
  leases: key(oneOf('shorten', 'strict'), {
    help: 'What happens when all that was promised would take more than half of max-size: the oldest promises end earlier, or, with strict, new writes are refused.',
    example: 'strict',
    default: { text: 'shorten' },
  }),
  'low-watermark': optionalKey(percentage, {
    help: 'Share of max-size that is kept free ahead of writes.',
    example: '2%',
    default: { derived: 'a 64th of max-size, at most 256MiB' },
  }),
  'max-age': key(orOff(duration({ min: '1m', max: '3650d' }), 0), {
    help: 'What was not used for so long goes, also when there is room.',
    example: '30d',
    default: { text: 'off' },
  }),
  'max-entries': key(orOff(count({ min: '1000', max: '1000000000' }), 0), {
    help: 'How many blobs and values there may be.',
    example: '10000000',
    default: { text: 'off' },
  }),
  'small-blob-max': key(byteSize({ min: '0B', max: '256KiB' }), {
    help: 'Blobs up to this size are kept together in large files, larger ones in a file each. Holds for new blobs.',
    example: '64KiB',
    default: { text: '64KiB' },
  }),
  'min-free-space': key(byteSize({ min: '0B', max: '1TiB' }), {
    help: 'What is left free on the disk of the data directory, whoever else writes to it: eviction begins before that.',
    example: '500MiB',
    default: { text: '500MiB' },
  }),
  'allow-anonymous': optionalKey(oneOf('none', 'read', 'write', 'overwrite'), {
    help: 'What everyone who can reach the server may do without credentials, each including those before it. With write the first entry under a key stays; overwrite puts others in its place.',
    example: 'read',
    default: { derived: 'overwrite on loopback and unix sockets; none elsewhere, or when there are identities' },
    reload: true,
  }),
  'ready-file': optionalKey(path('FILE'), {
    help: 'File to write once requests are served: JSON with pid, grpc, http and version. Removed at the end.',
    example: '/run/kiln/ready.json',
    default: { derived: 'none' },
  }),
  rights: rightsGroup,
  tls: tlsGroup,
  drain: drainGroup,
  log: logGroup,
  metrics: metricsGroup,
  traces: tracesGroup,
  diagnostics: diagnosticsGroup,
  limits: limitsGroup,
});

/** Values as the schema gives them. */
export type ServeValues = z.output<typeof serveSchema>;

/** Every key of the file. */
export const serveKeys: readonly Key[] = keysOf(serveSchema);

/** What flags and variables may say. */
export const startSchema = z.strictObject({ config: configFile, ...serveSchema.shape });

export const startKeys: readonly Key[] = keysOf(startSchema);
