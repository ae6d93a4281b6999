// A disk at one moment: what processes see, what is durable, and the changes that lie between. Nothing in an image ever
// changes, and images share what they have in common: keeping one costs next to nothing, so that one run gives all the
// moments at which power may fail. `afterPowerCut` makes one of the legal disks that a cut may leave:
//
// - each sector write that was not synced is there or not, on its own: torn and reordered writes;
// - a length that was not synced is the old or the new one; what was never written is zeros;
// - each change of names that was not synced is there or not, per directory: of a move from one directory to another
//   both names may be left, or none;
// - what was synced is there.
//
// Modes and modification times are as last set: nothing that must survive depends on them.
import type { SeededRandom } from './seeded-random.ts';

/** What a disk writes as a whole. */
export const sectorBytes = 512;
/** Every sector of zeros is this one. */
export const zeroSector: Uint8Array = new Uint8Array(sectorBytes);

export type NodeNumber = number;
export const rootNumber: NodeNumber = 1;

/** Bytes of a file. `sectors` has just as many as `sizeBytes` needs; the rest of the last one is zeros. */
export interface FileContent {
  readonly sectors: readonly Uint8Array[];
  readonly sizeBytes: number;
}

/** `number` counts the changes of a disk, so that a sync can say up to which one it reaches. */
export type FileChange =
  /** `sectors` as they were cached after the write, which ended at `endBytes` of the file. */
  | { readonly kind: 'write'; readonly number: number; readonly firstSector: number; readonly sectors: readonly Uint8Array[]; readonly endBytes: number }
  | { readonly kind: 'truncate'; readonly number: number; readonly sizeBytes: number };

export interface FileNode {
  readonly kind: 'file';
  readonly cached: FileContent;
  readonly durable: FileContent;
  readonly unsynced: readonly FileChange[];
  /** A sync has failed: some of what is cached is neither durable nor among what is not synced yet. */
  readonly hasLost: boolean;
  readonly mode: number;
  readonly modifiedMs: number;
}

/** A rename within one directory is one change: first the name that goes, then the one that comes. */
export interface NameChange {
  readonly number: number;
  readonly removed?: string;
  readonly added?: readonly [string, NodeNumber];
}

export type Names = ReadonlyMap<string, NodeNumber>;

export interface DirectoryNode {
  readonly kind: 'directory';
  readonly cached: Names;
  readonly durable: Names;
  readonly unsynced: readonly NameChange[];
}

export type DiskNode = FileNode | DirectoryNode;

export interface DiskImage {
  /** The root directory is number 1. Some may be reached by no name. */
  readonly nodes: ReadonlyMap<NodeNumber, DiskNode>;
  /** Changes so far; also more than the number of any node. */
  readonly changes: number;
}

export const emptyContent: FileContent = { sectors: [], sizeBytes: 0 };
export const emptyDirectory: DirectoryNode = { kind: 'directory', cached: new Map(), durable: new Map(), unsynced: [] };
export const emptyDisk: DiskImage = { nodes: new Map([[rootNumber, emptyDirectory]]), changes: rootNumber };

/** Says of one change after the other whether it is there. */
type Keep = () => boolean;
const always: Keep = () => true;

/** What follows from `changes`, of which some sectors and lengths may be left out. */
export function contentAfter(before: FileContent, changes: readonly FileChange[], keepSector: Keep = always, keepLength: Keep = always): FileContent {
  const sectors = before.sectors.slice();
  let { sizeBytes } = before;
  for (const change of changes) {
    if (change.kind === 'truncate') {
      if (!keepLength()) continue;
      sizeBytes = change.sizeBytes;
      fit(sectors, sizeBytes);
      continue;
    }
    const { firstSector } = change;
    while (sectors.length < firstSector) sectors.push(zeroSector);
    for (const [index, sector] of change.sectors.entries()) {
      if (keepSector()) sectors[firstSector + index] = sector;
      else if (firstSector + index === sectors.length) sectors.push(zeroSector);
    }
    if (change.endBytes > sizeBytes && keepLength()) sizeBytes = change.endBytes;
  }
  fit(sectors, sizeBytes);
  return { sectors, sizeBytes };
}

/** As many sectors as the size needs, with zeros behind the end. */
function fit(sectors: Uint8Array[], sizeBytes: number): void {
  const count = Math.ceil(sizeBytes / sectorBytes);
  if (sectors.length > count) sectors.length = count;
  while (sectors.length < count) sectors.push(zeroSector);
  const usedBytes = sizeBytes % sectorBytes;
  const last = sectors[count - 1];
  if (usedBytes === 0 || last === undefined || last === zeroSector || last.subarray(usedBytes).every((byte) => byte === 0)) return;
  const cut = new Uint8Array(last); // a copy, whatever array it is: `slice` of a Buffer is a view
  cut.fill(0, usedBytes);
  sectors[count - 1] = cut;
}

export function namesAfter(before: Names, changes: readonly NameChange[], keep: Keep = always): Names {
  const names = new Map(before);
  for (const { removed, added } of changes) {
    if (!keep()) continue;
    if (removed !== undefined) names.delete(removed);
    if (added !== undefined) names.set(...added);
  }
  return names;
}

/** One of the disks that a power cut may leave. All of it is durable. */
export function afterPowerCut({ nodes, changes }: DiskImage, random: SeededRandom): DiskImage {
  const left = new Map<NodeNumber, DiskNode>();
  const visit = (number: NodeNumber): void => {
    const node = nodes.get(number);
    if (node === undefined || left.has(number)) return;
    if (node.kind === 'file') {
      left.set(number, fileAfterCut(node, random));
      return;
    }
    const names = node.unsynced.length === 0 ? node.durable : namesAfter(node.durable, node.unsynced, keeper(node.unsynced.length, random));
    left.set(number, { kind: 'directory', cached: names, durable: names, unsynced: [] });
    for (const child of names.values()) visit(child);
  };
  visit(rootNumber);
  return { nodes: left, changes };
}

function fileAfterCut(file: FileNode, random: SeededRandom): FileNode {
  if (file.cached === file.durable) return file;
  const content = survivingContent(file, file.unsynced, random);
  return { ...file, cached: content, durable: content, unsynced: [], hasLost: false };
}

/** What is on the disk when it took an unknown part of `changes`. */
export function survivingContent(file: FileNode, changes: readonly FileChange[], random: SeededRandom): FileContent {
  const sectors = changes.reduce((sum, change) => sum + (change.kind === 'write' ? change.sectors.length : 0), 0);
  return contentAfter(file.durable, changes, keeper(sectors, random), keeper(changes.length, random));
}

/**
 * A choice for `count` changes in a row. Coins alone would hardly ever leave a single hole in a hundred sectors, or just
 * the first half: what breaks programs is rare among all subsets, so each of those shapes has a share of its own.
 */
function keeper(count: number, random: SeededRandom): Keep {
  let index = -1;
  const one = random.integer(0, Math.max(0, count - 1));
  switch (random.integer(0, 5)) {
    case 0: return () => false;
    case 1: return always;
    case 2: return () => (index += 1) < one;
    case 3: return () => (index += 1) !== one;
    case 4: return () => (index += 1) === one;
    default: return () => random.fraction() < 0.5;
  }
}
