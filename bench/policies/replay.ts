// Asks a policy for everything in a trace, and counts.
import type { EvictionPolicy } from './policy.ts';
import type { Trace } from './traces.ts';

export interface ReplayCounts {
  /** Requests for what was asked for before, and how many of them found it; the same in bytes. */
  readonly repeated: number;
  readonly hits: number;
  readonly repeatedBytes: number;
  readonly hitBytes: number;
  /** Of content that was missing, and so was stored, or turned away. */
  readonly missedBytes: number;
}

/** @throws Error where the policy holds more than `capacityBytes`, or has what was never asked for. */
export function replay({ objects, timesS, sizes }: Trace, policy: EvictionPolicy, capacityBytes: number): ReplayCounts {
  const wasSeen = new Uint8Array(sizes.length);
  const counts = { repeated: 0, hits: 0, repeatedBytes: 0, hitBytes: 0, missedBytes: 0 };
  for (let at = 0; at < objects.length; at += 1) {
    const object = objects[at] ?? 0;
    const size = sizes[object] ?? 0;
    const isHit = policy.request(object, timesS[at] ?? 0);
    if (isHit && wasSeen[object] === 0) throw new Error(`object ${object} is there although nobody put it`);
    if (policy.usedBytes > capacityBytes) throw new Error(`${policy.usedBytes} bytes are held, of ${capacityBytes} that may be`);
    counts.repeated += wasSeen[object] ?? 0;
    counts.repeatedBytes += wasSeen[object] === 1 ? size : 0;
    wasSeen[object] = 1;
    if (isHit) {
      counts.hits += 1;
      counts.hitBytes += size;
    } else counts.missedBytes += size;
  }
  return counts;
}

/** Of all objects that the trace asks for. */
export function footprintBytes({ objects, sizes }: Trace): number {
  let bytes = 0;
  for (const object of new Set(objects)) bytes += sizes[object] ?? 0;
  return bytes;
}
