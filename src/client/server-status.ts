// What a Kiln server says about itself, and what it lets the caller do. Changes nothing there.
import { collect } from '../base/byte-source.ts';
import { CacheError } from '../base/cache-error.ts';
import type { CallOptions } from '../base/call-options.ts';
import type { HttpRequest } from '../base/http-client.ts';
import { sha256 } from '../digest/digest-function.ts';
import type { InstanceName } from '../digest/instance-name.ts';
import type { HttpCalls } from './http-calls.ts';
import { cachePath } from './http-paths.ts';

export interface ServerStatus {
  readonly version: string;
  /** `draining`: it ends what it has begun and takes nothing new. */
  readonly status: 'ok' | 'draining';
  /** Of the caller, in the instance asked about. */
  readonly rights: { readonly read: boolean; readonly write: boolean };
  /** Metrics without labels, by name; undefined where the caller may not see them, or the server counts nothing. */
  readonly metrics: ReadonlyMap<string, number> | undefined;
}

export interface ServerStatusQuestion {
  readonly instance: InstanceName;
  /** Then being unknown to the server is a failure, and not the lack of a right. */
  readonly hasCredentials: boolean;
}

/** Enough for metrics of thousands of tools and instances. */
const pageBytesMax = 16 * 1024 * 1024;

/**
 * @throws CacheError `failed_precondition` (no Kiln server), `unauthenticated` (it does not know the credentials), and
 *   as calls do.
 */
export async function readServerStatus(calls: HttpCalls, question: ServerStatusQuestion, options?: CallOptions): Promise<ServerStatus> {
  const page = statusOf(await textOf(calls, '/status', options), calls.serverName);
  // The blob that is always there and never stored: both verbs ask for the right, and neither does anything.
  const target = cachePath(question.instance, 'cas', sha256, sha256.emptyHash);
  const nothing = { sizeBytes: 0, bytes: (async function* () {})() };
  const may = (request: HttpRequest): Promise<boolean> => isAllowed(calls, request, question, options);
  const rights = { read: await may({ method: 'GET', target, headers: {} }), write: await may({ method: 'PUT', target, headers: {}, body: nothing }) };
  return { ...page, rights, metrics: await metricsOf(calls, options) };
}

async function textOf(calls: HttpCalls, target: string, options: CallOptions | undefined): Promise<string | undefined> {
  await using reply = await calls.send({ method: 'GET', target, headers: {} }, options);
  const text = Buffer.from(await collect(reply.body, pageBytesMax, options)).toString('utf8');
  return reply.status === 200 ? text : undefined;
}

function statusOf(text: string | undefined, serverName: string): Pick<ServerStatus, 'version' | 'status'> {
  const { name, version, status } = jsonObjectOf(text ?? '');
  if (name === 'kiln' && typeof version === 'string') return { version, status: status === 'draining' ? 'draining' : 'ok' };
  throw new CacheError('failed_precondition', `what answers at ${serverName} is no Kiln server; check the address, or look at it with: curl http://${serverName}/status`);
}

function jsonObjectOf(text: string): Readonly<Record<string, unknown>> {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : {};
  } catch {
    return {};
  }
}

async function isAllowed(calls: HttpCalls, request: HttpRequest, { hasCredentials }: ServerStatusQuestion, options: CallOptions | undefined): Promise<boolean> {
  try {
    await using reply = await calls.send(request, options);
    for await (const _ of reply.body);
    return true;
  } catch (thrown) {
    const code = CacheError.from(thrown).code;
    if (code === 'permission_denied' || (code === 'unauthenticated' && !hasCredentials)) return false;
    throw thrown;
  }
}

async function metricsOf(calls: HttpCalls, options: CallOptions | undefined): Promise<ReadonlyMap<string, number> | undefined> {
  const refused = (thrown: unknown): undefined => {
    if (!['permission_denied', 'unauthenticated'].includes(CacheError.from(thrown).code)) throw thrown;
  };
  const text = await textOf(calls, '/metrics', options).catch(refused);
  if (text === undefined) return undefined;
  return new Map([...text.matchAll(/^([a-z_][\w:]*) (\S+)$/gm)].map(([, name = '', value]) => [name, Number(value)]));
}
