// Files on their way out: a rename takes the name away at once, what the file takes on the disk goes in the background, one
// file at a time and in steps, since a large unlink holds up the syncs of everybody else. docs/formats/data-directory.md
import { dirname, join } from 'node:path';
import { CacheError } from '../base/cache-error.ts';
import type { Timers } from '../base/clock.ts';
import type { LogFile, LogFileSystem } from '../base/log-files.ts';
import type { Log } from '../base/log.ts';
import { Semaphore } from '../base/semaphore.ts';
import { allocatedBytes } from './allocated-bytes.ts';
import type { DurableDirectories } from './durable-directories.ts';
import type { LargeSyncs } from './large-syncs.ts';
import type { SpaceLedger } from './space-ledger.ts';
import { io, systemCode } from './storage-error.ts';

/** A file to be thrown away. */
export interface Discarded {
  readonly path: string;
  /** As it counts in the ledger, under `trash`; taken off as the disk gets it back. */
  readonly allocatedBytes: number;
  /** Asked once the name is gone: resolves when nobody reads the file any more. It is not made shorter before that. */
  readonly unread: () => Promise<void>;
}

/** What became of a file that was to go. */
export interface Taken {
  /** False: there was no file of that name. */
  readonly wasThere: boolean;
  /** Why the directories could not be synced: after a power cut the file may stand under its old name. Undefined: it cannot. */
  readonly unsynced: CacheError | undefined;
}

/**
 *   read ── nobody reads it any more ──▶ going ── deleted ──▶ gone
 *                                       │   ▲
 *                         the disk refuses  a minute later
 *                                       ▼   │
 *                                      refused
 */
type DoomedState = 'read' | 'going' | 'refused';

/** A file in here. */
interface DoomedFile {
  readonly path: string;
  state: DoomedState;
  /** As it counts in the ledger still. */
  leftBytes: number;
  /** How often the disk has not deleted it. */
  refusals: number;
}

export interface TrashPorts {
  readonly files: LogFileSystem;
  readonly directories: DurableDirectories;
  readonly ledger: SpaceLedger;
  /** Deletions take turns with syncs of large content. */
  readonly largeSyncs: Pick<LargeSyncs, 'deletion'>;
  readonly timers: Timers;
  readonly log: Log;
}

/** So much is given back at once: an unlink of 64 MiB takes up to 40 ms, and whoever syncs meanwhile waits as long. */
export const shrinkStepBytes = 2 * 1_048_576;
/** Between two steps: others have their turn at the disk, and still a GiB is gone within two seconds. */
const shrinkPauseMs = 1;
/** How soon what the disk did not delete is tried again. */
const retryMs = 60_000;
/** So many in a row: then the disk deletes nothing, and more of the same would not help. */
const refusalsMax = 8;
/** While it is made shorter. Its owner's, and by then nobody's but ours. */
const writableMode = 0o600;
const directoryName = 'trash';
/** Each file in line is one on the disk, so the bound of the store bounds them. */
const waitersMax = Number.MAX_SAFE_INTEGER;

export class Trash {
  readonly #ports: TrashPorts;
  readonly #directory: string;
  readonly #lane = new Semaphore('files that are deleted', { permitsMax: 1, waitersMax });
  readonly #running = new Set<Promise<void>>();
  readonly #listeners = new Set<() => void>();
  readonly #retries = new Set<Disposable>();
  /** Of what is on its way here. */
  #takenBytes = 0;
  readonly #bytes: Record<DoomedState, number> = { read: 0, going: 0, refused: 0 };
  /** Since the disk has deleted anything. */
  #refusalsInRow = 0;
  /** Names of this run; those of runs before are gone. */
  #count = 0;
  #closing = false;

  private constructor(ports: TrashPorts, directory: string) {
    this.#ports = ports;
    this.#directory = directory;
  }

  /**
   * Makes the directory below `root` and empties it. Nothing is made shorter: after a power cut a name here may be the second one
   * of a file that counts. @throws CacheError `unavailable`.
   */
  static async open(root: string, ports: TrashPorts): Promise<Trash> {
    const directory = join(root, directoryName);
    const { files, directories, log } = ports;
    await directories.ensure(directory);
    // After a kill only the page cache may know that a file has left its old name for one here.
    await directories.sync(directory);
    let found = 0;
    for (const { name, kind } of (await io('list the trash', files.list(directory))) ?? []) {
      if (kind !== 'file') log.warn('the trash holds what Kiln did not put there; it is left alone', { path: join(directory, name) });
      else if (await io('empty the trash', files.remove(join(directory, name)))) found += 1;
    }
    if (found > 0) log.info('emptied the trash of the run before', { files: found });
    return new Trash(ports, directory);
  }

