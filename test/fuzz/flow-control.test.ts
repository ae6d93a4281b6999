// Properties of flow control (RFC 9113 §5.2, §6.9): whatever the windows, the chunks and the delays, every octet
// arrives once and in order, no window is exceeded, no credit is lost, and nothing stands still.
import { describe, it } from 'node:test';
import { SeededRandom, seededRandom } from '../../src/testing/seeded-random.ts';
import { TwoEngines } from './two-engines.ts';

const rounds = 25;

/** Fixed seeds, and one more that is new each time and printed when it fails. */
function forSeeds(first: number, run: (random: SeededRandom) => void): void {
  for (let seed = first; seed < first + rounds; seed++) {
    try {
      run(new SeededRandom(seed));
    } catch (thrown) {
      throw new Error(`seed ${seed}`, { cause: thrown });
    }
  }
}

describe('flow control between two engines', () => {
  it('carries every body both ways, and gives all credit back', (t) => {
    const scenario = { calls: 6, bodyBytesMax: 100_000, resetOneIn: 0 };
    forSeeds(1, (random) => new TwoEngines(random, scenario).run());
    new TwoEngines(seededRandom(t), scenario).run();
  });

  it('gives credit back for streams that are reset on the way, by either side', (t) => {
    const scenario = { calls: 12, bodyBytesMax: 60_000, resetOneIn: 1 };
    forSeeds(1_000, (random) => new TwoEngines(random, scenario).run());
    new TwoEngines(seededRandom(t), scenario).run();
  });

  it('shares a connection among many small calls', (t) => {
    const scenario = { calls: 25, bodyBytesMax: 1_000, resetOneIn: 10 };
    forSeeds(2_000, (random) => new TwoEngines(random, scenario).run());
    new TwoEngines(seededRandom(t), scenario).run();
  });
});
