// The log of blobs as large files see it, as simple as can be: real records in files of their own, one for each life of the
// process and one more after each failure, read up to the first hole. For tests of what is built on a log; the real one has
// segments, hints, copies and bounds besides.
import { crc32 } from 'node:zlib';
import { assert } from '../base/assert.ts';
import { CacheError } from '../base/cache-error.ts';
import type { LogFile, LogFileSystem, SyncPort } from '../base/log-files.ts';
import type { NextTurn } from '../base/clock.ts';
import type { MaybePromise } from '../base/maybe-promise.ts';
import type { SyncOutcome } from '../engine/group-sync.ts';
import { hintEntryOf } from '../engine/hint-format.ts';
import type { HintEntry } from '../engine/hint-format.ts';
import type { RoomClaim } from '../engine/log-claims.ts';
import type { Appended, AppendRequest } from '../engine/append-request.ts';
import { decodeHead, payloadIsRight, recordBytes, writeHead } from '../engine/record-codec.ts';
import type { RecordHead } from '../engine/record-codec.ts';
import { nonceCrc, segmentHeaderBytes } from '../engine/segment-format.ts';
import type { SegmentRow, SegmentTable } from '../engine/segment-table.ts';
import type { Settled } from '../engine/unsettled-records.ts';

export interface SimpleLogPorts {
  readonly files: LogFileSystem;
  readonly syncs: SyncPort;
  readonly nextTurn: NextTurn;
}

export interface SimpleLogPlace {
  readonly directory: string;
  /** What is found is not made durable: what a broken start does. */
  readonly isUnsynced: boolean;
}

/** A record that was found. */
export interface FoundHistory {
  readonly row: SegmentRow;
  readonly head: RecordHead;
  readonly entry: HintEntry;
}

interface Unsettled {
  readonly record: Buffer;
  readonly settled: Settled | undefined;
  readonly file: OpenLogFile;
}

interface OpenLogFile {
  readonly row: SegmentRow;
  readonly file: LogFile;
  hasFailed: boolean;
}

interface OpenedLog {
  readonly directory: string;
  readonly table: SegmentTable;
  readonly current: OpenLogFile;
  /** The last that is in use. */
  readonly sequence: number;
}

const fileBytes = 2 ** 26;
const claimTotal = 1 << 20;

export class SimpleFileLog {
  readonly #ports: SimpleLogPorts;
  readonly #directory: string;
  readonly #table: SegmentTable;
  #current: OpenLogFile;
  #next: Promise<OpenLogFile> | undefined;
  #unwritten: Unsettled[] = [];
  #isRunning = false;
  #sequence: number;
  /** What was appended, in order: kinds, and of tombstones what they remove. */
  readonly appended: string[] = [];
  /** Told as durable at once, though it is not: what a broken writer does. */
  toldEarly: (request: AppendRequest) => boolean = () => false;
  /** Waited for before a claim is given. */
  beforeClaim: () => Promise<void> | undefined = () => undefined;
  /** How many claims are out. */
  claims = 0;

  private constructor(ports: SimpleLogPorts, opened: OpenedLog) {
    this.#ports = ports;
    this.#directory = opened.directory;
    this.#table = opened.table;
    this.#current = opened.current;
    this.#sequence = opened.sequence;
  }

  /** Reads what earlier lives left, in order, makes that durable, and begins a file of its own. `directory` exists. */
  static async open(ports: SimpleLogPorts, { directory, isUnsynced }: SimpleLogPlace, table: SegmentTable): Promise<{ readonly log: SimpleFileLog; readonly found: readonly FoundHistory[] }> {
    if (!isUnsynced) await ports.files.syncDirectory(directory);
    const names = ((await ports.files.list(directory)) ?? []).map(({ name }) => name).toSorted((a, b) => Number(a) - Number(b));
    const found: FoundHistory[] = [];
    let sequence = 0;
    for (const name of names) {
      found.push(...(await readLog(ports, { directory, isUnsynced }, name, table)));
      table.skipIds(Number(name) + 1);
    }
    for (const { head } of found) sequence = Math.max(sequence, head.sequence);
    const current = await begin(ports, directory, table);
    return { log: new SimpleFileLog(ports, { directory, table, current, sequence }), found };
  }

  claim(recordBytesClaimed: number): MaybePromise<RoomClaim> {
    const wait = this.beforeClaim() ?? this.#next;
    return wait === undefined ? this.#claim(recordBytesClaimed) : this.#claimLater(recordBytesClaimed, wait);
  }

