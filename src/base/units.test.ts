// Tables of what people write, and what it means.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { formatByteSize, formatDuration, parseByteSize, parseDurationMs } from './units.ts';

describe('units', () => {
  const sizes: readonly [string, number][] = [
    ['0B', 0],
    ['1B', 1],
    ['10GiB', 10 * 2 ** 30],
    ['10gib', 10 * 2 ** 30],
    ['10 GiB', 10 * 2 ** 30],
    ['1.5MiB', 1.5 * 2 ** 20],
    ['4TiB', 4 * 2 ** 40],
    ['3MB', 3_000_000],
    ['1KB', 1_000],
  ];
  for (const [text, bytes] of sizes) it(`reads the size ${text}`, () => assert.equal(parseByteSize(text), bytes));

  const badSizes: readonly [string, RegExp][] = [
    ['', /not a size/],
    ['GiB', /not a size/],
    ['-1GiB', /not a size/],
    ['1e3MiB', /not a size/],
    ['1,5GiB', /not a size/],
    ['10', /no unit/],
    ['10G', /unknown unit "G"/],
    ['10h', /unknown unit "h"/],
    ['9999999TiB', /too large/],
  ];
  for (const [text, message] of badSizes) {
    it(`refuses the size ${JSON.stringify(text)}`, () => {
      assert.throws(() => parseByteSize(text), { code: 'invalid_argument', message });
    });
  }

  it('reads durations', () => {
    assert.deepEqual(
      ['250ms', '30s', '5m', '3h', '7d', '1.5h'].map(parseDurationMs),
      [250, 30_000, 300_000, 10_800_000, 604_800_000, 5_400_000],
    );
    assert.throws(() => parseDurationMs('3'), { code: 'invalid_argument', message: /no unit/ });
    assert.throws(() => parseDurationMs('3 weeks'), { code: 'invalid_argument', message: /unknown unit "weeks"/ });
  });

  it('writes sizes and durations for people', () => {
    assert.deepEqual([0, 1023, 1024, 1.5 * 2 ** 30, 2 ** 50].map(formatByteSize), ['0 B', '1023 B', '1 KiB', '1.5 GiB', '1024 TiB']);
    assert.deepEqual([0, 999, 1_000, 90_000, 10_800_000].map(formatDuration), ['0 ms', '999 ms', '1 s', '1.5 m', '3 h']);
  });
});
