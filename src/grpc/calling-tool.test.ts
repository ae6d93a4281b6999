// The tool of a call, by what clients send and by what they had better not.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { create, toBinary } from '@bufbuild/protobuf';
import { RequestMetadataSchema } from '../proto/gen/build/bazel/remote/execution/v2/remote_execution_pb.ts';
import { headerBlock } from '../testing/fake-server-stream.ts';
import { seededRandom } from '../testing/seeded-random.ts';
import { callingTool } from './calling-tool.ts';

const header = 'build.bazel.remote.execution.v2.requestmetadata-bin';

function metadata(toolName: string): string {
  const message = create(RequestMetadataSchema, {
    actionId: 'a'.repeat(64),
    toolInvocationId: '1b5e0bb1-2f1a-4a3c-9f0e-5d7f0a9c7a11',
    toolDetails: { toolName, toolVersion: '8.1.0' },
    targetId: '//some/package:target',
  });
  return Buffer.from(toBinary(RequestMetadataSchema, message)).toString('base64');
}

function toolOf(headers: Record<string, string>): string {
  return callingTool(headerBlock(headers));
}

describe('tool of a call', () => {
  it('MD-1: is the tool_name of RequestMetadata, in lower case', () => {
    assert.equal(toolOf({ [header]: metadata('bazel') }), 'bazel');
    assert.equal(toolOf({ [header]: metadata('Buck2'), 'user-agent': 'curl/8' }), 'buck2');
  });

  it('MD-3: is read from padded and from unpadded base64', () => {
    const padded = ['bazel', 'bazel1', 'bazel12'].map(metadata).filter((text) => text.endsWith('='));
    assert.ok(padded.length > 0);
    for (const text of padded) assert.equal(toolOf({ [header]: text.replaceAll('=', '') }), toolOf({ [header]: text }));
  });

  it('is that of User-Agent where there is no metadata, and unknown without either', () => {
    assert.equal(toolOf({ 'user-agent': 'moon tonic/0.14.6' }), 'moon');
    assert.equal(toolOf({ [header]: metadata(''), 'user-agent': 'bazel/8.1' }), 'bazel');
    assert.equal(toolOf({}), 'unknown');
  });

  it('MD-2: is unknown, and no failure, for what cannot be decoded or is no name', (t) => {
    const long = `${metadata('bazel')}${'A'.repeat(5_000)}`;
    const names = ['\u001b[31m', 'a"b', 'line\nbreak', 'x'.repeat(41), '{}', '€', ' '].map(metadata);
    for (const value of ['', '!', '====', 'AAAA', 'CgA', 'Cv8B', long, ...names]) assert.equal(toolOf({ [header]: value }), 'unknown', value.slice(0, 80));
    const random = seededRandom(t);
    for (let round = 0; round < 5_000; round += 1) {
      const bytes = Buffer.from(metadata('bazel'), 'base64').subarray(0, random.integer(0, 150));
      if (bytes.length > 0) bytes[random.integer(0, bytes.length - 1)] = random.integer(0, 255);
      assert.match(toolOf({ [header]: bytes.toString('base64') }), /^[a-z0-9][a-z0-9 ._+-]{0,39}$/);
    }
  });
});
