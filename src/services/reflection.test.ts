// Reflection over sockets: what a tool without .proto files needs to make a call.
import { create, createFileRegistry, fromBinary, fromJson, toJson } from '@bufbuild/protobuf';
import { FileDescriptorProtoSchema, FileDescriptorSetSchema } from '@bufbuild/protobuf/wkt';
import type { FileDescriptorProto } from '@bufbuild/protobuf/wkt';
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { describe, it } from 'node:test';
import { implementService } from '../grpc/service.ts';
import { ContentAddressableStorage } from '../proto/gen/build/bazel/remote/execution/v2/remote_execution_pb.ts';
import { ServerReflection as ReflectionV1 } from '../proto/gen/grpc/reflection/v1/reflection_pb.ts';
import { ServerReflection as ReflectionV1Alpha } from '../proto/gen/grpc/reflection/v1alpha/reflection_pb.ts';
import { GrpcJsClient, statusOf } from '../testing/grpc-js-client.ts';
import { everythingAllowed } from '../testing/open-rights.ts';
import { serveGrpc } from '../testing/serve-grpc.ts';
import { createReflectionServices } from './reflection.ts';

/** Finds everything missing. */
const served = implementService(ContentAddressableStorage, {
  findMissingBlobs: ({ digests: { hashes, sizes } }) => ({
    missing: { length: hashes.length, hashAt: (index) => hashes[index] ?? '', sizeAt: (index) => Number(sizes[index]) },
  }),
});
const remoteExecution = 'build/bazel/remote/execution/v2/remote_execution.proto';
const pack = 'build.bazel.remote.execution.v2';

for (const reflection of [ReflectionV1, ReflectionV1Alpha]) {
  /** One stream; `ask` sends a question and gives its answer. */
  const open = async () => {
    const stack = new AsyncDisposableStack();
    const server = stack.use(await serveGrpc([served, ...createReflectionServices([served], everythingAllowed)]));
    const client = stack.use(new GrpcJsClient(server.address));
    const call = client.bidiStream((reflection as typeof ReflectionV1).method.serverReflectionInfo);
    const ended = statusOf(call);
    const ask = async (messageRequest: Parameters<typeof call.write>[0]['messageRequest'] & {}) => {
      call.write({ host: 'here', messageRequest });
      const [answer] = await once(call, 'data');
      assert.equal(answer.validHost, 'here');
      assert.deepEqual(answer.originalRequest.messageRequest.case, messageRequest.case);
      return answer.messageResponse;
    };
    return { client, call, ended, ask, [Symbol.asyncDispose]: () => stack.disposeAsync() };
  };

  const namesIn = (response: { case: string; value: { fileDescriptorProto: Uint8Array[] } }) => {
    assert.equal(response.case, 'fileDescriptorResponse');
    return response.value.fileDescriptorProto.map((bytes) => fromBinary(FileDescriptorProtoSchema, bytes).name);
  };

  describe(reflection.typeName, () => {
    it('RF-1: lists all services, itself included', async () => {
      await using opened = await open();
      const { case: kind, value } = await opened.ask({ case: 'listServices', value: '*' });
      assert.equal(kind, 'listServicesResponse');
      const expected = [`${pack}.ContentAddressableStorage`, 'grpc.reflection.v1.ServerReflection', 'grpc.reflection.v1alpha.ServerReflection'];
      assert.deepEqual(value.service.map(({ name }: { name: string }) => name), expected);
    });

    it('RF-1: gives the file of a name or symbol with all its imports', async () => {
      await using opened = await open();
      const byName = namesIn(await opened.ask({ case: 'fileByFilename', value: remoteExecution }));
      assert.equal(byName[0], remoteExecution);
      for (const imported of ['google/protobuf/any.proto', 'google/longrunning/operations.proto', 'google/rpc/status.proto', 'build/bazel/semver/semver.proto']) {
        assert.ok(byName.includes(imported), imported);
      }
      assert.equal(new Set(byName).size, byName.length);
      for (const symbol of ['ContentAddressableStorage', 'ContentAddressableStorage.FindMissingBlobs', 'Digest', 'Digest.size_bytes', 'DigestFunction.Value', 'DigestFunction.SHA256', 'ExecutedActionMetadata']) {
        assert.deepEqual(namesIn(await opened.ask({ case: 'fileContainingSymbol', value: `${pack}.${symbol}` })), byName, symbol);
      }
      assert.deepEqual(namesIn(await opened.ask({ case: 'fileContainingSymbol', value: 'google.protobuf.Any' })), ['google/protobuf/any.proto']);
    });

    it('RF-2: gives a client without proto files all that it needs to call a method', async () => {
      await using opened = await open();
      const { value } = await opened.ask({ case: 'fileContainingSymbol', value: `${pack}.ContentAddressableStorage` });
      const files = new Map((value.fileDescriptorProto as Uint8Array[]).map((bytes) => fromBinary(FileDescriptorProtoSchema, bytes)).map((file) => [file.name, file]));
      const ordered = new Set<FileDescriptorProto>(); // each behind its imports
      const add = (name: string): void => {
        const file = files.get(name) ?? assert.fail(`${name} is not there`);
        file.dependency.forEach(add);
        ordered.add(file);
      };
      add(remoteExecution);
      const registry = createFileRegistry(create(FileDescriptorSetSchema, { file: [...ordered] }));
      const service = registry.getService(`${pack}.ContentAddressableStorage`) ?? assert.fail('the service is not described');
      const method = service.method['findMissingBlobs'] ?? assert.fail('the method is not described');
      assert.equal(method.methodKind, 'unary');
      const request = fromJson(method.input, { instanceName: 'main', blobDigests: [{ hash: 'ab', sizeBytes: '7' }] });
      const { message } = await opened.client.unary({ ...method, methodKind: 'unary' }, request);
      assert.deepEqual(toJson(method.output, message), { missingBlobDigests: [{ hash: 'ab', sizeBytes: '7' }] });
    });

    it('RF-1: what is unknown is NOT_FOUND inside the stream, which goes on', async () => {
      await using opened = await open();
      for (const question of [
        { case: 'fileByFilename', value: 'no/such.proto' },
        { case: 'fileContainingSymbol', value: `${pack}.Nothing` },
        { case: 'fileContainingExtension', value: { containingType: `${pack}.Digest`, extensionNumber: 7 } },
        { case: 'allExtensionNumbersOfType', value: `${pack}.Nothing` },
      ] as const) {
        const answer = await opened.ask(question);
        assert.deepEqual([answer.case, answer.value.errorCode], ['errorResponse', 5], question.case);
      }
      const answer = await opened.ask({ case: 'allExtensionNumbersOfType', value: `${pack}.Digest` });
      assert.deepEqual([answer.case, answer.value.extensionNumber], ['allExtensionNumbersResponse', []]);
      opened.call.end();
      assert.equal((await opened.ended).code, 0);
    });

    it('refuses a request that asks nothing', async () => {
      await using opened = await open();
      opened.call.write({});
      opened.call.resume();
      assert.equal((await opened.ended).code, 3);
    });
  });
}
