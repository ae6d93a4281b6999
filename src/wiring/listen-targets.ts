// From the addresses that were asked for to those to listen on, and the check that nobody opens a cache to the
// network by accident.
import { CacheError } from '../base/cache-error.ts';
import { formatListenAddress } from '../base/listen-address.ts';
import type { ListenAddress } from '../base/listen-address.ts';
import { resolveHost } from '../platform/resolve-host.ts';

export interface ListenTargets {
  /** Hosts are IP addresses now; the order is that of the addresses asked for. */
  readonly addresses: readonly ListenAddress[];
  /** What everyone who can connect may do. */
  readonly anonymousRight: 'none' | 'read' | 'write';
}

/**
 * Without `allowAnonymous`, everyone on this machine may read and write, and nobody else may connect.
 * @throws CacheError `invalid_argument` (an address that others can reach, without a decision about rights),
 *   `failed_precondition` (a name without an address); first line what is wrong, second line what to do.
 */
export async function listenTargets(asked: readonly ListenAddress[], allowAnonymous: 'none' | 'read' | 'write' | undefined): Promise<ListenTargets> {
  const addresses: ListenAddress[] = [];
  for (const address of asked) {
    if (address.kind === 'unix') {
      addresses.push(address);
      continue;
    }
    const host = await resolveHost(address.host);
    if (!host.loopback && allowAnonymous === undefined) {
      throw new CacheError(
        'invalid_argument',
        `${formatListenAddress(address)} can be reached from other machines, and nobody has said what they may do\n` +
          'add --allow-anonymous read (everyone may download) or --allow-anonymous write (everyone may upload as well), or listen on 127.0.0.1',
      );
    }
    addresses.push({ ...address, host: host.address });
  }
  return { addresses, anonymousRight: allowAnonymous ?? 'write' };
}
