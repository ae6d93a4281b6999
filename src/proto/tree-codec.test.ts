// The hand-written encoder of GetTreeResponse against the generated one, as its oracle.
import { create, fromBinary, toBinary } from '@bufbuild/protobuf';
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { seededRandom } from '../testing/seeded-random.ts';
import { DirectorySchema, GetTreeResponseSchema } from './gen/build/bazel/remote/execution/v2/remote_execution_pb.ts';
import { getTreeResponseCodec } from './tree-codec.ts';

describe('GetTreeResponse by hand', () => {
  it('encodes byte for byte what the generated code does, behind the headroom', (t) => {
    const random = seededRandom(t);
    for (let round = 0; round < 500; round += 1) {
      const directories = Array.from({ length: random.integer(0, 5) }, () =>
        toBinary(DirectorySchema, create(DirectorySchema, { symlinks: [{ name: 'x'.repeat(random.pick([0, 1, 100, 120, 2035, 2040, 2041, 2050, 20_000])) }] })),
      );
      const nextPageToken = random.pick(['', 'after/0123', 'x'.repeat(200)]);
      const headroomBytes = random.integer(0, 9);
      const slices = getTreeResponseCodec.encode({ directories, nextPageToken }, headroomBytes);
      assert.ok(slices[0].byteLength >= headroomBytes);
      const message = { directories: directories.map((bytes) => fromBinary(DirectorySchema, bytes)), nextPageToken };
      assert.ok(Buffer.concat(slices).subarray(headroomBytes).equals(toBinary(GetTreeResponseSchema, create(GetTreeResponseSchema, message))), `round ${round}`);
    }
  });

  it('passes large directories on without a copy', () => {
    const large = new Uint8Array(5000);
    const slices = getTreeResponseCodec.encode({ directories: [large, large], nextPageToken: '' }, 5);
    assert.equal(slices.filter((slice) => slice === large).length, 2);
  });
});
