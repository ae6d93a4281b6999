// Which streams closed lately, and how. Frames that were on their way when a stream closed are no fault of the peer;
// the same frames on a stream that never was are (RFC 9113 §5.1, "closed").

/** How many are remembered of each kind. Frames are on their way for one round trip, in which more cannot close. */
const rememberedMax = 1_024;
/** Room at first: of thousands of connections most do little. A power of two, as all sizes that it grows by. */
const rememberedMin = 32;

/** `ended`: by END_STREAM both ways or by the peer's RST_STREAM. `reset`: by our RST_STREAM. */
export type ClosedHow = 'ended' | 'reset';

/** The last streams that closed; forgets the oldest. */
export class ClosedStreams {
  readonly #ended = new RecentIds();
  readonly #reset = new RecentIds();

  add(streamId: number, how: ClosedHow): void {
    if (how === 'ended') this.#ended.add(streamId);
    else this.#reset.add(streamId);
  }

  /** Undefined when the stream never was, or closed long ago. */
  find(streamId: number): ClosedHow | undefined {
    if (this.#reset.has(streamId)) return 'reset';
    return this.#ended.has(streamId) ? 'ended' : undefined;
  }
}

/** Up to `rememberedMax` ids, none of them 0. */
class RecentIds {
  #ids: Uint32Array | undefined = undefined;
  #count = 0;

  add(id: number): void {
    const ids = this.#count < (this.#ids?.length ?? 0) ? this.#ids : this.#roomier();
    if (ids !== undefined) ids[this.#count++ & (ids.length - 1)] = id;
  }

  has(id: number): boolean {
    return this.#ids?.includes(id) ?? false;
  }

  /** Called when every place is taken, so that all of them keep their order in a larger array. */
  #roomier(): Uint32Array {
    const before = this.#ids;
    if (before?.length === rememberedMax) return before;
    const ids = new Uint32Array(before === undefined ? rememberedMin : 2 * before.length);
    if (before !== undefined) ids.set(before);
    this.#ids = ids;
    return ids;
  }
}
