// Segments of one stream, written from their first record to their seal in one go, by whoever has all records at hand and
// acknowledges none of them before the end. docs/formats/segments.md
import { join } from 'node:path';
import { crc32 } from 'node:zlib';
import { assert } from '../base/assert.ts';
import type { LogFile, LogFileSystem, SyncPort } from '../base/log-files.ts';
import type { Random } from '../base/random.ts';
import { aligned, recordBytes, writeHead } from './record-codec.ts';
import type { RecordHead } from './record-codec.ts';
import { encodeSegmentHeader, nonceBytes, nonceCrc, segmentBytesLeast, segmentFileName, segmentHeaderBytes } from './segment-format.ts';
import type { StreamName } from './segment-format.ts';
import { io } from './storage-error.ts';

/** A record without what its place decides. */
export type NewRecord = Omit<RecordHead, 'offset' | 'durableMark' | 'payloadBytes' | 'payloadCrc'> & { readonly payload: Uint8Array };

/** Ids and sequence numbers, the next ones; for all streams together. */
export interface Numbering {
  nextId: number;
  nextSequence: number;
}

export interface SealedSegmentsPorts {
  readonly files: LogFileSystem;
  readonly syncs: SyncPort;
  readonly random: Random;
}

export interface SealedSegmentsOptions {
  /** Where they go; it exists, and holds none of their names. */
  readonly directory: string;
  readonly stream: StreamName;
  /** Of each but the last. */
  readonly segmentBytes: number;
  /** The last one is as short as it can be, and no shorter than this. */
  readonly lastBytesLeast: number;
  /** Milliseconds since the Unix epoch. */
  readonly begunMs: number;
}

/** Written at once; no record is longer. */
const batchBytes = 2 ** 20;
const sealBytes = recordBytes(0, 0, 0);
const segmentMode = 0o600;

interface OpenSegment {
  readonly file: LogFile;
  readonly id: number;
  readonly nonce: Uint8Array;
  readonly nonceCrc: number;
  readonly firstSequence: number;
  records: number;
}

/** What records of so many bytes in all, none of them longer than `recordBytesMax`, take at most as segments. */
export function sealedSegmentsBytes(totalBytes: number, { segmentBytes, recordBytesMax }: { readonly segmentBytes: number; readonly recordBytesMax: number }): number {
  const usableBytes = segmentBytes - segmentHeaderBytes - sealBytes - recordBytesMax;
  assert(usableBytes > 0, 'a segment has room for more than one record');
  const full = Math.floor(totalBytes / usableBytes);
  return full * segmentBytes + wholeLength(segmentHeaderBytes + (totalBytes - full * usableBytes) + sealBytes, segmentBytesLeast);
}

/** Names of the segments are not synced; everything in them is once `end` resolves. */
export class SealedSegments implements AsyncDisposable {
  readonly #ports: SealedSegmentsPorts;
  readonly #options: SealedSegmentsOptions;
  readonly #numbering: Numbering;
  readonly #batch = Buffer.alloc(batchBytes);
  #batchedBytes = 0;
  /** Where the batch begins in the segment. */
  #batchOffset = segmentHeaderBytes;
  #open: OpenSegment | undefined;

  constructor(ports: SealedSegmentsPorts, options: SealedSegmentsOptions, numbering: Numbering) {
    this.#ports = ports;
    this.#options = options;
    this.#numbering = numbering;
  }

