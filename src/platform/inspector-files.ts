// CPU profiles and heap snapshots of the main thread, written from another one. A file appears whole or not at all.
import { closeSync, fsyncSync, openSync, renameSync, rmSync, writeSync } from 'node:fs';
import type { Profiler } from 'node:inspector';
import { Session } from 'node:inspector/promises';
import { setTimeout as delay } from 'node:timers/promises';

/** One sample per millisecond: a function that takes one percent of ten seconds is seen a hundred times. */
const samplingIntervalUs = 1_000;
/** What is in them is for whoever runs the server: code paths, and all that is in memory. */
const fileMode = 0o600;

/** Of a file that is being written; the next start removes what is left of one. */
export const partialSuffix = '.partial';

/** Says that the main thread is held up on purpose, until what it returns is disposed. */
export type Excuse = () => Disposable | undefined;

/** Watches the main thread for `durationMs`; resolves to the size of the file. */
export async function writeCpuProfile({ path, durationMs }: { readonly path: string; readonly durationMs: number }, excuse: Excuse): Promise<number> {
  using inspected = new Inspected();
  const { session } = inspected;
  {
    using _excused = excuse(); // it looks at all functions there are, which takes a while
    await session.post('Profiler.enable');
    await session.post('Profiler.setSamplingInterval', { interval: samplingIntervalUs });
    await session.post('Profiler.start');
  }
  await delay(durationMs);
  const profile = await stopped(session, excuse);
  using file = new WholeFile(path);
  file.write(JSON.stringify(profile));
  return file.finish();
}

async function stopped(session: Session, excuse: Excuse): Promise<Profiler.Profile> {
  using _excused = excuse();
  return (await session.post('Profiler.stop')).profile;
}

/** The main thread stands still while its heap is walked. Resolves to the size of the file. */
export async function writeHeapSnapshot({ path }: { readonly path: string }, excuse: Excuse): Promise<number> {
  using _excused = excuse();
  using file = new WholeFile(path);
  using inspected = new Inspected();
  const { session } = inspected;
  let failure: Error | undefined;
  session.on('HeapProfiler.addHeapSnapshotChunk', ({ params }) => {
    try {
      if (failure === undefined) file.write(params.chunk);
    } catch (thrown) {
      failure = thrown instanceof Error ? thrown : new Error(String(thrown)); // what is still to come is let pass
    }
  });
  await session.post('HeapProfiler.takeHeapSnapshot', { reportProgress: false });
  if (failure !== undefined) throw failure;
  return file.finish();
}

/** A session with the main thread; disposing ends it, and with it all that it has switched on. */
class Inspected implements Disposable {
  readonly session = new Session();
  /** A session alone does not keep a thread alive. */
  readonly #alive = setInterval(() => {}, 1_000_000);

  constructor() {
    this.session.connectToMainThread();
  }

  [Symbol.dispose](): void {
    clearInterval(this.#alive);
    this.session.disconnect();
  }
}

/** Disposed before `finish`, it leaves nothing. */
class WholeFile implements Disposable {
  readonly #path: string;
  readonly #partial: string;
  #descriptor: number | undefined;
  #sizeBytes = 0;

  constructor(path: string) {
    this.#path = path;
    this.#partial = `${path}${partialSuffix}`;
    this.#descriptor = openSync(this.#partial, 'wx', fileMode);
  }

  write(text: string): void {
    if (this.#descriptor === undefined) return;
    const bytes = Buffer.from(text);
    for (let offset = 0; offset < bytes.byteLength; ) offset += writeSync(this.#descriptor, bytes, offset);
    this.#sizeBytes += bytes.byteLength;
  }

  finish(): number {
    if (this.#descriptor === undefined) return 0;
    fsyncSync(this.#descriptor); // or a full disk would be noticed by whoever opens the file
    closeSync(this.#descriptor);
    this.#descriptor = undefined;
    renameSync(this.#partial, this.#path);
    return this.#sizeBytes;
  }

  [Symbol.dispose](): void {
    if (this.#descriptor === undefined) return;
    closeSync(this.#descriptor);
    rmSync(this.#partial, { force: true });
  }
}
