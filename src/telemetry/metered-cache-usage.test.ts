// Hits and misses by tool and instance, and how few series clients can make of them.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { MeteredCacheUsage } from './metered-cache-usage.ts';
import { MetricReadOut } from './read-out.ts';
import { MetricRegistry } from './registry.ts';

function metered(limits?: ConstructorParameters<typeof MeteredCacheUsage>[1]) {
  const registry = new MetricRegistry();
  return { registry, read: new MetricReadOut(registry), usage: new MeteredCacheUsage(registry, limits) };
}

const seriesOf = (registry: MetricRegistry): number => [...registry.families()].reduce((sum, { series }) => sum + Array.from(series).length, 0);

describe('metered cache usage', () => {
  it('counts each kind of look-up for itself', () => {
    const { read, usage } = metered();
    usage.of('bazel', 'main').actions.add(1, 0);
    usage.of('bazel', 'main').finds.add(90, 10);
    usage.of('bazel', 'main').reads.add(0, 1);
    usage.of('bazel', 'other team').reads.add(5, 0);
    assert.equal(read.sum('kiln_action_cache_lookups_total', { tool: 'bazel', instance: 'main', result: 'hit' }), 1);
    assert.equal(read.sum('kiln_action_cache_lookups_total', { result: 'miss' }), 0);
    assert.equal(read.sum('kiln_blob_lookups_total', { operation: 'find', result: 'hit' }), 90);
    assert.equal(read.sum('kiln_blob_lookups_total', { operation: 'find' }), 100);
    assert.equal(read.sum('kiln_blob_lookups_total', { instance: 'main', operation: 'read', result: 'miss' }), 1);
    assert.equal(read.sum('kiln_blob_lookups_total', { instance: 'other team' }), 5);
  });

  it('counts what is beyond its bounds as other, and loses nothing', () => {
    const limits = { toolsMax: 3, instancesPerToolMax: 4, pairsMax: 8 };
    const { registry, read, usage } = metered(limits);
    for (let tool = 0; tool < 20; tool += 1) for (let instance = 0; instance < 20; instance += 1) usage.of(`t${tool}`, `i${instance}`).finds.add(1, 0);
    assert.equal(read.sum('kiln_blob_lookups_total', { operation: 'find' }), 400);
    assert.deepEqual([...read.sumBy('kiln_blob_lookups_total', 'tool').keys()], ['t0', 't1', 't2', 'other']);
    assert.equal(read.sum('kiln_blob_lookups_total', { tool: 't0', instance: 'i3' }), 1);
    assert.equal(read.sum('kiln_blob_lookups_total', { tool: 't0', instance: 'other' }), 16);
    assert.equal(read.sum('kiln_blob_lookups_total', { tool: 't2', instance: 'other' }), 20, 'no pair was left for it');
    assert.ok(seriesOf(registry) <= 6 * (limits.pairsMax + limits.toolsMax + 1), `${seriesOf(registry)} series`);
  });

  it('stays within a megabyte of text whatever clients call themselves', () => {
    const { registry, usage } = metered();
    for (let tool = 0; tool < 100; tool += 1) for (let instance = 0; instance < 200; instance += 1) usage.of(`tool ${tool}`, `${'i'.repeat(250)}${instance}`).reads.add(1, 1);
    for (let tool = 0; tool < 100; tool += 1) for (let instance = 0; instance < 200; instance += 1) usage.of(`tool ${tool}`, `${instance}${'i'.repeat(250)}`).reads.add(1, 1);
    assert.ok(seriesOf(registry) <= 6 * 281, `${seriesOf(registry)} series`);
    assert.equal(registry.unshownCount, 0);
  });
});
