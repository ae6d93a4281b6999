// The attacks that are measured, each as something that goes on until it is told to stop, and what it is compared with:
// the same connections with ordinary calls, or with nothing, on them.
import { findMissingMessage, namedBlob, path, whole } from '../../test/attack/calls.ts';
import { floods, runFlood } from '../../test/attack/floods.ts';
import { RawHttp2, repeated } from '../../test/attack/raw-http2.ts';
import { halfOpen, oneByteWindows, slowReader, unfinished } from '../../test/attack/slow.ts';
import type { Taking, Unfinished } from '../../test/attack/slow.ts';

/** What is attacked: it holds one blob of `blobBytes` zeros. */
export interface AttackTarget {
  readonly port: number;
  readonly blob: ReturnType<typeof namedBlob>;
}

export interface AttackKind {
  readonly name: string;
  /** Begins anew as soon as its promise resolves, until the time is over. */
  readonly round: (target: AttackTarget) => Promise<void>;
  /** Name of the kind that is the same load without the attack's content. */
  readonly without: 'ordinary calls' | 'open connections';
}

export const blobBytes = 8 * 1024 * 1024;

export function attackedBlob(): AttackTarget['blob'] {
  return namedBlob(Buffer.alloc(blobBytes));
}

/** Calls that one attacker begins and does not end; a connection may have 256. */
const heldCalls = 100;
/** How long attackers that wait hold what they have; longer than any round. */
const holdMs = 600_000;

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
  return async (target) => {
    const client = await begin(target);
    await Promise.race([client.closed, new Promise((resolve) => setTimeout(resolve, holdMs).unref())]);
  };
}

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

export const references: readonly AttackKind[] = [
  { name: 'ordinary calls', round: ordinaryCalls, without: 'ordinary calls' },
  { name: 'open connections', round: holding(({ port }) => RawHttp2.open(port)), without: 'open connections' },
];

export const attackKinds: readonly AttackKind[] = [
  ...floods.map((flood): AttackKind => ({
    name: flood.name,
    without: 'ordinary calls',
    round: async ({ port }) => void (await runFlood(port, flood)),
  })),
  {
    name: 'windows of one byte',
    without: 'ordinary calls',
    round: async ({ port, blob }) => {
      const client = await oneByteWindows(port, blob);
      await client.end();
      client.destroy();
    },
  },
  ...Object.entries(takings).map(([taking, name]): AttackKind => ({
    name,
    without: 'open connections',
    round: holding(({ port, blob }) => slowReader(port, { blob, calls: heldCalls, taking: taking as Taking })),
  })),
  ...Object.entries(leavings).map(([how, name]): AttackKind => ({
    name,
    without: 'open connections',
    round: holding(({ port }) => unfinished(port, heldCalls, how as Unfinished)),
  })),
  { name: 'half-open peers', without: 'open connections', round: holding(({ port }) => halfOpen(port, heldCalls)) },
];
