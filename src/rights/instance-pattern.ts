// Which instances a grant is for. Three forms and no more, so that what a pattern covers can be seen by reading it.
import { CacheError } from '../base/cache-error.ts';

/**
 * `*` is every instance, the one without a name included. `team/*` is every instance below `team/`, however deep, but
 * not `team` itself. Anything else is exactly that instance; the empty text is the instance without a name.
 */
export type InstancePattern =
  | { readonly kind: 'every' }
  | { readonly kind: 'below'; /** Ends with a slash. */ readonly prefix: string }
  | { readonly kind: 'exact'; readonly name: string };

/** @throws CacheError `invalid_argument` that shows the forms there are. */
export function parseInstancePattern(text: string): InstancePattern {
  if (text === '*') return { kind: 'every' };
  const below = text.endsWith('/*');
  const name = below ? text.slice(0, -2) : text;
  if (name.includes('*') || (below && name === '') || /^\/|\/$|\/\//.test(name)) {
    throw new CacheError(
      'invalid_argument',
      `${JSON.stringify(text)} is no pattern for instances: write one name ("main"), all below a name ("team/*"), every instance ("*"), or "" for the one without a name`,
    );
  }
  return below ? { kind: 'below', prefix: `${name}/` } : { kind: 'exact', name };
}

export function covers(pattern: InstancePattern, instance: string): boolean {
  switch (pattern.kind) {
    case 'every':
      return true;
    case 'below':
      return instance.startsWith(pattern.prefix) && instance.length > pattern.prefix.length;
    case 'exact':
      return instance === pattern.name;
  }
}
