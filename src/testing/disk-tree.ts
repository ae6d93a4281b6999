// Files and directories of one disk, as a kernel has them: every change is there at once for all processes, and is
// durable when a sync has reached it. Knows nothing of time or processes. Paths are absolute; errors are the system's.
import { basename, dirname } from 'node:path';
import { contentAfter, emptyContent, emptyDirectory, namesAfter, rootNumber, sectorBytes, survivingContent } from './disk-image.ts';
import type { DirectoryNode, DiskImage, DiskNode, FileChange, FileContent, FileNode, NameChange, NodeNumber } from './disk-image.ts';
import { sectorsWritten, wholeContent } from './disk-sectors.ts';
import { systemError } from './faulty-file-system.ts';
import type { SeededRandom } from './seeded-random.ts';

type NewFileChange = { readonly [Kind in FileChange['kind']]: Omit<Extract<FileChange, { kind: Kind }>, 'number'> }[FileChange['kind']];

export class DiskTree {
  #nodes: Map<NodeNumber, DiskNode>;
  #changes: number;
  /** An image has `#nodes`. */
  #isKept = true;

  constructor(image: DiskImage) {
    this.#nodes = new Map(image.nodes);
    this.#changes = image.changes;
    this.#isKept = false;
  }

  get changes(): number {
    return this.#changes;
  }

