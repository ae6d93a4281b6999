// What a policy of eviction is to this benchmark: something that is asked for objects and keeps those it likes.

/** Objects are numbered from 0 on. A miss is followed by a put of what was missing, as builds do. */
export interface EvictionPolicy {
  /** True: the object was there. It is there afterwards, unless it is larger than the cache or the policy turns it away. */
  request(object: number, timeS: number): boolean;
  /** Of what is there, with what it takes beside its content. Never above the capacity. */
  readonly usedBytes: number;
  /**
   * Bytes of objects that got another place in the order of the policy after they were stored. Where order is a place on the
   * disk, as in a log, that is what is written again.
   */
  readonly movedBytes: number;
}

/** `sizes`: in bytes, by object. */
export interface PolicyOptions {
  readonly sizes: Float64Array;
  readonly capacityBytes: number;
}

export type MakePolicy = (options: PolicyOptions) => EvictionPolicy;
