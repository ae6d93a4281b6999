// What a start changes in `segments/` once everything there was read: damage goes to quarantine, segments that were being
// written are ended, and what nobody needs is removed. Each step may be repeated by the next start.
import { join } from 'node:path';
import type { LogFileSystem, SyncPort } from '../base/log-files.ts';
import type { Log } from '../base/log.ts';
import { damageName, keepDamaged } from './damaged-bytes.ts';
import { recordFixedBytes, writeHead } from './record-codec.ts';
import type { RecordHead } from './record-codec.ts';
import { openFound, reading } from './segment-finding.ts';
import type { FoundSegment } from './segment-finding.ts';
import { freeFileName } from './segment-format.ts';
import type { ListedSegment } from './segment-listing.ts';
import type { SegmentEnd } from './segment-reader.ts';
import type { SegmentRow } from './segment-table.ts';
import { io } from './storage-error.ts';

/** Keeps what is wrong for whoever wants to find out why. Bounded, so it may keep nothing. */
export interface DamageKeeping {
  /** A copy of `bytes` as `quarantine/<name>`. False: it is there already, or there is no room. @throws CacheError */
  keep(name: string, bytes: Uint8Array): Promise<boolean>;
  /** The file at `path` becomes `quarantine/<name>`, durably, or is removed where there is no room. @throws CacheError */
  take(path: string, name: string, sizeBytes: number): Promise<unknown>;
}

export type WrongSegment = Extract<FoundSegment, { readonly kind: 'wrong' }>;

/** A segment whose records were taken in. */
export interface ReadSegment {
  readonly listed: ListedSegment;
  readonly row: SegmentRow;
  /** Of its file. */
  readonly sizeBytes: number;
  readonly end: SegmentEnd;
}

/** A file that may become a segment. */
export interface FreeFile {
  readonly number: number;
  readonly bytes: number;
}

export interface MendingPorts {
  readonly files: Pick<LogFileSystem, 'openLog' | 'rename' | 'remove'>;
  readonly syncs: SyncPort;
  readonly damage: DamageKeeping;
  readonly log: Log;
}

export interface SealStamp {
  readonly sequence: number;
  readonly nowS: number;
}

/** Of each damaged place; enough to see what happened there. */
const keptDamageBytesMax = 4_194_304;

export class SegmentMending {
  readonly #ports: MendingPorts;
  readonly #directory: string;
  #isClean = true;
  #haveNamesChanged = false;

  /** @param directory `segments/`. */
  constructor(ports: MendingPorts, directory: string) {
    this.#ports = ports;
    this.#directory = directory;
  }

  /** Nothing was changed. */
  get isClean(): boolean {
    return this.#isClean;
  }

  /** The directory is to be synced. */
  get haveNamesChanged(): boolean {
    return this.#haveNamesChanged;
  }

