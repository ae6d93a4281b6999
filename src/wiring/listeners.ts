// What is listened on: sockets that a service manager has handed over, or else the addresses that were asked for.
import { formatListenAddress } from '../base/listen-address.ts';
import type { ListenAddress } from '../base/listen-address.ts';
import type { Log } from '../base/log.ts';
import type { InheritedSocket } from '../platform/inherited-sockets.ts';
import { Listener } from '../platform/listener.ts';
import type { ListenerLimits } from '../platform/listener.ts';

/** Listeners that nobody serves yet; disposing closes them. */
export interface HandedOver extends AsyncDisposable {
  readonly listeners: readonly Listener[];
}

export interface ListenWishes {
  readonly listen: readonly ListenAddress[];
  /** True when nobody has asked for an address. */
  readonly listenIsDefault: boolean;
}

/** Takes over `sockets`. @throws CacheError `failed_precondition` for one that cannot be listened on; two lines. */
export async function takeHandedOver(sockets: readonly InheritedSocket[], limits: ListenerLimits, log: Log): Promise<HandedOver> {
  await using opening = new AsyncDisposableStack();
  const listeners: Listener[] = [];
  for (const socket of sockets) listeners.push(opening.use(await Listener.adopt(socket, limits, log)));
  const stack = opening.move();
  return { listeners, [Symbol.asyncDispose]: () => stack.disposeAsync() };
}

/** The addresses to listen on. Sockets that were handed over take the place of what the configuration says. */
export function wishedAddresses(wishes: ListenWishes, { listeners }: HandedOver, log: Log): readonly ListenAddress[] {
  if (listeners.length === 0) return wishes.listen;
  const addresses = listeners.map(({ address }) => address);
  const handedOver = addresses.map(formatListenAddress).join(', ');
  if (wishes.listenIsDefault) log.info('listening on the sockets that were handed over', { handedOver });
  else log.warn('listen is not heeded: the service manager has handed over other sockets', { handedOver, listen: wishes.listen.map(formatListenAddress).join(', ') });
  return addresses;
}

/**
 * A listener for each of `addresses`, which are `wishedAddresses` with IP addresses for names.
 * @throws CacheError `failed_precondition` that says what to do.
 */
export async function openListeners(addresses: readonly ListenAddress[], { listeners }: HandedOver, parts: { limits: ListenerLimits; log: Log }): Promise<readonly Listener[]> {
  if (listeners.length > 0) return listeners;
  await using opening = new AsyncDisposableStack();
  const opened: Listener[] = [];
  for (const address of addresses) opened.push(opening.use(await Listener.open(address, parts.limits, parts.log)));
  opening.move();
  return opened;
}
