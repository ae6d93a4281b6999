// What failures of one stream mean for those who want to write: a disk that fails again and again is not asked by every
// caller, but every few seconds, and callers are told at once.
import { CacheError } from '../base/cache-error.ts';
import type { EnginePorts } from './engine-options.ts';
import type { StreamName } from './segment-format.ts';
import { storageError } from './storage-error.ts';

/** In a row, before writes are refused: one or two may be a segment's own. */
const failuresMax = 3;
const retryMs = 5_000;

export class LogFailures {
  readonly #ports: Pick<EnginePorts, 'timers' | 'log'>;
  readonly #stream: StreamName;
  readonly #tryAgain: () => void;
  #inRow = 0;
  #refusal: CacheError | undefined;
  #timer: Disposable | undefined;
  #isOver = false;

  /** `tryAgain` is called some time after writes were refused; it ends in `accept`, `succeeded` or another `count`. */
  constructor(ports: Pick<EnginePorts, 'timers' | 'log'>, stream: StreamName, tryAgain: () => void) {
    this.#ports = ports;
    this.#stream = stream;
    this.#tryAgain = tryAgain;
  }

  /** What whoever wants to write is told; undefined: they may. */
  get refusal(): CacheError | undefined {
    return this.#refusal;
  }

  /** Gives what those are told whose records do not count. */
  count(doing: string, cause: unknown): CacheError {
    this.#inRow += 1;
    const error = errorOf(doing, cause);
    this.#ports.log.error(`cannot ${doing}; look at the disk of the data directory`, cause, { stream: this.#stream, failuresInRow: this.#inRow });
    if (this.#inRow < failuresMax) return error;
    if (this.#refusal === undefined) {
      this.#ports.log.error('writes are refused until the disk works again; tried every few seconds', undefined, { stream: this.#stream, everyMs: retryMs });
    }
    this.#refusal = error;
    if (!this.#isOver) this.#timer ??= this.#ports.timers.after(retryMs, () => {
      this.#timer = undefined;
      this.#tryAgain();
    });
    return error;
  }

  /** Another try is worth it; the next failure refuses writes again. */
  accept(): void {
    this.#refusal = undefined;
  }

  /** The disk took something. */
  succeeded(): void {
    if (this.#inRow >= failuresMax) this.#ports.log.info('the disk works again', { stream: this.#stream });
    this.#inRow = 0;
    this.#refusal = undefined;
    this.#stop();
  }

  /** No further try. */
  end(): void {
    this.#isOver = true;
    this.#stop();
  }

  #stop(): void {
    this.#timer?.[Symbol.dispose]();
    this.#timer = undefined;
  }
}

/** A full disk is told as such, as everywhere; anything else may pass. */
function errorOf(doing: string, cause: unknown): CacheError {
  const known = storageError(doing, cause);
  if (known instanceof CacheError && known.kind === 'disk_full') return known;
  const message = known instanceof CacheError ? known.message : `cannot ${doing}: ${String(known)}`;
  return new CacheError('unavailable', message, { cause, details: [{ kind: 'retry_after', delayMs: retryMs }] });
}
