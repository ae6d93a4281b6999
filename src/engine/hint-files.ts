// The hints that are on the disk: files beside their segments, and the room that they take. Nothing is synced: a power cut takes a
// hint, or parts of it, and its checksums tell. docs/formats/hints.md
import { join } from 'node:path';
import type { LogFile, LogFileSystem } from '../base/log-files.ts';
import type { Log } from '../base/log.ts';
import { hintFileName, partialHintFileName } from './segment-format.ts';
import type { SegmentRow } from './segment-table.ts';
import type { SpaceLedger } from './space-ledger.ts';
import { io } from './storage-error.ts';

export interface HintFilesPorts {
  readonly files: Pick<LogFileSystem, 'createLog' | 'openLog' | 'createExclusive' | 'rename' | 'remove' | 'discard'>;
  readonly log: Log;
}

const hintMode = 0o600;

/** One change of a hint at a time. */
export class HintFiles {
  readonly #ports: HintFilesPorts;
  readonly #ledger: SpaceLedger;
  readonly #directory: string;
  /** Bytes of each; at most all segments. */
  readonly #bytes = new Map<SegmentRow, number>();

  /** @param directory `segments/` of the data directory. */
  constructor(ports: HintFilesPorts, ledger: SpaceLedger, directory: string) {
    this.#ports = ports;
    this.#ledger = ledger;
    this.#directory = directory;
  }

  /** A start has found it. */
  found(row: SegmentRow, bytes: number): void {
    this.#ledger.place('hints', bytes);
    this.#bytes.set(row, bytes);
  }

  /** Puts a block behind those that are there. False: there is no room for it. @throws what the system says; there is no hint then. */
  async append(row: SegmentRow, block: Uint8Array): Promise<boolean> {
    using room = this.#reserve(row, block.byteLength);
    if (room === undefined) return false;
    const before = this.#bytes.get(row) ?? 0;
    try {
      await using file = await this.#open(row, before > 0);
      await file.write(block, before);
    } catch (thrown) {
      // How much of the block is there nobody knows.
      await this.#ports.files.discard(this.#pathOf(row));
      this.#forget(row);
      throw thrown;
    }
    room.settle('hints', block.byteLength);
    this.#bytes.set(row, before + block.byteLength);
    return true;
  }

  /** In the place of what is there. False: there is no room. @throws what the system says; what was there stays. */
  async replace(row: SegmentRow, hint: Uint8Array): Promise<boolean> {
    const { files } = this.#ports;
    using room = this.#reserve(row, hint.byteLength);
    if (room === undefined) return false;
    const partial = join(this.#directory, partialHintFileName(row.id));
    await files.discard(partial);
    try {
      await writeFile(files, partial, hint);
      await files.rename(partial, this.#pathOf(row));
    } catch (thrown) {
      await files.discard(partial);
      throw thrown;
    }
    room.settle('hints', hint.byteLength);
    this.#forget(row);
    this.#bytes.set(row, hint.byteLength);
    return true;
  }

  /** @throws CacheError `unavailable`. */
  async remove(row: SegmentRow): Promise<void> {
    if (!this.#bytes.has(row)) return;
    await io('remove a hint', this.#ports.files.remove(this.#pathOf(row)));
    this.#forget(row);
  }

  #reserve(row: SegmentRow, bytes: number) {
    const room = this.#ledger.tryReserve(bytes);
    if (room === undefined) this.#ports.log.debug('there is no room for the hint of a segment; the next start takes longer', { segment: row.id, bytes });
    return room;
  }

  async #open(row: SegmentRow, isThere: boolean): Promise<LogFile> {
    const path = this.#pathOf(row);
    const file = await (isThere ? this.#ports.files.openLog(path) : this.#ports.files.createLog(path, hintMode));
    if (file === undefined) throw new Error(`${path} is gone: something else removes files from this directory`);
    return file;
  }

  #forget(row: SegmentRow): void {
    this.#ledger.remove('hints', this.#bytes.get(row) ?? 0);
    this.#bytes.delete(row);
  }

  #pathOf(row: SegmentRow): string {
    return join(this.#directory, hintFileName(row.id));
  }
}

async function writeFile(files: HintFilesPorts['files'], path: string, bytes: Uint8Array): Promise<void> {
  await using file = await files.createExclusive(path);
  await file.write(bytes);
}