  /**
   * Moves the file here, and makes durable that it has left its name. Only for what a record in the log says is to go.
   * @throws CacheError `unavailable`: it could not be moved, and is where it was.
   */
  async take(file: Discarded): Promise<Taken> {
    const { directories } = this.#ports;
    using _taking = this.#taking(file);
    const path = await this.#move(file.path);
    let unsynced: CacheError | undefined;
    try {
      // Where there was no file, somebody else may have removed it a moment ago.
      await Promise.all([directories.syncRemoval(dirname(file.path)), directories.sync(this.#directory)]);
    } catch (thrown) {
      unsynced = CacheError.from(thrown);
    }
    this.#taken(path, file);
    return { wasThere: path !== undefined, unsynced };
  }

  /** Throws away what no start would take for anything: a part of an upload. Never throws; what cannot be moved stays, and counts. */
  async drop(file: Discarded): Promise<void> {
    using _taking = this.#taking(file);
    try {
      this.#taken(await this.#move(file.path), file);
    } catch (thrown) {
      this.#ports.log.error('a file that is not needed any more could not be moved to the trash; the next start removes it', thrown, { path: file.path });
    }
  }

  /** What the disk will give back without anybody's doing: all that nobody reads. What a disk that deletes other files has refused is not waited for. */
  get comingBytes(): number {
    return this.#takenBytes + this.#bytes.going + (this.#refusalsInRow < refusalsMax ? 0 : this.#bytes.refused);
  }

  /** Resolves when all that was taken so far is gone from the disk, or has to be tried again. */
  async idle(): Promise<void> {
    while (this.#running.size > 0) await Promise.all(this.#running);
  }

  /** Calls `freed` whenever the disk has got back more of it, a step of a large file included, until disposed. */
  onFreed(freed: () => void): Disposable {
    this.#listeners.add(freed);
    return { [Symbol.dispose]: () => void this.#listeners.delete(freed) };
  }

  /** Begins no further deletion, and waits for the step that is under way. The next start deletes the rest. */
  async close(): Promise<void> {
    this.#closing = true;
    for (const retry of this.#retries) retry[Symbol.dispose]();
    using _turn = await this.#lane.acquire();
  }

  /** Gives the name in here; undefined: there was no such file. */
  async #move(path: string): Promise<string | undefined> {
    const { files } = this.#ports;
    this.#count += 1;
    const target = join(this.#directory, String(this.#count));
    try {
      await io('move a file to the trash', files.rename(path, target));
      return target;
    } catch (thrown) {
      if (systemCode(thrown) !== 'ENOENT') throw thrown;
      if ((await io('look for a file', files.status(path))) === undefined) return undefined;
      this.#ports.directories.forget(this.#directory); // somebody removed it; whoever comes next makes it again
      throw thrown;
    }
  }

  #taking({ allocatedBytes }: Discarded): Disposable {
    this.#takenBytes += allocatedBytes;
    return { [Symbol.dispose]: () => void (this.#takenBytes -= allocatedBytes) };
  }

  /** @param path undefined: there was no file. */
  #taken(path: string | undefined, { allocatedBytes: leftBytes, unread }: Discarded): void {
    if (path === undefined) return this.#gaveBack(leftBytes);
    this.#bytes.read += leftBytes;
    this.#run({ path, state: 'read', leftBytes, refusals: 0 }, unread());
  }

  #run(doomed: DoomedFile, unread: Promise<void>): void {
    const running = this.#delete(doomed, unread)
      .catch((thrown: unknown) => this.#deleteLater(doomed, thrown))
      .finally(() => void this.#running.delete(running));
    this.#running.add(running);
  }

  #deleteLater(doomed: DoomedFile, thrown: unknown): void {
    this.#become(doomed, 'refused');
    doomed.refusals += 1;
    this.#refusalsInRow += 1;
    if (doomed.refusals === 1) this.#ports.log.error('a file in the trash could not be deleted; it is tried again every minute, and by the next start', thrown, { path: doomed.path });
    if (this.#closing) return;
    const retry = this.#ports.timers.after(retryMs, () => {
      this.#retries.delete(retry);
      this.#run(doomed, Promise.resolve());
    });
    this.#retries.add(retry);
  }

  async #delete(doomed: DoomedFile, unread: Promise<void>): Promise<void> {
    await unread;
    this.#become(doomed, 'going');
    using _turn = await this.#lane.acquire();
    if (this.#closing) return;
    await this.#shrink(doomed);
    if (this.#closing) return;
    await this.#ports.largeSyncs.deletion(() => io('delete a file', this.#ports.files.remove(doomed.path)));
    this.#refusalsInRow = 0;
    this.#free(doomed, doomed.leftBytes);
  }

  #become(doomed: DoomedFile, state: DoomedState): void {
    this.#bytes[doomed.state] -= doomed.leftBytes;
    this.#bytes[state] += doomed.leftBytes;
    doomed.state = state;
  }

  #free(doomed: DoomedFile, bytes: number): void {
    this.#bytes[doomed.state] -= bytes;
    doomed.leftBytes -= bytes;
    this.#gaveBack(bytes);
  }

  #gaveBack(bytes: number): void {
    this.#ports.ledger.remove('trash', bytes);
    for (const freed of this.#listeners) freed();
  }

  /** What cannot be made shorter is unlinked all the same. */
  async #shrink(doomed: DoomedFile): Promise<void> {
    const { path } = doomed;
    if (doomed.leftBytes <= shrinkStepBytes) return;
    try {
      await using file = await this.#openSole(path);
      if (file === undefined) return;
      let { sizeBytes } = await file.status();
      while (sizeBytes > shrinkStepBytes && !this.#closing) {
        sizeBytes -= shrinkStepBytes;
        const length = sizeBytes;
        await this.#ports.largeSyncs.deletion(() => file.truncate(length));
        this.#free(doomed, doomed.leftBytes - Math.min(doomed.leftBytes, allocatedBytes(sizeBytes)));
        await this.#pause();
      }
    } catch (thrown) {
      this.#ports.log.warn('a file in the trash could not be made shorter; it is deleted in one go', { path, reason: String(thrown) });
    }
  }

  /** Undefined: another name is linked to the file, whose bytes are that one's too (K1-18). Nobody makes links from here. */
  async #openSole(path: string): Promise<LogFile | undefined> {
    const { files } = this.#ports;
    await using readable = await files.openLog(path, 'read');
    if (readable === undefined || (await readable.status()).links !== 1) return undefined;
    await readable.setMode(writableMode);
    return await files.openLog(path);
  }

  #pause(): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#ports.timers.after(shrinkPauseMs, resolve);
    return promise;
  }
}
