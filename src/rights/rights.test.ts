// Who is known, and what they may do where.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { anonymous } from '../base/authorizer.ts';
import type { Caller, Right } from '../base/authorizer.ts';
import { ManualClock } from '../testing/manual-clock.ts';
import { RecordedLog } from '../testing/recorded-log.ts';
import type { IdentityDefinition } from './identity.ts';
import { everyRight } from './identity.ts';
import { PasswordCheck, passwordCheckLimits } from './password-check.ts';
import { passwordMatches } from './password-hash.ts';
import { Rights } from './rights.ts';
import type { RightsDefinition } from './rights-definition.ts';
import { hashOfToken } from './token.ts';

const ci: IdentityDefinition = { name: 'ci', tokens: [hashOfToken('kiln_ci'), hashOfToken('kiln_ci2')], grants: [{ instances: ['*'], rights: ['read'] }, { instances: ['main', 'team/*'], rights: ['write'] }] };
const ops: IdentityDefinition = { name: 'ops', tokens: [hashOfToken('kiln_ops')], grants: [{ instances: [''], rights: ['admin'] }] };
/** Of "pw". */
const pw = '{SHA}GpHWL3ymc5liWkNopqtdSjuqYHM=';
const nothing: RightsDefinition = { identities: [], passwords: new Map(), anonymous: 'none', credentialsConfigured: true, identitiesConfigured: false };

function open(definition: Partial<RightsDefinition> = {}, log = new RecordedLog()): Rights {
  const matches = async (password: string, hash: string) => passwordMatches(password, hash);
  const random = { bytes: (length: number) => new Uint8Array(length) };
  return new Rights({ ...nothing, ...definition }, new PasswordCheck({ clock: new ManualClock(), random, matches }, passwordCheckLimits), log);
}

const basic = (pair: string): string => `Basic ${Buffer.from(pair).toString('base64')}`;
const named = (name: string): Caller => ({ kind: 'identity', name });

describe('Rights.identify', () => {
  const rights = open({ identities: [ci, ops], passwords: new Map([['ann', pw]]), anonymous: 'write' });

  it('ERR-10: knows tokens as bearer, as password of any user, and as user without a password', () => {
    for (const value of ['Bearer kiln_ci', 'Bearer kiln_ci2', basic('anybody:kiln_ci'), basic(':kiln_ci'), basic('ann:kiln_ci2'), basic('kiln_ci:')]) {
      assert.deepEqual(rights.identify(value), named('ci'));
    }
    assert.deepEqual(rights.identify('Bearer kiln_ops'), named('ops'));
  });

  it('knows users by their passwords, at once from the second time on', async () => {
    const first = rights.identify(basic('ann:pw'));
    assert.ok(first instanceof Promise);
    assert.deepEqual(await first, named('ann'));
    assert.deepEqual(rights.identify(basic('ann:pw')), named('ann'));
  });

  it('knows nobody without credentials', () => assert.equal(rights.identify(undefined), anonymous));

  it('CAP-13: refuses absent credentials at once where nobody may do anything without, and would help', () => {
    assert.throws(() => open({ identities: [ci] }).identify(undefined), { code: 'unauthenticated', message: /^to use this cache, show credentials: a token/ });
    assert.equal(open({ identities: [ci], anonymous: 'read' }).identify(undefined), anonymous);
    assert.equal(open({ credentialsConfigured: false }).identify(undefined), anonymous);
  });

  const wrong = ['Bearer kiln_c', 'Bearer kiln_cii', `Bearer ${hashOfToken('kiln_ci')}`, `Bearer ${ci.tokens[0]?.slice(7)}`, basic('ann:kiln'), basic('ann:pW'), basic('ann:'), basic('eve:pw'), basic(`ann:${pw}`), basic(':'), 'Bearer', 'Digest x', ''];
  for (const value of wrong) {
    it(`ERR-5: refuses ${JSON.stringify(value)}, although anybody may write without credentials`, async () => {
      await assert.rejects(async () => rights.identify(value), { code: 'unauthenticated' });
    });
  }

  it('TU-1, RU-2: takes whatever is shown for nothing where nobody has credentials', () => {
    const open_ = open({ anonymous: 'read', credentialsConfigured: false });
    for (const value of ['Bearer t', basic('a:b'), 'anything']) assert.equal(open_.identify(value), anonymous);
  });

  it('says the same of a wrong password and of a user that does not exist', async () => {
    const textOf = async (value: string) => (await Promise.resolve().then(() => rights.identify(value)).catch((error: Error) => error.message));
    assert.equal(await textOf(basic('ann:no')), await textOf(basic('eve:no')));
  });
});

