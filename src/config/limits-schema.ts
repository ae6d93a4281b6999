// Bounds that whoever runs Kiln may want to move. Those that protocols dictate, or that only make sense together, stay
// constants where they are used.
import { group, key, optionalKey } from './key.ts';
import type { ValueType } from './value-type.ts';
import { byteSize, count, duration, orOff } from './value-type.ts';

const files = { min: '16', max: '100000' };
const timeouts = { min: '100ms', max: '1d' };
const headers = { min: '4KiB', max: '1MiB' };

const http1Group = group(
  { title: 'Limits of HTTP/1.1' },
  {
    'header-size': key(byteSize(headers), {
      help: 'Request line and headers of one request; more get 431.',
      example: '32KiB',
      default: { text: '32KiB' },
      reload: true,
    }),
    'header-timeout': key(duration(timeouts), {
      help: 'From the first byte of a request to the end of its headers; what takes longer gets 408.',
      example: '30s',
      default: { text: '30s' },
      reload: true,
    }),
    'idle-timeout': key(duration(timeouts), {
      help: 'A connection without requests is closed after this. Longer than the pools of clients keep theirs, or they meet the close with a request.',
      example: '120s',
      default: { text: '120s' },
      reload: true,
    }),
    pipelined: key(count({ min: '1', max: '10000' }), {
      help: 'Requests that a connection may send ahead of their answers; with more it is closed.',
      example: '32',
      default: { text: '32' },
      reload: true,
    }),
  },
);

// A window below 64KiB would not hold before the client has acknowledged our settings.
const http2Group = group(
  { title: 'Limits of HTTP/2', help: 'Of each connection. Clients are told the windows and the sizes in the SETTINGS frame.' },
  {
    'stream-window': key(byteSize({ min: '64KiB', max: '1GiB' }), {
      help: 'What a client may send of one upload ahead of what the server has taken. One upload is at most this fast per round trip: 1MiB over 50ms is 20MB/s.',
      example: '1MiB',
      default: { text: '1MiB' },
      reload: true,
    }),
    'connection-window': key(byteSize({ min: '64KiB', max: '1GiB' }), {
      help: 'The same over all uploads of a connection; so much a client can make the server hold.',
      example: '16MiB',
      default: { text: '16MiB' },
      reload: true,
    }),
    'send-buffer': key(byteSize({ min: '64KiB', max: '256MiB' }), {
      help: 'Bytes on their way to the system; while a connection has more, its answers wait. With as much again of what is no content, nothing of it is read.',
      example: '1MiB',
      default: { text: '1MiB' },
      reload: true,
    }),
    'header-size': key(byteSize(headers), {
      help: 'Headers of one request, unpacked, with 32 bytes more for each; a request with more is reset with ENHANCE_YOUR_CALM.',
      example: '64KiB',
      default: { text: '64KiB' },
      reload: true,
    }),
    'idle-timeout': key(orOff(duration(timeouts), 0), {
      help: 'A connection without calls is ended after this, politely: calls that are on their way are still served.',
      example: '10m',
      default: { text: '10m' },
      reload: true,
    }),
    'ping-interval': key(orOff(duration(timeouts), 0), {
      help: 'A client with calls in progress that lets nothing be heard for so long is asked whether it is still there.',
      example: '30s',
      default: { text: '30s' },
      reload: true,
    }),
    'ping-timeout': key(duration(timeouts), {
      help: 'How long it may take to answer before the connection is taken for dead and its calls are cancelled.',
      example: '20s',
      default: { text: '20s' },
      reload: true,
    }),
    'flood-frames': key(count({ min: '100', max: '1000000' }), {
      help: 'Frames that ask for nothing (PING, SETTINGS, PRIORITY, empty DATA, resets of running calls and the like) that a client may send at once; with more the connection is ended with ENHANCE_YOUR_CALM.',
      example: '1000',
      default: { text: '1000' },
      reload: true,
    }),
    'flood-rate': key(count({ min: '10', max: '100000' }), {
      help: 'How many of these it may send per second in the long run.',
      example: '100',
      default: { text: '100' },
      reload: true,
    }),
  },
);

/** Of a gRPC message. */
export const messageSize: ValueType<number> = byteSize({ min: '64KiB', max: '256MiB' });

