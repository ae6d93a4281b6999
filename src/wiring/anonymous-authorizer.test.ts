// What everyone may do, per configured right.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { anonymous } from '../base/authorizer.ts';
import { AnonymousAuthorizer } from './anonymous-authorizer.ts';

describe('AnonymousAuthorizer', () => {
  it('grants reading and writing in every instance when writing is granted', () => {
    const authorizer = new AnonymousAuthorizer('write');
    for (const right of ['read', 'write'] as const) {
      assert.ok(authorizer.allows(anonymous, right, 'any/instance'));
      assert.doesNotThrow(() => authorizer.require(anonymous, right, ''));
    }
  });

  it('refuses writing, and says how it would be allowed, when only reading is granted', () => {
    const authorizer = new AnonymousAuthorizer('read');
    assert.doesNotThrow(() => authorizer.require(anonymous, 'read', ''));
    assert.equal(authorizer.allows(anonymous, 'write', ''), false);
    assert.throws(() => authorizer.require(anonymous, 'write', ''), { code: 'permission_denied', message: /--allow-anonymous write/ });
  });
});
