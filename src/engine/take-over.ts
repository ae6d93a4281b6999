// A data directory of format 1 becomes one of format 2, in place and at one moment: until the marker is replaced an older
// Kiln can go on with it, and from then on this one can. docs/formats/data-directory.md
import { join } from 'node:path';
import { assert } from '../base/assert.ts';
import { CacheError } from '../base/cache-error.ts';
import type { CallOptions } from '../base/call-options.ts';
import { formatByteSize } from '../base/units.ts';
import { digestFunctionNamed } from '../digest/digest-function.ts';
import { allocatedBytes } from './allocated-bytes.ts';
import { dataFormat, writeDataFormat } from './data-directory.ts';
import { DirectorySyncs } from './directory-syncs.ts';
import { DurableDirectories } from './durable-directories.ts';
import type { EnginePorts } from './engine-options.ts';
import { hasFormatOne, readFormatOne, removeFormatOne } from './format-one.ts';
import type { FormatOneContent, FormatOneDirectory, FormatOneFile } from './format-one.ts';
import { partsOf } from './object-layout.ts';
import { SealedSegments, sealedSegmentsBytes } from './sealed-segments.ts';
import type { NewRecord, Numbering } from './sealed-segments.ts';
import { classifySegmentFile, segmentBytesLeast } from './segment-format.ts';
import type { StreamName } from './segment-format.ts';
import { io } from './storage-error.ts';
import { takeOverValues } from './value-take-over.ts';
import type { ValuesTakenOver } from './value-take-over.ts';

export interface TakeOverOptions {
  /** Absolute; it exists, and this process owns it. */
  readonly directory: string;
  /** Of new segments. */
  readonly segmentBytes: number;
  /** Longer values become blobs that their records point to. */
  readonly valueBytesMax: number;
}

export type TakeOverPorts = Pick<EnginePorts, 'files' | 'smallSyncs' | 'monotonicClock' | 'wallClock' | 'random' | 'log'>;

const segmentsName = 'segments';
const quarantineName = 'quarantine';
/** How often it is said how far it is. */
const progressMs = 5_000;
/** What the record of a blob takes at most, and that of a value beside the bytes that its file has. */
const recordBytesEach = 256;
/** A record with the longest name of an instance, apart from its payload. */
const recordHeadBytesMax = 2 ** 17;
const noBytes = new Uint8Array(0);

/**
 * Makes sure that the directory has format 2: an empty one is begun, one of format 1 taken over, what a take-over left behind
 * removed. It may take minutes, and says so in the log.
 * @throws CacheError `failed_precondition` (not ours, or newer than this Kiln), `resource_exhausted` (no room to take it over; nothing
 *   was touched), `disk_full`, `unavailable`, `cancelled` (it still has format 1); the system's own errors.
 */
export async function prepareFormatTwo(options: TakeOverOptions, ports: TakeOverPorts, call?: CallOptions): Promise<void> {
  const { files, log } = ports;
  const { directory } = options;
  const format = await dataFormat(files, directory);
  if (format === undefined) {
    await writeDataFormat(files, directory);
    return;
  }
  const source: FormatOneDirectory = { path: directory, files, directories: new DurableDirectories(new DirectorySyncs(files, ports.smallSyncs), directory) };
  if (format === 1) await takeOver({ source, options, ports, call, begunMs: Math.floor(ports.wallClock.nowMs()), numbering: { nextId: 1, nextSequence: 1 } });
  else await source.directories.sync(directory); // after a kill the marker may be in the page cache alone
  if (!(await hasFormatOne(source))) return;
  const progress = new Progress(ports, 'removing what only the older format needs', undefined);
  const foreign = await removeFormatOne(source, () => progress.next());
  if (foreign !== undefined) log.warn('the data directory holds files that Kiln did not make where an older format had its own; move them away', { example: foreign });
}

/** One take-over. */
interface Run {
  readonly source: FormatOneDirectory;
  readonly options: TakeOverOptions;
  readonly ports: TakeOverPorts;
  readonly call: CallOptions | undefined;
  readonly begunMs: number;
  readonly numbering: Numbering;
}

/** From format 1 to the marker of format 2. */
async function takeOver(run: Run): Promise<void> {
  const { source, options, ports, call } = run;
  const { files, log } = ports;
  const { directory } = options;
  log.info('the data directory is of an older format and is taken over; until that is done, the Kiln that wrote it can go on with it', { directory });
  const looking = new Progress(ports, 'looking for what there is to take over', undefined, call);
  const content = await readFormatOne(source, run.begunMs, () => looking.next());
  if (content.foreign !== undefined) log.warn('the data directory holds files that Kiln did not make; they are left alone', { example: content.foreign });
  await refuseWithoutRoom(content, options, ports);
  const segments = join(directory, segmentsName);
  await emptySegments(files, segments);
  await source.directories.ensure(segments);
  const values = await writeValues(run, content);
  const commits = await writeCommits(run, content, values);
  await source.directories.sync(segments);
  throwIfCancelled(call);
  await writeDataFormat(files, directory);
  log.info('the data directory has the new format; an older Kiln does not open it any more', { blobs: commits, values: values.records, damagedValues: values.damaged });
}

