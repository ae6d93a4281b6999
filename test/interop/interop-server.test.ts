// The interoperability server as the gRPC interop client starts it: a process of its own, found by its ready file.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { describe, it } from 'node:test';
import { TestService } from '../../src/proto/gen/grpc/testing/test_pb.ts';
import { GrpcJsClient } from '../../src/testing/grpc-js-client.ts';

describe('interop-server.ts', () => {
  it('HT-14: serves grpc.testing.TestService and ends cleanly on SIGTERM', async () => {
    const script = new URL('./interop-server.ts', import.meta.url).pathname;
    const server = spawn(process.execPath, [script], { stdio: ['ignore', 'pipe', 'inherit'] });
    const ended = once(server, 'exit');
    try {
      const [line] = await once(server.stdout, 'data');
      const { port } = JSON.parse(String(line)) as { port: number };
      {
        using client = new GrpcJsClient(`127.0.0.1:${port}`);
        const { message } = await client.unary(TestService.method.unaryCall, { responseSize: 314_159 });
        assert.equal(message.payload?.body.byteLength, 314_159);
      }
      server.kill('SIGTERM');
      assert.deepEqual(await ended, [0, null]);
    } finally {
      server.kill('SIGKILL');
    }
  });
});
