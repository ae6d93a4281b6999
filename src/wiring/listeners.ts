// What is listened on: sockets that a service manager has handed over, or else the addresses that were asked for.
import { formatListenAddress } from '../base/listen-address.ts';
import type { ListenAddress } from '../base/listen-address.ts';
import type { Log } from '../base/log.ts';
import type { InheritedSocket } from '../platform/inherited-sockets.ts';
import { Listener } from '../platform/listener.ts';
import type { ListenerLimits } from '../platform/listener.ts';

/** Listeners that nobody serves yet; disposing closes them. */
export interface Listening extends AsyncDisposable {
  readonly listeners: readonly Listener[];
}

export interface ListenWishes {
  readonly listen: readonly ListenAddress[];
  /** True when nobody has asked for an address. */
  readonly listenIsDefault: boolean;
}

/** Takes over `sockets`. @throws CacheError `failed_precondition` for one that cannot be listened on; two lines. */
export function takeHandedOver(sockets: readonly InheritedSocket[], limits: ListenerLimits, log: Log): Promise<Listening> {
  return opened(sockets.map((socket) => () => Listener.adopt(socket, limits, log)));
}

/** The addresses to listen on. Sockets that were handed over take the place of what the configuration says. */
export function wishedAddresses(wishes: ListenWishes, { listeners }: Listening, log: Log): readonly ListenAddress[] {
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
export async function openListeners(addresses: readonly ListenAddress[], handedOver: Listening, parts: { limits: ListenerLimits; log: Log }): Promise<Listening> {
  if (handedOver.listeners.length > 0) return handedOver;
  return opened(addresses.map((address) => () => Listener.open(address, parts.limits, parts.log)));
}

/** All of them, or none. */
async function opened(openers: readonly (() => Promise<Listener>)[]): Promise<Listening> {
  await using opening = new AsyncDisposableStack();
  const listeners: Listener[] = [];
  for (const open of openers) listeners.push(opening.use(await open()));
  const stack = opening.move();
  return { listeners, [Symbol.asyncDispose]: () => stack.disposeAsync() };
}
