// The metrics of the real server, read by the parsers of Prometheus's own client library, which know nothing of ours.
import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { startDaemon } from '../e2e/daemon.ts';
import { temporaryDirectory } from '../e2e/file-tree.ts';
import { mustRun } from '../e2e/tool-run.ts';
import { installedTool } from './installed-tool.ts';

const formats = [
  ['the text format 0.0.4', 'text/plain', 'prometheus_client.parser'],
  ['OpenMetrics 1.0.0', 'application/openmetrics-text;version=1.0.0', 'prometheus_client.openmetrics.parser'],
] as const;

describe('prometheus_client', () => {
  for (const [name, accept, parser] of formats) {
    it(`K11-10: reads /metrics in ${name}, every family and label as it was meant`, async (t) => {
      const directory = temporaryDirectory(t, 'prometheus');
      const daemon = await startDaemon(t, join(directory, 'data'));
      const instance = 'odd "name" with \\ and €';
      await fetch(`${daemon.http}/${encodeURIComponent(instance)}/cas/${'ab'.repeat(32)}`, { headers: { 'user-agent': 'bazel/8.1' } });
      writeFileSync(join(directory, 'scrape'), await (await fetch(`${daemon.http}/metrics`, { headers: { accept } })).text());
      const script = [
        'import json, sys',
        `from ${parser} import text_string_to_metric_families as parse`,
        'families = list(parse(open("scrape", encoding="utf-8", newline="").read()))',
        'print(json.dumps([[f.name, f.type, [[s.name, s.labels, s.value] for s in f.samples]] for f in families]))',
      ].join('\n');
      const python = installedTool('kiln-test-python', 'pip install prometheus-client');
      const families = JSON.parse(await mustRun([python, '-c', script], { cwd: directory })) as [string, string, [string, Record<string, string>, number][]][];
      assert.ok(families.length > 50, `${families.length} families`);
      assert.ok(families.every(([, type]) => ['counter', 'gauge', 'histogram'].includes(type)));
      const samples = families.flatMap(([, , of]) => of);
      const miss = samples.find(([sample, labels]) => sample === 'kiln_blob_lookups_total' && labels['operation'] === 'read' && labels['result'] === 'miss');
      assert.deepEqual(miss, ['kiln_blob_lookups_total', { tool: 'bazel', instance, operation: 'read', result: 'miss' }, 1]);
      await daemon.stop();
    });
  }
});
