// Tokens and the entries that servers know them by.
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { describe, it } from 'node:test';
import { createToken, hashOfToken, tokenHashForm } from './token.ts';
import { hasEntryNamed, tokenEntry, withTokenEntry } from './token-entry.ts';

describe('a token', () => {
  it('has 256 bits, fits into headers and URLs, and says what it is', () => {
    const token = createToken({ bytes: (length) => new Uint8Array(length).fill(0xff) });
    assert.match(token, /^kiln_[A-Za-z0-9_-]{43}$/);
    assert.notEqual(token, createToken({ bytes: (length) => new Uint8Array(length).fill(0xfe) }));
  });

  it('is known by its SHA-256', () => {
    assert.equal(hashOfToken('kiln_x'), `sha256:${createHash('sha256').update('kiln_x').digest('hex')}`);
    assert.match(hashOfToken(''), tokenHashForm);
  });
});

describe('an entry of a tokens file', () => {
  const entry = tokenEntry({ name: 'no', tokens: ['sha256:aa'], grants: [{ instances: ['*', ''], rights: ['read', 'write'] }] });

  it('quotes what YAML would read as something else', () => {
    assert.equal(entry, '- name: "no"\n  tokens: [sha256:aa]\n  grants:\n    - instances: ["*", ""]\n      rights: [read, write]\n');
  });

  it('is put behind others', () => {
    for (const before of ['', '# mine\n', '---\n- name: a\n  tokens: []\n', '- name: a', '-\n  name: a\n', '- name: a\r\n  grants: []\r\n']) {
      assert.equal(withTokenEntry(before, entry, 'f'), `${before}${before === '' || before.endsWith('\n') ? '' : '\n'}${entry}`);
    }
    assert.equal(withTokenEntry('[]\n', entry, 'f'), entry);
  });

  it('is not put into a file of another form', () => {
    for (const before of ['[{name: a}]\n', 'rights:\n  identities: []\n', '{}', '# mine\nname: a\n', '- name: a\n...\n']) {
      assert.throws(() => withTokenEntry(before, entry, '/t.yaml'), { code: 'failed_precondition', message: /^\/t\.yaml:\d+: .*\n.*paste/ });
    }
  });

  it('is found by its name, however that is written', () => {
    for (const line of ['- name: ci', '- name: "ci"', "- name: 'ci'", '- name: ci # builds', '  name: ci', '-   tokens: []\n    name: ci', '-   name: ci', '- {name: ci, tokens: []}', "- {tokens: [], 'name' : 'ci'}", '- {"name":"ci"}']) assert.ok(hasEntryNamed(line, 'ci'), line);
    for (const line of ['', '- name: cis', '# - name: ci', '- tokens: [ci]', 'name: ci', '- {name: cis}', '  # {name: ci}', '- surname: ci']) assert.ok(!hasEntryNamed(line, 'ci'), line);
  });
});
