// What `kiln serve` is asked to do, as plain values.
import { join } from 'node:path';
import { CacheError } from '../base/cache-error.ts';
import type { ListenAddress } from '../base/listen-address.ts';
import type { Right } from '../base/authorizer.ts';
import type { ServeValues } from './serve-schema.ts';
import type { StartContext } from './start-context.ts';
import type { TlsMaterial } from './tls-files.ts';

/** Somebody who can show who they are, and what they may do. */
export interface IdentityOptions {
  /** Also the user name of HTTP Basic. */
  readonly name: string;
  /** `sha256:` and 64 lower-case hexadecimal digits; may be empty. */
  readonly tokens: readonly string[];
  /** Patterns of client certificates; may be empty. */
  readonly certificates: readonly string[];
  readonly grants: readonly { readonly instances: readonly string[]; readonly rights: readonly Right[] }[];
}

/** One address to serve on. */
export interface ListenerOptions {
  readonly address: ListenAddress;
  readonly tls: boolean;
  readonly messageBytesMax: number;
}

export interface TlsOptions {
  readonly certificateFile: string;
  readonly keyFile: string;
  readonly clientCaFile: string | undefined;
  /** `off` where there is no `clientCaFile`. */
  readonly clientCertificates: 'off' | 'optional' | 'required';
  readonly minVersion: '1.2' | '1.3';
  /** What was in the files when the configuration was read. */
  readonly material: TlsMaterial;
}

/** Checked values; paths are absolute, durations 0 where something is off. */
export interface ServeOptions {
  /** At least one. */
  readonly listen: readonly ListenerOptions[];
  /** Nobody has said where to listen, so sockets that a service manager hands over go before `listen`. */
  readonly listenIsDefault: boolean;
  readonly allowedHosts: readonly string[];
  readonly dataDirectory: string;
  /** Undefined: derived from the free disk once the directory is known to exist. */
  readonly maxBytes: number | undefined;
  /** How the store keeps what it holds; see `EngineOptions`. */
  readonly store: {
    readonly durability: 'durable' | 'relaxed';
    readonly leaseMs: number;
    readonly leases: 'shorten' | 'strict';
    /** Undefined: derived from `maxBytes`. */
    readonly lowWatermarkShare: number | undefined;
    readonly ageMaxMs: number;
    /** 0: no limit. */
    readonly countMax: number;
    readonly smallBytesMax: number;
    readonly diskFloorBytes: number;
  };
  readonly readyFile: string | undefined;
  /** Undefined: overwrite for callers on this machine if there are no credentials, nobody else. */
  readonly allowAnonymous: 'none' | 'read' | 'write' | 'overwrite' | undefined;
  readonly rights: {
    readonly tokensFile: string | undefined;
    readonly htpasswdFile: string | undefined;
    /** Of the configuration file and of the tokens file; names are unique. */
    readonly identities: readonly IdentityOptions[];
  };
  /** Undefined: no TLS. */
  readonly tls: TlsOptions | undefined;
  readonly drain: {
    readonly timeoutMs: number;
    /** At most `timeoutMs`. */
    readonly listenerTimeoutMs: number;
    readonly flushTimeoutMs: number;
  };
  readonly log: {
    readonly level: 'debug' | 'info' | 'warn' | 'error';
    readonly format: 'auto' | 'json' | 'text';
    readonly summaryIntervalMs: number;
  };
  readonly metrics: { readonly enabled: boolean };
  readonly traces: {
    /** Undefined: no traces. */
    readonly endpoint: string | undefined;
    readonly sampleRatio: number;
    /** Secrets. */
    readonly headers: Readonly<Record<string, string>>;
  };
  readonly diagnostics: {
    readonly loopStallMs: number;
    readonly storeStallMs: number;
    /** 0 to 1; 0: no profiles. */
    readonly profileCpuShare: number;
    readonly profileIntervalMs: number;
    readonly profileDurationMs: number;
    /** Undefined: no snapshots. */
    readonly heapSnapshotBytes: number | undefined;
  };
  readonly limits: LimitOptions;
}

export interface LimitOptions {
  /** Per address. */
  readonly connectionsMax: number;
  readonly firstBytesTimeoutMs: number;
  /** Per HTTP/2 connection. */
  readonly streamsMax: number;
  readonly stallTimeoutMs: number;
  /** At most `stallTimeoutMs`. */
  readonly busyStallTimeoutMs: number;
  readonly stallBytesMin: number;
  readonly messageBytesMax: number;
  readonly batchBytesMax: number;
  /** Undefined: whatever fits. */
  readonly blobBytesMax: number | undefined;
  readonly valueBytesMax: number;
  readonly hotBytesMax: number;
  /** Undefined: derived from the memory there is. */
  readonly bufferedBytesMax: number | undefined;
  readonly heldBodyBytesMax: number;
  readonly openReadsMax: number;
  readonly openWritesMax: number;
  readonly tlsHandshakesMax: number;
  readonly tlsHandshakeTimeoutMs: number;
  readonly http2: Http2LimitOptions;
  readonly http1: Http1LimitOptions;
}

/** Per connection. */
export interface Http2LimitOptions {
  readonly streamWindowBytes: number;
  /** At least `streamWindowBytes`. */
  readonly connectionWindowBytes: number;
  readonly outputBytesMax: number;
  readonly headerListBytesMax: number;
  readonly idleTimeoutMs: number;
  readonly pingIntervalMs: number;
  readonly pingTimeoutMs: number;
  readonly idleFramesBurst: number;
  readonly idleFramesPerSecond: number;
}

export interface Http1LimitOptions {
  readonly headerBytesMax: number;
  readonly headersTimeoutMs: number;
  readonly keepAliveTimeoutMs: number;
  readonly pipelinedRequestsMax: number;
}

