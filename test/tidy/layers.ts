// Who may import whom. The table is the one of docs/architecture.md: a file imports from its own folder or from a
// lower number; the last columns narrow that further.
import { findingAt, isProduction } from './tree.ts';
import type { Import, Rule, Source, Tree } from './tree.ts';

interface Layer {
  readonly rank: number;
  /** Layers it may import besides itself; default: every lower one that admits it. */
  readonly only?: readonly string[];
  readonly not?: readonly string[];
  /** Layers that may import this one; default: all that stand above. */
  readonly importedBy?: readonly string[];
  /** Sees stores through their contracts only. */
  readonly contractsOnly?: true;
}

/** One row per folder of src/. 3.5 stands for 3b. */
export const layers: Readonly<Record<string, Layer>> = {
  base: { rank: 0 },
  platform: { rank: 1, only: ['base'], importedBy: ['wiring', 'cli', 'testing'] },
  proto: { rank: 1, only: ['base'] },
  telemetry: { rank: 1, only: ['base'], importedBy: ['wiring', 'testing'] },
  digest: { rank: 2, only: ['base'] },
  rights: { rank: 2, only: ['base'], importedBy: ['config', 'wiring', 'cli', 'testing'] },
  h2: { rank: 3, only: ['base'] },
  engine: { rank: 3, only: ['digest', 'base'] },
  grpc: { rank: 3.5, only: ['h2', 'proto', 'base'] },
  blob: { rank: 4, only: ['engine', 'digest', 'base'] },
  actions: { rank: 5, not: ['h2', 'grpc'] },
  scheduler: { rank: 6, only: ['digest', 'proto', 'base'] },
  client: { rank: 6 },
  cluster: { rank: 6 },
  worker: { rank: 7, not: ['scheduler'] },
  services: { rank: 7, contractsOnly: true },
  http: { rank: 7, contractsOnly: true },
  config: { rank: 7, only: ['digest', 'rights', 'base'], importedBy: ['wiring', 'cli'] },
  wiring: { rank: 8 },
  cli: { rank: 9 },
  library: { rank: 9, importedBy: [] },
  // Beside the others: sees all but the two that make a whole program, and is seen by tests and benchmarks.
  testing: { rank: 7.5, importedBy: [] },
};

/** A class that is one of the stores behind a contract. */
const concreteStore = /\bclass\s+(\w+)[^{]*\bimplements\b[^{]*\b(?:BlobStore|ValueStore|ActionCache|SharedActionCache)\b/g;

export const importDirection: Rule = {
  name: 'import-direction',
  *check(tree) {
    const stores = storeFiles(tree);
    for (const source of tree.sources) {
      for (const one of source.imports) {
        const reason = objection(source, one, stores);
        if (reason !== undefined) yield findingAt(source, one.offset, reason);
      }
      if (source.path.startsWith('src/') && layers[source.folder] === undefined && source.folder !== 'dashboard') {
        yield findingAt(source, 0, `src/${source.folder} is not in the table of layers: put the file into a folder that is, or give the folder a row`);
      }
    }
  },
};

/** Files that define a concrete store. */
function storeFiles(tree: Tree): ReadonlySet<string> {
  return new Set(tree.sources.filter((source) => isProduction(source) && source.code.search(concreteStore) !== -1).map(({ path }) => path));
}

function objection(source: Source, { specifier, target, typeOnly }: Import, stores: ReadonlySet<string>): string | undefined {
  if (target === undefined) return undefined;
  if (!/\.(ts|json)$/.test(target)) return `relative import of '${specifier}' must end in .ts`;
  const [top, to = ''] = target.split('/');
  if (!source.path.startsWith('src/')) return undefined;
  if (top !== 'src') return target.endsWith('.json') ? undefined : `src/ imports nothing from ${top}/`;
  const from = source.folder;
  if (from === to) return undefined;
  if (from === 'dashboard') {
    return typeOnly && target === 'src/http/api-types.ts' ? undefined : 'dashboard/ has only `import type` from http/api-types.ts';
  }
  if (source.isTest && (to === 'testing' || to === 'platform')) return undefined;
  if (!mayImport(from, to)) return `${from}/ may not import ${to}/: ${whatMay(from, to)}`;
  if (layers[from]?.contractsOnly === true && !source.isTest && stores.has(target)) {
    return `${from}/ takes stores by their contract; ${target} is a concrete one, which only wiring/ names`;
  }
  return undefined;
}

function mayImport(from: string, to: string): boolean {
  const [upper, lower] = [layers[from], layers[to]];
  if (upper === undefined || lower === undefined || lower.rank >= upper.rank) return false;
  if (lower.importedBy !== undefined && !lower.importedBy.includes(from)) return false;
  return (upper.only?.includes(to) ?? true) && !(upper.not?.includes(to) ?? false);
}

function whatMay(from: string, to: string): string {
  const importers = layers[to]?.importedBy;
  if (importers !== undefined && !importers.includes(from)) {
    return to === 'testing' ? 'testing/ is reached by tests and bench/ only' : `only ${importers.join(', ')} and tests may`;
  }
  const allowed = Object.keys(layers).filter((name) => mayImport(from, name));
  return allowed.length === 0 ? 'it imports nothing of ours' : `it may import ${allowed.join(', ')}`;
}
