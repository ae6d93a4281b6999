// The beginning of a connection: read as far as it takes to tell what it is, and no further.
import type { Socket } from 'node:net';

/** What somebody waits for who reads first bytes; disposing it ends that, and the socket is as it was. */
export type FirstBytesWatch = Disposable;

export interface FirstBytesHandler<T> {
  /** All that has come so far; undefined when more is needed. */
  readonly decide: (head: Buffer) => T | undefined;
  /** Called once, with what was read; the socket is free of listeners then. Undefined: it ended or broke before. */
  readonly decided: (outcome: T | undefined, head: Buffer) => void;
}

export function readFirstBytes<T>(socket: Socket, { decide, decided }: FirstBytesHandler<T>): FirstBytesWatch {
  let head = Buffer.alloc(0);
  const release = (): void => {
    socket.off('readable', onReadable).off('end', onEnd).off('error', onEnd).off('close', onEnd);
  };
  const settle = (outcome: T | undefined): void => {
    release();
    decided(outcome, head);
  };
  const onEnd = (): void => settle(undefined);
  const onReadable = (): void => {
    for (let chunk = readChunk(socket); chunk !== undefined; chunk = readChunk(socket)) {
      head = head.byteLength === 0 ? chunk : Buffer.concat([head, chunk]);
      const outcome = decide(head);
      if (outcome === undefined) continue;
      settle(outcome);
      return;
    }
  };
  socket.on('readable', onReadable).on('end', onEnd).on('error', onEnd).on('close', onEnd);
  return { [Symbol.dispose]: release };
}

function readChunk(socket: Socket): Buffer<ArrayBuffer> | undefined {
  const chunk: unknown = socket.read();
  return chunk instanceof Buffer ? (chunk as Buffer<ArrayBuffer>) : undefined;
}
