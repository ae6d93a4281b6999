// Rules about a file as a whole: its name, its opening, its length, its weight, and what it gives away.
import { posix } from 'node:path';
import { findingAt } from './tree.ts';
import type { Rule, Source, Tree } from './tree.ts';

const kebabCase = /^[a-z0-9]+(?:-[a-z0-9]+)*(?:\.(?:test|crash\.test|fuzz\.test|bench|allow))?\.ts$/;
const emptyNames = new Set(['util', 'utils', 'helper', 'helpers', 'common', 'manager', 'managers', 'misc', 'index', 'shared']);
const storeFile = /^src\/(?:blob|actions|client)\/((?:\w+-)+(?:blob-store|value-store|action-cache))\.ts$/;

/** Names come from the domain, and a store's file is called like its class. */
export const fileNames: Rule = {
  name: 'file-name',
  *check(tree) {
    for (const { path, text, code } of tree.sources) {
      const name = posix.basename(path);
      const empty = path.split('/').flatMap((part) => part.split(/[-.]/)).find((word) => emptyNames.has(word));
      if (!kebabCase.test(name)) yield findingAt({ path, text }, 0, `${name}: file names are kebab-case`);
      if (empty !== undefined) yield findingAt({ path, text }, 0, `"${empty}" says nothing: name the file after what it holds`);
      const stem = storeFile.exec(path)?.[1];
      const className = stem?.replace(/(?:^|-)(\w)/g, (_, letter: string) => letter.toUpperCase());
      if (className !== undefined && !new RegExp(`export class ${className}\\b`).test(code)) {
        yield findingAt({ path, text }, 0, `the file exports no class ${className}: <adjective>-blob-store.ts holds <Adjective>BlobStore`);
      }
    }
  },
};

/** Shorter than this is a label, not a duty. */
const openingCharsMin = 20;

export const openingComment: Rule = {
  name: 'opening-comment',
  *check(tree) {
    for (const { path, text, comments } of tree.sources) {
      const body = text.replace(/^#!.*\n/, '').trimStart();
      const opening = comments.slice(text.length - body.length).split(/\n\s*\n/)[0] ?? '';
      if (!/^\/[/*]/.test(body) || opening.trim().length < openingCharsMin) {
        yield findingAt({ path, text }, 0, 'a file opens with a comment: its duty, and what it refuses to do');
      }
    }
    for (const [path, text] of tree.files) {
      if (text !== undefined && /\.sh$|^bin\/[^.]+$|^\.ci\/run$/.test(path) && !/^#!.*\n#\s*\S.{15}/.test(text)) {
        yield { path, line: 1, message: 'a script opens with #! and a comment that says its duty' };
      }
    }
  },
};

/** Lines of code; blank lines and comments are free, so that no budget argues against a comment. */
export const lineBudget = { soft: 250, hard: 400, test: 500 } as const;

export function codeLines(source: Source): number {
  return source.code.split('\n').filter((line) => line.trim() !== '').length;
}

function isTestLike({ path, isTest }: Source): boolean {
  return isTest || path.endsWith('-conformance.ts');
}

export const fileLength: Rule = {
  name: 'file-length',
  *check(tree) {
    for (const source of tree.sources) {
      const [lines, most] = [codeLines(source), isTestLike(source) ? lineBudget.test : lineBudget.hard];
      if (lines > most) yield findingAt(source, 0, `${lines} lines of code, at most ${most}: a file holds one idea and is read in one sitting`);
    }
  },
};

/** Files over the soft budget. They pass; they are listed, so that the list stays short. */
export function overSoftBudget(tree: Tree): readonly string[] {
  return tree.sources.filter((source) => !isTestLike(source) && codeLines(source) > lineBudget.soft).map((source) => `${source.path} (${codeLines(source)} lines)`);
}

const binaryBytesMax = 64 * 1024;
const textBytesMax = 1024 * 1024;

export const fileWeight: Rule = {
  name: 'file-weight',
  *check(tree) {
    for (const [path, sizeBytes] of tree.sizeBytes) {
      const most = tree.files.get(path) === undefined ? binaryBytesMax : textBytesMax;
      if (sizeBytes > most) yield { path, line: 1, message: `${sizeBytes} bytes, at most ${most}: a clone keeps every version for ever` };
    }
  },
};

/** What only one machine understands. */
const machineTraces: readonly { readonly pattern: RegExp; readonly what: string }[] = [
  { pattern: /(?<![\w.*{}$-])\/(?:work|root|tmp\/[a-z_.]+\d+)\/[\w.-]/g, what: 'a path of one machine: use a relative path, a flag or a temporary directory' },
  { pattern: /"resolved":\s+"http|\bregistry=http|\b(?:registry\.npmjs|registry\.yarnpkg|proxy\.golang|pypi|files\.pythonhosted|deb\.debian)\.(?:org|com)\b/g, what: 'the host of a registry: which one is used is the business of the machine' },
];

export const noMachineTraces: Rule = {
  name: 'machine-trace',
  *check(tree) {
    for (const [path, text] of tree.files) {
      for (const { pattern, what } of machineTraces) {
        for (const match of (text ?? '').matchAll(pattern)) yield findingAt({ path, text: text ?? '' }, match.index, `${match[0]}: ${what}`);
      }
    }
  },
};

/** Links between pages, and from pages to files. */
export const deadLinks: Rule = {
  name: 'dead-link',
  *check(tree) {
    for (const [path, text] of tree.files) {
      if (!path.endsWith('.md') || text === undefined) continue;
      for (const match of text.matchAll(/\]\((?!\w+:|#)([^)#\s]+)(?:#[^)]*)?\)/g)) {
        const target = posix.join(posix.dirname(path), match[1] ?? '').replace(/\/$/, '');
        if (!exists(tree, target)) yield findingAt({ path, text }, match.index, `link to ${target}, which does not exist`);
      }
    }
  },
};

function exists(tree: Tree, target: string): boolean {
  return tree.files.has(target) || tree.files.keys().some((path) => path.startsWith(`${target}/`));
}
