// Hits and misses per build tool and instance, as metrics.
import type { CacheUsage, LookupCount, ToolUsage } from '../base/cache-usage.ts';
import type { Counter, Meter, MetricDefinition, MetricLabels } from '../base/metrics.ts';
import { BoundedNames, otherName } from './bounded-names.ts';

const actions: MetricDefinition = {
  name: 'kiln_action_cache_lookups_total',
  help: 'Action results asked for, by tool, instance and whether there was a complete one.',
};
const blobs: MetricDefinition = {
  name: 'kiln_blob_lookups_total',
  help: 'Blobs asked for, by tool, instance, operation (find: is it there; read: its bytes) and whether they were there.',
};

export interface UsageLimits {
  /** Tools that are told apart; the next ones count as `other`. */
  readonly toolsMax: number;
  /** Instances that are told apart for each tool. */
  readonly instancesPerToolMax: number;
  /** Pairs of both that are told apart in all: each is six series. */
  readonly pairsMax: number;
}

export const usageLimits: UsageLimits = { toolsMax: 30, instancesPerToolMax: 100, pairsMax: 250 };

/** Instance names may have 255 characters; what a label shows of one. */
const instanceCharsMax = 80;

class MeteredLookups implements LookupCount {
  readonly #hits: Counter;
  readonly #misses: Counter;

  constructor(meter: Meter, definition: MetricDefinition, labels: MetricLabels) {
    this.#hits = meter.counter(definition, { ...labels, result: 'hit' });
    this.#misses = meter.counter(definition, { ...labels, result: 'miss' });
  }

  add(hits: number, misses: number): void {
    if (hits > 0) this.#hits.add(hits);
    if (misses > 0) this.#misses.add(misses);
  }
}

export class MeteredCacheUsage implements CacheUsage {
  readonly #meter: Meter;
  readonly #limits: UsageLimits;
  readonly #tools: BoundedNames<BoundedNames<ToolUsage>>;
  #pairs = 0;
  /** Found last: a build asks many times in a row. */
  #last: { readonly tool: string; readonly instance: string; readonly usage: ToolUsage } | undefined;

  constructor(meter: Meter, limits: UsageLimits = usageLimits) {
    this.#meter = meter;
    this.#limits = limits;
    this.#tools = new BoundedNames(limits.toolsMax, (tool) => new BoundedNames(limits.instancesPerToolMax, (instance) => this.#usage(tool, instance)));
  }

  of(tool: string, instance: string): ToolUsage {
    const last = this.#last;
    if (last !== undefined && last.tool === tool && last.instance === instance) return last.usage;
    const usage = this.#tools.of(tool).of(instance);
    this.#last = { tool, instance, usage };
    return usage;
  }

  #usage(tool: string, name: string): ToolUsage {
    this.#pairs += 1;
    const instance = this.#pairs > this.#limits.pairsMax ? otherName : name.slice(0, instanceCharsMax);
    return {
      actions: new MeteredLookups(this.#meter, actions, { tool, instance }),
      finds: new MeteredLookups(this.#meter, blobs, { tool, instance, operation: 'find' }),
      reads: new MeteredLookups(this.#meter, blobs, { tool, instance, operation: 'read' }),
    };
  }
}