/** Before anything is changed. */
async function refuseWithoutRoom(content: FormatOneContent, options: TakeOverOptions, { files }: TakeOverPorts): Promise<void> {
  const { directory, valueBytesMax } = options;
  const limits = { segmentBytes: fullBytes(options), recordBytesMax: recordHeadBytesMax + valueBytesMax };
  let [valueBytes, blobBytes, pointers] = [0, 0, 0];
  for (const { sizeBytes } of content.values) {
    valueBytes += Math.min(sizeBytes + recordBytesEach, limits.recordBytesMax);
    if (sizeBytes <= valueBytesMax) continue;
    blobBytes += allocatedBytes(sizeBytes);
    pointers += 1;
  }
  const neededBytes = sealedSegmentsBytes(valueBytes, limits) + blobBytes + sealedSegmentsBytes((content.blobs.length + pointers) * recordBytesEach, limits);
  const { freeBytes } = await files.space(directory);
  if (freeBytes >= neededBytes) return;
  throw new CacheError(
    'resource_exhausted',
    `the data directory ${directory} is of an older format, and to take it over ${formatByteSize(neededBytes)} have to be free on its disk, where ${formatByteSize(freeBytes)} are: free ${formatByteSize(neededBytes - freeBytes)} more, ` +
      'or go on with the Kiln that wrote it; nothing was changed',
  );
}

/** What an interrupted take-over left, under names that format 1 does not know. */
async function emptySegments(files: TakeOverPorts['files'], segments: string): Promise<void> {
  for (const { name, kind } of (await files.list(segments)) ?? []) {
    if (kind === 'file' && classifySegmentFile(name).kind !== 'foreign') await io('remove a segment', files.remove(join(segments, name)));
  }
}

/** Room for the longest record, which the segments of the smallest stores have not. */
function fullBytes({ segmentBytes }: TakeOverOptions): number {
  return Math.max(segmentBytes, segmentBytesLeast);
}

function segmentsOf({ options, ports, begunMs, numbering }: Run, stream: StreamName): SealedSegments {
  const target = { directory: join(options.directory, segmentsName), stream, segmentBytes: fullBytes(options), lastBytesLeast: options.segmentBytes, begunMs };
  return new SealedSegments({ files: ports.files, syncs: ports.smallSyncs, random: ports.random }, target, numbering);
}

async function writeValues(run: Run, { values }: FormatOneContent): Promise<ValuesTakenOver> {
  const { source, options, numbering } = run;
  const progress = new Progress(run.ports, 'taking over action results and other values', values.length, run.call);
  await using segments = segmentsOf(run, 'value');
  const taken = await takeOverValues(values, {
    directory: source,
    segments,
    numbering,
    valueBytesMax: options.valueBytesMax,
    quarantine: join(source.path, quarantineName),
    done: () => progress.next(),
  });
  await segments.end();
  return taken;
}

/** Gives how many. Blobs stay the files that they are. */
async function writeCommits(run: Run, content: FormatOneContent, { blobs: made }: ValuesTakenOver): Promise<number> {
  const blobs = made.size === 0 ? content.blobs : [...content.blobs.filter(({ key }) => !made.has(key)), ...made.values()].sort((a, b) => a.usedMs - b.usedMs);
  const progress = new Progress(run.ports, 'taking over blobs', blobs.length, run.call);
  await using segments = segmentsOf(run, 'blob');
  let commits = 0;
  for (const blob of blobs) {
    progress.next();
    if (blob.sizeBytes === 0) continue; // the empty blob is never stored: what is here is damaged, and names nothing
    await segments.append(commitOf(blob));
    commits += 1;
  }
  await segments.end();
  return commits;
}

/** Without an intent, hence without its number. */
function commitOf({ key, sizeBytes, usedMs }: FormatOneFile): NewRecord {
  const parts = partsOf(key);
  const digestFunction = parts.kind === 'blob' ? digestFunctionNamed(parts.functionName) : undefined;
  assert(digestFunction !== undefined, 'what is in objects/ is a blob of a function that is known');
  return {
    kind: 'commit',
    functionNumber: digestFunction.wireValue,
    isPointer: false,
    isCopy: false,
    hash: Buffer.from(parts.name, 'hex'),
    instance: '',
    logicalBytes: sizeBytes,
    sequence: 0,
    usedAtS: Math.floor(usedMs / 1_000),
    payload: noBytes,
  };
}

function throwIfCancelled(call: CallOptions | undefined): void {
  if (call?.signal?.aborted) throw new CacheError('cancelled', 'the take-over of the data directory was cancelled; the Kiln that wrote it can go on with it');
}

/** Says how far one step is, and ends it when the call is cancelled. */
class Progress {
  readonly #ports: Pick<TakeOverPorts, 'monotonicClock' | 'log'>;
  readonly #step: string;
  readonly #ofCount: number | undefined;
  readonly #call: CallOptions | undefined;
  #done = 0;
  #saidMs: number;

  constructor(ports: Pick<TakeOverPorts, 'monotonicClock' | 'log'>, step: string, ofCount: number | undefined, call?: CallOptions) {
    this.#ports = ports;
    this.#step = step;
    this.#ofCount = ofCount;
    this.#call = call;
    this.#saidMs = ports.monotonicClock.nowMs();
  }

  next(): void {
    throwIfCancelled(this.#call);
    this.#done += 1;
    const nowMs = this.#ports.monotonicClock.nowMs();
    if (nowMs - this.#saidMs < progressMs) return;
    this.#saidMs = nowMs;
    this.#ports.log.info(this.#step, { done: this.#done, of: this.#ofCount });
  }
}
