// What a store evicts, and what that costs: hit rates and bytes moved of Kiln's scheme and of well-known rules, on traces made from
// seeds. No server and no clock: the same seeds give the same figures everywhere.
import { Lru } from '../policies/lru.ts';
import type { EvictionPolicy, PolicyOptions } from '../policies/policy.ts';
import { footprintBytes, replay } from '../policies/replay.ts';
import { S3Fifo } from '../policies/s3-fifo.ts';
import { SegmentedScheme } from '../policies/segmented-scheme.ts';
import { Sieve } from '../policies/sieve.ts';
import { incrementalBuilds, scannedZipf, slidingWindow } from '../policies/traces.ts';
import type { MakeTrace, Trace } from '../policies/traces.ts';
import { WTinyLfu } from '../policies/w-tiny-lfu.ts';
import type { BenchContext, Benchmark } from '../harness/context.ts';
import { summed } from '../harness/load-benchmark.ts';
import type { Sample } from '../harness/measures.ts';
import { SeededRandom } from '../../src/testing/seeded-random.ts';

const name = 'policies';
const leaseS = 10_800;
const quickScale = 0.1;
/** Of the bytes of all that a trace asks for. */
const capacityShares = [0.1, 0.3] as const;

const traces: Readonly<Record<string, { readonly make: MakeTrace; readonly about: string }>> = {
  builds: { make: incrementalBuilds, about: 'incremental builds over four weeks, and one in another configuration each night' },
  zipf: { make: scannedZipf, about: 'zipf 0.9, and a fourth of the requests scan' },
  window: { make: slidingWindow, about: 'a window that moves on' },
};

const contenders: Readonly<Record<string, (options: PolicyOptions) => EvictionPolicy>> = {
  'kiln': (options) => new SegmentedScheme(options, { leaseS: 0, hasSecondRound: true }),
  'kiln, leases of 3 h': (options) => new SegmentedScheme(options, { leaseS, hasSecondRound: true }),
  'kiln, no second round': (options) => new SegmentedScheme(options, { leaseS: 0, hasSecondRound: false }),
  'LRU': (options) => new Lru(options),
  'S3-FIFO': (options) => new S3Fifo(options),
  'SIEVE': (options) => new Sieve(options),
  'W-TinyLFU': (options) => new WTinyLfu(options),
};

function measurePolicies(context: BenchContext): Promise<void> {
  for (const [shape, { make, about }] of Object.entries(traces)) {
    // Rounds are seeds: nothing here differs from one run to the next.
    const made = Array.from({ length: context.rounds }, (_, round) => make(new SeededRandom(round + 1), context.quick ? quickScale : 1));
    for (const share of capacityShares) {
      const results = Object.entries(contenders).map(([server, makePolicy]) => ({ server, measured: summed(made.map((trace) => measure(trace, share, makePolicy))) }));
      const requests = (made[0]?.objects.length ?? 0).toLocaleString('en-US');
      context.report({ benchmark: name, shape: `${shape}, ${share * 100} %`, description: `${about}; ${requests} requests, room for ${share * 100} % of the bytes of all objects`, results, notes: [] });
    }
  }
  return Promise.resolve();
}

function measure(trace: Trace, capacityShare: number, makePolicy: (options: PolicyOptions) => EvictionPolicy): Sample {
  const capacityBytes = Math.floor(capacityShare * footprintBytes(trace));
  const policy = makePolicy({ sizes: trace.sizes, capacityBytes });
  const { repeated, hits, repeatedBytes, hitBytes, missedBytes } = replay(trace, policy, capacityBytes);
  return { hitShare: (100 * hits) / repeated, byteHitShare: (100 * hitBytes) / repeatedBytes, movedPerByte: policy.movedBytes / missedBytes };
}

export const policies: Benchmark = { name, title: 'what is evicted: hit rates and bytes moved of Kiln’s scheme, LRU, S3-FIFO, SIEVE and W-TinyLFU on three traces', run: measurePolicies };
