// Names of ByteStream resources, valid and not.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { CacheError } from '../base/cache-error.ts';
import { seededRandom } from '../testing/seeded-random.ts';
import { Digest } from './digest.ts';
import { blake3, digestFunctions, sha1, sha256 } from './digest-function.ts';
import { parseReadName, parseWriteName } from './resource-name.ts';

const bytes = Buffer.from('resource');
const { hash } = Digest.of(bytes);
const uuid = 'c2f5e6f0-0c4d-4d4b-9a56-3f2f6e1f0b7a';

function refused(parse: (name: string) => unknown, name: string, text: RegExp): void {
  assert.throws(() => parse(name), (error: unknown) => {
    assert.ok(error instanceof Error && 'code' in error);
    assert.equal(error.code, 'invalid_argument', name);
    assert.match(error.message, text);
    return true;
  });
}

describe('parseReadName', () => {
  it('RN-2: takes a name with and without instance, and instances with slashes', () => {
    for (const instance of ['', 'main', 'team/project/ci']) {
      const name = parseReadName(`${instance === '' ? '' : `${instance}/`}blobs/${hash}/8`);
      assert.equal(name.instance, instance);
      assert.equal(name.digest.toString(), `sha256/${hash}/8`);
      assert.equal(name.compressor, 'identity');
    }
  });

  it('RN-3: tells the function by the length of the hash, and BLAKE3 by its segment', () => {
    for (const row of digestFunctions) {
      const digest = Digest.of(bytes, row);
      const segment = row.pathSegment === undefined ? '' : `${row.pathSegment}/`;
      assert.equal(parseReadName(`blobs/${segment}${digest.hash}/8`).digest.toString(), digest.toString());
      assert.equal(parseWriteName(`i/uploads/${uuid}/blobs/${segment}${digest.hash}/8`).digest.toString(), digest.toString());
    }
    assert.equal(parseReadName(`blobs/${blake3.emptyHash.replace(/^./, '0')}/8`).digest.function, sha256);
  });

  it('RN-3: refuses a segment for a function that has none, one in upper case and one that is not served', () => {
    refused(parseReadName, `blobs/sha256/${hash}/8`, /told by the length of the hash; leave the segment "sha256" out/);
    refused(parseReadName, `blobs/BLAKE3/${hash}/8`, /write the digest function as "blake3"/);
    refused(parseReadName, `blobs/sha256tree/${hash}/8`, /sha256tree is not served here/);
    refused(parseReadName, `blobs/gitsha1/${hash.slice(0, 40)}/8`, /gitsha1 is not served here/);
  });

  it('RN-5: knows the compressors, in lower case, and identity is none of them', () => {
    for (const compressor of ['zstd', 'deflate', 'brotli']) {
      assert.equal(parseReadName(`compressed-blobs/${compressor}/${hash}/8`).compressor, compressor);
      assert.equal(parseReadName(`a/b/compressed-blobs/${compressor}/blake3/${hash}/8`).digest.function, blake3);
    }
    refused(parseReadName, `compressed-blobs/identity/${hash}/8`, /use "blobs"/);
    refused(parseReadName, `compressed-blobs/ZSTD/${hash}/8`, /"ZSTD" is not a compressor/);
    refused(parseReadName, `compressed-blobs/${hash}/8`, /is not a compressor/);
    refused(parseReadName, 'compressed-blobs', /nothing is not a compressor/);
  });

  it('RN-6: refuses what is not a name, and says why', () => {
    refused(parseReadName, '', /has no segment "blobs"/);
    refused(parseReadName, `blob/${hash}/8`, /has no segment "blobs"/);
    refused(parseReadName, `/blobs/${hash}/8`, /begins with a slash/);
    refused(parseReadName, `//blobs/${hash}/8`, /instance name/);
    refused(parseReadName, `uploads/${uuid}/blobs/${hash}/8`, /names an upload/);
    refused(parseReadName, 'blobs', /the hash is missing/);
    refused(parseReadName, 'blobs//8', /the hash is missing/);
    refused(parseReadName, `blobs/${hash}`, /the size nothing is not a decimal/);
    refused(parseReadName, `blobs/${hash}/8/`, /nothing may follow the size/);
    refused(parseReadName, `blobs/${hash}/8/file.o`, /"file.o" does/);
    refused(parseReadName, `actions/blobs/${hash}/8`, /segment "actions"/);
    refused(parseReadName, `${'x'.repeat(9000)}/blobs/${hash}/8`, /at most 8192/);
  });

  it('RN-6: refuses sizes that are negative, no decimal numbers or impossible', () => {
    for (const size of ['-1', '+8', '0x8', '8.0', '1e3', '08', '', ' 8', '99999999999999999']) {
      refused(parseReadName, `blobs/${hash}/${size}`, /not a decimal number/);
    }
    refused(parseReadName, `blobs/${hash}/9007199254740993`, /between 0 and 2\^53/);
    refused(parseReadName, `blobs/${hash}/0`, /size 0 belongs to/);
    refused(parseReadName, `blobs/${sha256.emptyHash}/1`, /hash of no bytes/);
  });

  it('DG-1: refuses a hash of wrong length, in upper case or with other letters', () => {
    refused(parseReadName, `blobs/${hash.slice(1)}/8`, /63 characters/);
    refused(parseReadName, `blobs/${hash.toUpperCase()}/8`, /lower-case hex/);
    refused(parseReadName, `blobs/${'g'.repeat(64)}/8`, /lower-case hex/);
    refused(parseReadName, `blobs/blake3/${hash.slice(0, 40)}/8`, /BLAKE3/);
  });
});

