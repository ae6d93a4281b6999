// The bundle of a clone's source, kept between starts for as long as it is of that source: what was edited or installed since is
// never hidden by it.
import { createHash } from 'node:crypto';
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

  constructor(root: string) {
    this.#root = root;
    this.#shared = join(root, 'node_modules', '.cache', 'kiln-bundle');
    // Several clones may share one node_modules by links.
    this.#directory = join(this.#shared, createHash('sha256').update(root).digest('hex').slice(0, 16));
    this.#list = join(this.#directory, 'list.json');
  }

  /** The program of a bundle that is of the source as it is; undefined: there is none. */
  current(): string | undefined {
    if (!this.#isTrusted()) return undefined;
    try {
      const { place, inputs } = JSON.parse(readFileSync(this.#list, 'utf8')) as List;
      for (const [path, look] of inputs) if (lookOf(join(this.#root, path)) !== look) return undefined;
      return this.#use(place);
    } catch {
      return undefined; // none, or half of one: then it is made again
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
    const place = this.#freePlace();
    if (place === undefined) return undefined;
    const beganMs = Date.now();
    const making = join(this.#directory, `${place}.${process.pid}`);
    try {
      const inputs = make(making).map((path) => [path, lookOf(join(this.#root, path))] as const);
      rmSync(join(this.#directory, place), { recursive: true, force: true });
      renameSync(making, join(this.#directory, place));
      // What was edited while it was made may not be in it; this start has it as it was a moment ago.
      if (inputs.every(([path]) => (statSync(join(this.#root, path), { throwIfNoEntry: false })?.ctimeMs ?? 0) < beganMs - coarseMs)) this.#keep({ place, inputs });
      return this.#use(place);
    } finally {
      rmSync(making, { recursive: true, force: true });
    }
  }

  #keep(list: List): void {
    const writing = `${this.#list}.${process.pid}`;
    writeFileSync(writing, JSON.stringify(list));
    renameSync(writing, this.#list);
  }

  /** Undefined: it is not there. */
  #use(place: string): string | undefined {
    const path = join(this.#directory, place, program);
    if (statSync(path, { throwIfNoEntry: false }) === undefined) return undefined;
    try {
      writeFileSync(join(this.#directory, place, `${process.pid}.pid`), '');
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

  /** One that nobody ever had, or the oldest that nobody uses any more. */
  #freePlace(): string | undefined {
    const there = new Map<string, number>();
    for (const name of readdirSync(this.#directory)) {
      const madeMs = statSync(join(this.#directory, name), { throwIfNoEntry: false })?.mtimeMs ?? 0;
      if (/^\d+$/.test(name)) there.set(name, madeMs);
      else if (/\.\d+$/.test(name) && madeMs < Date.now() - makingMs) rmSync(join(this.#directory, name), { recursive: true, force: true });
    }
    for (let number = 0; number < placesMax; number += 1) if (!there.has(String(number))) return String(number);
    const byAge = [...there].toSorted(([, one], [, other]) => one - other).map(([name]) => name);
    return byAge.find((name) => !this.#isInUse(name));
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
