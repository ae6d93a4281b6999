// Files of `segments/` that wait to become segments, and the making and throwing away of them. Each counts in the ledger
// as `free` from before its first byte is there.
import { CacheError } from '../base/cache-error.ts';
import type { Log } from '../base/log.ts';
import type { LogFile, LogFileSystem } from '../base/log-files.ts';
import type { LargeSyncs } from './large-syncs.ts';
import { freeFileName, partialFreeFileName } from './segment-format.ts';
import type { FreeFile } from './segment-mending.ts';
import type { SpaceLedger, SpaceReservation } from './space-ledger.ts';
import { io } from './storage-error.ts';
import type { Trash } from './trash.ts';

export interface FreeFilesParts {
  readonly ledger: SpaceLedger;
  readonly largeSyncs: Pick<LargeSyncs, 'syncAhead'>;
  readonly trash: Pick<Trash, 'take'>;
  readonly files: LogFileSystem;
  readonly log: Log;
}

const fileMode = 0o600;
/** Written at once, and synced. */
const zeroedBytes = 1_048_576;

export class FreeFiles {
  readonly #directory: string;
  readonly #segmentBytes: number;
  readonly #parts: FreeFilesParts;
  /** All of `segmentBytes`. */
  readonly #files: FreeFile[] = [];
  #nextNumber = 0;
  readonly #discards = new Set<Promise<void>>();

  constructor(place: { readonly directory: string; readonly segmentBytes: number }, parts: FreeFilesParts) {
    this.#directory = place.directory;
    this.#segmentBytes = place.segmentBytes;
    this.#parts = parts;
  }

  get count(): number {
    return this.#files.length;
  }

  pathOf(number: number): string {
    return `${this.#directory}/${freeFileName(number)}`;
  }

  /** For a file that is to become free. Each is given once. */
  takeNumber(): number {
    this.#nextNumber += 1;
    return this.#nextNumber - 1;
  }

  /** Found at start, and not in the ledger yet. */
  adopt(file: FreeFile): void {
    this.#nextNumber = Math.max(this.#nextNumber, file.number + 1);
    this.#parts.ledger.place('free', file.bytes);
    this.put(file);
  }

  /** It has its name. One of another length is thrown away: segments are all alike. */
  put(file: FreeFile): void {
    if (file.bytes === this.#segmentBytes) this.#files.push(file);
    else this.discard(file);
  }

  take(): FreeFile | undefined {
    return this.#files.pop();
  }

  /**
   * A new file, not among those that `take` gives. Filled with zeros, so that later syncs of it are short and it cannot run
   * out of disk; from where it is urgent on it is made without, which takes no time. `beyond`: counted although there is no room.
   * @throws CacheError `disk_full`, `unavailable`, `busy`: nothing is left of it.
   */
  async make(room: SpaceReservation | 'beyond', urgent: AbortSignal): Promise<FreeFile> {
    const [bytes, number] = [this.#segmentBytes, this.takeNumber()];
    const { ledger } = this.#parts;
    if (room === 'beyond') ledger.place('free', bytes);
    try {
      await this.#create(number, urgent);
    } catch (thrown) {
      await this.remove([this.#partialPathOf(number), this.pathOf(number)]);
      if (room === 'beyond') ledger.remove('free', bytes);
      else room[Symbol.dispose]();
      throw thrown;
    }
    if (room !== 'beyond') room.settle('free', bytes);
    return { number, bytes };
  }

  /** Throws the file away in the background. */
  discard(file: FreeFile): void {
    const discard = this.#discard(file).finally(() => this.#discards.delete(discard));
    this.#discards.add(discard);
  }

  /** Removes what may be there under these names; false: something may be left. */
  async remove(paths: readonly string[]): Promise<boolean> {
    let isGone = true;
    for (const path of paths) {
      try {
        await this.#parts.files.remove(path);
      } catch (thrown) {
        isGone = false;
        this.#parts.log.warn('a file that is not needed cannot be removed; the next start tries again', { path, reason: String(thrown) });
      }
    }
    return isGone;
  }

  /** Resolves when no file is being thrown away. */
  async idle(): Promise<void> {
    while (this.#discards.size > 0) await Promise.all(this.#discards);
  }

  async #create(number: number, urgent: AbortSignal): Promise<void> {
    const path = this.#partialPathOf(number);
    const file = await io('make a segment', this.#parts.files.createLog(path, fileMode));
    try {
      await this.#fill(file, urgent);
    } finally {
      await file[Symbol.asyncDispose]();
    }
    await io('make a segment', this.#parts.files.rename(path, this.pathOf(number)));
  }

  async #fill(file: LogFile, urgent: AbortSignal): Promise<void> {
    let at = 0;
    for (let zeros: Buffer | undefined; at < this.#segmentBytes && !urgent.aborted; at += zeros.byteLength) {
      zeros ??= Buffer.alloc(Math.min(zeroedBytes, this.#segmentBytes));
      await io('fill a new segment', file.write(zeros, at));
      try {
        await this.#parts.largeSyncs.syncAhead(file, zeros.byteLength, { signal: urgent });
      } catch (thrown) {
        if (CacheError.from(thrown).kind !== 'cancelled') throw thrown;
      }
    }
    if (at < this.#segmentBytes) await io('make a segment', file.truncate(this.#segmentBytes));
  }

  async #discard({ number, bytes }: FreeFile): Promise<void> {
    const { ledger, trash, log } = this.#parts;
    ledger.move('free', 'trash', bytes);
    try {
      // Whether the names are durable does not matter: what comes back is a free file again.
      await trash.take({ path: this.pathOf(number), allocatedBytes: bytes, unread: () => Promise.resolve() });
    } catch (thrown) {
      ledger.move('trash', 'free', bytes);
      log.warn('a free segment cannot be deleted; the next start tries again', { path: this.pathOf(number), reason: CacheError.from(thrown).message });
    }
  }

  #partialPathOf(number: number): string {
    return `${this.#directory}/${partialFreeFileName(number)}`;
  }
}