describe('Rights.require', () => {
  const rights = open({ identities: [ci, ops], passwords: new Map([['ann', pw], ['ops', pw]]) });
  const table: readonly [string, Caller, string, readonly Right[]][] = [
    ['an identity where patterns add up', named('ci'), 'main', ['read', 'write']],
    ['an identity below a prefix', named('ci'), 'team/a/b', ['read', 'write']],
    ['an identity elsewhere', named('ci'), 'other', ['read']],
    ['an identity at the prefix itself', named('ci'), 'team', ['read']],
    ['an identity in the instance without a name', named('ci'), '', ['read']],
    ['admin, which includes nothing', named('ops'), '', ['admin']],
    ['admin of another instance', named('ops'), 'main', []],
    ['a user that is no identity', named('ann'), 'any', ['read', 'write']],
    ['a name that is gone', named('gone'), 'main', []],
    ['nobody', anonymous, 'main', []],
  ];
  for (const [what, caller, instance, allowed] of table) {
    it(`grants exactly [${allowed.join(', ')}]: ${what}`, () => {
      for (const right of everyRight) {
        assert.equal(rights.allows(caller, right, instance), allowed.includes(right), right);
        if (allowed.includes(right)) assert.doesNotThrow(() => rights.require(caller, right, instance));
        else assert.throws(() => rights.require(caller, right, instance), { code: caller === anonymous ? 'unauthenticated' : 'permission_denied' });
      }
    });
  }

  it('gives users without an identity everything only where there are no identities', () => {
    const ann = named('ann');
    const passwords = new Map([['ann', pw]]);
    const mayWrite = (definition: Partial<RightsDefinition>): boolean => open({ passwords, ...definition }).allows(ann, 'write', 'main');
    assert.ok(mayWrite({}));
    assert.ok(!mayWrite({ identities: [ci], identitiesConfigured: true }));
    assert.ok(!mayWrite({ identities: [], identitiesConfigured: true }), 'an empty tokens file is a list without ann');
    const readable = open({ passwords, identities: [ci], identitiesConfigured: true, anonymous: 'read' });
    assert.deepEqual([readable.allows(ann, 'read', 'main'), readable.allows(ann, 'write', 'main')], [true, false], 'no less than callers without credentials');
    assert.ok(open({ passwords, identities: [{ ...ci, name: 'ann' }], identitiesConfigured: true }).allows(ann, 'write', 'main'));
  });

  it('asks for rights that belong to no instance', () => {
    assert.doesNotThrow(() => rights.requireSomewhere(named('ops'), 'admin'));
    assert.doesNotThrow(() => rights.requireSomewhere(named('ci'), 'write'));
    assert.throws(() => rights.requireSomewhere(named('ops'), 'read'), { code: 'permission_denied' });
    assert.throws(() => rights.requireSomewhere(anonymous, 'read'), { code: 'unauthenticated' });
  });

  it('ERR-5: asks nobody for credentials where there are none to show', () => {
    const closed = open({ credentialsConfigured: false, anonymous: 'read' });
    assert.doesNotThrow(() => closed.require(anonymous, 'read', 'main'));
    assert.throws(() => closed.require(anonymous, 'write', 'main'), { code: 'permission_denied', message: /--allow-anonymous write/ });
    assert.throws(() => closed.requireSomewhere(anonymous, 'admin'), { code: 'permission_denied', message: /kiln token create --grant '\*=admin'/ });
  });

  it('gives everyone what is configured, and never execute or admin', () => {
    for (const [configured, allowed] of [['none', []], ['read', ['read']], ['write', ['read', 'write']], ['overwrite', ['read', 'write', 'overwrite']]] as const) {
      const open_ = open({ anonymous: configured });
      assert.deepEqual(everyRight.filter((right) => open_.allows(anonymous, right, 'x')), allowed);
      assert.deepEqual(everyRight.filter((right) => open_.allowsSomewhere(anonymous, right)), allowed);
    }
  });

  it('CT-9: gives no user of a shared file the right to overwrite', () => {
    const shared = open({ passwords: new Map([['ann', pw]]) });
    assert.deepEqual(everyRight.filter((right) => shared.allows(named('ann'), right, 'main')), ['read', 'write']);
  });

  it('CT-9: says why somebody may not overwrite, without refusing anything', () => {
    assert.equal(rights.whyNot(named('team'), 'overwrite', 'main'), '"team" may not overwrite in instance "main"; whoever runs the server can grant it');
    assert.equal(rights.whyNot(named('ci'), 'overwrite', 'main'), '"ci" may not overwrite in instance "main", only read and write; whoever runs the server can grant it');
    assert.match(rights.whyNot(anonymous, 'overwrite', ''), /^to overwrite here, show credentials: a token/);
    assert.match(open({ credentialsConfigured: false, anonymous: 'write' }).whyNot(anonymous, 'overwrite', ''), /--allow-anonymous overwrite/);
  });

  it('says what is allowed instead, and who can change it', () => {
    assert.throws(() => rights.require(named('ci'), 'write', 'other'), { message: '"ci" may not write in instance "other", only read; whoever runs the server can grant it' });
    assert.throws(() => rights.require(anonymous, 'write', ''), { message: /^to write here, show credentials: a token/ });
  });
});

