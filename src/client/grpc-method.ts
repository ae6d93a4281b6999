// One method as a channel calls it.
import type { DescMethod } from '@bufbuild/protobuf';
import { CacheError } from '../base/cache-error.ts';
import { generatedCodec } from '../grpc/codec.ts';
import type { AnyCodec } from '../grpc/codec.ts';
import { frameMessage } from '../grpc/message-frame.ts';
import { prepareRequest } from '../h2/header-encoder.ts';
import type { OutgoingHeaders, PreparedRequest } from '../h2/stream.ts';

/** Message types are forgotten here; the verbs of the channel have tied them to the descriptor. */
export interface ClientMethod {
  /** The value of `:path`. */
  readonly path: string;
  /** What every request of it says. */
  readonly headers: PreparedRequest;
  /** One answer, and not a stream of them. */
  readonly answersOnce: boolean;
  readonly request: AnyCodec;
  readonly response: AnyCodec;
}

/** `headers` gives what all requests with that path begin with. */
export function clientMethod(descriptor: DescMethod, headers: (path: string) => OutgoingHeaders): ClientMethod {
  const { methodKind, parent, name, input, output } = descriptor;
  const path = `/${parent.typeName}/${name}`;
  return {
    path,
    headers: prepareRequest(headers(path)),
    answersOnce: methodKind === 'unary' || methodKind === 'client_streaming',
    request: generatedCodec(input),
    response: generatedCodec(output),
  };
}

/** A request message with its prefix. @throws CacheError `invalid_argument` when it cannot be encoded. */
export function encodeRequest({ path, request }: ClientMethod, message: unknown): readonly Uint8Array[] {
  try {
    return frameMessage(request, message);
  } catch (cause) {
    throw new CacheError('invalid_argument', `the request message of ${path} cannot be encoded: ${reasonOf(cause)}`, { cause });
  }
}

/** An answer message. @throws CacheError when it is no such message. */
export function decodeAnswer({ path, response }: ClientMethod, bytes: Uint8Array): unknown {
  try {
    return response.decode(bytes);
  } catch (cause) {
    throw new CacheError('internal', `the answer of ${path} is not the message that it should be: ${reasonOf(cause)}`, { cause });
  }
}

function reasonOf(cause: unknown): string {
  return cause instanceof Error ? cause.message : String(cause);
}
