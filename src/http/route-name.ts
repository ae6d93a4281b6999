// The route of a request as metrics call it, told without the work of serving it. Whatever fits none is `other`, so
// that paths which clients make up add nothing.
import { targetCharsMax } from './request-target.ts';

export type RouteName = 'ac' | 'cas' | 'index' | 'status' | 'healthz' | 'readyz' | 'livez' | 'metrics' | 'admin' | 'other';

const pages: ReadonlySet<string> = new Set<RouteName>(['status', 'healthz', 'readyz', 'livez', 'metrics']);

const methods: ReadonlySet<string> = new Set(['GET', 'HEAD', 'PUT', 'POST', 'DELETE', 'OPTIONS']);

/** Whether a method is told apart by its name; clients make up others, which are one. */
export function isNamedMethod(method: string): boolean {
  return methods.has(method);
}

export interface NamedRoute {
  readonly route: RouteName;
  /** Of a build cache path: the instance, decoded. Else empty. */
  readonly instance: string;
}

const other: NamedRoute = { route: 'other', instance: '' };

/** `target` as it came, of any length and shape. */
export function routeOf(target: string): NamedRoute {
  if (target.length > targetCharsMax) return other;
  const segments = pathOf(target).split('/').filter((segment) => segment !== '');
  const [first] = segments;
  if (first === undefined) return { route: 'index', instance: '' };
  if (first === 'admin') return { route: 'admin', instance: '' };
  if (segments.length === 1 && pages.has(first)) return { route: first as RouteName, instance: '' };
  return buildCacheRoute(segments) ?? other;
}

/** `target` without the host of a whole URL, which may have a password before it, and without the query. */
export function pathOf(target: string): string {
  return target.replace(/^[a-z][a-z0-9+.-]*:\/\/[^/?#]*/i, '').split(/[?#]/, 1)[0] ?? '';
}

/** `{instance/}(ac|cas)/{function/}{hash}`, as build-cache-path.ts has it. */
function buildCacheRoute(segments: readonly string[]): NamedRoute | undefined {
  if (!/^[0-9a-f]{32,128}$/.test(segments.at(-1) ?? '')) return undefined;
  for (const at of [segments.length - 2, segments.length - 3]) {
    const kind = segments[at];
    if (kind === 'ac' || kind === 'cas') return { route: kind, instance: decoded(segments.slice(0, at).join('/')) };
  }
  return undefined;
}

/** An instance that is not percent-encoded UTF-8 is refused later and counts as it is. */
function decoded(instance: string): string {
  if (!instance.includes('%')) return instance;
  try {
    return decodeURIComponent(instance);
  } catch {
    return instance;
  }
}