describe('parseWriteName', () => {
  it('RN-1: takes instance, uuid and compressor', () => {
    const name = parseWriteName(`a/b/uploads/${uuid}/compressed-blobs/zstd/${hash}/8`);
    assert.deepEqual([name.instance, name.uuid, name.compressor, name.digest.hash], ['a/b', uuid, 'zstd', hash]);
    assert.equal(parseWriteName(`uploads/${uuid}/blobs/${Digest.of(bytes, sha1).hash}/8`).digest.function, sha1);
  });

  it('RN-4: ignores any number of segments after the size', () => {
    for (const metadata of ['/', '/file.o', '/a/b/c', '/blobs/uploads/x/..', `/${'m/'.repeat(3000)}`]) {
      assert.equal(parseWriteName(`uploads/${uuid}/blobs/${hash}/8${metadata}`).digest.sizeBytes, 8);
    }
  });

  it('RN-6: refuses what is not the name of an upload, and says why', () => {
    refused(parseWriteName, `blobs/${hash}/8`, /has no segment "uploads"/);
    refused(parseWriteName, 'uploads', /uuid is empty/);
    refused(parseWriteName, `uploads//blobs/${hash}/8`, /uuid is empty/);
    refused(parseWriteName, `uploads/${uuid}`, /instead of nothing/);
    refused(parseWriteName, `uploads/${uuid}/${hash}/8`, /expected "blobs" or "compressed-blobs"/);
    refused(parseWriteName, `uploads/${uuid}/blobs/${hash}/-8`, /the size "-8"/);
    refused(parseWriteName, `/uploads/${uuid}/blobs/${hash}/8`, /begins with a slash/);
    refused(parseWriteName, `operations/uploads/${uuid}/blobs/${hash}/8`, /segment "operations"/);
  });
});

describe('both parsers', () => {
  it('RN-6: whatever is sent, the answer is a name or invalid_argument', (t) => {
    const random = seededRandom(t);
    const parts = ['', '/', 'blobs', 'uploads', 'compressed-blobs', 'zstd', 'identity', 'blake3', 'sha256', uuid, hash, hash.slice(1), hash.toUpperCase(), '0', '8', '-8', '9'.repeat(30), 'ä', '\0', 'actions', 'x'.repeat(500)];
    let accepted = 0;
    for (let round = 0; round < 20_000; round += 1) {
      const segments = random.pick([['blobs', hash, '8'], ['i', 'uploads', uuid, 'blobs', hash, '8'], ['compressed-blobs', 'zstd', 'blake3', hash, '8']]).slice();
      for (let changes = random.integer(0, 3); changes > 0; changes -= 1) {
        segments.splice(random.integer(0, segments.length), random.integer(0, 2), ...(random.integer(0, 1) === 0 ? [] : [random.pick(parts)]));
      }
      const name = segments.join(random.integer(0, 20) === 0 ? '//' : '/');
      for (const parse of [parseReadName, parseWriteName]) {
        try {
          const { digest, instance } = parse(name);
          assert.ok(name.includes(digest.hash) && name.startsWith(instance), name);
          accepted += 1;
        } catch (error) {
          assert.ok(error instanceof CacheError && error.code === 'invalid_argument', name);
          assert.ok(error.message.length < 2_000, 'an error text is bounded');
        }
      }
    }
    assert.ok(accepted > 1_000, `${accepted} of the names are names`);
  });
});
