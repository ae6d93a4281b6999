// What is counted, and what may be declared.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { MetricDefinition } from '../base/metrics.ts';
import { MetricReadOut } from './read-out.ts';
import { MetricRegistry } from './registry.ts';

const things: MetricDefinition = { name: 'kiln_things_total', help: 'Things.' };
const waits: MetricDefinition = { name: 'kiln_wait_seconds', help: 'Waits.' };

function valueOf(registry: MetricRegistry, name: string): number {
  return new MetricReadOut(registry).sum(name);
}

describe('metric registry', () => {
  it('counts exactly, in whole and broken numbers, up to 2 to the power of 53', () => {
    const registry = new MetricRegistry();
    const counter = registry.counter(things);
    for (let round = 0; round < 1_000_000; round += 1) counter.add();
    assert.equal(valueOf(registry, 'kiln_things_total'), 1_000_000);
    counter.add(2 ** 53 - 1_000_001);
    assert.equal(valueOf(registry, 'kiln_things_total'), 2 ** 53 - 1);
    counter.add(1);
    assert.equal(valueOf(registry, 'kiln_things_total'), 2 ** 53);
    const fractions = registry.counter({ name: 'kiln_fractions_total', help: 'Halves.' });
    for (let round = 0; round < 1_000; round += 1) fractions.add(0.5);
    assert.equal(valueOf(registry, 'kiln_fractions_total'), 500);
  });

  it('keeps many instruments apart, across the arrays they live in', () => {
    const registry = new MetricRegistry();
    const counters = Array.from({ length: 1_500 }, (_, index) => registry.counter(things, { of: `${index}` }));
    const histograms = Array.from({ length: 20 }, (_, index) => registry.histogram(waits, { of: `${index}` }));
    for (const [index, counter] of counters.entries()) counter.add(index);
    for (const [index, histogram] of histograms.entries()) for (let times = 0; times <= index; times += 1) histogram.record(index / 100);
    const read = new MetricReadOut(registry);
    for (const index of [0, 1, 1_022, 1_023, 1_024, 1_025, 1_499]) assert.equal(read.sum('kiln_things_total', { of: `${index}` }), index);
    for (const index of histograms.keys()) assert.equal(read.sum('kiln_wait_seconds', { of: `${index}` }), index + 1);
  });

  it('gives the same instrument for the same labels, and another for others', () => {
    const registry = new MetricRegistry();
    assert.equal(registry.counter(things, { a: '1', b: '2' }), registry.counter(things, { a: '1', b: '2' }));
    assert.notEqual(registry.counter(things, { a: '1', b: '2' }), registry.counter(things, { a: '2', b: '1' }));
    assert.notEqual(registry.counter(things, { a: '1', b: '2:x' }), registry.counter(things, { a: '1:1', b: 'x' }), 'values are free text');
    assert.equal(registry.histogram(waits), registry.histogram(waits));
  });

  it('asks gauges and counts of others when it is read, not before', () => {
    const registry = new MetricRegistry();
    let level = 1;
    registry.gauge({ name: 'kiln_level', help: 'A level.' }, () => level);
    registry.observedCounter({ name: 'kiln_seen_total', help: 'Seen.' }, () => level * 10);
    level = 4;
    assert.deepEqual([valueOf(registry, 'kiln_level'), valueOf(registry, 'kiln_seen_total')], [4, 40]);
  });

  it('refuses names, kinds, texts and labels that do not fit together', () => {
    const registry = new MetricRegistry();
    registry.counter(things, { a: '1' });
    registry.gauge({ name: 'kiln_level', help: 'A level.' }, () => 0);
    const refused: readonly (() => unknown)[] = [
      () => registry.counter({ name: 'kiln_things', help: 'Things.' }),
      () => registry.gauge({ name: 'kiln_level_total', help: 'A level.' }, () => 0),
      () => registry.counter({ name: 'kiln_Things_total', help: 'Things.' }),
      () => registry.counter({ name: 'kiln_thing s_total', help: 'Things.' }),
      () => registry.histogram({ name: 'kiln_wait_ms', help: 'Waits.' }),
      () => registry.gauge({ name: 'kiln_store_bytes_max', help: 'A bound.' }, () => 0),
      () => registry.histogram(waits, { le: '1' }),
      () => registry.counter({ ...things, help: 'Other things.' }, { a: '1' }),
      () => registry.counter(things, { b: '1' }),
      () => registry.counter(things),
      () => registry.gauge({ name: 'kiln_level', help: 'A level.' }, () => 1),
      () => registry.observedCounter(things, () => 0, { a: '1' }),
    ];
    for (const declare of refused) assert.throws(declare, { name: 'AssertionError' }, String(declare));
  });

  it('goes on counting what is over its bound, and says how much it does not show', () => {
    const registry = new MetricRegistry({ seriesPerMetricMax: 2 });
    for (const a of ['1', '2', '3', '4']) registry.counter(things, { a }).add();
    assert.equal(valueOf(registry, 'kiln_things_total'), 2);
    assert.equal(registry.unshownCount, 2);
    registry.counter(things, { a: '2' }).add();
    assert.equal(valueOf(registry, 'kiln_things_total'), 3);
  });
});
