// Which streams closed lately, and how. Frames that were on their way when a stream closed are no fault of the peer;
// the same frames on a stream that never was are (RFC 9113 §5.1, "closed").

/** How many are remembered of each kind. Frames are on their way for one round trip, in which more cannot close. */
const rememberedMax = 1_024;

/** `ended`: by END_STREAM both ways or by the peer's RST_STREAM. `reset`: by our RST_STREAM. */
export type ClosedHow = 'ended' | 'reset';

/** The last streams that closed; forgets the oldest. */
export class ClosedStreams {
  readonly #ended = new Uint32Array(rememberedMax);
  readonly #reset = new Uint32Array(rememberedMax);
  #endedCount = 0;
  #resetCount = 0;

  add(streamId: number, how: ClosedHow): void {
    if (how === 'ended') this.#ended[this.#endedCount++ % rememberedMax] = streamId;
    else this.#reset[this.#resetCount++ % rememberedMax] = streamId;
  }

  /** Undefined when the stream never was, or closed long ago. */
  find(streamId: number): ClosedHow | undefined {
    if (this.#reset.includes(streamId)) return 'reset';
    return this.#ended.includes(streamId) ? 'ended' : undefined;
  }
}
