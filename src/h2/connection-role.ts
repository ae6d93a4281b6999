// What is different at the two ends of a connection: what the core of it, connection-core.ts, asks and tells the server's
// end and the client's.
import type { ByteBudget } from '../base/byte-budget.ts';
import type { MonotonicClock } from '../base/clock.ts';
import type { ClosedHow } from './closed-streams.ts';
import type { ConnectionEvents } from './connection-events.ts';
import type { DecodedBlock } from './header-block.ts';
import type { Http2Limits } from './limits.ts';
import type { SettingsChange } from './peer-settings.ts';

/** Of the HEADERS frame whose block is complete. */
export interface BlockHead {
  readonly streamId: number;
  readonly endStream: boolean;
  /** The frame carried a priority that names its own stream (RFC 7540 §5.3.1: a stream error). */
  readonly dependsOnItself: boolean;
}

/** What is different at the two ends. Called while input is read; may throw ConnectionError. */
export interface ConnectionRole {
  /** The highest stream of the peer's that is served, as GOAWAY names it; 0 at an end that serves none. */
  readonly servedStreamId: number;
  /** Whether resets by the peer of streams in progress count as a flood; not where only we open streams. */
  readonly resetsCost: boolean;
  /** No such stream was ever opened (RFC 9113 §5.1.1). */
  isIdle(streamId: number): boolean;
  /** The peer knows that nothing on this stream is processed; what still comes on it is dropped without a word. */
  ignores(streamId: number): boolean;
  /** What streams count as that closed too long ago to be remembered. */
  readonly forgotten: ClosedHow | undefined;
  /** A HEADERS frame, before its block is decoded: the place to refuse it with the whole connection. */
  onHeaders(streamId: number): void;
  /** A header block is complete. */
  onBlock(block: DecodedBlock, head: BlockHead): void;
  /** The peer's SETTINGS, in force by now as far as the core is concerned. */
  onSettings(change: SettingsChange): void;
  /** A PING with ACK; `payload` has eight bytes and is valid during the call only. False when it answers no PING of ours. */
  onPingAnswer(payload: Uint8Array): boolean;
  /** `message`: the beginning of its debug data, for people. */
  onGoaway(lastStreamId: number, code: number, message: string): void;
  /** This end has found a fault, and the connection is about to be over. */
  onFault(code: number, reason: string): void;
  onStreamClosed(how: ClosedHow): void;
}

/** What the core of a connection is given. */
export interface CoreParts {
  readonly limits: Http2Limits;
  readonly clock: MonotonicClock;
  /** Told of what goes wrong. */
  readonly events?: ConnectionEvents | undefined;
  /** Of what streams keep; without a bound, if left out. */
  readonly budget?: ByteBudget | undefined;
  /** There is output that nobody has announced to take; called once until it was taken. */
  readonly wake: () => void;
}
