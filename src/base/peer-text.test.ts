// What a terminal would obey is shown instead.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { peerText } from './peer-text.ts';

describe('peerText', () => {
  it('leaves alone what people write, in any language, with its lines', () => {
    for (const text of ['', 'no such blob', 'nö ☺ 😈', 'first line\n\tsecond line', '"quoted" 100 %']) assert.equal(peerText(text), text);
  });

  it('shows what would steer a terminal, or hide, instead of doing it', () => {
    assert.equal(peerText('\u001b[31mred\u009b0m'), '\\u001b[31mred\\u009b0m');
    assert.equal(peerText('over\rwritten\u0007'), 'over\\u000dwritten\\u0007');
    assert.equal(peerText('a\u202eb\u2066c\u200b'), 'a\\u202eb\\u2066c\\u200b');
  });

  it('cuts what is long, and breaks no character', () => {
    assert.equal(peerText('x'.repeat(3_000)), `${'x'.repeat(2_048)}...`);
    assert.equal(peerText('ab😈', 3), 'ab\ufffd...');
  });
});
