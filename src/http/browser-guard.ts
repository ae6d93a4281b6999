// Keeps web pages in a user's browser from using the cache of the machine the browser runs on. A page of any site
// may send requests to 127.0.0.1, and by DNS rebinding its own name may come to stand for 127.0.0.1.
import type { HttpExchange, HttpHandler } from '../base/http-exchange.ts';
import { textAnswer } from './answer.ts';

export interface BrowserPolicy {
  /** Only requests that call the server by a loopback name are served. For servers that only this machine can reach. */
  readonly loopbackNamesOnly: boolean;
}

/**
 * `handler` for requests that no foreign page can have made; 403 for others. Reading from another site is not
 * refused: without CORS headers, which nothing here sends, its page does not get to see the answer.
 */
export function guardedFromBrowsers(handler: HttpHandler, policy: BrowserPolicy): HttpHandler {
  return async (exchange) => {
    const refusal = (policy.loopbackNamesOnly ? foreignName(exchange) : undefined) ?? crossSiteWrite(exchange);
    if (refusal === undefined) return handler(exchange);
    const { status, headers, body } = textAnswer(403, refusal);
    await exchange.respond(status, headers, body);
  };
}

function foreignName({ headers }: HttpExchange): string | undefined {
  const host = headers['host'];
  if (host === undefined || isLoopbackName(withoutPort(host))) return undefined;
  return `this cache serves its own machine, and "${host.slice(0, 100)}" is no name of loopback; use 127.0.0.1, or start the server with --allow-anonymous to serve it by any name`;
}

function crossSiteWrite({ method, headers }: HttpExchange): string | undefined {
  if (method === 'GET' || method === 'HEAD') return undefined;
  const site = headers['sec-fetch-site'];
  const origin = headers['origin'];
  const fromElsewhere = (site !== undefined && site !== 'same-origin' && site !== 'none') || (origin !== undefined && hostOf(origin) !== headers['host']);
  return fromElsewhere ? 'a web page of another site may not write to this cache' : undefined;
}

/** RFC 6761 §6.3 for names below localhost. */
function isLoopbackName(host: string): boolean {
  const name = host.toLowerCase().replace(/\.$/, '');
  return name === 'localhost' || name.endsWith('.localhost') || name === '[::1]' || /^127(?:\.\d{1,3}){3}$/.test(name);
}

function withoutPort(authority: string): string {
  return authority.replace(/:\d*$/, '');
}

/** Undefined for `null`, the origin of pages without one. */
function hostOf(origin: string): string | undefined {
  return /^https?:\/\/([^/]+)$/.exec(origin)?.[1];
}
