// A log of keys and values in files that are used again, as small as one can be that survives power cuts, and ways to
// break it: what the crash points are proved with.
import { crc32 } from 'node:zlib';
import type { LogFile } from '../base/log-files.ts';
import type { CrashProgram } from './crash-points.ts';
import type { SimulatedMachine } from './simulated-machine.ts';
import { StoreFacts } from './store-facts.ts';

/** What is left out or done in the wrong order. */
export type SmallLogFault = 'told_before_sync' | 'no_directory_sync' | 'constant_nonce' | 'serves_unsynced' | 'used_again_before_directory_sync';

const directory = '/log';
const recordBytes = 64;
/** So that records lie across two sectors. */
const headerBytes = 32;
const fileBytes = 1_024;
const keys = ['a', 'b', 'c'];
const filesMax = 4;

interface LogSegment {
  readonly path: string;
  readonly id: number;
  readonly nonce: number;
  readonly file: LogFile;
  end: number;
  /** Keys whose last value is in it. */
  readonly live: Map<string, number>;
}

interface Found {
  readonly key: string;
  readonly version: number;
}

class SmallLog {
  readonly values = new Map<string, number>();
  readonly #machine: SimulatedMachine;
  readonly #fault: SmallLogFault | undefined;
  readonly #segments: LogSegment[] = [];
  readonly #free: string[] = [];
  #nextId = 1;

  constructor(machine: SimulatedMachine, fault: SmallLogFault | undefined) {
    this.#machine = machine;
    this.#fault = fault;
  }

  async start(): Promise<void> {
    const { disk, smallSyncs } = this.#machine;
    await disk.makeDirectory(directory);
    await disk.syncDirectory('/');
    const ids: number[] = [];
    for (const { name } of (await disk.list(directory)) ?? []) {
      const [, number, kind] = /^(\d+)\.(segment|free)$/.exec(name) ?? [];
      if (kind === 'segment') ids.push(Number(number));
      else this.#free.push(`${directory}/${name}`);
      this.#nextId = Math.max(this.#nextId, Number(number) + 1);
    }
    await this.#syncNames();
    for (const id of ids.toSorted((a, b) => a - b)) {
      const path = `${directory}/${id}.segment`;
      const file = await disk.openLog(path);
      if (file === undefined) throw new Error(`${path} was listed and is not there`);
      await this.#read(path, id, file);
      if (this.#fault !== 'serves_unsynced') await smallSyncs.sync(file.fd, 'data');
    }
  }

  async put(key: string, version: number, told: () => void): Promise<void> {
    let segment = this.#segments.at(-1);
    if (segment === undefined || segment.end + recordBytes > fileBytes) {
      await this.#giveUp();
      segment = await this.#begin();
    }
    const at = segment.end;
    segment.end += recordBytes;
    segment.file.writeNow([encode({ key, version }, segment.nonce, at)], at);
    if (this.#fault === 'told_before_sync') told();
    await this.#machine.smallSyncs.sync(segment.file.fd, 'data');
    this.#takeIn(segment, { key, version });
    if (this.#fault !== 'told_before_sync') told();
  }

  async #read(path: string, id: number, file: LogFile): Promise<void> {
    const bytes = Buffer.alloc(fileBytes);
    await file.read(bytes, 0);
    if (crc32(bytes.subarray(0, 8)) !== bytes.readUInt32LE(8) || bytes.readUInt32LE(0) !== id) throw new Error(`${path} has not its header`);
    const segment: LogSegment = { path, id, nonce: bytes.readUInt32LE(4), file, end: fileBytes, live: new Map() };
    this.#segments.push(segment);
    for (let at = headerBytes; at + recordBytes <= fileBytes; at += recordBytes) {
      const found = decode(bytes, segment.nonce, at);
      if (found === undefined) return;
      this.#takeIn(segment, found);
    }
  }

  #takeIn(segment: LogSegment, { key, version }: Found): void {
    for (const other of this.#segments) other.live.delete(key);
    segment.live.set(key, version);
    this.values.set(key, version);
  }

  /** Gives up the oldest segment when nothing in it counts any more. */
  async #giveUp(): Promise<void> {
    const [oldest] = this.#segments;
    if (oldest === undefined || this.#segments.length < filesMax || oldest.live.size > 0) return;
    this.#segments.shift();
    const path = `${directory}/${this.#nextId}.free`;
    this.#nextId += 1;
    await oldest.file[Symbol.asyncDispose]();
    await this.#machine.disk.rename(oldest.path, path);
    const synced = this.#syncNames();
    if (this.#fault !== 'used_again_before_directory_sync') await synced;
    this.#free.push(path);
  }

  async #begin(): Promise<LogSegment> {
    const { disk, smallSyncs, random } = this.#machine;
    const id = this.#nextId;
    this.#nextId += 1;
    const old = this.#free.shift();
    const path = old ?? `${directory}/${id}.free`;
    const file = old === undefined ? await disk.createLog(path, 0o600) : await disk.openLog(old);
    if (file === undefined) throw new Error(`${path} is gone`);
    const nonce = this.#fault === 'constant_nonce' ? 7 : random.integer(0, 2 ** 31);
    const header = Buffer.alloc(old === undefined ? fileBytes : headerBytes);
    header.writeUInt32LE(id, 0);
    header.writeUInt32LE(nonce, 4);
    header.writeUInt32LE(crc32(header.subarray(0, 8)), 8);
    file.writeNow([header], 0);
    await smallSyncs.sync(file.fd, 'data');
    const segment: LogSegment = { path: `${directory}/${id}.segment`, id, nonce, file, end: headerBytes, live: new Map() };
    await disk.rename(path, segment.path);
    await this.#syncNames();
    this.#segments.push(segment);
    return segment;
  }

  async #syncNames(): Promise<void> {
    if (this.#fault !== 'no_directory_sync') await this.#machine.disk.syncDirectory(directory);
  }
}

/** One client; the last put of a key wins. */
export function smallLogProgram(fault?: SmallLogFault): CrashProgram<StoreFacts> {
  return {
    facts: () => new StoreFacts(0),
    async live(machine, facts, work) {
      const log = new SmallLog(machine, fault);
      await log.start();
      for (const key of keys) facts.read(key, 0)(log.values.get(key)?.toString());
      for (let step = 0; work && step < 30; step += 1) {
        const version = facts.mark;
        const key = machine.random.pick(keys);
        const end = facts.begin(key, String(version));
        await log.put(key, version, () => end('acknowledged'));
        facts.read(key, 0)(log.values.get(key)?.toString());
      }
    },
  };
}

function encode({ key, version }: Found, nonce: number, at: number): Buffer {
  const record = Buffer.alloc(recordBytes, version);
  record.writeUInt32LE(at, 4);
  record.writeUInt32LE(version, 8);
  record.write(key, 12, 1, 'latin1');
  record.writeUInt32LE(crc32(record.subarray(4), nonce), 0);
  return record;
}

function decode(bytes: Buffer, nonce: number, at: number): Found | undefined {
  const record = bytes.subarray(at, at + recordBytes);
  if (crc32(record.subarray(4), nonce) !== record.readUInt32LE(0) || record.readUInt32LE(4) !== at) return undefined;
  return { key: record.toString('latin1', 12, 13), version: record.readUInt32LE(8) };
}