/** What is known beside the values. */
interface ReadBeside {
  readonly listenIsDefault: boolean;
  /** Of TLS; undefined when no certificate is named. */
  readonly material: TlsMaterial | undefined;
}

/** @throws CacheError `invalid_argument` when there is no place for the data; first line what is wrong, second what to do. */
export function serveOptionsOf(values: ServeValues, context: StartContext, { listenIsDefault, material }: ReadBeside): ServeOptions {
  const { rights, drain, log, traces, diagnostics } = values;
  return {
    listen: values.listen.map((entry) => ({
      address: entry.address,
      tls: entry.tls ?? (material !== undefined && entry.address.kind === 'tcp'),
      messageBytesMax: entry['message-size'] ?? values.limits['message-size'],
    })),
    listenIsDefault,
    allowedHosts: values['allowed-hosts'],
    dataDirectory: values.data ?? defaultDataDirectory(context),
    maxBytes: values['max-size'],
    store: {
      durability: values.durability,
      leaseMs: values.lease,
      leases: values.leases,
      lowWatermarkShare: values['low-watermark'],
      ageMaxMs: values['max-age'],
      countMax: values['max-entries'],
      smallBytesMax: values['small-blob-max'],
      diskFloorBytes: values['min-free-space'],
    },
    readyFile: values['ready-file'],
    allowAnonymous: values['allow-anonymous'],
    rights: { tokensFile: rights['tokens-file'], htpasswdFile: rights['htpasswd-file'], identities: rights.identities },
    tls: material === undefined ? undefined : tlsOf(values.tls, material),
    drain: {
      timeoutMs: drain.timeout,
      listenerTimeoutMs: drain['listener-timeout'] ?? Math.min(30_000, drain.timeout),
      flushTimeoutMs: drain['flush-timeout'],
    },
    log: { level: log.level, format: log.format, summaryIntervalMs: log['summary-interval'] },
    metrics: { enabled: values.metrics.enabled },
    traces: { endpoint: traces.endpoint, sampleRatio: traces['sample-ratio'], headers: traces.headers },
    diagnostics: {
      loopStallMs: diagnostics['loop-stall'],
      storeStallMs: diagnostics['store-stall'],
      profileCpuShare: diagnostics['profile-cpu'],
      profileIntervalMs: diagnostics['profile-interval'],
      profileDurationMs: diagnostics['profile-duration'],
      heapSnapshotBytes: diagnostics['heap-snapshot'],
    },
    limits: limitsOf(values.limits),
  };
}

function tlsOf(tls: ServeValues['tls'], material: TlsMaterial): TlsOptions {
  const clientCaFile = tls['client-ca'];
  return {
    certificateFile: tls.certificate ?? '',
    keyFile: tls.key ?? '',
    clientCaFile,
    clientCertificates: tls['client-certificates'] ?? (clientCaFile === undefined ? 'off' : 'required'),
    minVersion: tls['min-version'],
    material,
  };
}

function limitsOf(limits: ServeValues['limits']): LimitOptions {
  return {
    connectionsMax: limits.connections,
    firstBytesTimeoutMs: limits['first-bytes-timeout'],
    streamsMax: limits.streams,
    stallTimeoutMs: limits['stall-timeout'],
    busyStallTimeoutMs: Math.min(limits['busy-stall-timeout'], limits['stall-timeout']),
    stallBytesMin: limits['stall-size'],
    messageBytesMax: limits['message-size'],
    batchBytesMax: limits['batch-size'],
    blobBytesMax: limits['blob-size'],
    valueBytesMax: limits['value-size'],
    hotBytesMax: limits['hot-memory'],
    bufferedBytesMax: limits['buffered-bytes'],
    heldBodyBytesMax: limits['held-bodies'],
    openReadsMax: limits['open-reads'],
    openWritesMax: limits['open-writes'],
    tlsHandshakesMax: limits['tls-handshakes'],
    tlsHandshakeTimeoutMs: limits['tls-handshake-timeout'],
    http2: http2LimitsOf(limits.http2),
    http1: {
      headerBytesMax: limits.http1['header-size'],
      headersTimeoutMs: limits.http1['header-timeout'],
      keepAliveTimeoutMs: limits.http1['idle-timeout'],
      pipelinedRequestsMax: limits.http1.pipelined,
    },
  };
}

function http2LimitsOf(http2: ServeValues['limits']['http2']): Http2LimitOptions {
  return {
    streamWindowBytes: http2['stream-window'],
    connectionWindowBytes: http2['connection-window'],
    outputBytesMax: http2['send-buffer'],
    headerListBytesMax: http2['header-size'],
    idleTimeoutMs: http2['idle-timeout'],
    pingIntervalMs: http2['ping-interval'],
    pingTimeoutMs: http2['ping-timeout'],
    idleFramesBurst: http2['flood-frames'],
    idleFramesPerSecond: http2['flood-rate'],
  };
}

/** Where a user's caches belong: the XDG base directory specification, or ~/Library/Caches on macOS. */
function defaultDataDirectory({ environment, platform }: StartContext): string {
  const cacheHome = environment['XDG_CACHE_HOME'] ?? '';
  // The specification says to ignore a relative path.
  if (platform !== 'darwin' && cacheHome.startsWith('/')) return join(cacheHome, 'kiln');
  const home = environment['HOME'] ?? '';
  if (!home.startsWith('/')) {
    throw new CacheError('invalid_argument', `no place for the data: ${platform === 'darwin' ? 'HOME is not set' : 'neither XDG_CACHE_HOME nor HOME is set'}\nname a directory: --data /var/cache/kiln`);
  }
  return platform === 'darwin' ? join(home, 'Library', 'Caches', 'kiln') : join(home, '.cache', 'kiln');
}
