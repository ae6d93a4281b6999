// No way into the server forgets to ask for rights: every method of every registered service and every path of HTTP is
// called, of a server that refuses everything. What is served all the same stands in a list, with its reason.
import { create, toBinary } from '@bufbuild/protobuf';
import type { DescMethod, DescService, MessageInitShape } from '@bufbuild/protobuf';
import grpc from '@grpc/grpc-js';
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { Authenticator, Authorizer } from '../base/authorizer.ts';
import { noCacheUsage } from '../base/cache-usage.ts';
import { CacheError } from '../base/cache-error.ts';
import { failures } from '../base/failures.ts';
import type { Code } from '../base/failures.ts';
import type { Diagnostics } from '../base/diagnostics.ts';
import { noMeter } from '../base/metrics.ts';
import { MemoryBlobStore } from '../blob/memory-blob-store.ts';
import { MemoryValueStore } from '../blob/memory-value-store.ts';
import { Digest } from '../digest/digest.ts';
import { digestFunctions } from '../digest/digest-function.ts';
import { grpcStatusOf } from '../grpc/status.ts';
import { adminPages } from '../http/admin-pages.ts';
import { httpLimits } from '../http/routes.ts';
import { ByteStream } from '../proto/gen/google/bytestream/bytestream_pb.ts';
import { defaultServiceLimits } from '../services/limits.ts';
import { fetchHttp } from '../testing/http-client.ts';
import { nobodyKnown } from '../testing/open-rights.ts';
import { RecordedLog } from '../testing/recorded-log.ts';
import { serveGrpc } from '../testing/serve-grpc.ts';
import { serveHandler } from '../testing/serve-http.ts';
import { createServed } from './services.ts';

/** Methods that are served without any right. */
const openMethods: Readonly<Record<string, string>> = {
  '/grpc.health.v1.Health/Check': 'a probe has no credentials (HC-4)',
  '/grpc.health.v1.Health/List': 'as Check',
  '/grpc.health.v1.Health/Watch': 'as Check',
};

/** Paths that are served without any right. */
const openPaths: Readonly<Record<string, string>> = {
  '/': 'says that this is Kiln, and in which version',
  '/status': 'moon asks it without credentials, and gives up when it is refused (CT-10)',
  '/healthz': 'a probe has no credentials',
  '/livez': 'as /healthz',
  '/readyz': 'as /healthz',
};

const digest = Digest.of(Buffer.from('x'));
const blob = `blobs/${digest.hash}/${digest.sizeBytes}`;
/** Requests of methods whose instance stands in a name; any other method is sent an empty message. */
const requests: Readonly<Record<string, Uint8Array>> = {
  '/google.bytestream.ByteStream/Read': encoded(ByteStream.method.read, { resourceName: blob }),
  '/google.bytestream.ByteStream/Write': encoded(ByteStream.method.write, { resourceName: `uploads/00000000-0000-4000-8000-000000000000/${blob}`, finishWrite: true, data: Buffer.from('x') }),
  '/google.bytestream.ByteStream/QueryWriteStatus': encoded(ByteStream.method.queryWriteStatus, { resourceName: `uploads/00000000-0000-4000-8000-000000000000/${blob}` }),
};

function encoded<M extends DescMethod>(method: M, message: MessageInitShape<M['input']>): Uint8Array {
  return toBinary(method.input, create(method.input, message));
}

/** Everybody is somebody, and nobody has any right. */
const nothingAllowed: Authorizer = {
  allows: () => false,
  allowsSomewhere: () => false,
  whyNot: () => 'nothing is allowed',
  require: (_caller, right, instance) => refuse('permission_denied', `${right} in ${instance}`),
  requireSomewhere: (_caller, right) => refuse('permission_denied', right),
};
/** Whatever somebody shows, or does not show, is wrong. */
const nobodyIsRight: Authenticator = { generation: 0, identify: () => refuse('unauthenticated', 'wrong') };

function refuse(code: Code, text: string): never {
  throw new CacheError(code, text);
}

/** Of pages that must not be reached. */
const untouchable: Diagnostics = {
  takeCpuProfile: () => refuse('internal', 'a profile was taken'),
  takeHeapSnapshot: () => refuse('internal', 'a snapshot was taken'),
  list: () => refuse('internal', 'files were listed'),
};

