// How much of what was written to a connection the system has taken, byte by byte.
import type { Socket } from 'node:net';

/**
 * Rises as the peer takes what it is sent. net.Socket itself tells only when a whole write has gone, which may be a
 * megabyte; what is left of the one under way, its handle knows, as the timeouts of net.Socket ask it. Neither field is
 * documented: without them, whole writes are counted.
 */
export function sentBytes(socket: Socket): number {
  const handed: unknown = Reflect.get(socket, '_bytesDispatched');
  const handle: unknown = Reflect.get(socket, '_handle');
  const left: unknown = typeof handle === 'object' && handle !== null ? Reflect.get(handle, 'writeQueueSize') : 0;
  if (typeof handed !== 'number' || typeof left !== 'number') return (socket.bytesWritten ?? 0) - socket.writableLength;
  return handed - left;
}
