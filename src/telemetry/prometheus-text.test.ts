// The text that scrapers read, by a parser that knows only the formats.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { parseExposition, sampleValue } from '../testing/exposition-parser.ts';
import { seededRandom } from '../testing/seeded-random.ts';
import { expositionFormatFor, expositionText } from './prometheus-text.ts';
import type { ExpositionFormat } from './prometheus-text.ts';
import { MetricRegistry } from './registry.ts';

const formats: readonly ExpositionFormat[] = ['prometheus', 'openmetrics'];

function parsed(registry: MetricRegistry, format: ExpositionFormat = 'prometheus') {
  return parseExposition(expositionText(registry.families(), format), format);
}

describe('exposition text', () => {
  it('says of each metric what it is, and of each series its value', () => {
    const registry = new MetricRegistry();
    registry.counter({ name: 'kiln_things_total', help: 'Things, "all" of them.\nBack\\slash.' }, { kind: 'a' }).add(3);
    registry.gauge({ name: 'kiln_level', help: 'Level.' }, () => 1.5);
    assert.equal(
      expositionText(registry.families(), 'prometheus'),
      '# HELP kiln_level Level.\n# TYPE kiln_level gauge\nkiln_level 1.5\n' +
        '# HELP kiln_things_total Things, "all" of them.\\nBack\\\\slash.\n# TYPE kiln_things_total counter\nkiln_things_total{kind="a"} 3\n',
    );
    assert.equal(
      expositionText(registry.families(), 'openmetrics'),
      '# HELP kiln_level Level.\n# TYPE kiln_level gauge\nkiln_level 1.5\n' +
        '# HELP kiln_things Things, \\"all\\" of them.\\nBack\\\\slash.\n# TYPE kiln_things counter\nkiln_things_total{kind="a"} 3\n# EOF\n',
    );
  });

  for (const format of formats) {
    it(`gives every label value back as it was, in ${format}`, () => {
      const registry = new MetricRegistry();
      const values = ['', 'plain', 'a"b', 'a\\b', 'a\nb', '\\n', 'a,b="c"}', 'ü€😀', ' blank ', '{', '#'];
      for (const [index, value] of values.entries()) registry.counter({ name: 'kiln_things_total', help: 'Things.' }, { value }).add(index);
      const families = parsed(registry, format);
      for (const [index, value] of values.entries()) assert.equal(sampleValue(families, 'kiln_things_total', { value }), index, JSON.stringify(value));
    });

    it(`makes control characters visible, so that no terminal obeys them, in ${format}`, () => {
      const registry = new MetricRegistry();
      registry.counter({ name: 'kiln_things_total', help: 'Things.' }, { value: 'a\u001b[31m\r\u0007\u007f\u009b' }).add();
      registry.counter({ name: 'kiln_things_total', help: 'Things.' }, { value: 'half \ud800 pair' }).add();
      const families = parsed(registry, format);
      assert.equal(sampleValue(families, 'kiln_things_total', { value: 'a\\x1b[31m\\x0d\\x07\\x7f\\x9b' }), 1);
      assert.equal(sampleValue(families, 'kiln_things_total', { value: 'half \ufffd pair' }), 1);
    });

    it(`shows histograms whose buckets rise to all there is, in ${format}`, (t) => {
      const random = seededRandom(t);
      const registry = new MetricRegistry();
      const histogram = registry.histogram({ name: 'kiln_wait_seconds', help: 'Waits.' }, { of: 'x' });
      let sum = 0;
      for (let round = 0; round < 1_000; round += 1) {
        const value = random.integer(0, 100_000_000) / 1e6;
        sum += value;
        histogram.record(value);
      }
      const families = parsed(registry, format);
      assert.equal(sampleValue(families, 'kiln_wait_seconds_count', { of: 'x' }), 1_000);
      assert.equal(sampleValue(families, 'kiln_wait_seconds_bucket', { of: 'x', le: '+Inf' }), 1_000);
      assert.ok(Math.abs((sampleValue(families, 'kiln_wait_seconds_sum', { of: 'x' }) ?? 0) - sum) < 1e-6);
      assert.ok(families.get('kiln_wait_seconds')?.samples.some(({ labels }) => labels.get('le') === '0.001024'), 'bounds are round');
    });
  }

  it('counts a value into the bucket just above it and all after', () => {
    const registry = new MetricRegistry();
    registry.histogram({ name: 'kiln_wait_seconds', help: 'Waits.' }).record(0.0012);
    const families = parsed(registry);
    const below = ['0.001024', '0.001536', '67.108864'].map((le) => sampleValue(families, 'kiln_wait_seconds_bucket', { le }));
    assert.deepEqual(below, [0, 1, 1]);
  });

  it('writes numbers as the formats have them', () => {
    const registry = new MetricRegistry();
    for (const [kind, value] of [['nan', NaN], ['inf', Infinity], ['minus', -Infinity], ['small', 1e-9], ['large', 1e300]] as const) {
      registry.gauge({ name: 'kiln_level', help: 'Level.' }, () => value, { kind });
    }
    const text = expositionText(registry.families(), 'prometheus');
    for (const line of ['{kind="nan"} NaN', '{kind="inf"} +Inf', '{kind="minus"} -Inf', '{kind="small"} 1e-9', '{kind="large"} 1e+300']) {
      assert.ok(text.includes(`kiln_level${line}\n`), line);
    }
    parsed(registry);
  });
});

