// Words that must not stand in code, each with what to write instead.
import { findingAt, isProduction } from './tree.ts';
import type { Finding, Rule, Source } from './tree.ts';

interface BannedToken {
  readonly pattern: RegExp;
  readonly instead: string;
}

/** The ambient world. The real ports live in platform/; everyone else is handed one. */
const ambientTokens: readonly BannedToken[] = [
  { pattern: /\bDate\.now\b/g, instead: 'take a MonotonicClock or a WallClock (base/clock.ts)' },
  { pattern: /\bnew Date\(/g, instead: 'take a WallClock (base/clock.ts); texts of times are made in platform/' },
  { pattern: /\bperformance\./g, instead: 'take a MonotonicClock (base/clock.ts)' },
  { pattern: /\bMath\.random\b/g, instead: 'take a Random (base/random.ts)' },
  { pattern: /\bcrypto\.(?:randomUUID|getRandomValues)\b/g, instead: 'take a Random (base/random.ts)' },
  { pattern: /(?<!\.)\b(?:setTimeout|setInterval|setImmediate)\b/g, instead: 'take Timers (base/clock.ts)' },
  { pattern: /\bAbortSignal\.timeout\b/g, instead: 'take Timers (base/clock.ts) and abort an AbortController' },
  { pattern: /(?<![.\w])process\.(?!\w+:)/g, instead: 'take a plain value; the real process is in platform/process.ts' },
  { pattern: /(?<![.\w])console\./g, instead: 'take a Log (base/log.ts), or an output port in cli/' },
  { pattern: /\bglobalThis\b/g, instead: 'take a parameter' },
  { pattern: /\b(?:await|return|=)\s+fetch\(/g, instead: 'take a client port' },
  { pattern: /\bnew (?:Worker|WebSocket|EventSource)\(/g, instead: 'take a port; the real one is made in platform/' },
  { pattern: /\bAtomics\.wait\(/g, instead: 'wait with a promise: nothing blocks the loop' },
];

/** Node modules without effects. A pattern limits them to the names that have none. */
const pureModules: Readonly<Record<string, RegExp>> = {
  'node:assert': /./,
  'node:assert/strict': /./,
  'node:buffer': /./,
  'node:crypto': /^(?:createHash|createHmac|hash|getHashes|timingSafeEqual|Hash|Hmac|X509Certificate|KeyObject|createPrivateKey)$/,
  'node:events': /./,
  'node:path': /./,
  'node:path/posix': /./,
  'node:string_decoder': /./,
  'node:url': /./,
  'node:util': /./,
  'node:zlib': /^(?:crc32|constants|\w+Sync)$/,
};

export const noAmbientWorld: Rule = {
  name: 'ambient-world',
  *check(tree) {
    for (const source of tree.sources) {
      if (!isProduction(source) || source.folder === 'platform') continue;
      yield* tokensIn(source, source.code, ambientTokens);
      for (const { specifier, names, offset } of source.imports) {
        const pure = pureModules[specifier];
        const impure = pure === undefined ? ['it'] : (names ?? ['*']).filter((name) => name === '*' || !pure.test(name));
        if (!specifier.startsWith('node:') || impure.length === 0) continue;
        yield findingAt(source, offset, `${specifier} has effects (${impure.join(', ')}): only platform/ imports it; take a port of base/ instead`);
      }
    }
  },
};

/** State that two servers in one process would share, and work that an import would do. */
const moduleState: readonly BannedToken[] = [
  { pattern: /^(?:export )?(?:let|var) /gm, instead: 'no mutable module state: put it into an object that is handed around' },
  {
    pattern: /^(?:export )?const \w+(?:: [^=\n]+)? = (?:new (?:Map|Set|WeakMap|WeakSet|Array|BoundedMap)(?:<[^\n]*>)?\(\)|\[\]|\{\});/gm,
    instead: 'an empty container of a module is mutable state: put it into an object that is handed around',
  },
  {
    pattern: /^(?:export )?const \w+(?:: [^=\n]+)? = new \w*(?:Memory|Pool)\(/gm,
    instead: 'memory that is used again is mutable state: put it into an object that is handed around',
  },
  { pattern: /^\s+static #?\w+(?:: [^=(\n]+)? = /gm, instead: 'a static field is module state: make it a field of the instance, or readonly' },
];

export const noModuleState: Rule = {
  name: 'module-state',
  *check(tree) {
    for (const source of tree.sources) if (isProduction(source)) yield* tokensIn(source, source.code, moduleState);
  },
};

const bannedCode: readonly BannedToken[] = [
  { pattern: /\binstanceof \w*(?:Store|Cache)\b/g, instead: 'a caller who must look inside shows that a verb or a declared capability is missing' },
  { pattern: /\bclass \w+ extends \w*(?:Store|Cache)\b/g, instead: 'a decorator takes the inner store and spells out every verb' },
  { pattern: /\.message\s*\??\.(?:includes|match|startsWith|endsWith|indexOf|search)\b|\.message\s*[!=]==/g, instead: 'act on `code` and `details`: texts get improved' },
  { pattern: /\.only\(|\bonly:\s*true\b/g, instead: 'all tests run, always' },
  { pattern: /\b(?:it|test|describe|suite)\.(?:skip|todo)\(|\bskip:\s*true\b|\.skip\(\s*\)/g, instead: "give the reason: { skip: condition && 'why' } or t.skip('why')" },
  { pattern: /^\s+(?:(?:static|readonly|override|abstract) )*private (?!constructor\b)/gm, instead: 'privacy is #field, which holds at run time too' },
];

const bannedComments: readonly BannedToken[] = [
  { pattern: /\b(?:TODO|FIXME|XXX|HACK)\b/g, instead: 'do it now, or say in plain words what is not done and why' },
  { pattern: /@ts-(?:ignore|nocheck|expect-error)|\b(?:eslint|oxlint)-disable/g, instead: 'mend the code; an exception goes into tidy.allow.ts with its reason' },
];

export const bannedWords: Rule = {
  name: 'banned-word',
  *check(tree) {
    for (const source of tree.sources) {
      yield* tokensIn(source, source.code, bannedCode);
      yield* tokensIn(source, source.comments, bannedComments);
      const mock = source.imports.find(({ specifier, names }) => specifier === 'node:test' && names?.includes('mock') === true);
      if (mock !== undefined) yield findingAt(source, mock.offset, 'mock: write a fake; a mock pins how, a fake pins what');
    }
  },
};

/** `export … from`, and exporting again what was imported: the lint rule sees only whole files of it. */
export const noBarrels: Rule = {
  name: 'barrel',
  *check(tree) {
    for (const source of tree.sources) {
      const imported = new Set(source.imports.flatMap(({ kind, names }) => (kind === 'import' ? (names ?? []) : [])));
      for (const { kind, specifier, offset } of source.imports) {
        if (kind === 'export') yield findingAt(source, offset, `re-export from '${specifier}': importers name the file that defines a thing`);
      }
      for (const match of source.code.matchAll(/^export (?:type )?\{([^}]*)\}\s*;/gm)) {
        const again = (match[1] ?? '').split(',').map((name) => name.trim().replace(/ as .*/, '')).filter((name) => imported.has(name));
        if (again.length > 0) yield findingAt(source, match.index, `re-export of ${again.join(', ')}: importers name the file that defines a thing`);
      }
    }
  },
};

function* tokensIn(source: Source, half: string, tokens: readonly BannedToken[]): Generator<Finding> {
  for (const { pattern, instead } of tokens) {
    for (const match of half.matchAll(pattern)) {
      const word = match[0].trim().replace(/\s+/g, ' ');
      yield findingAt(source, match.index + match[0].length - match[0].trimStart().length, `${word}: ${instead}`);
    }
  }
}
