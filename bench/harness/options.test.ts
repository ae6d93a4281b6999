// The command line, and what is read from the machine's own words.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { parseSummary } from './h2load.ts';
import { checkNames, parseWords } from './options.ts';
import { allowedCores, pinnedTo } from './pinning.ts';

describe('parseWords', () => {
  it('measures everything five times unless told otherwise', () => {
    assert.deepEqual(parseWords([]), { names: [], quick: false, rounds: 5, jsonFile: undefined, references: undefined, attacks: [], list: false, help: false });
  });
  it('takes names, rounds, a file and references, repeated or with commas', () => {
    const words = ['unary', '--rounds', '7', '--json', 'x.json', '--reference', 'grpc-js,nginx', 'latency', '--reference', 'socket'];
    assert.deepEqual(parseWords(words), { names: ['unary', 'latency'], quick: false, rounds: 7, jsonFile: 'x.json', references: ['grpc-js', 'nginx', 'socket'], attacks: [], list: false, help: false });
  });
  it('does one round when quick, and compares with nobody when asked to', () => {
    assert.equal(parseWords(['--quick']).rounds, 1);
    assert.deepEqual(parseWords(['--reference', 'none']).references, []);
  });
  it('takes attacks by their whole names, which may hold commas', () => {
    assert.deepEqual(parseWords(['attacks', '--attack', 'slow preface', '--attack', 'one, and another']).attacks, ['slow preface', 'one, and another']);
  });
  it('knows when it is asked what it can do', () => {
    assert.ok(parseWords(['--help']).help && parseWords(['-h']).help && parseWords(['--list']).list);
  });
  it('refuses what makes no sense, naming it', () => {
    assert.throws(() => parseWords(['--rounds', '0']), /--rounds 0: give a whole number/);
    assert.throws(() => parseWords(['--rounds', 'many']), /--rounds many/);
    assert.throws(() => parseWords(['--slow']), /--slow/);
  });
});

describe('checkNames', () => {
  it('names what is unknown and what there is', () => {
    assert.throws(() => checkNames('benchmark', ['unary', 'unray'], ['unary', 'latency']), /no benchmark is called unray; there are: unary, latency/);
    checkNames('benchmark', [], ['unary']);
  });
});

describe('allowedCores', () => {
  it('reads ranges and single cores', () => {
    assert.deepEqual(allowedCores('Name:\tx\nCpus_allowed:\tf\nCpus_allowed_list:\t0-2,5\n'), [0, 1, 2, 5]);
    assert.deepEqual(allowedCores('Cpus_allowed_list:\t3\n'), [3]);
    assert.deepEqual(allowedCores(''), []);
  });
});

describe('pinnedTo', () => {
  it('puts taskset in front, or nothing where there is nothing to pin to', () => {
    assert.deepEqual(pinnedTo(1, ['server', '--flag']), ['taskset', '-c', '1', 'server', '--flag']);
    assert.deepEqual(pinnedTo(undefined, ['server']), ['server']);
  });
});

describe('parseSummary', () => {
  const summary = (time: string): string =>
    `finished in ${time}, 68000.12 req/s, 9.9MB/s\nrequests: 1000 total, 1000 started, 1000 done, 998 succeeded, 2 failed, 2 errored, 0 timeout\ntraffic: 1.2MB (1234567) total, 90KB (92160) headers (space savings 10.00%), 81.05KB (83000) data\n`;
  it('reads what h2load prints, in its units of time', () => {
    assert.deepEqual(parseSummary(summary('1.50s')), { seconds: 1.5, succeeded: 998, dataBytes: 83_000 });
    assert.deepEqual(parseSummary(summary('250.00ms'))?.seconds, 0.25);
    assert.deepEqual(parseSummary(summary('500us'))?.seconds, 500e-6);
  });
  it('makes nothing of a run that did not finish', () => {
    assert.equal(parseSummary('h2load: could not connect'), undefined);
  });
});
