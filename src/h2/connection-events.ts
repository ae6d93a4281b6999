// What a connection tells statistics: faults and resets, each by its cause.

/** What a peer lets stall: the request that it sends, or the answer that it takes. */
export type StalledSide = 'request' | 'answer';

/** What goes wrong on connections, for statistics. Must be cheap and must not throw. */
export interface ConnectionEvents {
  /** A stream was reset, by us or by the peer. `code` is the peer's word in the second case. */
  onReset(code: number, byPeer: boolean): void;
  /** A connection was ended for a fault. `flood` names the frames there were too many of, if that was it. */
  onFault(code: number, flood: string | undefined): void;
  /** A call was ended because too little of its request came, or of its answer was taken. */
  onStalled?(side: StalledSide): void;
  /** A connection was ended although its peer had broken no rule: it was not used, did not answer, or took nothing. */
  onEnded?(reason: 'idle' | 'dead' | 'stalled'): void;
}
