// W3C Trace Context: the examples of the recommendation, and what breaks its rules.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { parseTraceParent } from './trace-context.ts';

const traceId = '4bf92f3577b34da6a3ce929d0e0e4736';
const spanId = '00f067aa0ba902b7';

describe('parseTraceParent', () => {
  it('W3C 3.2.4: reads the examples of the recommendation', () => {
    assert.deepEqual(parseTraceParent(`00-${traceId}-${spanId}-01`), { traceId, spanId, sampled: true });
    assert.deepEqual(parseTraceParent(`00-${traceId}-${spanId}-00`), { traceId, spanId, sampled: false });
  });

  it('W3C 3.2.2.5: reads the lowest flag and no other', () => {
    assert.equal(parseTraceParent(`00-${traceId}-${spanId}-fe`)?.sampled, false);
    assert.equal(parseTraceParent(`00-${traceId}-${spanId}-03`)?.sampled, true);
  });

  it('W3C 4.3: reads what it knows of a later version', () => {
    assert.deepEqual(parseTraceParent(`cc-${traceId}-${spanId}-01-what-the-future-will-be-like`), { traceId, spanId, sampled: true });
  });

  const broken = [
    '',
    `ff-${traceId}-${spanId}-01`,
    `00-${traceId}-${spanId}-01-more`,
    `00-${'0'.repeat(32)}-${spanId}-01`,
    `00-${traceId}-${'0'.repeat(16)}-01`,
    `00-${traceId.toUpperCase()}-${spanId}-01`,
    `00-${traceId.slice(1)}-${spanId}-01`,
    `00-${traceId}-${spanId}-1`,
    `00-${traceId}-${spanId}`,
    ` 00-${traceId}-${spanId}-01`,
  ];
  for (const header of broken) {
    it(`takes ${JSON.stringify(header)} for absent`, () => assert.equal(parseTraceParent(header), undefined));
  }
});