describe('choice of the format', () => {
  for (const [accept, format] of [
    [undefined, 'prometheus'],
    ['', 'prometheus'],
    ['*/*', 'prometheus'],
    ['text/plain', 'prometheus'],
    ['application/openmetrics-text', 'openmetrics'],
    ['application/openmetrics-text;version=1.0.0;q=0.5,application/openmetrics-text;version=0.0.1;q=0.4,text/plain;version=0.0.4;q=0.3,*/*;q=0.2', 'openmetrics'],
    ['application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited;q=0.7,application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6,text/plain;version=0.0.4;q=0.4', 'openmetrics'],
    ['application/openmetrics-text; version=0.0.1', 'prometheus'],
    ['Text/Plain;q=0.9, Application/OpenMetrics-Text;q=0.1', 'prometheus'],
    ['application/openmetrics-text;q=0', 'prometheus'],
    ['application/openmetrics-text;q=nonsense', 'prometheus'],
  ] as const) {
    it(`gives ${format} for Accept: ${accept ?? '(none)'}`, () => assert.equal(expositionFormatFor(accept), format));
  }
});

describe('the parser of these tests', () => {
  for (const [wrong, text] of [
    ['a sample without its family', 'kiln_a 1\n'],
    ['an end that is missing', '# HELP kiln_a A.\n# TYPE kiln_a gauge\nkiln_a 1'],
    ['a family in two places', '# HELP kiln_a A.\n# TYPE kiln_a gauge\nkiln_a{b="1"} 1\n# HELP kiln_a A.\n# TYPE kiln_a gauge\nkiln_a{b="2"} 1\n'],
    ['a series twice', '# HELP kiln_a A.\n# TYPE kiln_a gauge\nkiln_a{b="1"} 1\nkiln_a{b="1"} 2\n'],
    ['an escape that does not exist', '# HELP kiln_a A.\n# TYPE kiln_a gauge\nkiln_a{b="\\x"} 1\n'],
    ['a quote inside of a value', '# HELP kiln_a A.\n# TYPE kiln_a gauge\nkiln_a{b="1"2"} 1\n'],
    ['a comma at the end', '# HELP kiln_a A.\n# TYPE kiln_a gauge\nkiln_a{b="1",} 1\n'],
    ['a counter without _total', '# HELP kiln_a A.\n# TYPE kiln_a counter\nkiln_a 1\n'],
    ['a number that is none', '# HELP kiln_a A.\n# TYPE kiln_a gauge\nkiln_a Infinity\n'],
    ['buckets that fall', '# HELP kiln_a A.\n# TYPE kiln_a histogram\nkiln_a_bucket{le="1.0"} 2\nkiln_a_bucket{le="+Inf"} 1\nkiln_a_sum 1\nkiln_a_count 1\n'],
    ['buckets without an end', '# HELP kiln_a A.\n# TYPE kiln_a histogram\nkiln_a_bucket{le="1.0"} 1\nkiln_a_sum 1\nkiln_a_count 1\n'],
    ['bounds out of order', '# HELP kiln_a A.\n# TYPE kiln_a histogram\nkiln_a_bucket{le="2.0"} 1\nkiln_a_bucket{le="1.0"} 1\nkiln_a_bucket{le="+Inf"} 1\nkiln_a_sum 1\nkiln_a_count 1\n'],
  ] as const) {
    it(`refuses ${wrong}`, () => assert.throws(() => parseExposition(text, 'prometheus')));
  }
});
