// Server reflection, v1 and v1alpha: which services there are, and the files that describe them, so that tools work
// without .proto files (REAPI RF-1, RF-2).
import type { Authorizer } from '../base/authorizer.ts';
import { CacheError } from '../base/cache-error.ts';
import { grpcStatusOf } from '../grpc/status.ts';
import { implementService } from '../grpc/service.ts';
import type { CallContext, ServiceImplementation } from '../grpc/service.ts';
import { ServerReflection as ReflectionV1 } from '../proto/gen/grpc/reflection/v1/reflection_pb.ts';
import type { ServerReflectionRequest as RequestV1 } from '../proto/gen/grpc/reflection/v1/reflection_pb.ts';
import { ServerReflection as ReflectionV1Alpha } from '../proto/gen/grpc/reflection/v1alpha/reflection_pb.ts';
import type { ServerReflectionRequest as RequestV1Alpha } from '../proto/gen/grpc/reflection/v1alpha/reflection_pb.ts';
import { DescriptorCatalog } from './descriptor-catalog.ts';

type Question = RequestV1['messageRequest'] | RequestV1Alpha['messageRequest'];
type Answer =
  | { case: 'listServicesResponse'; value: { service: { name: string }[] } }
  | { case: 'fileDescriptorResponse'; value: { fileDescriptorProto: Uint8Array[] } }
  | { case: 'allExtensionNumbersResponse'; value: { baseTypeName: string; extensionNumber: number[] } }
  | { case: 'errorResponse'; value: { errorCode: number; errorMessage: string } };

/** What is served here, and describes itself too. */
export const reflectionDescriptors = [ReflectionV1, ReflectionV1Alpha] as const;

/** Both versions, describing `services` and themselves, for callers that may read somewhere. */
export function createReflectionServices(services: readonly ServiceImplementation[], authorizer: Authorizer): readonly ServiceImplementation[] {
  const catalog = new DescriptorCatalog([...services.map(({ descriptor }) => descriptor), ...reflectionDescriptors]);
  return [
    implementService(ReflectionV1, {
      async *serverReflectionInfo(requests: AsyncIterable<RequestV1>, { caller }: CallContext) {
        authorizer.requireSomewhere(caller, 'read');
        for await (const request of requests) {
          yield { validHost: request.host, originalRequest: request, messageResponse: answer(catalog, request.messageRequest) };
        }
      },
    }),
    implementService(ReflectionV1Alpha, {
      async *serverReflectionInfo(requests: AsyncIterable<RequestV1Alpha>, { caller }: CallContext) {
        authorizer.requireSomewhere(caller, 'read');
        for await (const request of requests) {
          yield { validHost: request.host, originalRequest: request, messageResponse: answer(catalog, request.messageRequest) };
        }
      },
    }),
  ];
}

/** What is not known is an answer too: the stream goes on. @throws CacheError for a request that asks nothing. */
function answer(catalog: DescriptorCatalog, question: Question): Answer {
  switch (question.case) {
    case 'listServices':
      return { case: 'listServicesResponse', value: { service: catalog.serviceNames.map((name) => ({ name })) } };
    case 'fileByFilename':
      return files(catalog.fileNamed(question.value), `file ${question.value}`);
    case 'fileContainingSymbol':
      return files(catalog.fileWithSymbol(question.value), `symbol ${question.value}`);
    case 'fileContainingExtension': {
      const { containingType, extensionNumber } = question.value;
      return files(catalog.fileWithExtension(containingType, extensionNumber), `extension ${extensionNumber} of ${containingType}`);
    }
    case 'allExtensionNumbersOfType': {
      const numbers = catalog.extensionNumbers(question.value);
      if (numbers === undefined) return unknown(`message type ${question.value}`);
      return { case: 'allExtensionNumbersResponse', value: { baseTypeName: question.value, extensionNumber: [...numbers] } };
    }
    case undefined:
      throw new CacheError('invalid_argument', 'a reflection request must have one of the fields of message_request');
  }
}

function files(found: readonly Uint8Array[] | undefined, what: string): Answer {
  if (found === undefined) return unknown(what);
  return { case: 'fileDescriptorResponse', value: { fileDescriptorProto: [...found] } };
}

function unknown(what: string): Answer {
  return { case: 'errorResponse', value: { errorCode: grpcStatusOf.not_found, errorMessage: `${what} is not known here` } };
}
