// What is listened on: sockets that a service manager has handed over, or else the addresses that were asked for.
import { formatListenAddress } from '../base/listen-address.ts';
import type { Log } from '../base/log.ts';
import type { ListenerOptions } from '../config/serve-options.ts';
import type { InheritedSocket } from '../platform/inherited-sockets.ts';
import { Listener } from '../platform/listener.ts';
import type { ListenerLimits, ListenerTls } from '../platform/listener.ts';

/** A listener, and what it may be sent. */
export interface OpenListener {
  readonly listener: Listener;
  /** Of gRPC. */
  readonly messageBytesMax: number;
}

/** Listeners that nobody serves yet; disposing closes them. */
export interface Listening extends AsyncDisposable {
  readonly listeners: readonly OpenListener[];
}

export interface ListenWishes {
  readonly listen: readonly ListenerOptions[];
  /** True when nobody has asked for an address. */
  readonly listenIsDefault: boolean;
  readonly limits: { readonly messageBytesMax: number };
}

export interface ListenerParts {
  readonly limits: ListenerLimits;
  readonly log: Log;
  /** For those that are to speak TLS; undefined when none is. */
  readonly tls: ListenerTls | undefined;
}

/** Takes over `sockets`; those of TCP speak TLS if there is any. @throws CacheError `failed_precondition` for one that cannot be listened on; two lines. */
export function takeHandedOver(sockets: readonly InheritedSocket[], { limits: { messageBytesMax } }: ListenWishes, { limits, log, tls }: ListenerParts): Promise<Listening> {
  return opened(sockets.map((socket) => async () => ({ listener: await Listener.adopt(socket, limits, log, tls), messageBytesMax })));
}

/** The addresses to listen on. Sockets that were handed over take the place of what the configuration says. */
export function wishedAddresses(wishes: ListenWishes, { listeners }: Listening, log: Log): readonly ListenerOptions[] {
  if (listeners.length === 0) return wishes.listen;
  const addresses = listeners.map(({ listener: { address, speaksTls }, messageBytesMax }) => ({ address, tls: speaksTls, messageBytesMax }));
  const handedOver = textOf(addresses);
  if (wishes.listenIsDefault) log.info('listening on the sockets that were handed over', { handedOver });
  else log.warn('listen is not heeded: the service manager has handed over other sockets', { handedOver, listen: textOf(wishes.listen) });
  return addresses;
}

function textOf(entries: readonly ListenerOptions[]): string {
  return entries.map(({ address }) => formatListenAddress(address)).join(', ');
}

/**
 * A listener for each of `entries`, which are `wishedAddresses` with IP addresses for names.
 * @throws CacheError `failed_precondition` that says what to do.
 */
export async function openListeners(entries: readonly ListenerOptions[], handedOver: Listening, { limits, log, tls }: ListenerParts): Promise<Listening> {
  if (handedOver.listeners.length > 0) return handedOver;
  return opened(entries.map((entry) => async () => ({ listener: await Listener.open(entry.address, limits, log, entry.tls ? tls : undefined), messageBytesMax: entry.messageBytesMax })));
}

/** All of them, or none. */
async function opened(openers: readonly (() => Promise<OpenListener>)[]): Promise<Listening> {
  await using opening = new AsyncDisposableStack();
  const listeners: OpenListener[] = [];
  for (const open of openers) {
    const one = await open();
    opening.use(one.listener);
    listeners.push(one);
  }
  const stack = opening.move();
  return { listeners, [Symbol.asyncDispose]: () => stack.disposeAsync() };
}
