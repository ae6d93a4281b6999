// Where the next segment comes from: files that were given up or made ahead, begun in the order that is safe, since no
// record may be acknowledged in a segment whose name or nonce may be lost. Room for one is kept for those without whom no
// room would ever be made.
import { assert } from '../base/assert.ts';
import { CacheError } from '../base/cache-error.ts';
import type { CallOptions } from '../base/call-options.ts';
import type { LogDirectory, LogFile } from '../base/log-files.ts';
import type { EnginePorts } from './engine-options.ts';
import type { Evictor } from './evictor.ts';
import { FreeFiles } from './free-files.ts';
import type { FreeFilesParts } from './free-files.ts';
import { encodeSegmentHeader, nonceBytes, segmentFileName, segmentHeaderBytes } from './segment-format.ts';
import type { StreamName } from './segment-format.ts';
import type { FreeFile } from './segment-mending.ts';
import type { SegmentRow, SegmentTable } from './segment-table.ts';
import type { SequenceNumbers } from './sequence-numbers.ts';
import type { SpaceLedger, SpaceReservation } from './space-ledger.ts';
import { SegmentStock } from './segment-stock.ts';
import { io } from './storage-error.ts';

/** Who asks: `internal` are tombstones, copies, commits and intents, without which no room would ever be made. */
export type Asker = 'external' | 'internal';

/** A segment without records; its name is durable and its row in the table. The caller closes the file. */
export interface BegunSegment {
  readonly row: SegmentRow;
  readonly file: LogFile;
}

export interface NextOptions extends CallOptions {
  /** Aborted once somebody waits for it: a file that has to be made is not filled any further. By default nobody does. */
  readonly urgent?: AbortSignal;
}

export interface SupplyPlace {
  /** `segments/`, absolute. It exists. */
  readonly directory: string;
  /** Of every segment that is begun from now on. */
  readonly segmentBytes: number;
}

export interface SupplyParts extends Pick<FreeFilesParts, 'largeSyncs' | 'trash'> {
  readonly table: SegmentTable;
  readonly ledger: SpaceLedger;
  readonly sequences: SequenceNumbers;
  readonly room: Pick<Evictor, 'freeSegment' | 'trim'>;
}

export type SupplyPorts = Pick<EnginePorts, 'files' | 'smallSyncs' | 'random' | 'wallClock' | 'monotonicClock' | 'log'>;

/** How often the room that was found may be taken by somebody else before a caller is told to come again. */
const triesMax = 16;
const busyRetryMs = 500;
const neverUrgent = new AbortController().signal;

export class SegmentSupply {
  readonly #place: SupplyPlace;
  readonly #parts: SupplyParts;
  readonly #ports: SupplyPorts;
  readonly #names: LogDirectory;
  readonly #free: FreeFiles;
  readonly #stock: SegmentStock;
  /** One at a time: ids of a stream rise in the order in which its segments are there, and an older one is gone before a younger goes. */
  #turn: Promise<unknown> = Promise.resolve();
  /** By ordinal: segments that have the name of a free file already, but not durably. */
  readonly #renamed = new Map<number, string>();
  readonly #reserveListeners: (() => void)[] = [];
  /** For those who make room; undefined: the last free file is, or nothing. */
  #kept: SpaceReservation | undefined;

