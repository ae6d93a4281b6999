// What each rule must catch, and what it must leave alone. Samples are whole little repositories; the machine's
// path in one of them is put together, so that the sample itself breaks no rule.

export interface Sample {
  readonly rule: string;
  readonly name: string;
  readonly files: Readonly<Record<string, string>>;
  /** `path:line` of each finding, in any order; none means that the rule must stay silent. */
  readonly finds: readonly string[];
}

const contract = 'export interface BlobStore { get(): void }\n';
const concrete = "import type { BlobStore } from './blob-store.ts';\nexport class MemoryBlobStore implements BlobStore { get() {} }\n";
const why = '// Says its duty in one line, and what it refuses.\n';

/** A sample of one file. `title` is the rule and, after ": ", what is shown. */
function one(title: string, text: string, lines: readonly number[], path = 'src/blob/a.ts'): Sample {
  const [rule = '', name = ''] = title.split(': ');
  return { rule, name, files: { [path]: text }, finds: lines.map((line) => `${path}:${line}`) };
}

const layerSamples: readonly Sample[] = [
  one('import-direction: a lower layer that looks up', "import { a } from '../services/a.ts';\n", [1]),
  one('import-direction: a layer that is not in its row', "import { a } from '../proto/a.ts';\n", [1]),
  one('import-direction: equal numbers', "import type { a } from '../engine/a.ts';\n", [1], 'src/h2/a.ts'),
  one('import-direction: a type import counts', "import type { a } from '../wiring/a.ts';\n", [1], 'src/http/a.ts'),
  one('import-direction: an import of several lines', "import {\n  a,\n  b,\n} from '../cli/a.ts';\n", [1], 'src/http/a.ts'),
  one('import-direction: a dynamic import', "\nconst a = await import('../cli/a.ts');\n", [2], 'src/http/a.ts'),
  one('import-direction: grpc stands above h2', "import { a } from '../h2/a.ts';\n", [], 'src/grpc/a.ts'),
  one('import-direction: platform outside wiring, cli and tests', "import { a } from '../platform/a.ts';\n", [1], 'src/http/a.ts'),
  one('import-direction: config outside wiring and cli', "import { a } from '../config/a.ts';\n", [1], 'src/testing/a.ts'),
  one('import-direction: testing reached by what ships', "import { a } from '../testing/a.ts';\n", [1], 'src/wiring/a.ts'),
  one('import-direction: testing and platform reached by a test', "import { a } from '../testing/a.ts';\nimport { b } from '../platform/b.ts';\n", [], 'src/h2/a.test.ts'),
  one('import-direction: a test that looks up', "import { a } from '../services/a.ts';\n", [1], 'src/h2/a.test.ts'),
  one('import-direction: actions has no transport', "import { a } from '../grpc/a.ts';\n", [1], 'src/actions/a.ts'),
  one('import-direction: the worker has no scheduler', "import { a } from '../scheduler/a.ts';\n", [1], 'src/worker/a.ts'),
  one('import-direction: wiring sees everything below', "import { a } from '../http/a.ts';\nimport { b } from '../platform/b.ts';\n", [], 'src/wiring/a.ts'),
  one('import-direction: an import without its ending', "import { a } from './a';\n", [1]),
  one('import-direction: what ships needs no test', "import { a } from '../../test/a.ts';\n", [1]),
  one('import-direction: a folder without a row', '', [1], 'src/misc/a.ts'),
  one('import-direction: the browser takes more than types', "import { a } from '../http/api-types.ts';\n", [1], 'src/dashboard/a.ts'),
  one('import-direction: an import that is only text', "const a = `import { b } from '../cli/a.ts';`;\n", []),
  {
    rule: 'import-direction',
    name: 'a service that names a concrete store',
    files: {
      'src/blob/blob-store.ts': contract,
      'src/blob/memory-blob-store.ts': concrete,
      'src/services/a.ts': "import { MemoryBlobStore } from '../blob/memory-blob-store.ts';\nimport type { BlobStore } from '../blob/blob-store.ts';\n",
      'src/services/a.test.ts': "import { MemoryBlobStore } from '../blob/memory-blob-store.ts';\n",
    },
    finds: ['src/services/a.ts:1'],
  },
];

