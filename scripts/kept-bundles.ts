// The bundle of a clone's source, kept between starts for as long as it is of that source: what was edited or installed since is
// never hidden by it.
import { createHash, randomInt } from 'node:crypto';
import { lstatSync, mkdirSync, readFileSync, readdirSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

interface List {
  /** Name of the directory of the bundle. */
  readonly place: string;
  /** What it was made of: path, and what stat says of it. */
  readonly inputs: readonly (readonly [path: string, look: string])[];
}

/** Each takes some 4 MB. A process keeps its own for as long as it runs: it loads some of it late. */
const placesMax = 16;
/** Clocks of file systems are this coarse at most: what was changed less before may have been changed after it was read. */
const coarseMs = 50;
/** A bundle takes a second; what is older was left by one that was killed. */
const makingMs = 600_000;
const program = join('cli', 'main.mjs');

/** Of one clone, below its own node_modules, so that it is as trustworthy as what lies there. */
export class KeptBundles {
  readonly #root: string;
  readonly #shared: string;
  readonly #directory: string;
  readonly #list: string;
  /** Of this process, in the place that it uses. */
  readonly #mark = `${process.pid}.pid`;
  #used: string | undefined;

  constructor(root: string) {
    this.#root = root;
    this.#shared = join(root, 'node_modules', '.cache', 'kiln-bundle');
    // Several clones may share one node_modules by links.
    this.#directory = join(this.#shared, createHash('sha256').update(root).digest('hex').slice(0, 16));
    this.#list = join(this.#directory, 'list.json');
  }

  /** The program of a bundle that is of the source as it is; undefined: there is none. */
  current(): string | undefined {
    try {
      if (!this.#isTrusted()) return undefined;
      const { place, inputs } = JSON.parse(readFileSync(this.#list, 'utf8')) as List;
      for (const [path, look] of inputs) if (lookOf(join(this.#root, path)) !== look) return undefined;
      return this.#use(place);
    } catch {
      return undefined; // none, half of one, or one that only others may read: then it is made again
    }
  }

  /**
   * Has a bundle made. Undefined: it cannot be kept here, or as many as may be are in use.
   * @param make makes it in that directory, and gives what of: paths relative to the root.
   * @throws what `make` throws; Error of the disk.
   */
  make(make: (directory: string) => readonly string[]): string | undefined {
    mkdirSync(this.#directory, { recursive: true, mode: 0o755 });
    if (!this.#isTrusted()) return undefined;
    this.#removeLeftovers();
    const beganMs = Date.now();
    const making = this.#passing('new');
    try {
      const inputs = make(making).map((path) => [path, lookOf(join(this.#root, path))] as const);
      writeFileSync(join(making, this.#mark), ''); // in use from its first moment
      const place = this.#place(making);
      if (place === undefined) return undefined;
      // What was edited while it was made may not be in it; this start has it as it was a moment ago.
      if (inputs.every(([path]) => (statSync(join(this.#root, path), { throwIfNoEntry: false })?.ctimeMs ?? 0) < beganMs - coarseMs)) this.#keep({ place, inputs });
      return this.#use(place);
    } finally {
      rmSync(making, { recursive: true, force: true });
    }
  }

  /** At the end of a process: it loads nothing any more. Who is killed leaves its mark, which is worth nothing from then on. */
  leave(): void {
    try {
      if (this.#used !== undefined) rmSync(join(this.#directory, this.#used, this.#mark), { force: true });
    } catch {
      // As if it had been killed.
    }
  }

  #keep(list: List): void {
    const writing = this.#passing('list');
    writeFileSync(writing, JSON.stringify(list));
    renameSync(writing, this.#list);
  }

  /** Undefined: it is not there. */
  #use(place: string): string | undefined {
    const path = join(this.#directory, place, program);
    if (statSync(path, { throwIfNoEntry: false }) === undefined) return undefined;
    try {
      writeFileSync(join(this.#directory, place, this.#mark), '');
      this.#used = place;
    } catch {
      // It is read only for who runs the clone of somebody else.
    }
    return path;
  }

  /** Nobody else can have put code there: who owns the clone, the administrator and who starts it could change the source as well. */
  #isTrusted(): boolean {
    const owners = [lstatSync(join(this.#root, 'package.json')).uid, 0, process.getuid?.() ?? 0];
    return [this.#shared, this.#directory].every((directory) => {
      const found = lstatSync(directory, { throwIfNoEntry: false });
      return found !== undefined && found.isDirectory() && owners.includes(found.uid) && (found.mode & 0o022) === 0;
    });
  }

  /**
   * Gives what was made a place that nobody has, or that of the oldest that nobody uses any more. Several processes may do so at once,
   * and what one of them has just begun to run stays: a directory is never renamed over another that has files.
   */
  #place(making: string): string | undefined {
    for (let number = 0; number < placesMax; number += 1) if (this.#takes(making, String(number))) return String(number);
    const unused = this.#unusedPlace();
    if (unused === undefined) return undefined;
    const old = this.#passing('old');
    renameSync(join(this.#directory, unused), old);
    rmSync(old, { recursive: true, force: true });
    return this.#takes(making, unused) ? unused : undefined;
  }

  /** False: there is one at that place. */
  #takes(making: string, place: string): boolean {
    try {
      renameSync(making, join(this.#directory, place));
      return true;
    } catch (thrown) {
      const { code } = thrown as NodeJS.ErrnoException;
      if (code === 'ENOTEMPTY' || code === 'EEXIST') return false;
      throw thrown;
    }
  }

  #unusedPlace(): string | undefined {
    const places = readdirSync(this.#directory).filter((name) => /^\d+$/.test(name)).map((name) => ({ name, madeMs: this.#changedMs(name) }));
    return places.toSorted((one, other) => one.madeMs - other.madeMs).find(({ name }) => !this.#isInUse(name))?.name;
  }

  /** For what is there for a moment only. Processes of several containers may have the same number. */
  #passing(what: string): string {
    return join(this.#directory, `${what}.${randomInt(2 ** 47)}`);
  }

  #removeLeftovers(): void {
    for (const name of readdirSync(this.#directory)) {
      if (/\.\d+$/.test(name) && this.#changedMs(name) < Date.now() - makingMs) rmSync(join(this.#directory, name), { recursive: true, force: true });
    }
  }

  #changedMs(name: string): number {
    return statSync(join(this.#directory, name), { throwIfNoEntry: false })?.mtimeMs ?? 0;
  }

  #isInUse(place: string): boolean {
    return readdirSync(join(this.#directory, place)).some((name) => {
      const pid = Number(/^(\d+)\.pid$/.exec(name)?.[1]);
      return Number.isInteger(pid) && isAlive(pid);
    });
  }
}

/** Differs whenever the file does: what sets `mtime` back, as tools that copy do, changes `ctime`. */
function lookOf(path: string): string {
  const found = statSync(path, { bigint: true, throwIfNoEntry: false });
  return found === undefined ? 'none' : `${found.size} ${found.ino} ${found.mtimeNs} ${found.ctimeNs}`;
}

/** Or it is another one by now that has its number. */
function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (thrown) {
    return (thrown as NodeJS.ErrnoException).code === 'EPERM';
  }
}
