// docs/limits.md says everything that there is to be pressed against, and nothing else: keys, metrics, kinds of floods.
import assert from 'node:assert/strict';
import { globSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { describe, it } from 'node:test';
import { serveKeys } from '../src/config/serve-schema.ts';

const root = resolve(import.meta.dirname, '..');
const page = await readFile(join(root, 'docs/limits.md'), 'utf8');

/** What stands in backquotes on the page, without the labels of metrics. */
const quoted = new Set(Array.from(page.matchAll(/`([^`]+)`/g), ([, text = '']) => text.replace(/\{.*\}$/, '')));

describe('docs/limits.md', () => {
  it('names every key below limits, and none that is not there', () => {
    const keys = serveKeys.map(({ name }) => name).filter((name) => name.startsWith('limits.'));
    assert.deepEqual(keys.filter((name) => !quoted.has(name)), [], 'missing on the page');
    assert.deepEqual([...quoted].filter((text) => /^limits\.[a-z0-9.-]+$/.test(text) && !keys.includes(text)), [], 'not in the schema');
  });

  it('gives the defaults that the schema has', () => {
    for (const { name, default: initial } of serveKeys) {
      if (!name.startsWith('limits.') || !('text' in initial)) continue;
      const rows = page.split('\n').filter((line) => line.includes(`\`${name}\``));
      assert.ok(rows.some((row) => row.replaceAll(',', '').includes(initial.text)), `${name} is ${initial.text}`);
    }
  });

  it('names metrics that there are', async () => {
    const metrics = await readFile(join(root, 'docs/metrics.md'), 'utf8');
    const unknown = [...quoted].filter((text) => /^kiln_\w+$/.test(text) && !metrics.includes(`\`${text}\``));
    assert.deepEqual(unknown, []);
  });

  it('names every kind of frame that a server takes for a flood', async () => {
    const kinds = new Set<string>();
    for (const path of globSync('src/h2/{connection-core,server-connection}.ts', { cwd: root })) {
      const text = await readFile(join(root, path), 'utf8');
      for (const [, kind = ''] of text.matchAll(/(?:guard\.spend\(|resetUnopened\([^)']*)'([^']+)'/g)) kinds.add(kind);
    }
    assert.ok(kinds.size > 15);
    assert.deepEqual([...kinds].filter((kind) => !quoted.has(kind)), []);
  });
});
