// What goes next when something must: a segment of one of the two streams, a large file, or nothing. Pure; whoever drives it does one
// step, looks again and asks again. Blobs and values in segments go first in, first out, with another round for what was used
// (recycle-step.ts), files by SIEVE (sieve-order.ts); between them the one that has not been used for longest goes, a segment on the average of
// what counts in it. The choice was measured: docs/decisions/0028-what-is-evicted.md.

/** A stream of segments that hold blobs or values. */
export interface StreamState {
  /** Of all its segments, the one that is written to included. */
  readonly bytes: number;
  /** Of the records that something counts on. */
  readonly liveBytes: number;
  /** Segments that are not written to any more. */
  readonly sealedCount: number;
  /** The oldest segment that has records; undefined: none has. Without sealed ones it is the one that is written to. */
  readonly oldest: { readonly begunS: number; /** On the average of the bytes that count. */ readonly meanUseS: number } | undefined;
}

export interface EvictionState {
  /** What must go so that whoever is first in line has room, or the low watermark is kept; 0 or less: nothing. */
  readonly neededBytes: number;
  /** What must go so that there are no more entries than allowed; 0 or less: nothing. */
  readonly excessCount: number;
  /** What was used at that time or later is leased. */
  readonly leaseFloorS: number;
  /** What was not used since goes, room or not; -Infinity: nothing does. */
  readonly ageFloorS: number;
  readonly blob: StreamState;
  readonly value: StreamState;
  /** What segments of values may take while there is something else to evict. */
  readonly valueBytesMax: number;
  readonly files: {
    readonly bytes: number;
    /** Last use of the file that goes next: neither leased nor pinned. Undefined: none may go. */
    readonly candidateUseS: number | undefined;
  };
  /** Bytes of entries that are leased, in segments and files. */
  readonly leasedBytes: number;
  /** Free files that no stream keeps for itself. */
  readonly spareSegments: number;
  /** Those included that the log will need soon: they go before anything that is promised. */
  readonly stockSegments: number;
  /** There is a segment in which nothing counts, wherever it stands. */
  readonly hasDeadSegment: boolean;
  /** Deleted, read by nobody, and free soon. */
  readonly trashBytes: number;
  /** Of uploads that nobody writes to. */
  readonly idleUploadBytes: number;
  /** As many segments as there are were given up without any room won since. */
  readonly isFruitless: boolean;
}

export type RecycleReason = 'room' | 'age' | 'count' | 'waste';

export type EvictionStep =
  | { readonly kind: 'enough' }
  /** Delete a free file. */
  | { readonly kind: 'drop_free' }
  | { readonly kind: 'wait_for_trash' }
  | { readonly kind: 'recycle_dead' }
  /** The oldest segment; the one that is written to is sealed before, where it is the only one. `waste`: nothing is dropped for it. */
  | { readonly kind: 'recycle'; readonly stream: 'blob' | 'value'; readonly reason: RecycleReason }
  | { readonly kind: 'evict_file' }
  /** The upload that nobody has written to for longest: nothing of it was promised. */
  | { readonly kind: 'give_up_upload' }
  /** There is nothing that is not leased or pinned. */
  | { readonly kind: 'all_leased' };

/** Values are taken to be that much older than they are: a result that outlives the blobs it needs is of no use. */
const valuesAgeMoreS = 60;
/** Below this share of what counts a stream is written anew even without need: history of large files, values that were replaced. */
const wasteLiveShare = 0.5;
/** With fewer segments there is nothing to win by that. */
const wasteSegmentsMin = 5;
/** A stream with so much that counts has nothing to win without evicting. */
const packedLiveShare = 0.75;

/** What may go, how long ago it was of use, and since when something may be in it that was not. */
interface Candidate {
  readonly stream: 'blob' | 'value' | 'file';
  readonly useS: number;
  readonly sinceS: number;
}