const tokenSamples: readonly Sample[] = [
  one('ambient-world: clocks', 'const a = Date.now();\nconst b = new Date();\nconst c = performance.now();\n', [1, 2, 3]),
  one('ambient-world: randomness', 'const a = Math.random();\nconst b = crypto.randomUUID();\n', [1, 2]),
  one('ambient-world: timers', 'setTimeout(f, 1);\nsetInterval(f, 1);\nsetImmediate(f);\nAbortSignal.timeout(5);\n', [1, 2, 3, 4]),
  one('ambient-world: the process', 'const a = process.env.HOME;\nprocess.exit(1);\nconsole.log(a);\nglobalThis.a = 1;\n', [1, 2, 3, 4]),
  one('ambient-world: the network and threads', 'const a = await fetch(b);\nnew Worker(c);\nAtomics.wait(d, 0, 0);\n', [1, 2, 3]),
  one('ambient-world: modules with effects', "import { open } from 'node:fs/promises';\nimport type { Socket } from 'node:net';\nimport * as crypto from 'node:crypto';\nimport { randomBytes } from 'node:crypto';\n", [1, 2, 3, 4]),
  one('ambient-world: modules and words without effects', "import { createHash } from 'node:crypto';\nimport { join } from 'node:path';\n// Date.now() is not used\nconst a = 'Date.now()';\nconst b = /Date.now/;\nthis.process.exit();\ntimers.setTimeout(f);\n", []),
  one('ambient-world: a value in a template', 'const a = `${Date.now()} and Date.now() and ${`${b}`} Math.random`;\n', [1]),
  one('ambient-world: platform is the ambient world', 'const a = Date.now();\n', [], 'src/platform/a.ts'),
  one('ambient-world: tests may', "const a = Date.now();\nimport { open } from 'node:fs';\n", [], 'src/blob/a.test.ts'),
  one('module-state: variables', 'let a = 1;\nexport let b = 2;\nfunction f() {\n  let c = 1;\n}\n', [1, 2]),
  one('module-state: memory and static fields', 'const a = new PieceMemory(16);\nclass A {\n  static #b: number = 1;\n  static readonly c = 2;\n  static of(d = 3) {\n    return new PieceMemory(d);\n  }\n}\n', [1, 3]),
  one('module-state: empty containers', 'const a = new Map<string, number>();\nexport const b: string[] = [];\nconst c = new Map([[1, 2]]);\nclass A {\n  readonly #d = new Map();\n}\n', [1, 2]),
  one('banned-word: looking inside a store', 'if (a instanceof MemoryBlobStore) b();\nclass A extends MemoryStore {}\n', [1, 2]),
  one('banned-word: matching a message', "if (e.message.includes('x')) a();\nif (e.message === 'x') a();\nnew Error(e.message);\n", [1, 2]),
  one('banned-word: tests left out', "it.only('a', f);\nit('a', { only: true }, f);\nit.skip('a', f);\nit('a', { skip: true }, f);\nt.skip();\nt.skip('why');\nit('a', { skip: here && 'why' }, f);\n", [1, 2, 3, 4, 5], 'src/blob/a.test.ts'),
  one('banned-word: privacy that ends with the compiler', 'class A {\n  private a = 1;\n  static private b() {}\n  private constructor() {}\n}\n', [2, 3]),
  one('banned-word: work put off and checks put out', '// TODO: more\n/* FIXME */\n// @ts-ignore\n// oxlint-disable-next-line\nconst TODO = 1;\n', [1, 2, 3, 4]),
  one('banned-word: mocks', "import { it, mock } from 'node:test';\n", [1], 'src/blob/a.test.ts'),
  one('barrel: exporting from elsewhere', "export { a } from './a.ts';\nexport * from './b.ts';\nexport type { c } from './c.ts';\n", [1, 2, 3]),
  one('barrel: exporting what was imported', "import { a } from './a.ts';\nexport { a };\n", [2]),
  one('barrel: ordinary exports', "import { a } from './a.ts';\nexport const b = a;\nexport function from(text: string) {\n  return 'x';\n}\nconst c = 1;\nexport { c };\n", []),
];

