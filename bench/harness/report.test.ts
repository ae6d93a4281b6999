// The JSON file and the tables: which ratio is which, and which way is better.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { compare } from './measures.ts';
import { exitStatus, ratiosOf, reportJson, reportVersion } from './report.ts';
import type { Report, Section } from './report.ts';
import { spread } from './statistics.ts';
import { comparisonText, sectionText } from './table.ts';

const own = { operationsPerSecond: spread([50_000, 60_000, 70_000]), cpuPerOperation: spread([6.5]), generatorCores: spread([0.99]) };
const slower = { operationsPerSecond: spread([15_000]), cpuPerOperation: spread([65]), generatorCores: spread([0.2]) };

const section: Section = {
  benchmark: 'unary',
  shape: '4 x 32',
  description: 'a call',
  own: 'kiln',
  results: [
    { server: 'kiln', generator: 'h2load', operations: 60_000, measured: own },
    { server: 'grpc-js', generator: 'h2load', operations: 15_000, measured: slower },
  ],
  notes: ['quiet machine'],
};

const report: Report = {
  version: reportVersion,
  date: '2026-11-21T12:00:00.000Z',
  command: 'npm run bench -- unary',
  quick: false,
  rounds: 3,
  machine: { cpu: 'a CPU', cores: 2, memoryBytes: 2 ** 34, kernel: 'Linux 6', node: '26.10.0', loadAverage: 0.1, serverCore: 0, generatorCore: 1 },
  syncMicroseconds: spread([200, 210, 260]),
  sections: [section],
  missing: ['nginx: not on PATH'],
  wrong: [],
};

describe('compare', () => {
  it('gives own over reference, and says of each measure which way is better', () => {
    assert.deepEqual(compare('operationsPerSecond', own, slower), { ratio: 4, advantage: 4 });
    assert.deepEqual(compare('cpuPerOperation', own, slower), { ratio: 0.1, advantage: 10 });
    assert.deepEqual(compare('cpuPerOperation', slower, own), { ratio: 10, advantage: 0.1 });
  });
  it('has nothing to say where neither way is better, or where one was not measured', () => {
    assert.equal(compare('generatorCores', own, slower), undefined);
    assert.equal(compare('p99', own, slower), undefined);
  });
});

describe('tables', () => {
  it('say clearly who is better', () => {
    assert.equal(comparisonText(own, slower), '4.0x better ops/s, 10.0x better CPU us/op');
    assert.equal(comparisonText(slower, own), '4.0x WORSE ops/s, 10.0x WORSE CPU us/op');
  });
  it('have a line per server with median and extremes, and only columns that were measured', () => {
    const lines = sectionText(section).split('\n').filter(Boolean);
    assert.equal(lines[0], 'unary 4 x 32: a call');
    assert.match(lines[1] ?? '', /^\s+ops\/s\s+CPU us\/op\s+gen cores\s+kiln against it$/);
    assert.match(lines[2] ?? '', /^\s+kiln\s+60,000 \(50,000\.\.70,000\)\s+6\.50\s+0\.99$/);
    assert.match(lines[3] ?? '', /^\s+grpc-js\s+15,000\s+65\.00\s+0\.20\s+4\.0x better/);
    assert.match(lines[4] ?? '', /note: quiet machine/);
  });
});

describe('the JSON file', () => {
  it('has what docs/benchmarks.md promises: machine, samples, units and ratios', () => {
    const parsed = JSON.parse(reportJson(report)) as Record<string, unknown>;
    assert.deepEqual(Object.keys(parsed).toSorted(), ['command', 'date', 'machine', 'missing', 'quick', 'rounds', 'sections', 'syncMicroseconds', 'units', 'version', 'wrong']);
    assert.equal(parsed['version'], 2);
    const [first] = parsed['sections'] as [Record<string, unknown>];
    assert.deepEqual(first['ratios'], { 'grpc-js': { operationsPerSecond: 4, cpuPerOperation: 0.1 } });
    const [kiln] = first['results'] as [{ measured: Record<string, unknown> }];
    assert.deepEqual(kiln.measured['operationsPerSecond'], { median: 60_000, min: 50_000, max: 70_000, samples: [50_000, 60_000, 70_000] });
    assert.match((parsed['units'] as Record<string, string>)['cpuPerOperation'] ?? '', /^microseconds/);
  });
  it('has no ratios where there is nobody to compare', () => {
    const { own: _, ...alone } = section;
    assert.deepEqual(ratiosOf(alone), {});
  });
});

describe('exitStatus', () => {
  it('is 1 for a wrong answer, and 0 however slow or lonely Kiln was', () => {
    assert.equal(exitStatus({ ...report, wrong: ['kiln gave a wrong answer'] }), 1);
    const slow: Report = { ...report, sections: [{ ...section, own: 'grpc-js' }], missing: ['everything else'] };
    assert.equal(exitStatus(slow), 0);
  });
});
