// What is made from the schema of the configuration is up to date, and true.
import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { describe, it } from 'node:test';
import { referenceFiles } from '../scripts/reference-page.ts';
import { readConfiguration } from '../src/config/read-configuration.ts';

const page = await readFile(new URL('../docs/configuration.md', import.meta.url), 'utf8');

describe('the reference of the configuration', () => {
  for (const [path, text] of referenceFiles()) {
    it(`docs/${path} is what scripts/generate-reference.ts makes`, async () => {
      const written = await readFile(new URL(`../docs/${path}`, import.meta.url), 'utf8');
      assert.ok(written === text, 'run: npm run generate:reference');
    });
  }

  it('shows a file and mistakes as they are', async () => {
    const mistakesOf = async (yaml: string) => {
      const read = await readConfiguration('serve', { args: ['--config', '/etc/kiln/kiln.yaml'], environment: { HOME: '/' }, workingDirectory: '/', platform: 'linux' }, async (file) =>
        new TextEncoder().encode(file.endsWith('kiln.yaml') ? yaml : ''),
      );
      return 'mistakes' in read ? read.mistakes.map(({ problem, advice }) => `kiln: ${problem}\n  ${advice}\n`).join('') : '';
    };
    const example = /```yaml\n(# \/etc\/kiln\/kiln\.yaml\n[^`]*)```/.exec(page)?.[1] ?? assert.fail('no example');
    assert.equal(await mistakesOf(example), '');
    assert.ok(page.includes(await mistakesOf('data: /d\nmax-sise: 10GiB\nlog:\n  level: debgu')));
  });
});