const machinePath = `/${'work'}/main/a`;

const fileSamples: readonly Sample[] = [
  one('file-name: camel case', why, [1], 'src/blob/blobStore.ts'),
  one('file-name: names that say nothing', why, [1], 'src/blob/blob-utils.ts'),
  one('file-name: folders that say nothing', why, [1], 'test/helpers/a.ts'),
  one('file-name: a store called unlike its class', `${why}export class MemBlobStore {}\n`, [1], 'src/blob/memory-blob-store.ts'),
  one('file-name: good names', `${why}export class MemoryBlobStore {}\n`, [], 'src/blob/memory-blob-store.ts'),
  one('opening-comment: none', "import { a } from './a.ts';\n// Something about the next line of code.\n", [1]),
  one('opening-comment: a label', '// Blobs.\nconst a = 1;\n', [1]),
  one('opening-comment: after #!', `#!/usr/bin/env node\n${why}const a = 1;\n`, []),
  one('opening-comment: a docstring', `/**\n * Says its duty in one line.\n */\nexport class A {}\n`, []),
  one('opening-comment: a script without', '#!/bin/sh\nset -e\n', [1], 'scripts/a.sh'),
  one('file-length: code over the budget', `${why}${'a();\n'.repeat(401)}`, [1]),
  one('file-length: comments and blank lines are free', `${why}${'// because\n\n'.repeat(401)}`, []),
  one('file-length: tests have more', `${why}${'a();\n'.repeat(500)}`, [], 'src/blob/a.test.ts'),
  one('file-weight: a large binary', '\0'.repeat(70_000), [1], 'docs/picture.png'),
  one('file-weight: a small one', '\0'.repeat(1000), [], 'docs/picture.png'),
  one('machine-trace: paths', `see ${machinePath}\nor /${'root'}/kiln\n`, [1, 2], 'docs/a.md'),
  one('machine-trace: registries', `{\n"resolved": "${'http'}s://example.net/a.tgz" }`, [2], 'package-lock.json'),
  one('machine-trace: paths that every machine has', 'GET /v1/work/a, src/work/a.ts, /usr/share/bazel, $HOME/home/me/x\n', [], 'docs/a.md'),
  {
    rule: 'dead-link',
    name: 'links',
    files: { 'docs/a.md': '[b](b.md#part) [c](../src/c.ts)\n[d](d.md) [web](https://example.net/x)\n[dir](formats/)\n', 'docs/b.md': '', 'docs/formats/x.md': '' },
    finds: ['docs/a.md:1', 'docs/a.md:2'],
  },
];

const reachSamples: readonly Sample[] = [
  {
    rule: 'unused-file',
    name: 'what ships, what tests use, and what nobody does',
    files: {
      'bin/kiln': '#!/bin/sh\nexec node "$root/src/cli/main.ts" "$@"\n',
      'src/cli/main.ts': "import { a } from '../blob/a.ts';\n",
      'src/blob/a.ts': "const thread = new URL('./thread.ts', import.meta.url);\n",
      'src/blob/thread.ts': '',
      'src/blob/only-tested.ts': '',
      'src/blob/only-tested.test.ts': "import './only-tested.ts';\nimport '../testing/fake.ts';\nconst program = 'test/program.ts';\n",
      'src/testing/fake.ts': '',
      'src/testing/unused-fake.ts': '',
      'src/library/exported.ts': '',
      'test/program.ts': '',
      'test/unused.ts': '',
      'bench/main.ts': '',
      'package.json': '{ "exports": { ".": "./dist/library/exported.js" }, "scripts": { "bench": "node bench/main.ts" } }',
    },
    finds: ['src/blob/only-tested.ts:1', 'src/testing/unused-fake.ts:1', 'test/unused.ts:1'],
  },
];

