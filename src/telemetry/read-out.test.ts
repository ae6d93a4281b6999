// Sums over labels, and how far quantiles are from the truth.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { seededRandom } from '../testing/seeded-random.ts';
import { MetricReadOut } from './read-out.ts';
import { MetricRegistry } from './registry.ts';

const waits = { name: 'kiln_wait_seconds', help: 'Waits.' } as const;
const things = { name: 'kiln_things_total', help: 'Things.' } as const;

describe('read-out', () => {
  it('adds up what has the labels asked for, and tells apart the values of one', () => {
    const registry = new MetricRegistry();
    for (const [tool, result, count] of [['bazel', 'hit', 5], ['bazel', 'miss', 2], ['moon', 'hit', 1]] as const) {
      registry.counter(things, { tool, result }).add(count);
    }
    const read = new MetricReadOut(registry);
    assert.equal(read.sum(things.name), 8);
    assert.equal(read.sum(things.name, { result: 'hit' }), 6);
    assert.equal(read.sum(things.name, { tool: 'bazel', result: 'miss' }), 2);
    assert.equal(read.sum(things.name, { tool: 'gradle' }), 0);
    assert.equal(read.sum('kiln_unheard_of_total'), 0);
    assert.deepEqual([...read.sumBy(things.name, 'tool')], [['bazel', 7], ['moon', 1]]);
    assert.deepEqual([...read.sumBy(things.name, 'tool', { result: 'miss' })], [['bazel', 2]]);
  });

  it('tells quantiles to within 7 %, over five orders of magnitude', (t) => {
    const random = seededRandom(t);
    const registry = new MetricRegistry();
    const histogram = registry.histogram(waits);
    const values = Array.from({ length: 50_000 }, () => 50e-6 * 2 ** (random.integer(0, 17_000_000) / 1_000_000));
    for (const value of values) histogram.record(value);
    values.sort((a, b) => a - b);
    const distribution = new MetricReadOut(registry).distribution(waits.name);
    assert.equal(distribution.count, values.length);
    for (const quantile of [0.01, 0.1, 0.5, 0.9, 0.99, 0.999]) {
      const truth = values[Math.ceil(quantile * values.length) - 1] ?? NaN;
      const told = distribution.quantile(quantile) ?? NaN;
      assert.ok(Math.abs(told - truth) / truth < 0.07, `${quantile}: ${told}, and the truth is ${truth}`);
    }
  });

  it('tells what came since an earlier look, over several series', () => {
    const registry = new MetricRegistry();
    const [first, second] = [registry.histogram(waits, { of: 'a' }), registry.histogram(waits, { of: 'b' })];
    for (let round = 0; round < 100; round += 1) first.record(0.001);
    const read = new MetricReadOut(registry);
    const earlier = read.distribution(waits.name);
    for (let round = 0; round < 10; round += 1) second.record(1);
    const since = read.distribution(waits.name, {}, earlier);
    assert.equal(since.count, 10);
    assert.ok(Math.abs((since.quantile(0.5) ?? NaN) - 1) < 0.13);
    assert.equal(read.distribution(waits.name, { of: 'b' }).count, 10);
  });

  it('has no quantile of nothing, and stops at the ends of its range', () => {
    const registry = new MetricRegistry();
    const histogram = registry.histogram(waits);
    const read = new MetricReadOut(registry);
    assert.equal(read.distribution(waits.name).quantile(0.5), undefined);
    assert.equal(read.distribution('kiln_unheard_of_seconds').quantile(0.5), undefined);
    histogram.record(1_000_000);
    assert.equal(read.distribution(waits.name).quantile(0.5), 67.108864);
    histogram.record(0);
    histogram.record(0);
    assert.equal(read.distribution(waits.name).quantile(0.5), 32e-6);
  });
});
