// Counts against messages that are known, on both sides of the limit.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { create, toBinary } from '@bufbuild/protobuf';
import { FieldLimit } from './field-limit.ts';
import { BatchReadBlobsRequestSchema, DirectorySchema } from './gen/build/bazel/remote/execution/v2/remote_execution_pb.ts';

/** Three fields for each file: the file, its name, and the flag. */
const directory = toBinary(DirectorySchema, create(DirectorySchema, { files: Array.from({ length: 10 }, () => ({ name: 'some name', isExecutable: true })) }));
const emptyEntries = (count: number): Uint8Array => Uint8Array.from({ length: 2 * count }, (_, index) => (index % 2 === 0 ? 0x12 : 0));

describe('FieldLimit', () => {
  it('counts fields, those of inner messages too', () => {
    new FieldLimit(DirectorySchema, 30).check(directory);
    assert.throws(() => new FieldLimit(DirectorySchema, 29).check(directory), /more than 29 fields/);
  });

  it('counts entries without content and fields that nobody knows', () => {
    new FieldLimit(BatchReadBlobsRequestSchema, 100).check(emptyEntries(100));
    assert.throws(() => new FieldLimit(BatchReadBlobsRequestSchema, 100).check(emptyEntries(101)), /more than 100 fields/);
    const unknown = Uint8Array.from({ length: 202 }, (_, index) => (index % 2 === 0 ? 0x78 : 1)); // field 15, a number
    assert.throws(() => new FieldLimit(BatchReadBlobsRequestSchema, 100).check(unknown), /more than 100 fields/);
  });

  it('refuses what is cut off within a field', () => {
    const limit = new FieldLimit(DirectorySchema, 30);
    const fileBytes = directory.byteLength / 10;
    for (let end = 61; end < directory.byteLength; end += 1) {
      if (end % fileBytes !== 0) assert.throws(() => limit.check(directory.subarray(0, end)), /longer than its message|cut off/, `${end}`);
    }
  });
});
