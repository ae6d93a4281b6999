// From the addresses that were asked for to those to listen on, and the check that nobody opens a cache to the
// network by accident.
import { CacheError } from '../base/cache-error.ts';
import { formatListenAddress } from '../base/listen-address.ts';
import type { ListenerOptions } from '../config/serve-options.ts';
import { resolveHost } from '../platform/resolve-host.ts';
import { credentialsConfigured } from './rights.ts';
import type { RightsOptions } from './rights.ts';

/**
 * Hosts are IP addresses then; the order is that of the addresses asked for.
 * @throws CacheError `invalid_argument` (an address that others can reach, without a decision about rights; or rights
 *   for nobody), `failed_precondition` (a name without an address); first line what is wrong, the rest what to do.
 */
export async function listenTargets(asked: readonly ListenerOptions[], options: RightsOptions): Promise<readonly ListenerOptions[]> {
  const hasCredentials = credentialsConfigured(options);
  if (options.allowAnonymous === 'none' && !hasCredentials) {
    throw new CacheError('invalid_argument', `nobody could use this server: callers without credentials may do nothing, and there are no credentials\n${waysToCredentials}`);
  }
  const targets: ListenerOptions[] = [];
  for (const entry of asked) {
    const { address } = entry;
    if (address.kind === 'unix') {
      targets.push(entry);
      continue;
    }
    const host = await resolveHost(address.host);
    if (!host.loopback && options.allowAnonymous === undefined && !hasCredentials) {
      throw new CacheError(
        'invalid_argument',
        `${formatListenAddress(address)} can be reached from other machines, and nobody has said what they may do\n` +
          `${waysToCredentials}\n` +
          'or let everyone in with --allow-anonymous read (download) or --allow-anonymous write (upload as well), or listen on 127.0.0.1',
      );
    }
    targets.push({ ...entry, address: { ...address, host: host.address } });
  }
  return targets;
}

const waysToCredentials =
  'give out tokens: "kiln token create --file tokens.yaml" makes one, --rights-tokens-file tokens.yaml takes them; or name users by --rights-htpasswd-file';
