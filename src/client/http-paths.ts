// The paths under which a Kiln server keeps blobs and action results: docs/protocols/bazel-http.md.
import type { DigestFunction } from '../digest/digest-function.ts';
import type { InstanceName } from '../digest/instance-name.ts';

/** `/{instance/}(ac|cas)/{function/}{hash}`; the function is named where the length of the hash does not tell it. */
export function cachePath(instance: InstanceName, kind: 'ac' | 'cas', digestFunction: DigestFunction, hash: string): string {
  const segments = [...instance.split('/').filter((segment) => segment !== ''), kind, digestFunction.pathSegment, hash];
  return segments.map((segment) => (segment === undefined ? '' : `/${encodeURIComponent(segment)}`)).join('');
}
