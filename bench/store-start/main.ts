// One life of a store: `main.ts fill|die|serve FROM TO DIRECTORY`. Blobs are known by their numbers. See steps.ts; `serve` prints
// what the start took before it looks at anything, and ends with an error when a blob is not there or not right. `die` prints up
// to which number all were acknowledged.
import { readFileSync, writeSync } from 'node:fs';
import { Digest } from '../../src/digest/digest.ts';
import { DigestList } from '../../src/digest/digest-list.ts';
import { sha256 } from '../../src/digest/digest-function.ts';
import type { BlobStore } from '../../src/blob/blob-store.ts';
import { openEngine } from '../stores/open-stores.ts';
import { numberedBlob, numberedBlobBytes, numberedHash } from '../traffic/numbered-blobs.ts';
import { steps } from './steps.ts';
import type { Started, Step } from './steps.ts';

const [stepWord, from, to, directory = ''] = [process.argv[2], Number(process.argv[3]), Number(process.argv[4]), process.argv[5]];

/** In a call, as a client would send them. */
const batchBlobs = 500;
/** At the same time. */
const batches = 4;
/** Of what is there after a start, one in so many is read and compared. */
const readEvery = 97;
/** So many are asked for, in batches all over; with more of them a look at all takes minutes. */
const askedMax = 2_000_000;
/** A record has a head, and segments are not quite full. */
const diskBytesPerBlob = numberedBlobBytes + 512;
const maxBytesLeast = 8 * 1024 ** 3;

/** Enough in every life, and so much that segments have their full length. */
function maxBytesFor(count: number): number {
  return Math.max(maxBytesLeast, 2 * count * diskBytesPerBlob);
}

/** In order, a few at a time; `acknowledged` is told up to which number all are. */
async function store(blobs: BlobStore, acknowledged: (end: number) => void): Promise<void> {
  let [next, end] = [from, from];
  const early = new Map<number, number>();
  const sender = async (): Promise<void> => {
    while (next < to) {
      const begin = next;
      const behind = (next = Math.min(to, begin + batchBlobs));
      const batch = Array.from({ length: behind - begin }, (_, at) => ({ digest: digestOf(begin + at), bytes: numberedBlob(begin + at) }));
      for (const refusal of await blobs.putMany(batch)) if (refusal !== undefined) throw refusal;
      early.set(begin, behind);
      for (let more = early.get(end); more !== undefined; more = early.get(end)) {
        early.delete(end);
        end = more;
      }
      acknowledged(end);
    }
  };
  await Promise.all(Array.from({ length: batches }, sender));
}

function digestOf(number: number): Digest {
  return Digest.ofChecked(sha256, numberedHash(number), numberedBlobBytes);
}

/** @throws Error when one of the blobs up to `to` that are asked for is not there, or one that is read is not right. */
async function check(blobs: BlobStore): Promise<void> {
  const strideBlobs = batchBlobs * Math.ceil(to / askedMax);
  // From the end on: what was stored last is what could be lost.
  for (let end = to; end > 0; end -= strideBlobs) {
    const begin = Math.max(0, end - batchBlobs);
    const numbers = Array.from({ length: end - begin }, (_, at) => begin + at);
    const missing = await blobs.findMissing(DigestList.from(numbers.map(digestOf)));
    if (missing.length > 0) throw new Error(`${missing.length} blobs from number ${begin} on were acknowledged and are gone`);
    const read = numbers.filter((number) => number % readEvery === 0);
    const found = await blobs.getMany(DigestList.from(read.map(digestOf)));
    for (const [at, number] of read.entries()) {
      const bytes = found[at];
      if (!(bytes instanceof Uint8Array) || Buffer.compare(bytes, numberedBlob(number)) !== 0) throw new Error(`blob ${number} is not what was put: ${String(bytes)}`);
    }
  }
}

function memoryOf(field: 'VmRSS' | 'VmHWM'): number {
  const kibibytes = new RegExp(`^${field}:\\s+(\\d+) kB`, 'm').exec(readFileSync('/proc/self/status', 'utf8'))?.[1];
  return Number(kibibytes) * 1024;
}

async function run(step: Step): Promise<void> {
  const beganMs = performance.now();
  await using engine = await openEngine({ directory, maxBytes: maxBytesFor(to) });
  const { blobs } = engine.store;
  if (step === 'serve') {
    const readyMs = performance.now();
    const { user, system } = process.cpuUsage();
    const started: Started = {
      readyMs,
      openMs: readyMs - beganMs,
      cpuMs: (user + system) / 1_000,
      residentBytes: memoryOf('VmRSS'),
      residentBytesMax: memoryOf('VmHWM'),
      usedBytes: engine.store.usage.usedBytes,
    };
    process.stdout.write(JSON.stringify(started));
    await check(blobs);
    return;
  }
  await store(blobs, (end) => {
    // With writes and syncs under way, and what it says is said before.
    if (step !== 'die' || end < from + (to - from) / 2) return;
    writeSync(process.stdout.fd, String(end));
    process.kill(process.pid, 'SIGKILL');
  });
}

const step = steps.find((name) => name === stepWord);
if (step === undefined || !(to >= from)) throw new Error(`${process.argv.slice(2).join(' ')}: give a step (${steps.join(', ')}), two numbers and a directory`);
await run(step);
