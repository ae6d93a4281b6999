// The parts that want room are made before the one that makes it, which needs them all: until then they wait.
import type { CallOptions } from '../base/call-options.ts';
import type { MaybePromise } from '../base/maybe-promise.ts';
import { unlessCancelled } from '../base/unless-cancelled.ts';
import type { Evictor, SegmentOptions } from './evictor.ts';
import type { SpaceReservation } from './space-ledger.ts';

type Maker = Pick<Evictor, 'reserve' | 'freeSegment' | 'trim' | 'checkFloor'>;

const waiting = 'the store was being opened';

/** See `Evictor` for its verbs. */
export class RoomMaker implements Maker {
  readonly #begun = Promise.withResolvers<Maker>();
  #maker: Maker | undefined;

  begin(maker: Maker): void {
    this.#maker = maker;
    this.#begun.resolve(maker);
  }

  reserve(bytes: number, options?: CallOptions): MaybePromise<SpaceReservation> {
    if (this.#maker !== undefined) return this.#maker.reserve(bytes, options);
    return unlessCancelled(this.#begun.promise, waiting, options).then((maker) => maker.reserve(bytes, options));
  }

  async checkFloor(options?: CallOptions): Promise<void> {
    await this.#maker?.checkFloor(options); // unknown before somebody has looked at the disk
  }

  trim(): void {
    this.#maker?.trim();
  }

  async freeSegment(options?: SegmentOptions): Promise<SpaceReservation | 'free'> {
    const maker = this.#maker ?? (await unlessCancelled(this.#begun.promise, waiting, options));
    return maker.freeSegment(options);
  }
}
