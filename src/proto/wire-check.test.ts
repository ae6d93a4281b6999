// What is counted and refused where messages are walked and not decoded; hot-codecs.fuzz.test.ts compares the rest.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { create, fromBinary, toBinary } from '@bufbuild/protobuf';
import { walkActionResult } from './action-result-walk.ts';
import { DirectoryWalk } from './directory-walk.ts';
import { EncodedActionResult } from './encoded-action-result.ts';
import { updateActionResultRequestCodec } from './action-result-codec.ts';
import { ActionResultSchema, DirectorySchema } from './gen/build/bazel/remote/execution/v2/remote_execution_pb.ts';
import { PackedDigests } from './packed-digests.ts';
import { WireCheck } from './wire-check.ts';

/** `count` times the bytes. */
const repeated = (bytes: readonly number[], count: number): Uint8Array => Uint8Array.from({ length: bytes.length * count }, (_, index) => bytes[index % bytes.length] ?? 0);
/** A length-delimited field of any length. */
const field = (tag: number, content: Uint8Array): Uint8Array => {
  const head = [tag];
  for (let rest = content.byteLength; ; rest = Math.floor(rest / 128)) {
    head.push(rest < 128 ? rest : (rest % 128) | 128);
    if (rest < 128) return Buffer.concat([Uint8Array.from(head), content]);
  }
};
const walkAll = (bytes: Uint8Array, files?: PackedDigests): void => {
  const walk = new DirectoryWalk(bytes, files);
  while (walk.next(1000));
};

describe('WireCheck', () => {
  const directory = toBinary(DirectorySchema, create(DirectorySchema, { files: Array.from({ length: 10 }, () => ({ name: 'some name', isExecutable: true })) }));

  it('counts fields, those of inner messages and unknown ones too', () => {
    new WireCheck(DirectorySchema, 30).check(directory); // the file, its name, and the flag
    assert.throws(() => new WireCheck(DirectorySchema, 29).check(directory), /more than 29 fields/);
    assert.throws(() => new WireCheck(DirectorySchema, 100).check(repeated([0x78, 1], 101)), /more than 100 fields/);
  });

  it('refuses what is cut off within a field', () => {
    const check = new WireCheck(DirectorySchema, 30);
    for (let end = 1; end < directory.byteLength; end += 1) {
      if (end % (directory.byteLength / 10) !== 0) assert.throws(() => check.check(directory.subarray(0, end)), { name: 'WireError' }, `${end}`);
    }
  });

  it('refuses wrong wire types, texts that are not UTF-8, and groups without an end', () => {
    for (const hex of ['0802', '0a020800', '0a040a02c328', '7b', '1a0312022d', '2a0410808080']) {
      assert.throws(() => new WireCheck(DirectorySchema, 30).check(Buffer.from(hex, 'hex')), { name: 'WireError' }, hex);
    }
  });

  it('refuses groups that are nested deeper than the generated code would follow', () => {
    const groups = (depth: number) => Buffer.concat([repeated([0x7b], depth), repeated([0x7c], depth)]);
    const properties = (content: Uint8Array) => field(0x12, field(0x3a, field(0x0a, content))); // of an output file
    for (const wrap of [(content: Uint8Array) => content, properties]) {
      fromBinary(ActionResultSchema, wrap(groups(50)));
      EncodedActionResult.parse(wrap(groups(50)));
      assert.throws(() => EncodedActionResult.parse(wrap(groups(51))), /nested too deep/);
    }
  });
});

describe('walks of messages that would fill the memory if they were decoded', () => {
  const empty = (tag: number, count: number): Uint8Array => repeated([tag, 0], count);

  it('take half a million fields and no more', () => {
    for (const files of [undefined, new PackedDigests(Infinity)]) {
      walkAll(empty(0x0a, 500_000), files);
      assert.throws(() => walkAll(empty(0x0a, 500_001), files), /more than 500000 fields/);
    }
    walkActionResult(empty(0x12, 500_000));
    assert.throws(() => walkActionResult(empty(0x12, 500_001)), /more than 500000 fields/);
  });

  it('count unknown fields wherever they hide', () => {
    const unknown = repeated([0x78, 1], 500_001);
    const hidden: readonly Uint8Array[] = [
      unknown,
      field(0x12, unknown), // in an output file
      field(0x12, field(0x12, unknown)), // in its digest
      field(0x1a, field(0x1a, unknown)), // in the digest of a Tree
      field(0x32, unknown), // in the digest of standard output
      field(0x4a, unknown), // in the metadata
    ];
    for (const bytes of hidden) assert.throws(() => EncodedActionResult.parse(bytes), { name: 'WireError' });
    for (const bytes of [unknown, field(0x0a, unknown), field(0x0a, field(0x12, unknown)), field(0x12, field(0x12, unknown))]) {
      assert.throws(() => walkAll(bytes, new PackedDigests(Infinity)), { name: 'WireError' });
      assert.throws(() => walkAll(bytes), { name: 'WireError' });
    }
  });

  it('join no more than a thousand parts of a result: each empty one costs two bytes to send', () => {
    const large = field(0x1a, field(0x2a, new Uint8Array(1_000_000)));
    const parts = (count: number) => Buffer.concat([large, empty(0x1a, count)]);
    const { actionResult } = updateActionResultRequestCodec.decode(parts(999));
    assert.equal(actionResult?.message.stdoutRaw.byteLength, 1_000_000);
    assert.throws(() => updateActionResultRequestCodec.decode(parts(1000)), /more than 1000 fields/);
  });

  it('decode nothing until somebody asks, and what was put stays as it came', () => {
    const bytes = Buffer.concat([toBinary(ActionResultSchema, create(ActionResultSchema, { exitCode: 7 })), Buffer.from('fa0603616263', 'hex')]);
    const encoded = EncodedActionResult.parse(bytes);
    assert.equal(encoded.bytes, bytes);
    assert.equal(encoded.message.exitCode, 7);
    assert.equal(encoded.message, encoded.message);
  });
});
