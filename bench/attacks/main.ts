// A process of its own that attacks a server for some seconds while somebody else makes calls:
// node main.ts PORT SECONDS KIND [AUTHORITY], where AUTHORITY is the PEM of who has signed the server's certificate.
import assert from 'node:assert/strict';
import { Bystander } from '../../test/attack/bystander.ts';
import { attackedBlob, attackKinds, references } from './kinds.ts';

/** Attackers at a time. */
const attackers = 4;
/** Before a connection is tried again that the server did not want. */
const againMs = 10;

const [port, seconds, name, authority] = process.argv.slice(2);
const kind = [...attackKinds, ...references].find((candidate) => candidate.name === name);
assert.ok(kind !== undefined, `no attack ${name}`);
const target = { port: Number(port), blob: attackedBlob(), authority };
const bystander = new Bystander(target.port, authority);
const endMs = performance.now() + Number(seconds) * 1_000;
let [begun, failed] = [0, 0];
/** What the first failure was; the server may have had enough of who attacks it. */
let failure: string | undefined;

async function attack(): Promise<void> {
  while (performance.now() < endMs) {
    begun += 1;
    try {
      await kind?.round(target);
    } catch (thrown) {
      failed += 1;
      failure ??= String(thrown);
      await new Promise((resolve) => setTimeout(resolve, againMs));
    }
  }
}

for (let count = 0; count < attackers; count += 1) void attack();
await new Promise((resolve) => setTimeout(resolve, Number(seconds) * 1_000));
const { calls } = await bystander.end();
// What is measured is worth nothing when nobody has attacked.
assert.ok(failed * 2 < begun, `${failed} of ${begun} rounds failed: ${failure}`);
process.stdout.write(JSON.stringify({ calls, begun, failed }));
process.exit(0); // with what attackers still hold