  append(_claim: RoomClaim, request: AppendRequest, settled?: Settled): Appended {
    const current = this.#current;
    const { row } = current;
    const { kind, functionNumber, hash, instance, logicalBytes, usedAtS, payload } = request;
    const sequence = request.sequence ?? (this.#sequence += 1);
    const bytes = recordBytes(hash.byteLength, 0, payload.byteLength);
    const record = Buffer.alloc(bytes);
    const offset = row.endOffset;
    const head: RecordHead = {
      kind, functionNumber, isPointer: false, isCopy: false, hash, instance, logicalBytes, sequence, offset,
      durableMark: row.durableOffset, usedAtS, payloadBytes: payload.byteLength, payloadCrc: crc32(payload),
    };
    record.set(payload, writeHead(record, 0, head, row.nonceCrc));
    row.endOffset += bytes;
    this.appended.push(wordOf(request));
    const early = this.toldEarly(request);
    this.#unwritten.push({ record, settled: early ? undefined : settled, file: current });
    if (early) queueMicrotask(() => settled?.({ kind: 'durable' }));
    if (!this.#isRunning) void this.#run();
    return { segment: row.ordinal, offset, bytes, sequence };
  }

  /** Resolves when nothing is unsynced. */
  async idle(): Promise<void> {
    while (this.#isRunning) await this.#ports.nextTurn();
  }

  async close(): Promise<void> {
    await this.idle();
    await this.#current.file[Symbol.asyncDispose]();
  }

  async #claimLater(recordBytesClaimed: number, wait: Promise<unknown>): Promise<RoomClaim> {
    await wait;
    if (this.#next !== undefined) this.#current = await this.#next;
    return this.#claim(recordBytesClaimed);
  }

  #claim(recordBytesClaimed: number): RoomClaim {
    assert(recordBytesClaimed < claimTotal, 'claims are small');
    this.claims += 1;
    let isOpen = true;
    return {
      bytes: recordBytesClaimed,
      [Symbol.dispose]: () => {
        if (isOpen) this.claims -= 1;
        isOpen = false;
      },
    };
  }

  async #run(): Promise<void> {
    this.#isRunning = true;
    while (this.#unwritten.length > 0) {
      await this.#ports.nextTurn();
      const batch = this.#unwritten;
      this.#unwritten = [];
      const outcome = await this.#write(batch);
      if (outcome.kind === 'failed') {
        batch.push(...this.#unwritten);
        this.#unwritten = [];
      }
      for (const { settled } of batch) settled?.(outcome);
    }
    this.#isRunning = false;
  }

  async #write(batch: readonly Unsettled[]): Promise<SyncOutcome> {
    const [first] = batch;
    assert(first !== undefined, 'a batch is not empty');
    const { file, row } = first.file;
    try {
      const bytes = batch.reduce((sum, { record }) => sum + record.byteLength, 0);
      file.writeNow(batch.map(({ record }) => record), row.durableOffset);
      await this.#ports.syncs.sync(file.fd, 'data');
      row.durableOffset += bytes;
      return { kind: 'durable' };
    } catch (thrown) {
      first.file.hasFailed = true;
      this.#next = begin(this.#ports, this.#directory, this.#table);
      this.#current = await this.#next;
      this.#next = undefined;
      return { kind: 'failed', cause: new CacheError('unavailable', 'the log failed', { cause: thrown }) };
    }
  }
}

function wordOf({ kind, payload }: AppendRequest): string {
  if (kind !== 'tombstone') return kind;
  if (payload[0] === 4) return 'ended';
  return payload[1] === 1 ? 'gone' : 'removed';
}

async function begin({ files }: SimpleLogPorts, directory: string, table: SegmentTable): Promise<OpenLogFile> {
  const id = table.takeId();
  const file = await files.createLog(`${directory}/${id}`, 0o600);
  await files.syncDirectory(directory);
  const row = addRow(table, id, segmentHeaderBytes);
  return { row, file, hasFailed: false };
}

async function readLog({ files, syncs }: SimpleLogPorts, { directory, isUnsynced }: SimpleLogPlace, name: string, table: SegmentTable): Promise<readonly FoundHistory[]> {
  const file = await files.openLog(`${directory}/${name}`);
  assert(file !== undefined, 'what is listed is there');
  await using opened = file;
  const bytes = Buffer.alloc((await opened.status()).sizeBytes);
  await opened.read(bytes, 0);
  const crc = nonceCrc(nonceOf(Number(name)));
  const heads: { readonly head: RecordHead; readonly entry: HintEntry }[] = [];
  let offset = segmentHeaderBytes;
  for (;;) {
    const decoded = offset < bytes.byteLength ? decodeHead(bytes, offset, offset, crc) : { kind: 'none' as const };
    if (decoded.kind !== 'record' || offset + decoded.bytes > bytes.byteLength) break;
    const { head } = decoded;
    const payloadAt = offset + decoded.bytes - Math.ceil(head.payloadBytes / 8) * 8;
    const payload = bytes.subarray(payloadAt, payloadAt + head.payloadBytes);
    const entry = hintEntryOf(head, decoded.bytes, payload);
    if (!payloadIsRight(head, payload) || entry === undefined) break;
    heads.push({ head, entry });
    offset += decoded.bytes;
  }
  if (bytes.byteLength > offset) await opened.truncate(offset);
  if (!isUnsynced) await syncs.sync(opened.fd, 'data');
  const row = addRow(table, Number(name), offset);
  return heads.map((one) => ({ row, ...one }));
}

function addRow(table: SegmentTable, id: number, endOffset: number): SegmentRow {
  return table.add({ id, stream: 'blob', nonce: nonceOf(id), segmentBytes: fileBytes, begunS: 0, state: 'open', endOffset, records: 0, sealSequence: undefined });
}

function nonceOf(id: number): Buffer {
  const nonce = Buffer.alloc(8);
  nonce.writeUInt32LE(id, 0);
  return nonce;
}