const dependencyPage = '| dependency | imported from | why | licence | instead |\n|---|---|---|---|---|\n';

const evidenceSamples: readonly Sample[] = [
  {
    rule: 'dependency',
    name: 'lines, versions and folders',
    files: {
      'package.json': '{ "dependencies": { "good": "1.2.3", "unlisted": "1.0.0", "loose": "^1.0.0" }, "devDependencies": { "tool": "2.0.0" } }',
      'docs/dependencies.md': `${dependencyPage}| \`good\` | src/proto/ | messages | MIT | own code |\n| \`gone\` | src/h2/ | old | MIT | nothing |\n| \`loose\` | src/h2/ | | MIT | nothing |\n| \`tool\` | tests | oracle | MIT | another |\n`,
      'src/proto/a.ts': "import { a } from 'good/deep';\n",
      'src/blob/a.ts': "import { a } from 'good';\nimport { b } from 'tool';\nimport { c } from 'node:path';\n",
      'src/blob/a.test.ts': "import { b } from 'tool';\n",
    },
    finds: ['package.json:1', 'package.json:1', 'docs/dependencies.md:4', 'docs/dependencies.md:5', 'src/blob/a.ts:1', 'src/blob/a.ts:2'],
  },
  {
    rule: 'format-page',
    name: 'magics with and without a page',
    files: {
      'docs/formats/records.md': 'Magic: `KILNREC1`.\n',
      'src/engine/a.ts': "const recordMagic = Buffer.from('KILNREC1');\nconst indexMagic = 0x4b494c4e;\nexport const hintMagic = makeMagic();\n",
    },
    finds: ['src/engine/a.ts:2', 'src/engine/a.ts:3'],
  },
  {
    rule: 'crash-test',
    name: 'write paths with and without',
    files: {
      'src/engine/a.ts': '\nawait files.rename(from, to);\n',
      'src/engine/b.ts': 'await file.syncData();\n',
      'src/engine/c.ts': "import { b } from './b.ts';\nawait files.rename(from, to);\n",
      'src/engine/d.ts': 'await files.rename(from, to);\n',
      'src/engine/e.ts': 'return this.#inner.rename(from, to);\n',
      'src/engine/c.crash.test.ts': "import { c } from './c.ts';\n",
      'test/crash/kill.test.ts': "const program = '../../src/engine/d.ts';\n",
    },
    finds: ['src/engine/a.ts:2'],
  },
  one('durable-path: a file made elsewhere', 'await fs.createExclusive(path);\nawait fs.rename(a, b);\n', [1, 2]),
  one('durable-path: the engine makes files', 'await fs.rename(a, b);\n', [], 'src/engine/a.ts'),
  one('bound: a class that only grows', 'export class SendQueue {\n  readonly #items: number[] = [];\n}\n', [1]),
  one('bound: a field that only grows', 'class Connection {\n  readonly #pending = new Map<number, Stream>();\n  #writeQueue: Uint8Array[] = [];\n}\n', [2, 3]),
  one('bound: a container made without a limit', 'const a = new BoundedMap<string, number>(Infinity);\nconst b = new LruCache();\nconst c = 1; // entriesMax\n', [1, 2]),
  one('bound: a duration without its unit', 'function wait(timeout: number) {}\ninterface A { idleTimeout?: number; idleTimeoutMs: number }\n', [1, 2]),
  one('bound: limits that are there', 'export class SendQueue {\n  readonly #queue: number[] = [];\n  constructor(readonly queuedBytesMax: number) {}\n}\nconst b = new BoundedMap<string, number>(entriesMax);\nclass StoredActionCache {}\nclass BuildCache {}\n', []),
];

export const samples: readonly Sample[] = [...layerSamples, ...tokenSamples, ...fileSamples, ...reachSamples, ...evidenceSamples];
