// An OpenTelemetry collector as far as tests need one: takes spans over HTTP and reads them with a decoder of its own,
// by the numbers of trace.proto of OTLP 1.x. Can refuse, and can keep its callers waiting.
import { createServer } from 'node:http';
import type { IncomingHttpHeaders, IncomingMessage, ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

export type ReceivedAttributes = Readonly<Record<string, string | number | boolean>>;

export interface ReceivedEvent {
  readonly name: string;
  readonly attributes: ReceivedAttributes;
}

export interface ReceivedSpan {
  /** Hex. */
  readonly traceId: string;
  readonly spanId: string;
  /** Empty for a root. */
  readonly parentSpanId: string;
  readonly traceState: string;
  readonly name: string;
  /** 1 internal, 2 server. */
  readonly kind: number;
  readonly durationNs: number;
  readonly attributes: ReceivedAttributes;
  readonly events: readonly ReceivedEvent[];
  /** 0 unset, 2 error. */
  readonly statusCode: number;
  readonly statusMessage: string;
  readonly resource: ReceivedAttributes;
}

export interface ReceivedRequest {
  readonly path: string;
  readonly headers: IncomingHttpHeaders;
}

export class OtlpCollector implements AsyncDisposable {
  readonly spans: ReceivedSpan[] = [];
  readonly requests: ReceivedRequest[] = [];
  /** What requests are answered with; `undefined` leaves them without an answer. */
  answer: { readonly status: number; readonly text?: string } | undefined = { status: 200 };
  readonly #server = createServer((request, response) => void this.#receive(request, response));
  #changed = Promise.withResolvers<void>();

  static async open(port = 0): Promise<OtlpCollector> {
    const collector = new OtlpCollector();
    await new Promise<void>((resolve) => collector.#server.listen(port, '127.0.0.1', resolve));
    return collector;
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  get endpoint(): string {
    return `http://127.0.0.1:${this.port}`;
  }

  /** Resolves when `condition` holds, looked at with every request that comes. */
  async until(condition: () => boolean): Promise<void> {
    while (!condition()) await this.#changed.promise;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (!this.#server.listening) return;
    const closed = new Promise((resolve) => this.#server.close(resolve));
    this.#server.closeAllConnections();
    await closed;
  }

  async #receive(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const chunks: Buffer[] = [];
    for await (const chunk of request) chunks.push(chunk as Buffer);
    this.requests.push({ path: request.url ?? '', headers: request.headers });
    const { answer } = this;
    if (answer?.status === 200) this.spans.push(...readRequest(Buffer.concat(chunks)));
    if (answer !== undefined) response.writeHead(answer.status, { 'content-type': 'application/x-protobuf' }).end(answer.text);
    const changed = this.#changed;
    this.#changed = Promise.withResolvers();
    changed.resolve();
  }
}

/** One field: a number for varints and fixed ones, bytes for the rest. */
type Field = readonly [number: number, value: bigint | Buffer];

function* fieldsOf(message: Buffer): Generator<Field> {
  let at = 0;
  const varint = (): bigint => {
    let value = 0n;
    for (let shift = 0n; ; shift += 7n) {
      const byte = message.readUInt8(at++);
      value |= BigInt(byte & 0x7f) << shift;
      if (byte < 0x80) return value;
    }
  };
  while (at < message.byteLength) {
    const tag = Number(varint());
    const [number, type] = [tag >> 3, tag & 7];
    if (type === 0) yield [number, varint()];
    else if (type === 1) yield [number, message.readBigUInt64LE((at += 8) - 8)];
    else if (type === 5) yield [number, BigInt(message.readUInt32LE((at += 4) - 4))];
    else if (type === 2) {
      const length = Number(varint());
      yield [number, message.subarray(at, (at += length))];
    } else throw new Error(`wire type ${type} in OTLP`);
  }
}

function all(message: Buffer, number: number): Buffer[] {
  return [...fieldsOf(message)].flatMap(([of, value]) => (of === number && value instanceof Buffer ? [value] : []));
}

function bytes(message: Buffer, number: number): Buffer {
  return all(message, number).at(-1) ?? Buffer.alloc(0);
}

function integer(message: Buffer, number: number): bigint {
  for (const [of, value] of fieldsOf(message)) if (of === number && typeof value === 'bigint') return value;
  return 0n;
}

function readRequest(message: Buffer): ReceivedSpan[] {
  return all(message, 1).flatMap((resourceSpans) => {
    const resource = attributesOf(bytes(resourceSpans, 1), 1);
    return all(resourceSpans, 2).flatMap((scopeSpans) => all(scopeSpans, 2).map((span) => readSpan(span, resource)));
  });
}

function readSpan(span: Buffer, resource: ReceivedAttributes): ReceivedSpan {
  const status = bytes(span, 15);
  return {
    traceId: bytes(span, 1).toString('hex'),
    spanId: bytes(span, 2).toString('hex'),
    parentSpanId: bytes(span, 4).toString('hex'),
    traceState: bytes(span, 3).toString(),
    name: bytes(span, 5).toString(),
    kind: Number(integer(span, 6)),
    durationNs: Number(integer(span, 8) - integer(span, 7)),
    attributes: attributesOf(span, 9),
    events: all(span, 11).map((event) => ({ name: bytes(event, 2).toString(), attributes: attributesOf(event, 3) })),
    statusCode: Number(integer(status, 3)),
    statusMessage: bytes(status, 2).toString(),
    resource,
  };
}

function attributesOf(message: Buffer, number: number): ReceivedAttributes {
  return Object.fromEntries(all(message, number).map((pair) => [bytes(pair, 1).toString(), valueOf(bytes(pair, 2))]));
}

function valueOf(value: Buffer): string | number | boolean {
  for (const [number, content] of fieldsOf(value)) {
    if (number === 1 && content instanceof Buffer) return content.toString();
    if (number === 2) return content === 1n;
    if (number === 3 && typeof content === 'bigint') return Number(BigInt.asIntN(64, content));
  }
  throw new Error('an attribute of a kind that Kiln does not send');
}
