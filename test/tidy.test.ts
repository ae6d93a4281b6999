// The rules of structure that no lint rule knows, applied to every file of the repository, and each rule applied
// to samples first: a rule that finds nothing is as likely broken as it is obeyed.
import assert from 'node:assert/strict';
import { resolve } from 'node:path';
import { describe, it } from 'node:test';
import { allowed } from './tidy.allow.ts';
import type { Allowed } from './tidy.allow.ts';
import { bounds, crashTests, dependencies, durablePath, formatPages } from './tidy/evidence.ts';
import { deadLinks, fileLength, fileNames, fileWeight, lineBudget, noMachineTraces, openingComment, overSoftBudget } from './tidy/files.ts';
import { importDirection } from './tidy/layers.ts';
import { noUnusedFiles } from './tidy/reachability.ts';
import { samples } from './tidy/samples.ts';
import { splitText } from './tidy/source-text.ts';
import { bannedWords, noAmbientWorld, noBarrels, noModuleState } from './tidy/tokens.ts';
import { readTree, treeOf } from './tidy/tree.ts';
import type { Finding, Rule } from './tidy/tree.ts';

const rules: readonly Rule[] = [
  importDirection, noAmbientWorld, noModuleState, bannedWords, noBarrels,
  fileNames, openingComment, fileLength, fileWeight, noMachineTraces, deadLinks,
  noUnusedFiles, dependencies, formatPages, crashTests, durablePath, bounds,
];

function covers(entry: Allowed, rule: string, path: string): boolean {
  return entry.rule === rule && (entry.path === path || (entry.path.endsWith('/') && path.startsWith(entry.path)));
}

/** The findings that no entry covers. */
function refused(rule: string, findings: readonly Finding[], entries: readonly Allowed[]): readonly Finding[] {
  return findings.filter(({ path }) => !entries.some((entry) => covers(entry, rule, path)));
}

/** The entries that cover no finding any more. */
function idle(found: ReadonlyMap<string, readonly Finding[]>, entries: readonly Allowed[]): readonly Allowed[] {
  return entries.filter((entry) => !(found.get(entry.rule) ?? []).some(({ path }) => covers(entry, entry.rule, path)));
}

function listing(findings: readonly Finding[]): string {
  return findings.map(({ path, line, message }) => `\n  ${path}:${line}: ${message}`).join('');
}

describe('the rules themselves', () => {
  for (const { rule, name, files, finds } of samples) {
    it(`${rule}: ${name}`, () => {
      const checker = rules.find((one) => one.name === rule);
      assert.ok(checker !== undefined, `there is no rule ${rule}`);
      const found = [...checker.check(treeOf(files))];
      assert.deepEqual(found.map(({ path, line }) => `${path}:${line}`).toSorted(), [...finds].toSorted(), listing(found));
    });
  }

  for (const { name } of rules) {
    it(`${name} has a sample that it catches and one that it leaves alone`, () => {
      const own = samples.filter((sample) => sample.rule === name);
      assert.ok(own.some(({ finds }) => finds.length > 0), 'nothing shows that it finds anything');
      assert.ok(own.some(({ files, finds }) => finds.length === 0 || Object.values(files).join('').split('\n').length - 1 > finds.length), 'nothing shows that it leaves anything alone');
    });
  }

  it('an entry of tidy.allow.ts covers its rule in its file or folder, and is refused once it covers nothing', () => {
    const findings = [{ path: 'src/a/x.ts', line: 1, message: '' }, { path: 'src/b/y.ts', line: 1, message: '' }];
    const entry = (path: string, rule = 'r') => ({ path, rule, reason: 'because' });
    assert.deepEqual(refused('r', findings, [entry('src/a/')]), findings.slice(1));
    assert.deepEqual(refused('r', findings, [entry('src/a/x.ts'), entry('src/b/y.ts', 'other')]), findings.slice(1));
    const [used, unused] = [entry('src/a/'), entry('src/c/')];
    assert.deepEqual(idle(new Map([['r', findings]]), [used, unused]), [unused]);
  });

  it('text in strings, templates, comments and regular expressions is not code', () => {
    const text = 'a(\'x"\', "y", `z${b + `n${c}`}w`, /["\'`]/g, d / e / f); // g\n/* h */ i';
    const { code, comments } = splitText(text);
    assert.equal(code.replace(/ +/g, ' '), 'a(\' \', " ", ` ${b + ` ${c}`} `, , d / e / f); \n i'.replace(/ +/g, ' '));
    assert.equal(comments.replace(/ +/g, ' '), ' // g\n/* h */ ');
    assert.equal(code.length, text.length);
  });
});

describe('the repository', () => {
  const tree = readTree(resolve(import.meta.dirname, '..'));
  const found = new Map(rules.map((rule) => [rule.name, [...rule.check(tree)]] as const));

  it('is all there', () => {
    assert.ok(tree.sources.length > 25, `only ${tree.sources.length} sources were read`);
  });
  for (const { name } of rules) {
    it(`obeys ${name}`, () => {
      const findings = refused(name, found.get(name) ?? [], allowed);
      assert.equal(findings.length, 0, `${findings.length} findings:${listing(findings)}`);
    });
  }
  it('needs every entry of tidy.allow.ts, and each says why', () => {
    assert.deepEqual(idle(found, allowed), []);
    for (const { path, rule, reason } of allowed) assert.ok(reason.length > 20, `${path}, ${rule}: a reason helps the next reader decide`);
  });
  it('lists the files over the soft budget', (t) => {
    const long = overSoftBudget(tree);
    if (long.length > 0) t.diagnostic(`over ${lineBudget.soft} lines of code: ${long.join(', ')}`);
  });
});
