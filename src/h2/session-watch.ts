// What becomes of a connection whose client does nothing, or nothing that helps: judged from time to time by what has
// moved since. Pure: the session looks, and does what it is told.
import { ProgressWatch } from '../base/progress-watch.ts';
import type { StallLimits } from '../base/progress-watch.ts';

/** Times in milliseconds. */
export interface SessionLimits extends StallLimits {
  /** From the beginning to the peer's SETTINGS, from there to its ACK of ours (RFC 9113 §6.5.3), and from the first to the last frame of a header block. */
  readonly handshakeTimeoutMs: number;
  /** A connection without streams is ended after this; 0: never. */
  readonly idleTimeoutMs: number;
  /** A peer with streams in progress that lets nothing be heard for so long is sent a PING; 0: never. */
  readonly pingIntervalMs: number;
  /** How long it may take to answer. */
  readonly pingTimeoutMs: number;
}

/** A connection at the moment of a look. */
export interface SessionFacts {
  readonly streamCount: number;
  /** Of the stream that the peer opened last: it was used if this has changed. */
  readonly lastStreamId: number;
  /** The peer's SETTINGS have come. */
  readonly sawSettings: boolean;
  /** And it has said that ours are in force. */
  readonly acknowledgedSettings: boolean;
  /** The stream of a header block that is not complete; 0 when there is none. */
  readonly openBlockStreamId: number;
  /** Whether anything that comes would be read. */
  readonly isReading: boolean;
  readonly receivedBytes: number;
  /** Taken by the system, and waiting to be. */
  readonly sentBytes: number;
  readonly queuedBytes: number;
}

/**
 * `ping`: ask whether it is there. `drain`: end it politely, `refuse_new`: the second step of that. The others end it:
 * `silent` (no SETTINGS), `unacknowledged` (not a word about ours), `slow_headers`, `dead` (no answer to the PING), `stalled` (takes nothing of what waits for it).
 */
export type SessionVerdict = 'fine' | 'ping' | 'drain' | 'refuse_new' | 'silent' | 'unacknowledged' | 'slow_headers' | 'dead' | 'stalled';

/** How long a client may take to say that it has seen the GOAWAY for an idle connection. */
const goawayAnswerMs = 5_000;

export class SessionWatch {
  readonly #limits: SessionLimits;
  /** Since when it could have shown its SETTINGS, and then what it thinks of ours. */
  #silentSinceMs: number;
  #sawSettings = false;
  readonly #output = new ProgressWatch();
  #heardMs: number;
  #receivedBytes = 0;
  #sentBytes = 0;
  #pingedMs: number | undefined = undefined;
  #idleSinceMs: number;
  #lastStreamId = 0;
  #drainedMs: number | undefined = undefined;
  #refusesNew = false;
  #openBlock: { readonly streamId: number; readonly sinceMs: number } | undefined = undefined;

  constructor(limits: SessionLimits, nowMs: number) {
    this.#limits = limits;
    this.#silentSinceMs = nowMs;
    this.#heardMs = nowMs;
    this.#idleSinceMs = nowMs;
  }

  /** @param stallMs of the limits, the one that counts at the moment. */
  look(facts: SessionFacts, nowMs: number, stallMs: number): SessionVerdict {
    const { stallBytesMin } = this.#limits;
    if (!facts.isReading) this.#silentSinceMs = nowMs; // they may have come
    const early = this.#early(facts, nowMs);
    if (early !== 'fine') return early;
    if (this.#hasSlowHeaders(facts, nowMs)) return 'slow_headers';
    if (this.#output.isStalled(facts.queuedBytes > 0, facts.sentBytes, { nowMs, stallMs, bytesMin: stallBytesMin })) return 'stalled';
    const alive = this.#alive(facts, nowMs);
    return alive === 'fine' ? this.#idle(facts, nowMs) : alive;
  }

  /** The peer owes two things at the beginning; for the second it has its time again. */
  #early({ sawSettings, acknowledgedSettings }: SessionFacts, nowMs: number): SessionVerdict {
    if (sawSettings && acknowledgedSettings) return 'fine';
    if (sawSettings && !this.#sawSettings) this.#silentSinceMs = nowMs;
    this.#sawSettings = sawSettings;
    if (nowMs - this.#silentSinceMs < this.#limits.handshakeTimeoutMs) return 'fine';
    return sawSettings ? 'unacknowledged' : 'silent';
  }

  #hasSlowHeaders({ openBlockStreamId, isReading }: SessionFacts, nowMs: number): boolean {
    if (openBlockStreamId === 0) this.#openBlock = undefined;
    else if (!isReading || this.#openBlock?.streamId !== openBlockStreamId) this.#openBlock = { streamId: openBlockStreamId, sinceMs: nowMs };
    return this.#openBlock !== undefined && nowMs - this.#openBlock.sinceMs >= this.#limits.handshakeTimeoutMs;
  }

  /** Whoever takes bytes is there, too; and nobody is heard while nothing is read, or has to be while nothing runs. */
  #alive({ streamCount, isReading, receivedBytes, sentBytes, queuedBytes }: SessionFacts, nowMs: number): SessionVerdict {
    const { pingIntervalMs, pingTimeoutMs } = this.#limits;
    const moved = receivedBytes !== this.#receivedBytes || (queuedBytes > 0 && sentBytes !== this.#sentBytes);
    this.#receivedBytes = receivedBytes;
    this.#sentBytes = sentBytes;
    if (moved || !isReading || streamCount === 0 || pingIntervalMs === 0) {
      this.#heardMs = nowMs;
      this.#pingedMs = undefined;
      return 'fine';
    }
    if (this.#pingedMs !== undefined) return nowMs - this.#pingedMs >= pingTimeoutMs ? 'dead' : 'fine';
    // A PING would stand behind what waits, and how long that may take is another rule.
    if (queuedBytes > 0 || nowMs - this.#heardMs < pingIntervalMs) return 'fine';
    this.#pingedMs = nowMs;
    return 'ping';
  }

  #idle({ streamCount, lastStreamId }: SessionFacts, nowMs: number): SessionVerdict {
    if (this.#drainedMs !== undefined) {
      if (this.#refusesNew || nowMs - this.#drainedMs < goawayAnswerMs) return 'fine';
      this.#refusesNew = true;
      return 'refuse_new';
    }
    if (streamCount > 0 || lastStreamId !== this.#lastStreamId) this.#idleSinceMs = nowMs;
    this.#lastStreamId = lastStreamId;
    const { idleTimeoutMs } = this.#limits;
    if (idleTimeoutMs === 0 || nowMs - this.#idleSinceMs < idleTimeoutMs) return 'fine';
    this.#drainedMs = nowMs;
    return 'drain';
  }
}
