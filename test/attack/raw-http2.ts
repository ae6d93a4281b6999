// A client of HTTP/2 that keeps no rule it is not told to keep: bytes out as they are given, and what comes back taken
// apart into frames. Never answers anything by itself, not even SETTINGS.
import { once } from 'node:events';
import { connect } from 'node:net';
import type { Socket } from 'node:net';
import { errorCodeName } from '../../src/h2/error-code.ts';
import { clientPreface } from '../../src/h2/frames.ts';
import { frame, settings, uint32 } from '../../src/testing/http2-peer.ts';

/** The frame types that attackers look at. */
export const type = { data: 0, headers: 1, priority: 2, rstStream: 3, settings: 4, ping: 6, goaway: 7, windowUpdate: 8, continuation: 9 } as const;

export interface Goaway {
  /** `ENHANCE_YOUR_CALM` */
  readonly code: string;
  /** Debug data. */
  readonly text: string;
}

/** What the server has answered so far. */
export interface Received {
  /** The last one. */
  readonly goaway: Goaway | undefined;
  /** RST_STREAM by code. */
  readonly resets: ReadonlyMap<string, number>;
  readonly dataBytes: number;
  readonly headersFrames: number;
  readonly pings: number;
}

/** Connections are given up after this: a test that waits longer has found something. */
const connectTimeoutMs = 10_000;

export class RawHttp2 {
  readonly socket: Socket;
  /** Resolves when the connection has closed, whoever closed it. */
  readonly closed: Promise<void>;
  #isClosed = false;
  #goaway: Goaway | undefined;
  readonly #resets = new Map<string, number>();
  #dataBytes = 0;
  #headersFrames = 0;
  #pings = 0;
  #rest: Buffer = Buffer.alloc(0);
  #waiters: (() => void)[] = [];

  private constructor(socket: Socket) {
    this.socket = socket;
    socket.on('data', (bytes: Buffer) => this.#read(bytes));
    this.closed = closeOf(socket).then(() => {
      this.#isClosed = true;
      this.#wake();
    });
  }

  /** Connected, and nothing sent. */
  static async connect(port: number): Promise<RawHttp2> {
    const socket = connect({ port, host: '127.0.0.1', noDelay: true });
    const timer = setTimeout(() => socket.destroy(new Error('no connection')), connectTimeoutMs);
    await once(socket, 'connect');
    clearTimeout(timer);
    return new RawHttp2(socket);
  }

  /** Connected, with a preface, `own` settings, and the server's settings acknowledged. */
  static async open(port: number, own: readonly (readonly [id: number, value: number])[] = []): Promise<RawHttp2> {
    const client = await RawHttp2.connect(port);
    await client.send(clientPreface, settings(...own), frame(type.settings, 1, 0));
    return client;
  }

  get isClosed(): boolean {
    return this.#isClosed;
  }

  get received(): Received {
    return { goaway: this.#goaway, resets: this.#resets, dataBytes: this.#dataBytes, headersFrames: this.#headersFrames, pings: this.#pings };
  }

  resetsOf(code: string): number {
    return this.#resets.get(code) ?? 0;
  }

  /** Resolves when the system has taken it, or the connection is gone. */
  async send(...bytes: readonly Uint8Array[]): Promise<void> {
    if (this.#isClosed || !this.socket.writable) return;
    const { promise, resolve } = Promise.withResolvers<void>();
    this.socket.write(Buffer.concat(bytes), () => resolve());
    await Promise.race([promise, this.closed]);
  }

  /** Sends `chunk` again and again, until the server has said GOAWAY, has closed, or `timesMax` is reached. */
  async flood(chunk: (round: number) => Uint8Array, timesMax: number): Promise<void> {
    for (let round = 0; round < timesMax && !this.#isClosed && this.#goaway === undefined; round += 1) {
      await this.send(chunk(round));
      await new Promise((resolve) => setImmediate(resolve)); // or nothing of the answer is read meanwhile
    }
  }

  /** Resolves when `isSo`, or the connection is closed. */
  async until(isSo: (received: Received) => boolean): Promise<void> {
    while (!this.#isClosed && !isSo(this.received)) await new Promise<void>((resolve) => this.#waiters.push(resolve));
  }

  /** What the server has said at the end; waits for its GOAWAY or its close. */
  async end(): Promise<Goaway | undefined> {
    await this.until(({ goaway }) => goaway !== undefined);
    return this.#goaway;
  }

  destroy(): void {
    this.socket.destroy();
  }

  #read(bytes: Buffer): void {
    let rest = this.#rest.length === 0 ? bytes : Buffer.concat([this.#rest, bytes]);
    while (rest.length >= 9) {
      const end = 9 + rest.readUIntBE(0, 3);
      if (rest.length < end) break;
      this.#onFrame(rest[3] ?? 0, rest[4] ?? 0, rest.subarray(9, end));
      rest = rest.subarray(end);
    }
    this.#rest = rest;
    this.#wake();
  }

  #onFrame(kind: number, flags: number, payload: Buffer): void {
    switch (kind) {
      case type.data:
        this.#dataBytes += payload.length;
        break;
      case type.headers:
        this.#headersFrames += 1;
        break;
      case type.rstStream: {
        const code = errorCodeName(payload.readUInt32BE(0));
        this.#resets.set(code, (this.#resets.get(code) ?? 0) + 1);
        break;
      }
      case type.ping:
        if ((flags & 1) === 0) this.#pings += 1;
        break;
      case type.goaway:
        this.#goaway = { code: errorCodeName(payload.readUInt32BE(4)), text: payload.subarray(8).toString('latin1') };
        break;
    }
  }

  #wake(): void {
    const waiters = this.#waiters;
    this.#waiters = [];
    for (const wake of waiters) wake();
  }
}

/** Resolves when `socket` has closed, whatever broke it. */
export function closeOf(socket: Socket): Promise<void> {
  socket.on('error', () => {});
  return new Promise((resolve) => socket.once('close', () => resolve()));
}

export function rstStream(streamId: number, code = 8): Buffer {
  return frame(type.rstStream, 0, streamId, uint32(code));
}

export function windowUpdate(streamId: number, increment: number): Buffer {
  return frame(type.windowUpdate, 0, streamId, uint32(increment));
}

/** As many as `count` things, one behind the other. */
export function repeated(count: number, make: (index: number) => Uint8Array): Buffer {
  return Buffer.concat(Array.from({ length: count }, (_, index) => make(index)));
}
