// What the router reads from the header block of a request, once per distinct block.
import type { HeaderBlock, OutgoingHeaders } from '../h2/stream.ts';
import { CallerMemo } from './caller-memo.ts';
import { callingTool } from './calling-tool.ts';
import { acceptedEncodings } from './message-inflater.ts';
import type { MessageEncoding } from './message-inflater.ts';
import type { Method } from './method.ts';
import { failureTrailers, statusOf } from './outcome.ts';
import { StatusError } from './status-error.ts';
import { grpcStatusOf } from './status.ts';
import { parseTimeout } from './timeout.ts';

/** A request that has a handler. */
export class RequestHead {
  readonly headers: HeaderBlock;
  readonly method: Method;
  /** Infinity without a deadline. */
  readonly timeoutMs: number;
  readonly encoding: MessageEncoding;
  /** Depends on the headers, and on the rights of the moment. */
  readonly caller = new CallerMemo();
  #tool: string | undefined;
  /** Null: not looked for yet. */
  #traceparent: string | undefined | null = null;

  constructor(headers: HeaderBlock, method: Method, timeoutMs: number, encoding: MessageEncoding) {
    this.headers = headers;
    this.method = method;
    this.timeoutMs = timeoutMs;
    this.encoding = encoding;
  }

  get traceparent(): string | undefined {
    if (this.#traceparent === null) this.#traceparent = this.headers.get('traceparent');
    return this.#traceparent;
  }

  /** See `callingTool`. */
  get tool(): string {
    return (this.#tool ??= callingTool(this.headers));
  }
}

/** A request that is answered from its headers alone. */
export class Refusal {
  readonly headers: OutgoingHeaders;
  /** As in `grpc-status`; what a gRPC client makes of an HTTP refusal is UNKNOWN. */
  readonly status: number;
  /** Undefined for a path that is not served. */
  readonly method: Method | undefined;
  /** For who looks with an HTTP client; gRPC refusals have none. */
  readonly body: string;

  constructor(headers: OutgoingHeaders, status: number, { method, body = '' }: { method?: Method | undefined; body?: string } = {}) {
    this.headers = headers;
    this.status = status;
    this.method = method;
    this.body = body;
  }
}

/** Implemented methods by `:path`, and the services they belong to. */
export interface MethodTable {
  readonly methods: ReadonlyMap<string, Method>;
  readonly services: ReadonlySet<string>;
}

export const grpcContentType = 'application/grpc';

/** gRPC's UNKNOWN. */
const unknownStatus = 2;

/** `te: trailers` is not asked for: proxies drop it, and nothing here depends on it. */
export function readHead(headers: HeaderBlock, table: MethodTable): RequestHead | Refusal {
  const contentType = headers.get('content-type') ?? '';
  if (!isGrpcProtobuf(contentType)) {
    return httpRefusal(415, `this path takes content-type ${grpcContentType} (or +proto), not "${contentType}"\n`);
  }
  const httpMethod = headers.get(':method');
  if (httpMethod !== 'POST') return httpRefusal(405, `gRPC calls are POST requests, not ${httpMethod}\n`, ['allow', 'POST']);
  const path = headers.get(':path') ?? '';
  const method = table.methods.get(path);
  if (method === undefined) return refusal('unimplemented', method, unknownMethod(path, table.services));
  const timeout = headers.get('grpc-timeout');
  const timeoutMs = timeout === undefined ? Infinity : parseTimeout(timeout);
  if (timeoutMs === undefined) {
    return refusal('invalid_argument', method, `grpc-timeout "${timeout}" is not one to eight digits and one of H M S m u n`);
  }
  if (timeoutMs === 0) return refusal('deadline_exceeded', method, 'the deadline had passed when the call arrived');
  const encoding = headers.get('grpc-encoding') ?? 'identity';
  if (encoding !== 'identity' && encoding !== 'gzip') {
    const text = `grpc-encoding "${encoding}" is not known here; requests may be in ${acceptedEncodings}`;
    return refusal('unimplemented', method, text, ['grpc-accept-encoding', acceptedEncodings]);
  }
  return new RequestHead(headers, method, timeoutMs, encoding);
}

/** `application/grpc`, `application/grpc+proto`, either with parameters. Not grpc-web and not grpc+json. */
function isGrpcProtobuf(contentType: string): boolean {
  return contentType === grpcContentType || /^application\/grpc(?:\+proto)?(?:\s*;.*)?$/i.test(contentType);
}

function unknownMethod(path: string, services: ReadonlySet<string>): string {
  const parts = /^\/([^/]+)\/([^/]+)$/.exec(path);
  const [, service = '', method = ''] = parts ?? [];
  if (parts === null) return `"${path}" is not a method path of the form /package.Service/Method`;
  if (!services.has(service)) return `service ${service} is not served here`;
  return `service ${service} has no method ${method} here`;
}

type Header = readonly [name: string, value: string];

/** For credentials that are wrong, or cannot be checked at the moment. */
export function refusalOf(thrown: unknown, method: Method): Refusal {
  return new Refusal([[':status', '200'], ['content-type', grpcContentType], ...failureTrailers(thrown)], statusOf(thrown), { method });
}

/** Trailers-only: status 200, and the gRPC status in the one header block there is (REAPI HT-10). */
function refusal(code: keyof typeof grpcStatusOf, method: Method | undefined, text: string, ...more: readonly Header[]): Refusal {
  const status = grpcStatusOf[code];
  const trailers = failureTrailers(new StatusError(status, text));
  return new Refusal([[':status', '200'], ['content-type', grpcContentType], ...more, ...trailers], status, { method });
}

function httpRefusal(status: number, body: string, ...more: readonly Header[]): Refusal {
  return new Refusal([[':status', String(status)], ['content-type', 'text/plain; charset=utf-8'], ...more], unknownStatus, { body });
}
