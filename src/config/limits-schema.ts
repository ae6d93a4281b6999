// Bounds that whoever runs Kiln may want to move. Those that protocols dictate, or that only make sense together, stay
// constants where they are used.
import { group, key, optionalKey } from './key.ts';
import { byteSize, count, duration } from './value-type.ts';

const files = { min: '16', max: '100000' };

export const limitsGroup = group(
  { title: 'Limits', help: 'What is beyond a bound waits or is refused, and the metric of the bound says how near it is.' },
  {
    connections: key(count({ min: '1', max: '100000' }), {
      help: 'Connections per address; more are closed as they come. The limit of open files (ulimit -n) must be well above it.',
      example: '4096',
      default: { text: '4096' },
      reload: true,
    }),
    'first-bytes-timeout': key(duration({ min: '100ms', max: '10m' }), {
      help: 'A connection that has not shown its protocol by then is closed.',
      example: '10s',
      default: { text: '10s' },
    }),
    streams: key(count({ min: '1', max: '10000' }), {
      help: 'Calls at a time per HTTP/2 connection; the client waits with more. A change is for new connections.',
      example: '256',
      default: { text: '256' },
      reload: true,
    }),
    'stall-timeout': key(duration({ min: '1s', max: '1d' }), {
      help: 'How long a client may send nothing of its upload, or take nothing of its answer.',
      example: '120s',
      default: { text: '120s' },
    }),
    'message-size': key(byteSize({ min: '64KiB', max: '256MiB' }), {
      help: 'Largest gRPC request message, unpacked. Must have room for a batch.',
      example: '8MiB',
      default: { text: '8MiB' },
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
      help: 'Memory for small blobs and values used lately.',
      example: '128MiB',
      default: { text: '128MiB' },
    }),
    'held-bodies': key(byteSize({ min: '16MiB', max: '1TiB' }), {
      help: 'Memory for HTTP bodies that must be held: action results, and uploads without a length.',
      example: '256MiB',
      default: { text: '256MiB' },
    }),
    'open-reads': key(count(files), {
      help: 'Files open for reading at a time; more reads wait.',
      example: '512',
      default: { text: '512' },
    }),
    'open-writes': key(count(files), {
      help: 'Files open for writing at a time; more writes wait.',
      example: '256',
      default: { text: '256' },
    }),
  },
);
