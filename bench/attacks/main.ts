// A process of its own that attacks a server while somebody else makes calls, and then loads it as much with what is no
// attack: node main.ts PORT ROUNDS SECONDS KIND [AUTHORITY], where AUTHORITY is the PEM of who has signed the server's
// certificate. Prints an AttackReport.
import assert from 'node:assert/strict';
import { subscribe } from 'node:diagnostics_channel';
import { once } from 'node:events';
import type { Socket } from 'node:net';
import { setPriority } from 'node:os';
import { Worker } from 'node:worker_threads';
import { attackedBlob, attackKinds, controls } from './kinds.ts';
import type { AttackTarget } from './kinds.ts';
import { comingAndGoing, openAndQuiet } from './ordinary.ts';
import type { Load } from './ordinary.ts';
import type { OthersReport } from './others.ts';

/** For each round, how somebody else fared beside the attack and beside the same load without it. */
export interface AttackReport {
  readonly rounds: readonly { readonly attack: OthersReport; readonly control: OthersReport; readonly load: Load }[];
}

/** Attackers at a time. */
const attackers = 4;
/** Before a connection is tried again that the server did not want. */
const againMs = 10;
/** Attack before it counts, as a share of a phase: what is compiled late is not the attack's doing. */
const rehearsalShare = 1 / 3;
/** For the server to clear away what was there before the next is measured. */
const settleMs = 150;

const [port, rounds, seconds, name, authority] = process.argv.slice(2);
const found = [...controls, ...attackKinds].find((candidate) => candidate.name === name);
assert.ok(found !== undefined, `no attack ${name}`);
const kind = found;
const target: AttackTarget = { port: Number(port), blob: attackedBlob(), authority };

/** All that attackers have opened since `dropAll`. Bounded by what they open in one phase. */
let sockets: Socket[] = [];
subscribe('net.client.socket', (message) => void sockets.push((message as { readonly socket: Socket }).socket));

/** Ends whatever attackers still hold, and tells what they did in that time. */
function dropAll(elapsedSeconds: number): Load {
  const bytes = sockets.reduce((sum, socket) => sum + socket.bytesWritten, 0);
  const load = { connections: kind.holds !== undefined ? sockets.length : sockets.length / elapsedSeconds, bytesPerSecond: bytes / elapsedSeconds };
  for (const socket of sockets) socket.destroy();
  sockets = [];
  return load;
}

let [begun, failed] = [0, 0];
/** What the first failure was; the server may have had enough of who attacks it. */
let failure: string | undefined;

async function attack(endMs: number): Promise<void> {
  const one = async (): Promise<void> => {
    while (performance.now() < endMs) {
      begun += 1;
      try {
        await kind.round(target);
      } catch (thrown) {
        if (performance.now() >= endMs) return; // it was dropped
        failed += 1;
        failure ??= String(thrown);
        await new Promise((resolve) => setTimeout(resolve, againMs));
      }
    }
  };
  await Promise.all(Array.from({ length: attackers }, one));
}

function ordinary(load: Load, endMs: number): Promise<void> {
  return kind.holds !== undefined ? openAndQuiet(target.port, load, { calls: kind.holds, blob: target.blob, authority, attackers, endMs }) : comingAndGoing(target.port, load, { attackers, digests: kind.digests ?? 1, endMs });
}

/** The lowest there is: whatever attackers compute, somebody else is served first by the core that both share. */
const attackersNiceness = 19;

const others = new Worker(new URL('./others.ts', import.meta.url), { workerData: { port: target.port, authority } });

await once(others, 'online');
setPriority(attackersNiceness); // of this thread alone, on Linux

async function told(word: 'begin' | 'end'): Promise<OthersReport> {
  others.postMessage(word);
  const [answer] = (await once(others, 'message')) as [OthersReport | string];
  if (typeof answer === 'string' && answer !== 'begun') throw new Error(answer);
  return answer as OthersReport;
}

/** Calls of somebody else beside `begin`, from its beginning to `endMs`. */
async function beside(phaseSeconds: number, begin: (endMs: number) => Promise<void>): Promise<{ readonly report: OthersReport; readonly load: Load }> {
  await told('begin');
  const endMs = performance.now() + phaseSeconds * 1_000;
  const running = begin(endMs).catch((thrown: unknown) => {
    if (performance.now() < endMs) throw thrown; // what is cut off at the end had nothing to do with it
  });
  running.catch(() => {}); // reported below
  await new Promise((resolve) => setTimeout(resolve, phaseSeconds * 1_000));
  const report = await told('end'); // the attack goes on until all calls have been answered
  const load = dropAll((performance.now() - endMs) / 1_000 + phaseSeconds);
  await running;
  await new Promise((resolve) => setTimeout(resolve, settleMs));
  return { report, load };
}

const reports: AttackReport['rounds'][number][] = [];
await beside(Number(seconds) * rehearsalShare, attack);
for (let round = 0; round < Number(rounds); round += 1) {
  const attacked = await beside(Number(seconds), attack);
  const control = await beside(Number(seconds), (endMs) => ordinary(attacked.load, endMs));
  reports.push({ attack: attacked.report, control: control.report, load: attacked.load });
}
// What is measured is worth nothing when nobody has attacked.
assert.ok(failed * 2 < begun, `${failed} of ${begun} rounds failed: ${failure}`);
process.stdout.write(JSON.stringify({ rounds: reports } satisfies AttackReport), () => process.exit(0));