  /** Files that cannot be read as the segments that they are named. @returns those that may become segments, from `firstNumber` on. */
  async setApart(wrong: readonly WrongSegment[], firstNumber: number): Promise<readonly FreeFile[]> {
    const { files, damage, log } = this.#ports;
    const free: FreeFile[] = [];
    for (const { listed, sizeBytes, reason, isBlank } of wrong) {
      const path = join(this.#directory, listed.name);
      this.#isClean = false;
      this.#haveNamesChanged = true;
      if (isBlank) {
        // It was synced with its block before it got its name.
        log.error(`segments/${listed.name} is empty, where Kiln has left a segment: ${reason}; what stood in it is lost`, undefined, { bytes: sizeBytes });
        const number = firstNumber + free.length;
        await io(`rename segments/${listed.name}`, files.rename(path, join(this.#directory, freeFileName(number))));
        free.push({ number, bytes: sizeBytes });
      } else {
        log.error(`segments/${listed.name} is damaged as a whole and goes to quarantine/: ${reason}; what stood in it is lost`, undefined, { bytes: sizeBytes });
        await damage.take(path, damageName({ segmentId: listed.id, offset: 0 }), sizeBytes);
      }
    }
    return free;
  }

  async keepDamage(read: readonly ReadSegment[]): Promise<void> {
    const { damage: keeping, log } = this.#ports;
    for (const { listed, end } of read) {
      if (lacksRecords(end)) log.error(`the seal of segments/${listed.name} says ${end.sealedRecords} records, and ${end.records} are right; the others are lost`);
      if (end.damage.length === 0) continue;
      await using file = await openFound(this.#ports.files, join(this.#directory, listed.name), 'read');
      for (const { from, to } of end.damage) {
        const bytes = Buffer.allocUnsafe(Math.min(to - from, keptDamageBytesMax));
        const count = await reading(listed.name, file.read(bytes, from));
        const isNew = await keepDamaged({ keeping, log }, { segmentId: listed.id, offset: from, bytes: bytes.subarray(0, count) });
        if (isNew) this.#isClean = false;
        log.error(`segments/${listed.name} is damaged from ${from} to ${to}; what stood there is lost`, undefined, { bytes: to - from, isNew });
      }
    }
  }

  /**
   * Says where a segment ends, durably: whatever stands behind is never looked at again, and nothing is written to it any more.
   * False: there is no room to say so.
   */
  async seal({ listed: { name }, row, end, sizeBytes }: ReadSegment, { sequence, nowS }: SealStamp): Promise<boolean> {
    const { files, syncs, log } = this.#ports;
    await using file = await openFound(files, join(this.#directory, name));
    if (end.isCut) {
      log.error(`segments/${name} has ${sizeBytes} of its ${row.segmentBytes} bytes: it was cut, and what stood behind is lost`, undefined, { bytes: row.segmentBytes - sizeBytes });
      await io(`make segments/${name} as long as it was`, file.truncate(row.segmentBytes));
    }
    // What was found comes first: after a kill it may be in the page cache alone, and the seal says that it is durable. It is
    // written again, since where a sync of it has failed before, the system takes it for written and would sync nothing.
    const unsure = Buffer.allocUnsafe(end.endOffset - end.durableMark);
    const count = await reading(name, file.read(unsure, end.durableMark));
    if (count > 0) await io(`write segments/${name} again`, file.write(unsure.subarray(0, count), end.durableMark));
    await io(`sync segments/${name}`, syncs.sync(file.fd, 'data'));
    if (end.endOffset + recordFixedBytes > row.segmentBytes) {
      log.warn(`segments/${name} has no room for a seal; each start reads it until it is given up`);
      return false;
    }
    await io(`seal segments/${name}`, file.write(sealOf(row, sequence, nowS), end.endOffset));
    await io(`sync segments/${name}`, syncs.sync(file.fd, 'data'));
    row.endOffset = end.endOffset + recordFixedBytes;
    row.durableOffset = row.endOffset;
    row.sealSequence = sequence;
    this.#isClean = false;
    return true;
  }

  async remove(names: readonly string[]): Promise<void> {
    for (const name of names) {
      await io(`remove segments/${name}`, this.#ports.files.remove(join(this.#directory, name)));
      this.#isClean = false;
      this.#haveNamesChanged = true;
    }
  }
}

/** The seal says that there were more. */
export function lacksRecords({ sealedRecords, records }: SegmentEnd): boolean {
  return sealedRecords !== undefined && sealedRecords > records;
}

function sealOf(row: SegmentRow, sequence: number, nowS: number): Buffer {
  const head: RecordHead = {
    kind: 'seal', functionNumber: 0, isPointer: false, isCopy: false, hash: new Uint8Array(0), instance: '', logicalBytes: row.records,
    sequence, offset: row.endOffset, durableMark: row.endOffset, usedAtS: nowS, payloadBytes: 0, payloadCrc: 0,
  };
  const seal = Buffer.alloc(recordFixedBytes);
  writeHead(seal, 0, head, row.nonceCrc);
  return seal;
}
