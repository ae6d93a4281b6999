// A process of its own that attacks a server for some seconds while somebody else makes calls: node main.ts PORT SECONDS KIND
import assert from 'node:assert/strict';
import { Bystander } from '../../test/attack/bystander.ts';
import { attackedBlob, attackKinds, references } from './kinds.ts';

/** Attackers at a time. */
const attackers = 4;

const [port, seconds, name] = process.argv.slice(2);
const kind = [...attackKinds, ...references].find((candidate) => candidate.name === name);
assert.ok(kind !== undefined, `no attack ${name}`);
const target = { port: Number(port), blob: attackedBlob() };
const bystander = new Bystander(target.port);
const endMs = performance.now() + Number(seconds) * 1_000;

async function attack(): Promise<void> {
  while (performance.now() < endMs) await kind?.round(target);
}

const attacks = Array.from({ length: attackers }, attack);
for (const one of attacks) one.catch(() => {}); // the server may have had enough of it
await new Promise((resolve) => setTimeout(resolve, Number(seconds) * 1_000));
const { calls } = await bystander.end();
process.stdout.write(JSON.stringify({ calls }));
process.exit(0); // with what attackers still hold
