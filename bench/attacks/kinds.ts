// The attacks that are measured, each as something that goes on until it is told to stop.
import type { Socket } from 'node:net';
import { heldCalls } from './ordinary.ts';
import type { HeldCalls } from './ordinary.ts';
import { findMissingMessage, namedBlob, path, whole } from '../../test/attack/calls.ts';
import { floods, runFlood } from '../../test/attack/floods.ts';
import { allAnswered, announces4GiB, announcesAll, deadlineInThePast, longerThanSaid, shorterThanSaid, unpacksToTooMuch } from '../../test/attack/lying-calls.ts';
import type { LyingCall } from '../../test/attack/lying-calls.ts';
import { closeOf, RawHttp2, repeated } from '../../test/attack/raw-http2.ts';
import { halfHandshakes, halfOpen, oneByteWindows, silentConnections, slowHeaders, slowHttp1Reader, slowPreface, slowReader, trickled, unfinished } from '../../test/attack/slow.ts';
import type { Taking, Unfinished } from '../../test/attack/slow.ts';

/** What is attacked: it holds one blob of `blobBytes` zeros. */
export interface AttackTarget {
  readonly port: number;
  readonly blob: ReturnType<typeof namedBlob>;
  /** PEM of who has signed its certificate, where it speaks TLS. */
  readonly authority: string | undefined;
}

export interface AttackKind {
  readonly name: string;
  /** Begins anew as soon as its promise resolves, until the time is over and its connections are destroyed. */
  readonly round: (target: AttackTarget) => Promise<void>;
  /**
   * What it holds once it has begun it, and then sends next to nothing: the same load without it is as many connections
   * that make such calls, all at once, let them end, and are quiet. Undefined for what comes and goes: as many connections
   * in a second, with as many bytes of ordinary calls.
   */
  readonly holds?: HeldCalls;
  /** Digests in each of those calls, so that they are about as large as what the attack sends; default 1. */
  readonly digests?: number;
  /** The server speaks TLS, with its attackers and with somebody else. */
  readonly overTls?: boolean;
  /** Further flags of the server. */
  readonly flags?: readonly string[];
}

export const blobBytes = 8 * 1024 * 1024;

export function attackedBlob(): AttackTarget['blob'] {
  return namedBlob(Buffer.alloc(blobBytes));
}

/** Connections with a large answer that one attacker begins and does not take: the system itself swallows megabytes of each. */
const heldSockets = 4;

const ordinary = findMissingMessage('1'.repeat(64), 1);

/** As many calls as a flood has frames before it is ended, answered, on a connection that comes and goes like its. */
async function ordinaryCalls({ port }: AttackTarget): Promise<void> {
  const client = await RawHttp2.open(port);
  for (let round = 0; round < 10; round += 1) {
    await client.send(repeated(100, (index) => whole(1 + 2 * (round * 100 + index), path.findMissing, ordinary)));
    await client.until(({ headersFrames }) => headersFrames >= 200 * (round + 1)); // headers and trailers of each
  }
  client.destroy();
  await client.closed;
}

/** Begins and waits: what is measured is what the server bears meanwhile. */
function holding(begin: (target: AttackTarget) => Promise<RawHttp2>): AttackKind['round'] {
  return async (target) => (await begin(target)).closed;
}

/** The same with as many connections as `begin` opens. */
function holdingSockets(begin: (target: AttackTarget) => readonly Socket[] | Promise<readonly Socket[]>): AttackKind['round'] {
  return async (target) => void (await Promise.all((await begin(target)).map(closeOf)));
}

/** So many calls on a connection, answered, on one after the other. */
function lying(call: LyingCall, calls: number): AttackKind['round'] {
  return async ({ port }) => {
    const client = await allAnswered(port, call, calls);
    client.destroy();
    await client.closed;
  };
}

function get(hash: string): string {
  return `GET /cas/${hash} HTTP/1.1\r\nhost: localhost\r\n\r\n`;
}

