// Keeps what gives up segments from going around for ever where all of them hold nothing but what is promised: after a whole round
// that won nothing it rests until leases have ended.

/** So much of leases has to end before it is tried again, in seconds. */
const restS = 60;

export class FruitlessRounds {
  /** Segments since something was won. */
  #inVain = 0;
  /** Floor of leases when the round was over. */
  #floorS: number | undefined;

  won(): void {
    this.#inVain = 0;
    this.#floorS = undefined;
  }

  lost(): void {
    this.#inVain += 1;
  }

  /** @param segments that there are: a round. `leaseFloorS` never goes back for long. */
  isFruitless(segments: number, leaseFloorS: number): boolean {
    if (this.#inVain <= segments) return false;
    this.#floorS ??= leaseFloorS;
    if (leaseFloorS < this.#floorS + restS) return true;
    this.won();
    return false;
  }
}
