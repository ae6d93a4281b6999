// Kiln's transport with nothing behind it: its HTTP/2 engine, its gRPC and its codecs, without rights, metrics and store.
// Uploads are received, looked at as they come, counted and thrown away; what is read is sent from memory.
// Usage: READY_FILE ANSWER_FILE (the DATA of what a Read gives, as prepared messages).
import { fromBinary } from '@bufbuild/protobuf';
import { readFileSync } from 'node:fs';
import { implementService } from '../../src/grpc/service.ts';
import { ByteStream, ReadResponseSchema } from '../../src/proto/gen/google/bytestream/bytestream_pb.ts';
import { serveGrpc } from '../../src/testing/serve-grpc.ts';
import { messagesIn } from '../traffic/grpc-frame.ts';
import { announce, referenceArguments } from './announce.ts';

const { readyFile, detail } = referenceArguments();
const prepared = messagesIn(readFileSync(detail)).map((message) => ({ data: fromBinary(ReadResponseSchema, message).data }));

const service = implementService(ByteStream, {
  async *read() {
    yield* prepared;
  },
  async write(pieces) {
    let committedSize = 0;
    await pieces.lend(({ data }) => {
      committedSize += data.byteLength;
    });
    return { committedSize };
  },
});
const { port } = await serveGrpc([service]);
announce(readyFile, port);