/** Over HTTP/1.1, and before a protocol is shown. */
const slowConnections: readonly AttackKind[] = [
  { name: 'slow preface', holds: 'none', round: ({ port }) => slowPreface(port).then(() => {}) },
  { name: 'slow header block', holds: 'none', round: holding(({ port }) => slowHeaders(port)) },
  { name: 'silent connections', holds: 'none', round: holdingSockets(({ port }) => silentConnections(port, heldCalls)) },
  {
    name: 'more connections than allowed',
    flags: ['--limits-connections', '64'],
    round: async ({ port }) => {
      for (const socket of await silentConnections(port, heldCalls)) socket.destroy();
    },
  },
  { name: 'HTTP/1.1: slow headers', holds: 'none', round: ({ port }) => trickled(port, Buffer.from(`GET / HTTP/1.1\r\nhost: localhost\r\nx: ${'y'.repeat(10_000)}`)).then(() => {}) },
  {
    name: 'HTTP/1.1: slow body',
    holds: 'none',
    round: ({ port }) => trickled(port, Buffer.alloc(10_000), `PUT /cas/${'0'.repeat(64)} HTTP/1.1\r\nhost: localhost\r\ncontent-length: 100000\r\n\r\n`).then(() => {}),
  },
  { name: 'HTTP/1.1: slow reader', holds: 'gets', round: holdingSockets(({ port, blob }) => Array.from({ length: heldSockets }, () => slowHttp1Reader(port, get(blob.hash)))) },
  { name: 'HTTP/1.1: requests without end', round: async ({ port, blob }) => closeOf(slowHttp1Reader(port, get(blob.hash).repeat(200))) },
];

const lies: readonly AttackKind[] = [
  { name: 'message that announces 4 GiB', round: lying(announces4GiB, 200) },
  { name: 'messages that announce all they may', holds: 'lookups', round: lying(announcesAll, 200) },
  { name: 'message shorter than it said', round: lying(shorterThanSaid, 200) },
  { name: 'message longer than it said', round: lying(longerThanSaid, 200) },
  { name: 'message that unpacks to too much', digests: 1_800, round: lying(unpacksToTooMuch, 20) },
  { name: 'deadline in the past', round: lying(deadlineInThePast, 200) },
];

const takings: Readonly<Record<Taking, string>> = {
  nothing: 'slow reader: window of zero',
  bytes: 'slow reader: a byte now and then',
  nothing_of_the_connection: 'slow reader: connection window of zero',
  nothing_of_the_socket: 'slow reader: socket not read',
};

const leavings: Readonly<Record<Unfinished, string>> = {
  headers_only: 'never finished: headers only',
  half_a_message: 'never finished: half a message',
  upload: 'never finished: upload that stops',
  upload_in_bytes: 'never finished: upload of bytes',
};

/** No attacks: what they are found to cost others is what any other figure may be off by. */
export const controls: readonly AttackKind[] = [
  { name: 'no attack: ordinary calls', round: ordinaryCalls },
  { name: 'no attack: open connections', round: holding(({ port }) => RawHttp2.open(port)), holds: 'none' },
];

/** So many make a call as large as a header block that is too large. */
const digestsOfLargeHeaders = 170;

export const attackKinds: readonly AttackKind[] = [
  ...floods.map((flood): AttackKind => ({
    name: flood.name,
    digests: /^(?:header|HPACK)/.test(flood.name) ? digestsOfLargeHeaders : 1,
    round: async ({ port }) => void (await runFlood(port, flood)),
  })),
  {
    name: 'windows of one byte',
    round: async ({ port, blob }) => {
      const client = await oneByteWindows(port, blob);
      await client.end();
      client.destroy();
    },
  },
  ...Object.entries(takings).map(([taking, name]): AttackKind => ({
    name,
    holds: 'reads',
    round: holding(({ port, blob }) => slowReader(port, { blob, calls: heldCalls, taking: taking as Taking })),
  })),
  ...Object.entries(leavings).map(([how, name]): AttackKind => ({
    name,
    holds: how.startsWith('upload') ? 'uploads' : 'lookups',
    round: holding(({ port }) => unfinished(port, heldCalls, how as Unfinished)),
  })),
  { name: 'half-open peers', holds: 'lookups', round: holding(({ port }) => halfOpen(port, heldCalls)) },
  ...slowConnections,
  ...lies,
  { name: 'TLS handshakes that do not end', holds: 'none', overTls: true, round: holdingSockets(({ port }) => halfHandshakes(port, heldCalls)) },
];