  private constructor(place: SupplyPlace, parts: SupplyParts, ports: SupplyPorts, names: LogDirectory) {
    this.#place = place;
    this.#parts = parts;
    this.#ports = ports;
    this.#names = names;
    this.#free = new FreeFiles(place, { ...parts, files: ports.files, log: ports.log });
    this.#stock = new SegmentStock(
      {
        make: (room, urgent) => this.#free.make(room, urgent),
        put: (file) => this.#changeReserve(() => this.#free.put(file)),
        ledger: parts.ledger,
        clock: ports.monotonicClock,
        log: ports.log,
        freeCount: () => this.freeCount,
        onMissing: () => parts.room.trim(),
      },
      place.segmentBytes,
    );
  }

  /** @throws CacheError `unavailable`: the directory cannot be opened. */
  static async open(place: SupplyPlace, parts: SupplyParts, ports: SupplyPorts): Promise<SegmentSupply> {
    return new SegmentSupply(place, parts, ports, await io(`open ${place.directory}`, ports.files.openDirectory(place.directory)));
  }

  get segmentBytes(): number {
    return this.#place.segmentBytes;
  }

  /** Free files that anybody may have. */
  get freeCount(): number {
    return this.#kept === undefined ? Math.max(0, this.#free.count - 1) : this.#free.count;
  }

  /** Free files that are kept for the log, whoever else has no room; and how many of them are neither there nor being made. */
  get stock(): { readonly wantedCount: number; readonly missingCount: number } {
    return this.#stock;
  }

  /** There may be room for what is missing in the stock. */
  refill(): void {
    this.#stock.refill();
  }

  /** Room for a segment is kept for `internal` askers. While it is not, what they were given is for them alone. */
  get hasReserve(): boolean {
    return this.#kept !== undefined || this.#free.count > 0;
  }

  /** So much is reserved in the ledger for no write in particular. */
  get keptBytes(): number {
    return this.#kept?.bytes ?? 0;
  }

  /** Calls `changed` whenever `hasReserve` became true. For as long as this lives. */
  onReserve(changed: () => void): void {
    this.#reserveListeners.push(changed);
  }

  /** A free file that a start found; it counts as placed from here on. */
  adopt(number: number, bytes: number): void {
    this.#changeReserve(() => this.#free.adopt({ number, bytes }));
  }

  /**
   * Begins a segment. `external` waits for room; `internal` takes what is kept for it, and makes a file beyond the bound when
   * even that is in use.
   * @throws CacheError `disk_full`, `busy`, `unavailable`, `cancelled`.
   */
  async next(stream: StreamName, who: Asker, options?: NextOptions): Promise<BegunSegment> {
    this.prepare();
    const file = who === 'internal' ? await this.#reserved(options) : await this.#roomy(options);
    const begun = await this.#inTurn(() => this.#begin(stream, file));
    this.#stock.begun(stream);
    this.#stock.refill();
    return begun;
  }

  /**
   * Makes a free file of a segment in which nothing counts and that nobody uses, and releases its row. Resolves when its
   * name is durably gone. Its hint was removed before, and its handles are closed.
   * @throws CacheError `unavailable`: the row stays, and may be given back again.
   */
  giveBack(row: SegmentRow): Promise<void> {
    return this.#inTurn(() => this.#giveBack(row));
  }

  /** Keeps room for `internal` askers if there is some; else the next segment that is given back is for them. Touches no disk. */
  prepare(): void {
    if (!this.hasReserve) this.#changeReserve(() => (this.#kept = this.#parts.ledger.tryReserve(this.segmentBytes)));
  }

  /** Throws one free file away, in the background. False: there is none to spare. */
  dropFree(): boolean {
    const file = this.freeCount > 0 ? this.#free.take() : undefined;
    if (file === undefined) return false;
    this.#free.discard(file);
    return true;
  }

  /** Waits for what is under way. Nothing is asked of it any more. */
  async close(): Promise<void> {
    await this.#stock.close();
    await this.#turn;
    await this.#free.idle();
    await this.#names[Symbol.asyncDispose]();
    this.#kept?.[Symbol.dispose]();
  }

  async #reserved(options: NextOptions | undefined): Promise<FreeFile> {
    const file = this.#free.take();
    const room = this.#kept ?? 'beyond';
    if (file === undefined) this.#kept = undefined;
    this.prepare();
    return file ?? this.#make(room, options);
  }

  async #roomy(options: NextOptions | undefined): Promise<FreeFile> {
    const urgent = options?.urgent ?? neverUrgent;
    for (let tries = 0; tries < triesMax; tries += 1) {
      if (this.freeCount === 0 && (await this.#stock.next(urgent, options)) && this.freeCount === 0) continue;
      const room = await this.#parts.room.freeSegment(options);
      if (room !== 'free') return this.#make(room, options);
      const file = this.freeCount > 0 ? this.#free.take() : undefined;
      if (file !== undefined) return file;
    }
    throw new CacheError('busy', 'the store has no room at the moment: others were quicker to take what was freed', {
      details: [{ kind: 'retry_after', delayMs: busyRetryMs }],
    });
  }

  #make(room: SpaceReservation | 'beyond', options: NextOptions | undefined): Promise<FreeFile> {
    // Nobody will want it filled once its asker has gone; the store closes sooner.
    return this.#free.make(room, AbortSignal.any([options?.signal, options?.urgent].filter((signal) => signal !== undefined)));
  }

  /** Block, sync, name, sync of the directory: cut anywhere, it is a free file or an empty segment. */
  async #begin(stream: StreamName, free: FreeFile): Promise<BegunSegment> {
    const { table, ledger, sequences } = this.#parts;
    const { files, smallSyncs, random, wallClock } = this.#ports;
    const from = this.#free.pathOf(free.number);
    const { segmentBytes } = this;
    const [id, nonce, begunMs] = [table.takeId(), random.bytes(nonceBytes), Math.floor(wallClock.nowMs())];
    const path = `${this.#place.directory}/${segmentFileName(id, stream)}`;
    let file: LogFile | undefined;
    try {
      file = await io('open a free segment', files.openLog(from));
      if (file === undefined) throw new CacheError('unavailable', `cannot begin a segment: ${from} has vanished; nobody but Kiln may change the data directory`);
      // A segment that was found too short when Kiln started is a free file that is.
      if ((await io('look at a free segment', file.status())).sizeBytes !== segmentBytes) await io('begin a segment', file.truncate(segmentBytes));
      await io('begin a segment', file.write(encodeSegmentHeader({ stream, segmentBytes, id, nonce, firstSequence: sequences.next, begunMs }), 0));
      await io('sync a new segment', smallSyncs.sync(file.fd, 'data'));
      await io('name a new segment', files.rename(from, path));
      await io('sync the name of a new segment', smallSyncs.sync(this.#names.fd, 'names'));
    } catch (thrown) {
      await file?.[Symbol.asyncDispose]();
      // Which of its names it has is not known, nor whether it can be written; so it is nobody's any more.
      if (await this.#free.remove([from, path])) ledger.remove('free', segmentBytes);
      throw thrown;
    }
    ledger.move('free', 'segments', segmentBytes);
    const row = table.add({
      id, stream, nonce, segmentBytes, begunS: Math.floor(begunMs / 1000), state: 'open', endOffset: segmentHeaderBytes, records: 0, sealSequence: undefined,
    });
    return { row, file };
  }

  async #giveBack(row: SegmentRow): Promise<void> {
    const { table, ledger } = this.#parts;
    const { files, smallSyncs } = this.#ports;
    assert(row.liveCount === 0 && row.readers === 0 && row.removals === 0, 'a segment is given back when nobody needs it');
    assert(row.tombstones === 0 || table.oldest(row.stream) === row, 'what removes something goes after all that it removes');
    const number = this.#free.takeNumber();
    const path = this.#free.pathOf(number);
    const from = this.#renamed.get(row.ordinal) ?? `${this.#place.directory}/${segmentFileName(row.id, row.stream)}`;
    await io('give a segment up', files.rename(from, path));
    this.#renamed.set(row.ordinal, path);
    await io('sync that a segment is given up', smallSyncs.sync(this.#names.fd, 'names'));
    // Only from here on may its bytes be written over: before, a power cut could bring its name back.
    this.#renamed.delete(row.ordinal);
    ledger.move('segments', 'free', row.segmentBytes);
    table.release(row.ordinal);
    const file = { number, bytes: row.segmentBytes };
    if (row.hasFailed) this.#free.discard(file);
    else this.#changeReserve(() => this.#free.put(file));
  }

  #changeReserve(change: () => void): void {
    const hadReserve = this.hasReserve;
    change();
    if (this.hasReserve && !hadReserve) for (const changed of this.#reserveListeners) changed();
  }

  #inTurn<T>(task: () => Promise<T>): Promise<T> {
    const outcome = this.#turn.then(task);
    this.#turn = outcome.catch(() => undefined);
    return outcome;
  }
}
