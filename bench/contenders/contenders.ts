// All that Kiln can be compared with, whether it can be had here or not.
import { cacheServers } from './cache-servers.ts';
import type { Contender } from './contender.ts';
import { ownReferences } from './own-references.ts';
import { webServers } from './web-servers.ts';

export function allReferences(): readonly Contender[] {
  return [...ownReferences, ...webServers(), ...cacheServers()];
}