export const limitsGroup = group(
  { title: 'Limits', help: 'What is beyond a bound waits or is refused, and the metric of the bound says how near it is. Those that SIGHUP changes hold for new connections; open ones of HTTP/2 keep theirs.' },
  {
    connections: key(count({ min: '1', max: '100000' }), {
      help: 'Connections per address; more are closed as they come. The limit of open files (ulimit -n) must be well above it.',
      example: '4096',
      default: { text: '4096' },
      reload: true,
    }),
    'first-bytes-timeout': key(duration({ min: '100ms', max: '10m' }), {
      help: 'A connection that has not shown its protocol by then is closed; so is one of HTTP/2 without SETTINGS, or with a header block that does not come to its end.',
      example: '10s',
      default: { text: '10s' },
      reload: true,
    }),
    streams: key(count({ min: '1', max: '10000' }), {
      help: 'Calls at a time per HTTP/2 connection; the client waits with more.',
      example: '256',
      default: { text: '256' },
      reload: true,
    }),
    'stall-timeout': key(duration({ min: '1s', max: '1d' }), {
      help: 'How long a client may send nothing of its upload, or take nothing of its answer.',
      example: '120s',
      default: { text: '120s' },
      reload: true,
    }),
    'busy-stall-timeout': key(duration({ min: '1s', max: '1d' }), {
      help: 'The same while others wait for files that are all open (open-reads, open-writes) or for memory (buffered-bytes). At most stall-timeout.',
      example: '10s',
      default: { text: '10s' },
      reload: true,
    }),
    'stall-size': key(byteSize({ min: '1B', max: '16MiB' }), {
      help: 'Less than this within the stall timeout counts as nothing, or a byte now and then would hold a call for ever.',
      example: '4KiB',
      default: { text: '4KiB' },
      reload: true,
    }),
    'message-size': key(messageSize, {
      help: 'Largest gRPC request message, unpacked. Must have room for a batch.',
      example: '4MiB',
      default: { text: '4MiB' },
    }),
    'batch-size': key(byteSize({ min: '16KiB', max: '128MiB' }), {
      help: 'Blobs in one batch, in sum, as Capabilities announce it. Above 3MiB most clients refuse the answers unless they are told to take messages of more than 4MiB.',
      example: '3MiB',
      default: { text: '3MiB' },
    }),
    'blob-size': optionalKey(byteSize({ min: '1MiB', max: '4096TiB' }), {
      help: 'Largest blob taken.',
      example: '2GiB',
      default: { derived: 'whatever fits into max-size' },
    }),
    'value-size': key(byteSize({ min: '64KiB', max: '1GiB' }), {
      help: 'Largest value of a tool under /ac/ that is no action result, such as those of ccache; it is in memory while it is stored or read.',
      example: '64MiB',
      default: { text: '64MiB' },
    }),
    'hot-memory': key(byteSize({ min: '0B', max: '1TiB' }), {
      help: 'Memory for blobs that were used lately: half of it for small ones that are read again and again, half for those of up to 1 MiB that are a file each. The rest, and values, are left to the page cache of the system.',
      example: '128MiB',
      default: { text: '128MiB' },
    }),
    'buffered-bytes': optionalKey(byteSize({ min: '32MiB', max: '1TiB' }), {
      help: 'Memory for everything of requests and answers that waits: half-received messages, uploads ahead of the disk, answers that clients take slowly. From three quarters on large calls wait; used up, nothing is read until some is free. At least four times message-size.',
      example: '512MiB',
      default: { derived: 'a quarter of the memory of the machine or the container, at least 64MiB and at most 512MiB' },
    }),
    'held-bodies': key(byteSize({ min: '16MiB', max: '1TiB' }), {
      help: 'Memory for HTTP bodies that must be held: action results, and uploads without a length.',
      example: '256MiB',
      default: { text: '256MiB' },
    }),
    'open-reads': key(count(files), {
      help: 'Large files open for reading at a time; more reads wait. Small blobs and values need none.',
      example: '512',
      default: { text: '512' },
    }),
    'open-writes': key(count(files), {
      help: 'Large files open for writing at a time; more writes wait. Small blobs and values need none.',
      example: '256',
      default: { text: '256' },
    }),
    'tls-handshakes': key(count({ min: '1', max: '100000' }), {
      help: 'TLS handshakes under way at a time, over all addresses; more wait, and the oldest then makes room after two seconds, sooner the more wait.',
      example: '256',
      default: { text: '256' },
      reload: true,
    }),
    'tls-handshake-timeout': key(duration({ min: '100ms', max: '1m' }), {
      help: 'A connection whose TLS handshake is not complete by then is closed.',
      example: '10s',
      default: { text: '10s' },
      reload: true,
    }),
    http2: http2Group,
    http1: http1Group,
  },
);
