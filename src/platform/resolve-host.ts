// What a host in a listen address stands for.
import { lookup } from 'node:dns/promises';
import { BlockList, isIP } from 'node:net';
import { CacheError } from '../base/cache-error.ts';

export interface ResolvedHost {
  /** The IP address to listen on. */
  readonly address: string;
  /** Whether every address of the host can be reached from this machine only. */
  readonly loopback: boolean;
}

/** @throws CacheError `failed_precondition`; first line what is wrong, second line what to do. */
export async function resolveHost(host: string): Promise<ResolvedHost> {
  let addresses: readonly { readonly address: string; readonly family: number }[];
  try {
    addresses = await lookup(host, { all: true });
  } catch (cause) {
    throw new CacheError('failed_precondition', `cannot find the address of host ${JSON.stringify(host)}\ncheck the name, or give an IP address: --listen 127.0.0.1:9092`, { cause });
  }
  const first = addresses[0];
  if (first === undefined) {
    throw new CacheError('failed_precondition', `host ${JSON.stringify(host)} has no address\ngive an IP address: --listen 127.0.0.1:9092`);
  }
  return { address: first.address, loopback: addresses.every(({ address, family }) => isLoopback(address, family)) };
}

/** Whether an IP address can be reached from this machine only. */
export function isLoopbackAddress(address: string): boolean {
  return isLoopback(address, isIP(address));
}

/** RFC 1122 §3.2.1.3 and RFC 4291 §2.5.3; the IPv4-mapped form is known to BlockList. */
function isLoopback(address: string, family: number): boolean {
  const loopback = new BlockList();
  loopback.addSubnet('127.0.0.0', 8, 'ipv4');
  loopback.addAddress('::1', 'ipv6');
  return loopback.check(address, family === 6 ? 'ipv6' : 'ipv4');
}
