// The hand-written encoder of ReadResponse against the generated one, as its oracle.
import { create, toBinary } from '@bufbuild/protobuf';
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { ReadResponseSchema } from './gen/google/bytestream/bytestream_pb.ts';
import { readResponseCodec } from './read-response-codec.ts';

describe('ReadResponse by hand', () => {
  it('encodes byte for byte what the generated code does, behind the headroom', () => {
    for (const size of [0, 1, 127, 128, 16_383, 16_384, 65_536, 2_097_151, 2_097_152]) {
      const message = { data: new Uint8Array(size).fill(size) };
      const bytes = new Uint8Array(Buffer.concat(readResponseCodec.encode(message, 5)));
      assert.ok(Buffer.from(bytes.subarray(5)).equals(toBinary(ReadResponseSchema, create(ReadResponseSchema, message))), `${size} bytes`);
    }
    assert.equal(readResponseCodec.encode({}, 5)[0].byteLength, 5);
  });

  it('passes the data on without a copy', () => {
    const data = new Uint8Array(1000);
    assert.equal(readResponseCodec.encode({ data }, 5)[1], data);
  });
});