export function nextEviction(state: EvictionState): EvictionStep {
  if (state.neededBytes > 0) return roomStep(state);
  const candidates = candidatesOf(state, 0);
  // What is leased on the average has no entry to spare, and would be copied for nothing.
  const surplus = state.excessCount > 0 ? oldestOf(candidates.filter(({ useS }) => useS < state.leaseFloorS)) : undefined;
  if (surplus !== undefined) return stepFor(surplus, 'count');
  const tooOld = candidates.find(({ sinceS }) => sinceS < state.ageFloorS);
  if (tooOld !== undefined) return stepFor(tooOld, 'age');
  if (state.hasDeadSegment) return { kind: 'recycle_dead' };
  const wasteful = mostWasteful(state, wasteLiveShare, wasteSegmentsMin);
  return wasteful === undefined ? { kind: 'enough' } : { kind: 'recycle', stream: wasteful, reason: 'waste' };
}

function roomStep(state: EvictionState): EvictionStep {
  if (state.trashBytes > 0 && state.trashBytes >= state.neededBytes) return { kind: 'wait_for_trash' };
  if (state.spareSegments > 0) return { kind: 'drop_free' };
  if (state.hasDeadSegment) return { kind: 'recycle_dead' };
  const candidates = candidatesOf(state, 1);
  const unleased = candidates.filter(({ useS }) => useS < state.leaseFloorS);
  const value = unleased.find(({ stream }) => stream === 'value');
  if (value !== undefined && state.value.bytes > state.valueBytesMax && !state.isFruitless) return stepFor(value, 'room');
  const oldest = oldestOf(state.isFruitless ? unleased.filter(({ stream }) => stream === 'file') : unleased);
  if (oldest !== undefined) return stepFor(oldest, 'room');
  const wasteful = mostWasteful(state, packedLiveShare, 1);
  if (wasteful !== undefined && !state.isFruitless) return { kind: 'recycle', stream: wasteful, reason: 'room' };
  return lastStep(state, candidates);
}

/** Everything was used within the lease, on the average; what is not leased for all that stands somewhere among what is. */
function lastStep(state: EvictionState, candidates: readonly Candidate[]): EvictionStep {
  if (state.stockSegments > 0) return { kind: 'drop_free' };
  const segment = oldestOf(candidates.filter(({ stream }) => stream !== 'file'));
  const unleasedBytes = state.blob.liveBytes + state.value.liveBytes + state.files.bytes - state.leasedBytes;
  if (segment !== undefined && unleasedBytes > 0 && !state.isFruitless) return stepFor(segment, 'room');
  if (state.trashBytes > 0) return { kind: 'wait_for_trash' };
  return state.idleUploadBytes > 0 ? { kind: 'give_up_upload' } : { kind: 'all_leased' };
}

/** @param sealedMin with 0 also segments that are written to. */
function candidatesOf({ blob, value, files }: EvictionState, sealedMin: number): readonly Candidate[] {
  const candidates: Candidate[] = [];
  if (value.oldest !== undefined && value.sealedCount >= sealedMin) candidates.push({ stream: 'value', useS: value.oldest.meanUseS - valuesAgeMoreS, sinceS: value.oldest.begunS });
  if (blob.oldest !== undefined && blob.sealedCount >= sealedMin) candidates.push({ stream: 'blob', useS: blob.oldest.meanUseS, sinceS: blob.oldest.begunS });
  if (files.candidateUseS !== undefined) candidates.push({ stream: 'file', useS: files.candidateUseS, sinceS: files.candidateUseS });
  return candidates;
}

function oldestOf(candidates: readonly Candidate[]): Candidate | undefined {
  return candidates.reduce<Candidate | undefined>((oldest, one) => (oldest === undefined || one.useS < oldest.useS ? one : oldest), undefined);
}

function stepFor({ stream }: Candidate, reason: RecycleReason): EvictionStep {
  return stream === 'file' ? { kind: 'evict_file' } : { kind: 'recycle', stream, reason };
}

/** The stream with the smallest share of what counts, if that is below `liveShare`. */
function mostWasteful({ blob, value }: EvictionState, liveShare: number, sealedMin: number): 'blob' | 'value' | undefined {
  const shares = [
    { stream: 'blob' as const, state: blob },
    { stream: 'value' as const, state: value },
  ]
    .filter(({ state }) => state.sealedCount >= sealedMin)
    .map(({ stream, state }) => ({ stream, live: state.liveBytes / state.bytes }))
    .filter(({ live }) => live < liveShare)
    .toSorted((a, b) => a.live - b.live);
  return shares[0]?.stream;
}
