// Our server of grpc.testing as a process of its own, for clients that are not in Node. Prints one line
// `{"port": N, "pid": N}` when it is ready, to stdout or into the file after --ready-file; SIGTERM ends it. Over TLS
// with --certificate and --key.
import { readFileSync, renameSync, writeFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { kilnInteropServer } from './kiln-interop-server.ts';

const { values } = parseArgs({ options: { 'ready-file': { type: 'string' }, certificate: { type: 'string' }, key: { type: 'string' } } });
const { 'ready-file': readyFile, certificate, key } = values;

const server = await kilnInteropServer(certificate === undefined || key === undefined ? undefined : { certificate: readFileSync(certificate, 'utf8'), key: readFileSync(key, 'utf8') });
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
