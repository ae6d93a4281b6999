// Kills the real server at random moments under clients that write and read over gRPC and HTTP, again and again on one data
// directory: one with room for everything, and one that evicts. KILN_CRASH_ROUNDS sets the number of rounds of each (12),
// KILN_TEST_SEED repeats a run's decisions.
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import type { TestContext } from 'node:test';
import { seededRandom } from '../../src/testing/seeded-random.ts';
import { temporaryDirectory } from '../e2e/file-tree.ts';
import { Lives } from './lives.ts';
import type { LivesOptions } from './lives.ts';

const rounds = Number(process.env['KILN_CRASH_ROUNDS'] ?? '12');
const workers = 6;
const mebibyte = 1024 * 1024;
const shareOfKilledStarts = 0.3;
/** Of the time that the last one took, when a start is killed. */
const startTimes = 1.2;
const workMsMax = 1_500;

async function killAgainAndAgain(t: TestContext, options: Omit<LivesOptions, 'data' | 'workers'>, firstFillBytes = 0): Promise<Lives> {
  const random = seededRandom(t);
  const data = join(temporaryDirectory(t, 'crash'), 'data');
  const lives = new Lives(t, { ...options, data, workers }, random);
  let killedStarts = 0;
  for (let round = 0; round < rounds; round += 1) {
    const life = await lives.start();
    if (round === 0) await lives.fill(life, firstFillBytes);
    await life.work(random.integer(5, workMsMax), () => life.daemon.kill());
    for (; random.fraction() < shareOfKilledStarts; killedStarts += 1) await lives.killStarting(startTimes * lives.startMs * random.fraction());
  }
  const last = await lives.start();
  await lives.checkAll(last);
  await last.daemon.stop();
  last.client[Symbol.dispose]();
  const { ledger, totals } = lives;
  const versions = [...ledger.results.values(), ...ledger.opaque.values()].reduce((sum, { acknowledged }) => sum + acknowledged, 0);
  t.diagnostic(
    `seed ${random.seed}: ${rounds} kills under load, ${killedStarts} of starts; ${ledger.blobs.size} blobs (${Math.round(ledger.keptBytes / 1e6)} MB) and ${versions} values were acknowledged; ` +
      `found right after a start: ${totals.held}; let go: ${totals.absent}; survived unacknowledged: ${totals.survived}`,
  );
  assert.ok(ledger.blobs.size >= rounds * 5, 'the clients got to write');
  return lives;
}

describe('kill -9 under clients that write and read', () => {
  it(`K1-03, K1-06, K1-11: ${rounds} rounds with room for everything: what was acknowledged is there, all bytes are right, the accounts are exact`, async (t) => {
    const { totals } = await killAgainAndAgain(t, { flags: ['--max-size', '40GiB', '--min-free-space', '0B'], maxBytes: 40 * 1024 * mebibyte });
    assert.equal(totals.absent, 0);
  });

  it(`K1-02, K1-03, K2-04: ${rounds} rounds of a store that evicts: what is leased is there, the rest is right or absent, the bound holds`, async (t) => {
    const maxBytes = 256 * mebibyte;
    const terms = { leaseMs: 5_000, leasedBytesMax: maxBytes / 4 };
    await killAgainAndAgain(t, { flags: ['--max-size', '256MiB', '--min-free-space', '0B', '--lease', '6s'], maxBytes: maxBytes + 2 * mebibyte, terms }, maxBytes);
  });
});