  /** The next record. What it is made of may change afterwards. @throws CacheError `disk_full`, `unavailable`. */
  async append({ payload, ...record }: NewRecord): Promise<void> {
    const bytes = recordBytes(record.hash.byteLength, Buffer.byteLength(record.instance), payload.byteLength);
    assert(bytes <= batchBytes, 'a record fits into a batch');
    if (this.#endOffset + bytes + sealBytes > this.#options.segmentBytes) await this.#seal();
    if (this.#batchedBytes + bytes > batchBytes) await this.#flush();
    this.#open ??= await this.#begin();
    const at = this.#batchedBytes;
    // Nothing was synced yet but what stands before every record: that all is durable is for the seal to say.
    const head: RecordHead = { ...record, offset: this.#endOffset, durableMark: segmentHeaderBytes, payloadBytes: payload.byteLength, payloadCrc: crc32(payload) };
    const payloadAt = writeHead(this.#batch, at, head, this.#open.nonceCrc);
    this.#batch.set(payload, payloadAt);
    this.#batch.fill(0, payloadAt + payload.byteLength, payloadAt + aligned(payload.byteLength));
    this.#batchedBytes += bytes;
    this.#open.records += 1;
  }

  /** Seals what is open. Once, after the last record. @throws as `append`. */
  async end(): Promise<void> {
    if (this.#open !== undefined) await this.#seal();
  }

  /** Closes what was left in the middle. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.#open?.file[Symbol.asyncDispose]();
    this.#open = undefined;
  }

  get #endOffset(): number {
    return this.#batchOffset + this.#batchedBytes;
  }

  async #begin(): Promise<OpenSegment> {
    const { files, random } = this.#ports;
    const id = this.#numbering.nextId;
    this.#numbering.nextId += 1;
    const nonce = random.bytes(nonceBytes);
    const file = await io('create a segment', files.createLog(join(this.#options.directory, segmentFileName(id, this.#options.stream)), segmentMode));
    return { file, id, nonce, nonceCrc: nonceCrc(nonce), firstSequence: this.#numbering.nextSequence, records: 0 };
  }

  async #flush(): Promise<void> {
    if (this.#open === undefined || this.#batchedBytes === 0) return;
    await io('write a segment', this.#open.file.write(this.#batch.subarray(0, this.#batchedBytes), this.#batchOffset));
    this.#batchOffset += this.#batchedBytes;
    this.#batchedBytes = 0;
  }

  /** Gives the segment its length and the block at its beginning, and the seal once all of it is durable. */
  async #seal(): Promise<void> {
    await this.#flush();
    const open = this.#open;
    assert(open !== undefined, 'only what was begun is sealed');
    const { file, id, nonce, firstSequence } = open;
    const { stream, begunMs } = this.#options;
    const endOffset = this.#batchOffset;
    const segmentBytes = Math.min(this.#options.segmentBytes, wholeLength(endOffset + sealBytes, this.#options.lastBytesLeast));
    await this.#fill(file, endOffset, segmentBytes);
    await io('write a segment', file.write(encodeSegmentHeader({ stream, segmentBytes, id, nonce, firstSequence, begunMs }), 0));
    await io('sync a segment', this.#ports.syncs.sync(file.fd, 'data'));
    await io('write a segment', file.write(this.#sealRecord(open, endOffset), endOffset));
    await io('sync a segment', this.#ports.syncs.sync(file.fd, 'data'));
    await file[Symbol.asyncDispose]();
    this.#open = undefined;
    this.#batchOffset = segmentHeaderBytes;
  }

  /** Zeros, so that the file has its blocks whoever uses it again. */
  async #fill(file: LogFile, from: number, to: number): Promise<void> {
    this.#batch.fill(0);
    for (let at = from; at < to; at += batchBytes) {
      await io('write a segment', file.write(this.#batch.subarray(0, Math.min(batchBytes, to - at)), at));
    }
  }

  #sealRecord({ records, nonceCrc: crc }: OpenSegment, offset: number): Buffer {
    const seal = Buffer.alloc(sealBytes);
    const sequence = this.#numbering.nextSequence;
    this.#numbering.nextSequence += 1;
    const head: RecordHead = {
      kind: 'seal', functionNumber: 0, isPointer: false, isCopy: false, hash: new Uint8Array(0), instance: '',
      logicalBytes: records, sequence, offset, durableMark: offset, usedAtS: 0, payloadBytes: 0, payloadCrc: 0,
    };
    writeHead(seal, 0, head, crc);
    return seal;
  }
}

/** The length of the shortest segment, from `least` on, that holds so many bytes. */
function wholeLength(bytes: number, least: number): number {
  return Math.max(least, 2 ** Math.ceil(Math.log2(bytes)));
}