  image(): DiskImage {
    this.#isKept = true;
    return { nodes: this.#nodes, changes: this.#changes };
  }

  find(path: string): NodeNumber | undefined {
    let number: NodeNumber | undefined = rootNumber;
    for (let from = 1; from < path.length; ) {
      const slash = path.indexOf('/', from);
      const to = slash === -1 ? path.length : slash;
      const node: DiskNode | undefined = number === undefined ? undefined : this.#nodes.get(number);
      if (node?.kind !== 'directory') return undefined;
      number = node.cached.get(path.slice(from, to));
      from = to + 1;
    }
    return number;
  }

  /** @throws ENOENT */
  existing(path: string): NodeNumber {
    const number = this.find(path);
    if (number === undefined) throw systemError('ENOENT', path);
    return number;
  }

  node(number: NodeNumber): DiskNode {
    const node = this.#nodes.get(number);
    if (node === undefined) throw systemError('ENOENT', `node ${number}`);
    return node;
  }

  /** @throws EISDIR */
  file(number: NodeNumber): FileNode {
    const node = this.node(number);
    if (node.kind !== 'file') throw systemError('EISDIR', `node ${number}`);
    return node;
  }

  /** @throws ENOTDIR */
  directory(number: NodeNumber): DirectoryNode {
    const node = this.node(number);
    if (node.kind !== 'directory') throw systemError('ENOTDIR', `node ${number}`);
    return node;
  }

  /** How many names a file has. */
  linksOf(number: NodeNumber): number {
    let links = 0;
    for (const node of this.#nodes.values()) {
      if (node.kind === 'directory') for (const child of node.cached.values()) if (child === number) links += 1;
    }
    return links;
  }

  /** Every file as processes see it, by path. */
  files(): Map<string, Buffer> {
    return new Map(Array.from(this.contents(), ([path, content]) => [path, wholeContent(content)]));
  }

  /** As `files`, without copying any bytes. */
  contents(): Map<string, FileContent> {
    const found = new Map<string, FileContent>();
    const visit = (directory: DirectoryNode, path: string): void => {
      for (const [name, number] of directory.cached) {
        const node = this.node(number);
        if (node.kind === 'directory') visit(node, `${path}/${name}`);
        else found.set(`${path}/${name}`, node.cached);
      }
    };
    visit(this.directory(rootNumber), '');
    return found;
  }

  get usedBytes(): number {
    let used = 0;
    for (const node of this.#nodes.values()) if (node.kind === 'file') used += node.cached.sizeBytes;
    return used;
  }

  createFile(path: string, facts: { readonly mode: number; readonly modifiedMs: number }): NodeNumber {
    if (this.find(path) !== undefined) throw systemError('EEXIST', path);
    const parent = this.#parent(path);
    const number = this.#add({ kind: 'file', cached: emptyContent, durable: emptyContent, unsynced: [], hasLost: false, ...facts });
    this.#name(parent, { added: [basename(path), number] });
    return number;
  }

  createDirectory(path: string): NodeNumber {
    const parent = this.#parent(path);
    const number = this.#add(emptyDirectory);
    this.#name(parent, { added: [basename(path), number] });
    return number;
  }

  rename(from: string, to: string): void {
    const [source, target, number] = [this.#parent(from), this.#parent(to), this.existing(from)];
    if (this.find(to) === number) return; // POSIX: two names of one file stay as they are
    if (source === target) {
      this.#name(source, { removed: basename(from), added: [basename(to), number] });
      return;
    }
    this.#name(target, { added: [basename(to), number] });
    this.#name(source, { removed: basename(from) });
  }

  link(from: string, to: string): void {
    if (this.find(to) !== undefined) throw systemError('EEXIST', to);
    this.#name(this.#parent(to), { added: [basename(to), this.existing(from)] });
  }

  /** Takes a name away, of a file or an empty directory. */
  unlink(path: string): void {
    this.#name(this.#parent(path), { removed: basename(path) });
  }

  write(number: NodeNumber, buffers: readonly Uint8Array[], position: number): void {
    const sizeBytes = buffers.reduce((sum, { byteLength }) => sum + byteLength, 0);
    if (sizeBytes === 0) return;
    const sectors = sectorsWritten(this.file(number).cached, buffers, position);
    this.#content(number, { kind: 'write', firstSector: Math.floor(position / sectorBytes), sectors, endBytes: position + sizeBytes });
  }

  truncate(number: NodeNumber, sizeBytes: number): void {
    this.#content(number, { kind: 'truncate', sizeBytes });
  }

  setFacts(number: NodeNumber, facts: { readonly mode?: number; readonly modifiedMs?: number }): void {
    this.#set(number, { ...this.file(number), ...facts });
  }

  /** Other bytes, durable at once. */
  tamper(number: NodeNumber, bytes: Uint8Array): void {
    this.truncate(number, 0);
    this.write(number, [bytes], 0);
    const file = this.file(number);
    this.#set(number, { ...file, durable: file.cached, unsynced: [], hasLost: false });
  }

  /** Makes durable what was done to a file or directory up to the change of that number. */
  sync(number: NodeNumber, changes: number): void {
    const node = this.#nodes.get(number);
    if (node === undefined) return;
    if (node.kind === 'directory') {
      const { early, late } = divided(node.unsynced, changes);
      if (early.length > 0) this.#set(number, { ...node, durable: late.length === 0 ? node.cached : namesAfter(node.durable, early), unsynced: late });
      return;
    }
    const { early, late } = divided(node.unsynced, changes);
    // The very same where nothing lies between them, so that a power cut need not look at it.
    if (early.length > 0) this.#set(number, { ...node, durable: late.length === 0 && !node.hasLost ? node.cached : contentAfter(node.durable, early), unsynced: late });
  }

  /** As a kernel does when the disk refuses a sync: some of it is durable, and of the rest nobody knows any more. */
  failSync(number: NodeNumber, changes: number, random: SeededRandom): void {
    const node = this.#nodes.get(number);
    if (node?.kind !== 'file') return;
    const { early, late } = divided(node.unsynced, changes);
    if (early.length > 0) this.#set(number, { ...node, durable: survivingContent(node, early, random), unsynced: late, hasLost: true });
  }

  #content(number: NodeNumber, change: NewFileChange): void {
    const numbered: FileChange = { ...change, number: this.#next() };
    const file = this.file(number);
    this.#set(number, { ...file, cached: contentAfter(file.cached, [numbered]), unsynced: [...file.unsynced, numbered] });
  }

  #name(number: NodeNumber, change: Omit<NameChange, 'number'>): void {
    const numbered: NameChange = { ...change, number: this.#next() };
    const directory = this.directory(number);
    this.#set(number, { ...directory, cached: namesAfter(directory.cached, [numbered]), unsynced: [...directory.unsynced, numbered] });
  }

  #parent(path: string): NodeNumber {
    const number = this.existing(dirname(path));
    this.directory(number);
    return number;
  }

  #add(node: DiskNode): NodeNumber {
    const number = this.#next();
    this.#set(number, node);
    return number;
  }

  #next(): number {
    this.#changes += 1;
    return this.#changes;
  }

  #set(number: NodeNumber, node: DiskNode): void {
    if (this.#isKept) {
      this.#nodes = new Map(this.#nodes);
      this.#isKept = false;
    }
    this.#nodes.set(number, node);
  }
}

/** Changes up to that number, and those behind. */
function divided<T extends { readonly number: number }>(unsynced: readonly T[], changes: number): { readonly early: readonly T[]; readonly late: readonly T[] } {
  const index = unsynced.findIndex(({ number }) => number > changes);
  return index === -1 ? { early: unsynced, late: [] } : { early: unsynced.slice(0, index), late: unsynced.slice(index) };
}
