// Keeps web pages in a user's browser from using the cache of the machine the browser runs on. A page of any site
// may send requests to 127.0.0.1, and by DNS rebinding its own name may come to stand for 127.0.0.1. Build tools say
// nothing of what browsers say of themselves, so nothing is asked of them.
import type { HttpExchange, HttpHandler } from '../base/http-exchange.ts';
import { textAnswer } from './answer.ts';

export interface BrowserPolicy {
  /**
   * Only requests that call the server by one of its known names are served: loopback ones, and `allowedHosts`. For
   * servers that only this machine can reach, and for those whose names somebody has listed.
   */
  readonly knownNamesOnly: boolean;
  /** Names without a port. */
  readonly allowedHosts: readonly string[];
  /** Besides loopback names an IP address is a known name: no DNS server has a say in it. For servers on the network. */
  readonly anyAddress: boolean;
  /** Paths that a person may come to by a link on another site. */
  readonly linkablePaths: readonly string[];
}

/**
 * `handler` for requests that no foreign page can have made; 403 for others. Nothing here sends CORS headers, so a page
 * would not get to see an answer; it is refused all the same, since a request alone can tell by its time what is there.
 */
export function guardedFromBrowsers(handler: HttpHandler, policy: BrowserPolicy): HttpHandler {
  const guard = new BrowserGuard(policy);
  return async (exchange) => {
    const refusal = guard.foreignName(exchange) ?? guard.foreignPage(exchange);
    if (refusal === undefined) return handler(exchange);
    const { status, headers, body } = textAnswer(403, refusal);
    await exchange.respond(status, headers, body);
  };
}

/** `http://host`, at the start of a target for a proxy; it goes before the Host header (RFC 9112 §3.2.2). */
const absoluteForm = /^https?:\/\/([^/?#]*)/i;

class BrowserGuard {
  readonly #policy: BrowserPolicy;
  readonly #allowedHosts: ReadonlySet<string>;
  readonly #linkablePaths: ReadonlySet<string>;

  constructor(policy: BrowserPolicy) {
    this.#policy = policy;
    this.#allowedHosts = new Set(policy.allowedHosts.map(canonical));
    this.#linkablePaths = new Set(policy.linkablePaths);
  }

  /** Browsers name the host always; HTTP/1.0 clients may not. */
  foreignName({ headers, target }: HttpExchange): string | undefined {
    if (!this.#policy.knownNamesOnly) return undefined;
    const names = [headers['host'], absoluteForm.exec(target)?.[1]];
    const foreign = names.find((name) => name !== undefined && !this.#isKnown(canonical(withoutPort(name))));
    if (foreign === undefined) return undefined;
    const shown = JSON.stringify(withoutPort(foreign).slice(0, 100));
    return `${shown} is not a name of this server; use 127.0.0.1, or start it with --allowed-hosts and the names that it has`;
  }

  foreignPage(exchange: HttpExchange): string | undefined {
    const { headers } = exchange;
    const site = headers['sec-fetch-site'];
    const origin = headers['origin'];
    const isForeign = (site !== undefined && site !== 'same-origin' && site !== 'none') || (origin !== undefined && hostOf(origin) !== headers['host']);
    if (!isForeign || this.#isLink(exchange)) return undefined;
    return 'a web page of another site may not use this cache';
  }

  /** Somebody followed a link: the answer is for the person, and no page sees it. */
  #isLink({ method, target, headers }: HttpExchange): boolean {
    if (method !== 'GET' && method !== 'HEAD') return false;
    if (headers['sec-fetch-mode'] !== 'navigate' || headers['sec-fetch-dest'] !== 'document') return false;
    return this.#linkablePaths.has(target.split(/[?#]/, 1)[0] ?? '');
  }

  #isKnown(name: string): boolean {
    return isLoopbackName(name) || this.#allowedHosts.has(name) || (this.#policy.anyAddress && isAddress(name));
  }
}

/** Case does not count in names, nor does the dot at their end. */
function canonical(name: string): string {
  return name.toLowerCase().replace(/\.$/, '');
}

/** RFC 6761 §6.3 for names below localhost. */
function isLoopbackName(name: string): boolean {
  return name === 'localhost' || name.endsWith('.localhost') || name === '[::1]' || /^127(?:\.\d{1,3}){3}$/.test(name);
}

/** Looks like an address; a name cannot end in a number (RFC 1123 §2.1), nor have brackets. */
function isAddress(name: string): boolean {
  return /^\d{1,3}(?:\.\d{1,3}){3}$/.test(name) || /^\[[0-9a-f:.]+\]$/.test(name);
}

function withoutPort(authority: string): string {
  return authority.replace(/:\d*$/, '');
}

/** Undefined for `null`, the origin of pages without one. */
function hostOf(origin: string): string | undefined {
  return /^https?:\/\/([^/]+)$/.exec(origin)?.[1];
}
