// Which requests are traced: by ratio, by their callers, and not by callers alone.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { ManualClock } from '../testing/manual-clock.ts';
import { seededRandom } from '../testing/seeded-random.ts';
import { HeadSampler } from './head-sampler.ts';
import { systemRandom } from './random.ts';

const parent = '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331';

function sampled(sampler: HeadSampler, count: number, traceparent?: string): number {
  let yes = 0;
  for (let index = 0; index < count; index += 1) if (sampler.samples(traceparent)) yes += 1;
  return yes;
}

describe('HeadSampler', () => {
  it('draws its share of the requests that nobody has decided about', (t) => {
    const random = seededRandom(t);
    for (const ratio of [0.01, 0.5]) {
      const sampler = new HeadSampler({ ratio, demandedPerSecondMax: 0, drawnPerSecondMax: 1e9 }, { clock: new ManualClock(), random });
      const count = 40_000;
      // Six standard deviations: a seed that fails comes once in 500 million.
      const slack = 6 * Math.sqrt(count * ratio * (1 - ratio));
      for (const header of [undefined, 'no traceparent at all']) {
        assert.ok(Math.abs(sampled(sampler, count, header) - count * ratio) < slack, `${ratio} of ${String(header)}`);
      }
    }
  });

  it('draws none at 0 and all at 1, from the real source too', () => {
    for (const ratio of [0, 1]) {
      const sampler = new HeadSampler({ ratio, demandedPerSecondMax: 10, drawnPerSecondMax: 1e9 }, { clock: new ManualClock(), random: systemRandom });
      assert.equal(sampled(sampler, 5_000), ratio * 5_000);
    }
  });

  it('traces so many a second of those it draws and not more, unless each is asked for', () => {
    const clock = new ManualClock();
    const limits = { demandedPerSecondMax: 0, drawnPerSecondMax: 50 };
    const sampler = new HeadSampler({ ...limits, ratio: 0.5 }, { clock, random: systemRandom });
    assert.equal(sampled(sampler, 10_000), 50);
    clock.advance(500);
    assert.equal(sampled(sampler, 10_000), 25);
    clock.advance(10_000);
    assert.ok(sampled(sampler, 20) < 20, 'still drawn');
    assert.equal(sampled(new HeadSampler({ ...limits, ratio: 1 }, { clock, random: systemRandom }), 10_000), 10_000);
  });

  it('W3C: does what the caller decided, even at the other end of the ratio', () => {
    const limits = { demandedPerSecondMax: 10, drawnPerSecondMax: 1e9 };
    const ports = { clock: new ManualClock(), random: systemRandom };
    assert.equal(sampled(new HeadSampler({ ...limits, ratio: 0 }, ports), 5, `${parent}-01`), 5);
    assert.equal(sampled(new HeadSampler({ ...limits, ratio: 1 }, ports), 5, `${parent}-00`), 0);
  });

  it('meets so many demands a second and not more, and draws the others', () => {
    const clock = new ManualClock();
    const sampler = new HeadSampler({ ratio: 0, demandedPerSecondMax: 10, drawnPerSecondMax: 1e9 }, { clock, random: systemRandom });
    assert.equal(sampled(sampler, 1_000, `${parent}-01`), 10);
    clock.advance(500);
    assert.equal(sampled(sampler, 1_000, `${parent}-01`), 5);
    clock.advance(60_000);
    assert.equal(sampled(sampler, 1_000, `${parent}-01`), 10, 'a quiet minute saves no more than a second');
    const generous = new HeadSampler({ ratio: 1, demandedPerSecondMax: 10, drawnPerSecondMax: 1e9 }, { clock, random: systemRandom });
    assert.equal(sampled(generous, 1_000, `${parent}-01`), 1_000);
  });
});
