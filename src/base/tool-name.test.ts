// Names of tools, as their real User-Agents have them.
import assert from 'node:assert/strict';
import { it } from 'node:test';
import { toolOfUserAgent } from './tool-name.ts';

for (const [userAgent, tool] of [
  ['bazel/8.1.0', 'bazel'],
  ['bazel/', 'bazel'],
  ['moon tonic/0.14.6', 'moon'],
  ['ccache/4.10', 'ccache'],
  ['Gradle/8.9 (Linux;6.1;amd64) (Eclipse Adoptium;21.0.4)', 'gradle'],
  ['curl/8.5.0', 'curl'],
  ['grpc-node-js/1.14.7', 'unknown'],
  ['Mozilla/5.0 (X11; Linux x86_64)', 'unknown'],
  ['bazelish/1', 'unknown'],
  ['bazel\u001b[31m', 'bazel'],
  [' bazel/1', 'unknown'],
  ['x'.repeat(100_000), 'unknown'],
  ['constructor/1', 'unknown'],
  ['', 'unknown'],
  [undefined, 'unknown'],
] as const) {
  it(`calls ${JSON.stringify(userAgent?.slice(0, 60))} ${tool}`, () => assert.equal(toolOfUserAgent(userAgent), tool));
}
