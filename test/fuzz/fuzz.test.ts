// A bounded part of the fuzzer with fixed seeds, and the fuzzer's own judgement: what it must let pass and what not.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { headers, settings } from '../../src/testing/http2-peer.ts';
import { SeededRandom } from '../../src/testing/seeded-random.ts';
import { formatInput, parseInput } from './fuzz-input.ts';
import { bothRoles, problemOf, readCorpus, shrink, validInput } from './fuzz.ts';
import { mutateInput } from './mutate-input.ts';
import { runInput } from './run-input.ts';

/** GOAWAY ENHANCE_YOUR_CALM: limits of the fuzzer are so tight that a lively client meets them. */
const enhanceYourCalm = 0xb;
/** What streams may be reset with without a fault of the peer: the application's own codes, and REFUSED_STREAM. */
const blameless = new Set([0, 2, 7, 8, 0x77]);

describe('fuzz: the pure engine', () => {
  it('HT-12: every input of the corpus is survived without a broken rule', () => {
    const corpus = readCorpus();
    assert.ok(corpus.length >= 20, 'the corpus is there');
    for (const { path, input } of corpus) assert.equal(problemOf(input), '', path);
  });

  for (const role of bothRoles) {
    it(`nothing is said against a peer that keeps the rules (${role})`, () => {
      for (let seed = 1; seed <= 150; seed++) {
        const input = validInput(role, new SeededRandom(seed));
        const { fault, resetCodes } = runInput(input);
        assert.ok(fault === undefined || (fault === enhanceYourCalm && input.limits === 3), `seed ${seed}: ended with ${fault}`);
        assert.ok(resetCodes.every((code) => blameless.has(code)), `seed ${seed}: reset with ${resetCodes.join()}`);
      }
    });

    it(`HT-12: changed input is survived without a broken rule (${role})`, () => {
      for (let seed = 1_000; seed < 1_250; seed++) {
        const random = new SeededRandom(seed);
        assert.equal(problemOf(mutateInput(validInput(role, random), validInput(role, random), random)), '', `seed ${seed}`);
      }
    });
  }
});

describe('fuzz inputs', () => {
  it('are the same after they were written and read', () => {
    for (let seed = 1; seed <= 20; seed++) {
      const input = validInput('server', new SeededRandom(seed));
      assert.deepEqual(parseInput(formatInput(input, 'a comment')), input);
    }
    assert.throws(() => parseInput('frame 123'), /"frame 123" is no line/);
    assert.throws(() => parseInput('  00'), /is no line/);
  });

  it('are made no shorter than what their problem needs', () => {
    assert.deepEqual(shrink({ role: 'server', limits: 0, application: 1, items: [settings(), headers(1, true)] }).items, []);
    const seeds = Array.from({ length: 5 }, (_, seed) => validInput('server', new SeededRandom(seed)));
    for (const input of seeds) assert.equal(problemOf(shrink(input)), '');
  });
});

