// How much of what was written to a connection the system has taken, byte by byte.
import type { Socket } from 'node:net';

/**
 * Rises as the peer takes what it is sent. net.Socket itself tells only when a whole write has gone, which may be a
 * megabyte; what is left of the one under way, its handle knows, as the timeouts of net.Socket ask it. Over TLS that is
 * the handle below (`_parent`), which counts what is encrypted: the one above is done with a write all at once. None of
 * these fields is documented: without them, whole writes are counted.
 */
export function sentBytes(socket: Socket): number {
  const handle = fieldOf(socket, '_handle');
  const wire = fieldOf(handle, '_parent') ?? handle;
  const handed = fieldOf(wire, 'bytesWritten');
  const left = fieldOf(wire, 'writeQueueSize');
  if (typeof handed !== 'number' || typeof left !== 'number') return (socket.bytesWritten ?? 0) - socket.writableLength;
  return handed - left;
}

function fieldOf(object: unknown, name: string): unknown {
  return typeof object === 'object' && object !== null ? Reflect.get(object, name) : undefined;
}
