// Datagrams over unix sockets, which Node cannot do by itself: by a native addon where there is one.
import { createRequire } from 'node:module';

/** An unconnected datagram socket, open until the process ends. */
export interface DatagramSocket {
  /** Creates the socket file that others send to. @throws Error when it cannot. */
  bind(path: string): void;
  /** In the order given. `sent` hears an error when nobody took it. `path` is that of a socket file. */
  send(datagram: Uint8Array, path: string, sent: (error: Error | undefined) => void): void;
}

/** What is used of the class of node-unix-socket's addon. */
interface NativeSocket {
  init(self: NativeSocket): void;
  startRecv(): void;
  bind(path: string): void;
  sendTo(bytes: Buffer, offset: number, length: number, path: string, sent: (error?: Error) => void): void;
}

type NativeSocketClass = new (emitter: { emit(event: string, ...rest: readonly unknown[]): void }) => NativeSocket;

const addonName = 'node-unix-socket-linux-x64-gnu';

/** A path longer than this, in bytes, does not fit into the address of a socket (`struct sockaddr_un`). */
const pathBytesMax = 107;

/**
 * Undefined where the addon is not installed or does not run, as on any platform but Linux on x64 with glibc.
 * `received` hears of every datagram, whole.
 */
export function openDatagramSocket(received: (datagram: Buffer) => void = () => {}): DatagramSocket | undefined {
  const socket = openNative(received);
  if (socket === undefined) return undefined;
  return { bind: (path) => socket.bind(path), send: (datagram, path, sent) => send(socket, datagram, path, sent) };
}

function send(socket: NativeSocket, datagram: Uint8Array, path: string, sent: (error: Error | undefined) => void): void {
  if (!path.startsWith('/') || Buffer.byteLength(path) > pathBytesMax) {
    sent(new Error(`${path} is not the path of a socket file`)); // an abstract name, which the addon would pad
    return;
  }
  const bytes = Buffer.from(datagram);
  try {
    socket.sendTo(bytes, 0, bytes.byteLength, path, sent);
  } catch (error) {
    sent(error instanceof Error ? error : new Error(String(error)));
  }
}

/** Never closed: the addon crashes when some states are closed, and one socket per process costs nothing. */
function openNative(received: (datagram: Buffer) => void): NativeSocket | undefined {
  try {
    const { DgramSocketWrap } = createRequire(import.meta.url)(addonName) as { readonly DgramSocketWrap: NativeSocketClass };
    const socket = new DgramSocketWrap({
      emit(event, datagram) {
        // The addon calls from outside of Node's turns, after which no promise would go on.
        if (event === '_data' && datagram instanceof Buffer) setImmediate(received, datagram);
      },
    });
    socket.init(socket);
    socket.startRecv();
    return socket;
  } catch {
    return undefined;
  }
}
