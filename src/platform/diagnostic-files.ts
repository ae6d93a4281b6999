// Where profiles and snapshots are kept: `diagnostics/` of the data directory, beside what the cache keeps and apart
// from it. Named by kind and time, readable by their owner only, bounded: the oldest go first.
import { chmod, mkdir, readdir, rm, stat, statfs } from 'node:fs/promises';
import { join } from 'node:path';
import type { WallClock } from '../base/clock.ts';
import type { DiagnosticFile, DiagnosticKind } from '../base/diagnostics.ts';
import { partialSuffix } from './inspector-files.ts';

export interface DiagnosticFileLimits {
  readonly filesMax: number;
  /** The newest file is kept even if it is larger. */
  readonly bytesMax: number;
}

export const diagnosticFileLimits: DiagnosticFileLimits = {
  // A day of one CPU profile per hour, some MB each; or a few snapshots to compare.
  filesMax: 24,
  bytesMax: 2 * 1024 * 1024 * 1024,
};

/** By the endings that the tools of browsers and editors know. */
const endings = { 'cpu-profile': '.cpuprofile', 'heap-snapshot': '.heapsnapshot' } as const satisfies Record<DiagnosticKind, string>;
const ownName = /^(?:cpu-profile|heap-snapshot)-\d{8}T\d{9}Z\.(?:cpuprofile|heapsnapshot)(?:\.partial)?$/;

export class DiagnosticFiles {
  readonly directory: string;
  readonly #limits: DiagnosticFileLimits;
  readonly #clock: WallClock;

  private constructor(directory: string, limits: DiagnosticFileLimits, clock: WallClock) {
    this.directory = directory;
    this.#limits = limits;
    this.#clock = clock;
  }

  /** Opens `diagnostics/` of a data directory, and removes what a run that was killed has left half-written. */
  static async open(dataDirectory: string, limits: DiagnosticFileLimits, clock: WallClock): Promise<DiagnosticFiles> {
    const files = new DiagnosticFiles(join(dataDirectory, 'diagnostics'), limits, clock);
    for (const name of await files.#names()) if (name.endsWith(partialSuffix)) await rm(join(files.directory, name), { force: true });
    return files;
  }

  /** The path of a file about to be written, in a directory that exists. @throws the system's error. */
  async begin(kind: DiagnosticKind): Promise<Pick<DiagnosticFile, 'path' | 'takenAt'>> {
    await mkdir(this.directory, { recursive: true, mode: 0o700 });
    await chmod(this.directory, 0o700); // made by somebody else, or under another umask
    const takenAt = new Date(this.#clock.nowMs()).toISOString();
    return { path: join(this.directory, `${kind}-${takenAt.replaceAll(/[-:.]/g, '')}${endings[kind]}`), takenAt };
  }

  /** Newest first. */
  async list(kind: DiagnosticKind): Promise<readonly DiagnosticFile[]> {
    return (await this.#all()).filter((file) => file.kind === kind);
  }

  /** Bytes free for us on the disk of the data directory. */
  async freeBytes(): Promise<number> {
    const { bavail, bsize } = await statfs(join(this.directory, '..'));
    return bavail * bsize;
  }

  /** Removes what is beyond the limits, oldest first. */
  async prune(): Promise<void> {
    let [files, bytes] = [0, 0];
    for (const { path, sizeBytes } of await this.#all()) {
      files += 1;
      bytes += sizeBytes;
      if (files > 1 && (files > this.#limits.filesMax || bytes > this.#limits.bytesMax)) await rm(path, { force: true });
    }
  }

  /** Newest first. */
  async #all(): Promise<readonly DiagnosticFile[]> {
    const found: DiagnosticFile[] = [];
    for (const name of await this.#names()) {
      const kind = kinds.find((one) => name.startsWith(one) && name.endsWith(endings[one]));
      const path = join(this.directory, name);
      const status = kind === undefined ? undefined : await stat(path).catch(() => undefined); // removed meanwhile
      if (kind !== undefined && status !== undefined) found.push({ kind, path, sizeBytes: status.size, takenAt: timeOf(name) });
    }
    return found.toSorted((a, b) => (a.takenAt < b.takenAt ? 1 : -1));
  }

  /** Files of ours; what somebody else has put there is left alone. */
  async #names(): Promise<readonly string[]> {
    const names = await readdir(this.directory).catch(() => []); // nothing was taken yet
    return names.filter((name) => ownName.test(name));
  }
}

const kinds = Object.keys(endings) as readonly DiagnosticKind[];

function timeOf(name: string): string {
  const [, date = '', time = '', ms = ''] = /(\d{8})T(\d{6})(\d{3})Z/.exec(name) ?? [];
  const [iso, clock] = [date.replace(/(....)(..)(..)/, '$1-$2-$3'), time.replace(/(..)(..)(..)/, '$1:$2:$3')];
  return `${iso}T${clock}.${ms}Z`;
}
