// A log written by hand, record by record, with syncs and seals where its writer wants them: for those who read logs. Who
// writes it sees to the order of things; nothing here is safe by itself.
import { crc32 } from 'node:zlib';
import { assert } from '../base/assert.ts';
import type { LogFile } from '../base/log-files.ts';
import type { DigestFunction } from '../digest/digest-function.ts';
import { recordBytes, recordFixedBytes, writeHead } from '../engine/record-codec.ts';
import type { RecordKind } from '../engine/record-codec.ts';
import { encodeSegmentHeader, nonceCrc, segmentBytesLeast, segmentFileName, segmentHeaderBytes } from '../engine/segment-format.ts';
import type { StreamName } from '../engine/segment-format.ts';
import type { SimulatedMachine } from './simulated-machine.ts';

export interface WrittenRecord {
  readonly kind: RecordKind;
  readonly digestFunction?: DigestFunction | undefined;
  /** Hex. */
  readonly hash?: string;
  readonly instance?: string;
  /** Default: the bytes of the payload. */
  readonly logicalBytes?: number;
  readonly sequence: number;
  readonly usedAtS: number;
  readonly payload?: Buffer;
  readonly isCopy?: boolean;
}

/** Where a record was put. */
export interface WrittenPlace {
  readonly offset: number;
  readonly bytes: number;
}

/** Of the files: records end long before. As if somebody had cut what segments have behind their records, so that reading them is quick. */
const fileBytes = 24_576;

/** One segment that is being written. */
export class HandWrittenSegment {
  readonly id: number;
  readonly stream: StreamName;
  readonly nonce: Uint8Array;
  readonly path: string;
  records = 0;
  endOffset = segmentHeaderBytes;
  durableOffset = segmentHeaderBytes;
  readonly #machine: SimulatedMachine;
  readonly #file: LogFile;
  #batch: Buffer[] = [];
  #batchBytes = 0;

  private constructor(machine: SimulatedMachine, file: LogFile, { id, stream, nonce, path }: Pick<HandWrittenSegment, 'id' | 'stream' | 'nonce' | 'path'>) {
    this.#machine = machine;
    this.#file = file;
    this.id = id;
    this.stream = stream;
    this.nonce = nonce;
    this.path = path;
  }

  /** Its name is durable when this resolves. */
  static async begin(machine: SimulatedMachine, directory: string, begun: { readonly id: number; readonly stream: StreamName; readonly firstSequence: number }): Promise<HandWrittenSegment> {
    const { disk, smallSyncs, random, clock } = machine;
    const nonce = random.bytes(8);
    const free = `${directory}/${begun.id}.free`;
    await disk.discard(free);
    const file = await disk.createLog(free, 0o600);
    await file.truncate(fileBytes);
    file.writeNow([encodeSegmentHeader({ ...begun, nonce, segmentBytes: segmentBytesLeast, begunMs: clock.nowMs() })], 0);
    await smallSyncs.sync(file.fd, 'data');
    const path = `${directory}/${segmentFileName(begun.id, begun.stream)}`;
    await disk.rename(free, path);
    await disk.syncDirectory(directory);
    return new HandWrittenSegment(machine, file, { ...begun, nonce, path });
  }

  get roomBytes(): number {
    return fileBytes - this.endOffset - this.#batchBytes - recordFixedBytes;
  }

  /** To be written with the next batch. */
  append(record: WrittenRecord): WrittenPlace {
    const { kind, digestFunction, hash = '', instance = '', sequence, usedAtS, payload = Buffer.alloc(0), isCopy = false } = record;
    const hashBytes = Buffer.from(hash, 'hex');
    const bytes = recordBytes(hashBytes.byteLength, Buffer.byteLength(instance), payload.byteLength);
    const offset = this.endOffset + this.#batchBytes;
    const whole = Buffer.alloc(bytes);
    const payloadAt = writeHead(whole, 0, {
      kind, functionNumber: digestFunction?.wireValue ?? 0, isPointer: false, isCopy, hash: hashBytes, instance,
      logicalBytes: record.logicalBytes ?? payload.byteLength, sequence, offset, durableMark: this.durableOffset, usedAtS, payloadBytes: payload.byteLength, payloadCrc: crc32(payload),
    }, nonceCrc(this.nonce));
    payload.copy(whole, payloadAt);
    this.#batch.push(whole);
    this.#batchBytes += bytes;
    if (kind !== 'seal') this.records += 1;
    return { offset, bytes };
  }

  /** All of the batch. @throws what the disk says: any part may be there. */
  write(): void {
    const [batch, at] = [this.#batch, this.endOffset];
    this.endOffset += this.#batchBytes;
    [this.#batch, this.#batchBytes] = [[], 0];
    if (batch.length > 0) this.#file.writeNow(batch, at);
  }

  /** @throws what the disk says: nothing may be written any more. */
  async sync(): Promise<void> {
    const end = this.endOffset;
    await this.#machine.smallSyncs.sync(this.#file.fd, 'data');
    this.durableOffset = end;
  }

  /** All that was written is durable before. */
  async seal(sequence: number, usedAtS: number): Promise<void> {
    assert(this.#batchBytes === 0 && this.durableOffset === this.endOffset, 'a seal says that everything before is durable');
    this.append({ kind: 'seal', sequence, usedAtS, logicalBytes: this.records });
    this.write();
    await this.sync();
  }

  async close(): Promise<void> {
    await this.#file[Symbol.asyncDispose]();
  }
}
