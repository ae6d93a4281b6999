// The server's part of the interoperability cases with compression: a message that says that it comes compressed and does
// not, or the other way round, is refused. Handlers are given messages without their flag, so it is looked at before them.
import { gunzipSync } from 'node:zlib';
import { fromBinary } from '@bufbuild/protobuf';
import { grpcStatusOf } from '../../src/grpc/status.ts';
import { errorCode } from '../../src/h2/error-code.ts';
import type { HeaderBlock, ServerStream, StreamAcceptor, StreamHandler } from '../../src/h2/stream.ts';
import { SimpleRequestSchema, StreamingInputCallRequestSchema } from '../../src/proto/gen/grpc/testing/messages_pb.ts';
import { TestService } from '../../src/proto/gen/grpc/testing/test_pb.ts';

const prefixBytes = 5;

/** By path: whether a message of that method is to be compressed; undefined where it does not say. */
const expectations: Readonly<Record<string, (message: Uint8Array) => boolean | undefined>> = {
  [`/${TestService.typeName}/${TestService.method.unaryCall.name}`]: (message) => fromBinary(SimpleRequestSchema, message).expectCompressed?.value,
  [`/${TestService.typeName}/${TestService.method.streamingInputCall.name}`]: (message) => fromBinary(StreamingInputCallRequestSchema, message).expectCompressed?.value,
};

export class ExpectedCompression implements StreamAcceptor {
  readonly #inner: StreamAcceptor;

  constructor(inner: StreamAcceptor) {
    this.#inner = inner;
  }

  onStream(stream: ServerStream, headers: HeaderBlock, endStream: boolean): StreamHandler {
    const handler = this.#inner.onStream(stream, headers, endStream);
    const expects = expectations[headers.get(':path') ?? ''];
    if (expects === undefined) return handler;
    const pass = handler.onData.bind(handler);
    let [gathered, isRefused] = [Buffer.alloc(0), false];
    handler.onData = (bytes) => {
      if (isRefused) return;
      gathered = Buffer.concat([gathered, bytes]);
      for (let end = endOf(gathered); end !== undefined; end = endOf(gathered)) {
        const isCompressed = gathered[0] === 1;
        const message = gathered.subarray(prefixBytes, end);
        const expected = expects(isCompressed ? gunzipSync(message) : message);
        isRefused ||= expected !== undefined && expected !== isCompressed;
        gathered = gathered.subarray(end);
      }
      if (isRefused) refuse(stream);
      else pass(bytes);
    };
    return handler;
  }
}

/** Of the first message, if all of it is there. */
function endOf(bytes: Buffer): number | undefined {
  if (bytes.length < prefixBytes) return undefined;
  const end = prefixBytes + bytes.readUInt32BE(1);
  return end <= bytes.length ? end : undefined;
}

function refuse(stream: ServerStream): void {
  stream.sendHeaders([[':status', '200'], ['content-type', 'application/grpc'], ['grpc-status', String(grpcStatusOf.invalid_argument)], ['grpc-message', 'compressed or not, it was to be the other way round']], true);
  stream.reset(errorCode.noError);
}
