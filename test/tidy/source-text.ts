// Splits TypeScript text into code and comments without parsing it, and reads the imports off. Enough for rules
// about tokens: what stands in a string, a template or a regular expression is blanked in both halves.

/** Both halves have the length and the line breaks of the text, so that offsets agree. */
export interface SplitText {
  readonly code: string;
  readonly comments: string;
}

type Half = 'code' | 'comment' | 'neither';

/** What may stand before a `/` that opens a regular expression; after anything else it divides. */
const beforeRegex = /(?:^|[(,=:[!&|?{};+\-*%~^<>]|\b(?:return|typeof|case|in|of|await|yield|throw|delete|void|else|do))$/;
const plainRun = /[^"'`/{}]+/y;
const regexLiteral = /\/(?![*/])(?:[^\\/[\n]|\\.|\[(?:[^\]\\\n]|\\.)*\])+\/[a-z]*/y;
const templateChunk = /(?:[^\\`$]|\\[\s\S]|\$(?!\{))*/y;
const stringRest = { '"': /(?:[^\\"\n]|\\[\s\S])*/y, "'": /(?:[^\\'\n]|\\[\s\S])*/y };

/** Code and comments of one file. A `#!` line counts as a comment. */
export function splitText(text: string): SplitText {
  const halves = { code: '', comments: '' };
  const openTemplates: number[] = []; // the brace depth in which each `${` that is still open stands
  let depth = 0;
  let at = 0;
  const take = (end: number, half: Half): void => {
    const piece = text.slice(at, end);
    const blank = piece.replace(/[^\n]/g, ' ');
    halves.code += half === 'code' ? piece : blank;
    halves.comments += half === 'comment' ? piece : blank;
    at = end;
  };
  const matchEnd = (pattern: RegExp): number => {
    pattern.lastIndex = at;
    return pattern.test(text) ? pattern.lastIndex : at;
  };
  const takeTemplate = (): void => {
    take(matchEnd(templateChunk), 'neither');
    if (text.startsWith('${', at)) {
      openTemplates.push(depth);
      take(at + 2, 'code');
    } else take(at + 1, 'code');
  };
  if (text.startsWith('#!')) take(lineEnd(text, 0), 'comment');
  while (at < text.length) {
    const char = text[at];
    const run = matchEnd(plainRun);
    if (run > at) take(run, 'code');
    else if (text.startsWith('//', at)) take(lineEnd(text, at), 'comment');
    else if (text.startsWith('/*', at)) take(blockEnd(text, at), 'comment');
    else if (char === '"' || char === "'") {
      take(at + 1, 'code');
      take(matchEnd(stringRest[char]), 'neither');
      take(Math.min(at + 1, text.length), 'code');
    } else if (char === '`') {
      take(at + 1, 'code');
      takeTemplate();
    } else if (char === '}' && openTemplates.at(-1) === depth) {
      openTemplates.pop();
      take(at + 1, 'code');
      takeTemplate();
    } else if (char === '/' && matchEnd(regexLiteral) > at && beforeRegex.test(halves.code.trimEnd().slice(-12))) {
      take(matchEnd(regexLiteral), 'neither');
    } else {
      if (char === '{') depth += 1;
      if (char === '}') depth -= 1;
      take(at + 1, 'code');
    }
  }
  return halves;
}

function lineEnd(text: string, from: number): number {
  const end = text.indexOf('\n', from);
  return end === -1 ? text.length : end;
}

function blockEnd(text: string, from: number): number {
  const end = text.indexOf('*/', from + 2);
  return end === -1 ? text.length : end + 2;
}

/** One import or re-export. */
export interface ImportedModule {
  readonly specifier: string;
  readonly kind: 'import' | 'export' | 'dynamic';
  readonly typeOnly: boolean;
  /** The names in braces, as the other module calls them; undefined when the whole module is taken. */
  readonly names: readonly string[] | undefined;
  readonly offset: number;
}

const fromClause = /(?<=^|[;}\n])[ \t]*\b(import|export)\b(\s+type\b)?([^;'"`=()]*?)\bfrom\s*['"]/g;
const sideEffect = /(?<=^|[;}\n])[ \t]*\bimport\s*['"]/g;
const dynamicImport = /\bimport\s*\(\s*['"]/g;

/** Every module that the file names in an import, a re-export or an `import()` of a literal. */
export function readImports(text: string, code: string): ImportedModule[] {
  const literalAt = (start: number): string => text.slice(start, code.slice(start).search(/['"]/) + start);
  const found: ImportedModule[] = [];
  for (const match of code.matchAll(fromClause)) {
    const clause = match[3] ?? '';
    const braces = /\{([^}]*)\}/.exec(clause)?.[1];
    const parts = braces?.split(',').map((part) => part.trim()).filter((part) => part !== '');
    found.push({
      specifier: literalAt(match.index + match[0].length),
      kind: match[1] === 'export' ? 'export' : 'import',
      typeOnly: match[2] !== undefined || (parts !== undefined && parts.length > 0 && parts.every((part) => part.startsWith('type '))),
      names: parts?.map((part) => part.replace(/^type /, '').replace(/ as .*/, '')),
      offset: match.index,
    });
  }
  for (const [pattern, kind] of [[sideEffect, 'import'], [dynamicImport, 'dynamic']] as const) {
    for (const match of code.matchAll(pattern)) {
      found.push({ specifier: literalAt(match.index + match[0].length), kind, typeOnly: false, names: undefined, offset: match.index });
    }
  }
  return found;
}
