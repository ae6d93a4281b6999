// A server of grpc.testing on the production stack, for the gRPC interoperability client. Prints one line
// `{"port": N, "pid": N}` when it is ready, to stdout or into the file after --ready-file; SIGTERM ends it.
import { renameSync, writeFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { createInteropTestService } from '../src/testing/interop-test-service.ts';
import { serveGrpc } from '../src/testing/serve-grpc.ts';

const { values } = parseArgs({ options: { 'ready-file': { type: 'string' } } });
const readyFile = values['ready-file'];

const server = await serveGrpc([createInteropTestService()]);
const ready = `${JSON.stringify({ port: server.port, pid: process.pid })}\n`;
if (readyFile === undefined) {
  process.stdout.write(ready);
} else {
  writeFileSync(`${readyFile}.partial`, ready);
  renameSync(`${readyFile}.partial`, readyFile);
}
process.once('SIGTERM', () => {
  void server.drain().then(() => process.exit(0));
});
