// A file system of its own in a file, mounted by a loop device, that can be shut down under who writes to it: from then on
// every write and sync fails, and what the next mount finds is what was on the disk, as after a power cut. Needs root.
import { spawnSync } from 'node:child_process';
import { closeSync, ftruncateSync, mkdirSync, mkdtempSync, openSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestContext } from 'node:test';

export type FileSystemKind = 'xfs' | 'ext4';

/** Fewer is refused by mkfs.xfs; the file has holes where nothing was written. */
const imageBytes = 6 * 1024 ** 3;
const makers: Readonly<Record<FileSystemKind, readonly [string, ...string[]]>> = { xfs: ['mkfs.xfs', '-q', '-f'], ext4: ['mkfs.ext4', '-q', '-F', '-E', 'lazy_itable_init=1,nodiscard'] };
const packages: Readonly<Record<string, string>> = { 'mkfs.xfs': 'xfsprogs', xfs_io: 'xfsprogs', 'mkfs.ext4': 'e2fsprogs', mount: 'mount' };
const commandTimeoutMs = 60_000;

/** What stands in the way of it here, for people; undefined: nothing does. */
export function whyNoLoop(kind: FileSystemKind): string | undefined {
  if (process.platform !== 'linux') return 'only Linux has loop devices';
  if (process.getuid?.() !== 0) return 'only root may mount: run the tests as root';
  if (!readFileSync('/proc/filesystems', 'utf8').includes(`\t${kind}\n`)) return `this kernel has no ${kind}`;
  const missing = [makers[kind][0], 'xfs_io', 'mount'].find((program) => spawnSync('which', [program]).status !== 0);
  if (missing !== undefined) return `there is no ${missing}: apt-get install ${packages[missing]}`;
  const { status, stderr } = spawnSync('losetup', ['--find'], { encoding: 'utf8' });
  return status === 0 ? undefined : `there is no loop device to be had: ${stderr.trim()}`;
}

export class LoopFileSystem {
  /** Where it is mounted. */
  readonly path: string;
  readonly #image: string;
  readonly #kind: FileSystemKind;

  constructor(image: string, path: string, kind: FileSystemKind) {
    this.#image = image;
    this.path = path;
    this.#kind = kind;
  }

  /** Makes one and mounts it; it goes at the end of the test, or with this process. @throws what the tools say. */
  static make(t: TestContext, kind: FileSystemKind): LoopFileSystem {
    const directory = mkdtempSync(join(tmpdir(), 'kiln-loop-'));
    const [image, path] = [join(directory, 'image'), join(directory, 'mounted')];
    // Those who still have files open there may outlive it: the name goes at once, the rest with the last of them.
    const remove = (): void => {
      spawnSync('umount', ['--lazy', path]);
      rmSync(directory, { recursive: true, force: true });
    };
    process.once('exit', remove);
    t.after(() => {
      process.off('exit', remove);
      remove();
    });
    mkdirSync(path);
    const file = openSync(image, 'w');
    ftruncateSync(file, imageBytes);
    closeSync(file);
    run([...makers[kind], image]);
    const made = new LoopFileSystem(image, path, kind);
    made.#mount();
    return made;
  }

  /** Shuts it down under everybody. Of what nobody has synced, nothing is written any more; `logged`: but the log of the file system is. */
  cut(logged: boolean): void {
    run(['xfs_io', '-x', '-c', logged ? 'shutdown -f' : 'shutdown', this.path]);
  }

  /** Once nobody has files open there: as after the power is back. */
  remount(): void {
    run(['umount', this.path]);
    this.#mount();
  }

  #mount(): void {
    run(['mount', '-t', this.#kind, '-o', 'loop', this.#image, this.path]);
  }
}

function run([program = '', ...args]: readonly string[]): void {
  const { status, stderr, error } = spawnSync(program, args, { encoding: 'utf8', timeout: commandTimeoutMs });
  if (status !== 0) throw new Error(`${[program, ...args].join(' ')} ended with ${status}: ${error?.message ?? stderr.trim()}`);
}