describe('the log of rights', () => {
  it('tells at debug who was refused what, and repeats nothing that may be a secret', async () => {
    const log = new RecordedLog();
    const rights = open({ identities: [ci], passwords: new Map([['ann', pw]]) }, log);
    for (const value of ['Bearer kiln_secret', basic('ann:secret'), basic('secret:secret')]) await assert.rejects(async () => rights.identify(value));
    assert.throws(() => rights.require(named('ci'), 'write', 'other'));
    assert.throws(() => rights.requireSomewhere(anonymous, 'admin'));
    assert.deepEqual(log.lines, [
      'debug an unknown token was shown {}',
      'debug a wrong password was shown {"user":"ann"}',
      'debug a wrong password was shown {}',
      'debug a right was lacking {"caller":"ci","right":"write","instance":"other"}',
      'debug a right was lacking {"caller":"anonymous","right":"admin"}',
    ]);
  });
});

describe('Rights.replace', () => {
  it('takes tokens and grants at once, also for callers that were identified before, and tells by its generation', () => {
    const rights = open({ identities: [ci] });
    const caller = rights.identify('Bearer kiln_ci') as Caller;
    const { generation } = rights;
    rights.replace({ ...nothing, identities: [{ ...ci, tokens: [hashOfToken('kiln_new')], grants: [] }] });
    assert.equal(rights.generation, generation + 1);
    assert.throws(() => rights.identify('Bearer kiln_ci'), { code: 'unauthenticated' });
    assert.deepEqual(rights.identify('Bearer kiln_new'), named('ci'));
    assert.ok(!rights.allows(caller, 'read', 'main'));
  });

  it('forgets passwords', async () => {
    const rights = open({ passwords: new Map([['ann', pw]]) });
    assert.deepEqual(await rights.identify(basic('ann:pw')), named('ann'));
    rights.replace(nothing);
    await assert.rejects(async () => rights.identify(basic('ann:pw')), { code: 'unauthenticated' });
  });

  it('changes nothing when the new rights are wrong', () => {
    const rights = open({ identities: [ci] });
    const { generation } = rights;
    const thief: IdentityDefinition = { ...ci, name: 'other' };
    assert.throws(() => rights.replace({ ...nothing, identities: [ci, thief] }), { code: 'invalid_argument', message: /belongs to both "ci" and "other"/ });
    assert.throws(() => rights.replace({ ...nothing, identities: [{ ...ci, grants: [{ instances: ['a*b'], rights: ['read'] }] }] }), { code: 'invalid_argument' });
    assert.equal(rights.generation, generation);
    assert.deepEqual(rights.identify('Bearer kiln_ci'), named('ci'));
  });

  it('adds up entries of one name', () => {
    const rights = open({ identities: [ci, { name: 'ci', tokens: [hashOfToken('kiln_ci3')], grants: [] }, { name: 'ci', tokens: [], grants: [{ instances: ['*'], rights: ['execute'] }] }] });
    assert.deepEqual(rights.identify('Bearer kiln_ci3'), named('ci'));
    assert.deepEqual(everyRight.filter((right) => rights.allows(named('ci'), right, 'main')), ['read', 'write', 'execute']);
  });
});
