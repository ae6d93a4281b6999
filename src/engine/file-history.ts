// What the log says about large files: that a name may appear, that a file is there, that it is to go, and that it is gone.
// docs/formats/segments.md, "Record"
import type { CallOptions } from '../base/call-options.ts';
import type { MaybePromise } from '../base/maybe-promise.ts';
import type { Digest } from '../digest/digest.ts';
import type { SyncOutcome } from './group-sync.ts';
import type { RoomClaim } from './log-claims.ts';
import type { Appended, AppendRequest } from './append-request.ts';
import type { LogWriter } from './log-writer.ts';
import { recordBytes } from './record-codec.ts';
import { encodeTombstone } from './record-payloads.ts';
import { storageError } from './storage-error.ts';
import type { Settled } from './unsettled-records.ts';

/** A record, and when it is known to be durable. */
export interface Written {
  readonly appended: Appended;
  /** @throws CacheError `unavailable`: a start may find the record, or not. */
  readonly durable: Promise<void>;
}

const nothing = Buffer.alloc(0);
const payloads = {
  removed: encodeTombstone({ removed: 'commit', isGone: false }),
  gone: encodeTombstone({ removed: 'commit', isGone: true }),
  ended: encodeTombstone({ removed: 'intent', isGone: false }),
} as const satisfies Record<string, Buffer>;
const tombstonePayloadBytes = payloads.removed.byteLength;

/** Writes records of large files to the stream of blobs. Whoever writes has claimed the room before. */
export class FileHistory {
  readonly #log: Pick<LogWriter, 'claim' | 'append'>;
  readonly #nowS: () => number;

  constructor(log: Pick<LogWriter, 'claim' | 'append'>, nowS: () => number) {
    this.#log = log;
    this.#nowS = nowS;
  }

  /**
   * Room for so many records about the file, of any kind. Without it a step in the middle would wait for room that only the end
   * of it makes. @throws CacheError as `LogWriter.claim`.
   */
  claim(digest: Digest, records: number, options?: CallOptions): MaybePromise<RoomClaim> {
    return this.#log.claim(records * recordBytes(digest.function.hashBytes, 0, tombstonePayloadBytes), 'internal', options);
  }

  /** A file may appear under the name. */
  intent(claim: RoomClaim, digest: Digest, settled?: Settled): Written {
    return this.#append(claim, { ...this.#about(digest), kind: 'intent', payload: nothing }, settled);
  }

  /** The file is there, whole and durable. Without an intent, where that is lost, with a number of its own. */
  commit(claim: RoomClaim, digest: Digest, intentSequence: number | undefined, settled?: Settled): Written {
    const about = { ...this.#about(digest), kind: 'commit', payload: nothing } as const;
    return this.#append(claim, intentSequence === undefined ? about : { ...about, sequence: intentSequence }, settled);
  }

  /** The upload of that intent has ended without a file. Nobody waits for it: a start finds that out once more. */
  ended(claim: RoomClaim, digest: Digest, intentSequence: number): void {
    this.#log.append(claim, { ...this.#about(digest), kind: 'tombstone', payload: payloads.ended, sequence: intentSequence });
  }

  /** The file is to go. */
  removed(claim: RoomClaim, digest: Digest): Written {
    return this.#append(claim, { ...this.#about(digest), kind: 'tombstone', payload: payloads.removed });
  }

  /** Its name is gone, durably. Nobody waits for it either. */
  gone(claim: RoomClaim, digest: Digest): void {
    this.#log.append(claim, { ...this.#about(digest), kind: 'tombstone', payload: payloads.gone });
  }

  #about(digest: Digest): Pick<AppendRequest, 'functionNumber' | 'hash' | 'instance' | 'logicalBytes' | 'usedAtS'> {
    return { functionNumber: digest.function.wireValue, hash: Buffer.from(digest.hash, 'hex'), instance: '', logicalBytes: digest.sizeBytes, usedAtS: this.#nowS() };
  }

  #append(claim: RoomClaim, request: AppendRequest, settled?: Settled): Written {
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    promise.catch(() => undefined); // told to whoever awaits it, which may be nobody after another failure
    const appended = this.#log.append(claim, request, (outcome: SyncOutcome) => {
      settled?.(outcome);
      if (outcome.kind === 'durable') resolve();
      else reject(storageError('write to the log', outcome.cause));
    });
    return { appended, durable: promise };
  }
}
