// What an interoperability case needs of a gRPC client, so that the same cases run on clients of different make.
import type { DescMessage, DescMethodBiDiStreaming, DescMethodClientStreaming, DescMethodServerStreaming, DescMethodUnary, MessageInitShape, MessageShape } from '@bufbuild/protobuf';

/** Headers or trailers: the values of a name in the order they came; of a name in `-bin` the bytes. */
export type MetadataReader = (name: string) => readonly (string | Uint8Array)[];

export interface InteropOptions {
  readonly timeoutMs?: number;
  readonly signal?: AbortSignal;
  readonly metadata?: Readonly<Record<string, string | Uint8Array>>;
  /** Called once each; trailers also when there were no headers before them. */
  readonly onHeaders?: (headers: MetadataReader) => void;
  readonly onTrailers?: (trailers: MetadataReader) => void;
  /** Send messages in gzip, where the client can. */
  readonly compressed?: boolean;
}

/** How a call failed. */
export class CallFailure extends Error {
  override readonly name = 'CallFailure';
  readonly status: number;
  /** The text of the status, as the caller gets it. */
  readonly text: string;

  constructor(status: number, text: string, cause: unknown) {
    super(`status ${status}: ${text}`, { cause });
    this.status = status;
    this.text = text;
  }
}

/** Every verb fails with CallFailure only. */
export interface InteropClient extends AsyncDisposable {
  unary<I extends DescMessage, O extends DescMessage>(method: DescMethodUnary<I, O>, request: MessageInitShape<I>, options?: InteropOptions): Promise<MessageShape<O>>;
  serverStream<I extends DescMessage, O extends DescMessage>(method: DescMethodServerStreaming<I, O>, request: MessageInitShape<I>, options?: InteropOptions): AsyncIterable<MessageShape<O>>;
  clientStream<I extends DescMessage, O extends DescMessage>(method: DescMethodClientStreaming<I, O>, requests: AsyncIterable<MessageInitShape<I>>, options?: InteropOptions): Promise<MessageShape<O>>;
  bidiStream<I extends DescMessage, O extends DescMessage>(method: DescMethodBiDiStreaming<I, O>, requests: AsyncIterable<MessageInitShape<I>>, options?: InteropOptions): AsyncIterable<MessageShape<O>>;
}
