// The gRPC interoperability cases between our client, our server and @grpc/grpc-js, in plaintext and over TLS. What
// grpc-go does at the other end is in test/e2e-ci/grpc-go-interop.test.ts, since it has to be installed.
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, it } from 'node:test';
import { makeServerCertificate } from '../../src/testing/certificates.ts';
import { grpcJsInteropClient, grpcJsInteropServer } from './grpc-js-interop.ts';
import { compressedCases, interopCases } from './interop-cases.ts';
import type { InteropClient } from './interop-client.ts';
import { kilnInteropClient } from './kiln-interop.ts';
import { kilnInteropServer } from './kiln-interop-server.ts';

const { authority, server: certificate } = makeServerCertificate();
const directory = mkdtempSync(join(tmpdir(), 'kiln-interop-'));
const caFile = join(directory, 'ca.pem');
writeFileSync(caFile, authority.certificate);
after(() => rmSync(directory, { recursive: true }));

const servers = {
  Kiln: kilnInteropServer,
  'grpc-js': grpcJsInteropServer,
};

const clients = {
  Kiln: (port: number, secure: boolean): InteropClient => kilnInteropClient(port, secure ? { caFile } : undefined),
  'grpc-js': (port: number, secure: boolean): InteropClient => grpcJsInteropClient(`127.0.0.1:${port}`, secure ? authority.certificate : undefined),
};

for (const [clientName, serverName] of [['grpc-js', 'Kiln'], ['Kiln', 'grpc-js'], ['Kiln', 'Kiln']] as const) {
  for (const secure of [false, true]) {
    describe(`HT-14: ${clientName} calls ${serverName}${secure ? ' over TLS' : ''}`, () => {
      const cases = clientName === 'grpc-js' ? { ...interopCases, ...compressedCases } : interopCases;
      for (const [name, run] of Object.entries(cases)) {
        it(name, async () => {
          await using server = await servers[serverName](secure ? certificate : undefined);
          await using client = clients[clientName](server.port, secure);
          await run(client);
        });
      }
    });
  }
}
