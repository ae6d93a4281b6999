// What a writer who may not overwrite is measured by: whether an entry that is there stands, and whether it says the same.
import type { MaybePromise } from '../base/maybe-promise.ts';
import type { PresentValue, ValueKind } from '../blob/value-store.ts';
import type { DigestFunction } from '../digest/digest-function.ts';
import type { EncodedActionResult } from '../proto/encoded-action-result.ts';
import { classifyActionValue, mayBeJson } from './action-value.ts';
import { sameOutputs } from './same-outputs.ts';
import { decodeStoredActionResult, headerBytes } from './stored-action-result.ts';

/** What is to be put. */
export interface Newcomer {
  readonly kind: ValueKind;
  readonly digestFunction: DigestFunction;
  /** Of the action; undefined where nobody says it, as over HTTP. */
  readonly actionSizeBytes?: number | undefined;
  /** Undefined for bytes that are no action result. */
  readonly result: EncodedActionResult | undefined;
}

export interface StandingResults {
  /** Longer ones are not served, hence not there. */
  readonly resultBytesMax: number;
  /** Whether a result counts as there; one whose blobs are gone does not. */
  isStanding(result: EncodedActionResult): MaybePromise<boolean>;
}

/** A result that is there. */
interface Entry {
  readonly result: EncodedActionResult;
  readonly actionSizeBytes: number | undefined;
}

/**
 * Judges for one `ValueStore.putFirst`. Under one key there may be a binary result, which gRPC serves, and JSON or bytes of
 * a tool, which HTTP serves instead of it to some; so each is in the way of the other. Except that a binary result may be
 * put beside JSON that says the same, for gRPC has nothing else. Not the other way round: a binary result is served as JSON
 * too, and JSON in its place could hold what only its readers understand.
 */
export class FirstWriter {
  readonly #newcomer: Newcomer;
  readonly #standing: StandingResults;
  #metSame = false;

  constructor(newcomer: Newcomer, standing: StandingResults) {
    this.#newcomer = newcomer;
    this.#standing = standing;
  }

  /** Once nothing was put: whether what is there gives a build the same, so that nothing is lost. */
  get metSame(): boolean {
    return this.#metSame;
  }

  /** For `putFirst`. */
  readonly stands = async (present: PresentValue): Promise<boolean> => {
    const { kind, result: mine } = this.#newcomer;
    this.#metSame = false;
    const entry = this.#read(present);
    if (entry === 'unreadable') return false;
    if (entry === 'bytes') return true;
    if (!(await this.#standing.isStanding(entry.result))) return false;
    const same = mine !== undefined && this.#finds(entry) && sameOutputs(entry.result, mine);
    if (kind === 'action_result' && present.kind === 'opaque') return !same;
    this.#metSame = same;
    return true;
  };

  /** Whether who asks for the newcomer is given `entry`: a result for another size of the action is a miss (AC-9). */
  #finds(entry: Entry): boolean {
    const { actionSizeBytes } = this.#newcomer;
    return actionSizeBytes === undefined || entry.actionSizeBytes === undefined || actionSizeBytes === entry.actionSizeBytes;
  }

  #read({ kind, bytes }: PresentValue): Entry | 'bytes' | 'unreadable' {
    const { resultBytesMax } = this.#standing;
    if (kind === 'action_result') return (bytes.byteLength <= headerBytes + resultBytesMax ? decodeStoredActionResult(bytes) : undefined) ?? 'unreadable';
    if (bytes.byteLength > resultBytesMax || !mayBeJson(bytes)) return 'bytes';
    const value = classifyActionValue(bytes, this.#newcomer.digestFunction);
    return value.kind === 'foreign' ? 'bytes' : { result: value.result, actionSizeBytes: undefined };
  }
}