function refusing(authenticator: Authenticator) {
  return createServed({
    blobs: new MemoryBlobStore(),
    values: new MemoryValueStore(),
    authenticator,
    authorizer: nothingAllowed,
    pages: adminPages(untouchable, { defaultDurationMs: 1 }),
    limits: { services: defaultServiceLimits, http: httpLimits },
    log: new RecordedLog(),
    version: '0.0.0',
    meter: noMeter,
    usage: noCacheUsage,
    scrape: () => ({ contentType: 'text/plain', text: 'kiln_secret 1' }),
  });
}

const ways: readonly [string, Authenticator, Code][] = [
  ['a caller without any right', nobodyKnown, 'permission_denied'],
  ['wrong credentials', nobodyIsRight, 'unauthenticated'],
];

for (const [who, authenticator, code] of ways) {
  describe(`a server that is asked by ${who}`, () => {
    it('ERR-5: refuses every method of every service, but for the open ones', async () => {
      const { services } = refusing(authenticator);
      await using server = await serveGrpc(services, { authenticator });
      using client = new RawClient(server.address);
      const served: string[] = [];
      let refused = 0;
      for (const { descriptor, handlers } of services) {
        for (const path of implementedMethods(descriptor, handlers)) {
          const status = await client.call(path, requests[path] ?? new Uint8Array(0));
          if (status === grpcStatusOf[code]) refused += 1;
          else served.push(path);
        }
      }
      assert.deepEqual(served.toSorted(), Object.keys(openMethods).toSorted());
      assert.ok(refused >= 12, `${refused} methods were refused`);
    });

    it('CT-9: refuses every path of HTTP with every method, but for the open ones', async () => {
      const { http, pages } = refusing(authenticator);
      await using server = await serveHandler(http);
      const served: string[] = [];
      for (const path of [...pages.map((page) => page.path), ...buildCachePaths()]) {
        for (const method of ['GET', 'HEAD', 'PUT', 'POST', 'DELETE', 'PATCH', 'OPTIONS', 'PROPFIND']) {
          const { status, text } = await fetchHttp(server.port, path, { method });
          assert.doesNotMatch(text, /kiln_secret/);
          if (status === 405) continue; // whoever may do anything gets the same
          if (status !== failures[code].httpStatus) served.push(path);
        }
      }
      assert.deepEqual([...new Set(served)].toSorted(), Object.keys(openPaths).toSorted());
    });
  });
}

it('HTTP has no open page but those in the list', () => {
  const open = refusing(nobodyKnown).pages.filter(({ access }) => access === 'everyone').map(({ path }) => path);
  assert.deepEqual(open.toSorted(), Object.keys(openPaths).toSorted());
});

function* implementedMethods(descriptor: DescService, handlers: Readonly<Record<string, unknown>>): Generator<string> {
  for (const { localName, name } of descriptor.methods) if (handlers[localName] !== undefined) yield `/${descriptor.typeName}/${name}`;
}

/** Of every kind, with and without an instance, for every digest function. */
function buildCachePaths(): readonly string[] {
  return ['ac', 'cas'].flatMap((kind) =>
    ['', '/team/a'].flatMap((instance) =>
      digestFunctions.map((row) => `${instance}/${kind}${row.pathSegment === undefined ? '' : `/${row.pathSegment}`}/${'0'.repeat(row.hexLength)}`),
    ),
  );
}

/** Calls methods of any kind by their path, with one message, and gives the status. */
class RawClient implements Disposable {
  readonly #client: grpc.Client;

  constructor(address: string) {
    this.#client = new grpc.Client(address, grpc.credentials.createInsecure());
  }

  call(path: string, message: Uint8Array): Promise<number> {
    const bytes = (buffer: Buffer): Buffer => buffer;
    const call = this.#client.makeBidiStreamRequest(path, bytes, bytes);
    return new Promise((resolve) => {
      call.on('error', () => {});
      call.once('status', ({ code }: grpc.StatusObject) => resolve(code));
      call.once('data', () => call.cancel()); // Watch goes on for ever
      call.write(Buffer.from(message));
      call.end();
    });
  }

  [Symbol.dispose](): void {
    this.#client.close();
  }
}
