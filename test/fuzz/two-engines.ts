// Two real engines, client and server, against each other: calls with bodies both ways over two pipes that carry
// octets in pieces and as late as chance will have it. What each engine sends is read by a strict reader as well.
import assert from 'node:assert/strict';
import { unboundedByteBudget } from '../../src/base/byte-budget.ts';
import { ClientConnection } from '../../src/h2/client-connection.ts';
import { clientPreface, frameHeaderBytes } from '../../src/h2/frames.ts';
import { http2Limits } from '../../src/h2/limits.ts';
import type { Http2Limits } from '../../src/h2/limits.ts';
import { ServerConnection } from '../../src/h2/server-connection.ts';
import type { HeaderBlock, OpenStream, ResponseHandler, ServerStream, StreamHandler } from '../../src/h2/stream.ts';
import { parseFrames } from '../../src/testing/http2-peer.ts';
import { ManualClock } from '../../src/testing/manual-clock.ts';
import type { SeededRandom } from '../../src/testing/seeded-random.ts';
import { SentFramesChecker } from './sent-frames-checker.ts';

/** Octet `at` of a body; another one for each body. */
function contentOf(body: number, at: number, length: number): Buffer {
  const bytes = Buffer.allocUnsafe(length);
  for (let index = 0; index < length; index++) bytes[index] = ((at + index) * 31 + ((at + index) >> 8) + body * 7) & 0xff;
  return bytes;
}

interface Body {
  readonly body: number;
  readonly bytes: number;
}

/** One side of a call: sends a body of its own and reads the other one's. */
class Talker {
  readonly #random: SeededRandom;
  readonly #sends: Body;
  readonly #receives: Body;
  stream: OpenStream | undefined = undefined;
  #sentBytes = 0;
  #saidEnd = false;
  #receivedBytes = 0;
  #unreadBytes = 0;
  #gotEnd = false;
  wasReset = false;

  constructor(random: SeededRandom, sends: Body, receives: Body) {
    this.#random = random;
    this.#sends = sends;
    this.#receives = receives;
  }

  get isDone(): boolean {
    return this.wasReset || (this.#gotEnd && this.#saidEnd && this.stream?.closed === true);
  }

  /** May send or read something now. */
  get hasWork(): boolean {
    const { stream } = this;
    if (stream === undefined || stream.closed) return false;
    return this.#unreadBytes > 0 || (!this.#saidEnd && stream.queuedBytes === 0);
  }

  describe(): string {
    const [sends, receives] = [this.#sends, this.#receives];
    return `sent ${this.#sentBytes} of ${sends.bytes}, end ${this.#saidEnd}; received ${this.#receivedBytes} of ${receives.bytes}, end ${this.#gotEnd}; queued ${this.stream?.queuedBytes}`;
  }
  onHeaders(_headers: HeaderBlock): void {}
  onDrained(): void {}
  onData(bytes: Uint8Array): void {
    assert.ok(contentOf(this.#receives.body, this.#receivedBytes, bytes.length).equals(bytes), 'other octets came than were sent');
    this.#receivedBytes += bytes.length;
    this.#unreadBytes += bytes.length;
  }
  onEnd(): void {
    assert.equal(this.#receivedBytes, this.#receives.bytes, 'a body came that is too short');
    this.#gotEnd = true;
  }
  onReset(): void {
    this.wasReset = true;
  }

  /** Sends the next part, or reads some of what came. */
  act(): void {
    const { stream } = this;
    if (stream === undefined || stream.closed) return;
    const mayWrite = !this.#saidEnd && stream.queuedBytes === 0;
    if (this.#unreadBytes > 0 && (!mayWrite || this.#random.integer(0, 1) === 0)) this.#read(stream);
    else if (mayWrite) this.#send(stream);
  }

  #read(stream: OpenStream): void {
    const bytes = this.#random.integer(0, 2) === 0 ? this.#random.integer(1, this.#unreadBytes) : this.#unreadBytes;
    this.#unreadBytes -= bytes;
    stream.consumed(bytes);
  }

  #send(stream: OpenStream): void {
    const left = this.#sends.bytes - this.#sentBytes;
    const bytes = Math.min(left, this.#random.pick([0, 1, 100, 5_000, 40_000]));
    const part = contentOf(this.#sends.body, this.#sentBytes, bytes);
    this.#sentBytes += bytes;
    const isLast = bytes === left;
    const middle = this.#random.integer(0, bytes);
    const withTrailers = isLast && this.#random.integer(0, 1) === 0;
    this.#saidEnd = isLast;
    if (bytes > 0 || (isLast && !withTrailers)) stream.sendData([part.subarray(0, middle), part.subarray(middle)], isLast && !withTrailers);
    if (withTrailers) stream.sendTrailers([['x-end', '1']]);
  }
}

/** What drives one engine: its output on the way to the other one. */
interface Side {
  readonly engine: ClientConnection | ServerConnection;
  readonly checker: SentFramesChecker;
  readonly limits: Http2Limits;
  /** Octets on their way to the other side. */
  pipe: Buffer;
  /** What came and is no whole frame yet, for the reader. */
  heard: Buffer;
}

export interface Scenario {
  readonly calls: number;
  readonly bodyBytesMax: number;
  /** One call in so many is reset by one of its sides on the way; 0 for none. */
  readonly resetOneIn: number;
}

/** Limits by chance, small ones mostly. */
function someLimits(random: SeededRandom): Http2Limits {
  return {
    ...http2Limits,
    concurrentStreamsMax: random.pick([1, 3, 100]),
    streamWindowBytes: random.pick([1, 2, 100, 16_384, 65_535, 1_000_000]),
    connectionWindowBytes: random.pick([65_535, 65_536, 1_000_000]),
    frameBytesMax: random.pick([16_384, 16_385, 60_000]),
    headerTableBytesMax: random.pick([0, 4_096, 10_000]),
    outputBytesMax: random.pick([1, 5_000, 1_048_576]),
    idleFramesBurst: 100_000,
  };
}

/** Runs a scenario to its end. @throws AssertionError when something is lost, exceeds a window, or stands still. */
export class TwoEngines {
  readonly #random: SeededRandom;
  readonly #clock = new ManualClock();
  readonly #budget = unboundedByteBudget();
  readonly #client: Side;
  readonly #server: Side;
  readonly #clientConnection: ClientConnection;
  readonly #talkers: Talker[] = [];
  /** Bytes of each call, by number: request and answer. */
  readonly #bodies: readonly (readonly [number, number])[];
  #opened = 0;
  readonly #resetOneIn: number;
  #sawPreface = false;

  constructor(random: SeededRandom, { calls, bodyBytesMax, resetOneIn }: Scenario) {
    this.#random = random;
    this.#resetOneIn = resetOneIn;
    const [clientLimits, serverLimits] = [someLimits(random), someLimits(random)];
    // Through a window of a few bytes each one costs a round trip.
    const most = Math.min(bodyBytesMax, 300 * Math.min(clientLimits.streamWindowBytes, serverLimits.streamWindowBytes));
    const bytes = (): number => Math.min(most, random.pick([0, 1, 500, 20_000, most]));
    this.#bodies = Array.from({ length: calls }, () => [bytes(), bytes()] as const);
    const parts = (limits: Http2Limits) => ({ limits, clock: this.#clock, budget: this.#budget, wake: () => {} });
    this.#clientConnection = new ClientConnection(parts(clientLimits));
    const server = new ServerConnection({ ...parts(serverLimits), acceptor: { onStream: (stream, headers) => this.#accept(stream, headers) } });
    this.#client = { engine: this.#clientConnection, checker: new SentFramesChecker('client', clientLimits), limits: clientLimits, pipe: Buffer.alloc(0), heard: Buffer.alloc(0) };
    this.#server = { engine: server, checker: new SentFramesChecker('server', serverLimits), limits: serverLimits, pipe: Buffer.alloc(0), heard: Buffer.alloc(0) };
  }

  run(): void {
    this.#flush(this.#client);
    this.#flush(this.#server);
    while (this.#step());
    for (const [index, talker] of this.#talkers.entries()) assert.ok(talker.isDone, `talker ${index} of ${this.#talkers.length} stands still: ${talker.describe()}`);
    assert.equal(this.#opened, this.#bodies.length, 'not every call could be opened');
    for (const side of [this.#client, this.#server]) this.#checkAtRest(side);
    assert.equal(this.#budget.usedBytes, 0, 'nothing is under way, and bytes are still accounted');
  }

  /** One thing that is possible now. False when nothing is. */
  #step(): boolean {
    const [client, server] = [this.#client, this.#server];
    const busy = this.#talkers.filter(({ hasWork }) => hasWork);
    const possible: (() => void)[] = [];
    if (client.pipe.length > 0) possible.push(() => this.#deliver(client, server));
    if (server.pipe.length > 0) possible.push(() => this.#deliver(server, client));
    if (busy.length > 0) possible.push(() => this.#act(this.#random.pick(busy)));
    if (this.#opened < this.#bodies.length && this.#clientConnection.freeStreams > 0) possible.push(() => this.#open());
    if (possible.length === 0) return false;
    this.#random.pick(possible)();
    this.#clock.advance(1);
    this.#flush(client);
    this.#flush(server);
    return true;
  }

  #act(talker: Talker): void {
    if (this.#resetOneIn > 0 && this.#random.integer(1, 20 * this.#resetOneIn) === 1) talker.stream?.reset(8);
    else talker.act();
  }

  #open(): void {
    const call = this.#opened++;
    const [requestBytes, answerBytes] = this.#bodies[call] ?? [0, 0];
    const [request, answer] = [{ body: 2 * call, bytes: requestBytes }, { body: 2 * call + 1, bytes: answerBytes }];
    const talker: Talker & ResponseHandler = new Talker(this.#random, request, answer);
    this.#talkers.push(talker);
    talker.stream = this.#clientConnection.open([[':method', 'POST'], [':scheme', 'http'], [':path', `/${call}`], ['x-fill', 'y'.repeat(this.#random.pick([0, 0, 0, 50, 50, 20_000]))]], false, talker);
  }

  #accept(stream: ServerStream, headers: HeaderBlock): StreamHandler {
    const call = Number(headers.get(':path')?.slice(1));
    const [requestBytes, answerBytes] = this.#bodies[call] ?? [0, 0];
    const talker = new Talker(this.#random, { body: 2 * call + 1, bytes: answerBytes }, { body: 2 * call, bytes: requestBytes });
    talker.stream = stream;
    this.#talkers.push(talker);
    stream.sendHeaders([[':status', '200']], false);
    return talker;
  }

  /** Some of the octets arrive; the reader of the receiving engine's output learns of whole frames. */
  #deliver(from: Side, to: Side): void {
    const count = this.#random.integer(0, 2) === 0 ? this.#random.integer(1, Math.min(from.pipe.length, 30)) : this.#random.integer(1, from.pipe.length);
    let left = from.pipe.subarray(0, count);
    from.pipe = from.pipe.subarray(count);
    while (left.length > 0) {
      // A frame at a time, since grants of a frame hold for what is sent from then on.
      const missing = this.#missingOf(to);
      const piece = left.subarray(0, missing);
      left = left.subarray(piece.length);
      to.heard = Buffer.concat([to.heard, piece]);
      this.#tellReader(to);
      to.engine.receive(new Uint8Array(piece));
      this.#flush(to);
      assert.ok(!to.engine.isOver, 'an engine ended the connection');
    }
    from.engine.outlet.onBacklog(from.pipe.length);
  }

  /** Octets until the frame at hand is whole, or its header, which is all that counts of DATA. */
  #missingOf({ heard, engine }: Side): number {
    if (engine instanceof ServerConnection && !this.#sawPreface) return clientPreface.length - heard.length;
    return heard.length < frameHeaderBytes ? frameHeaderBytes - heard.length : frameHeaderBytes + heard.readUIntBE(0, 3) - heard.length;
  }

  #tellReader(to: Side): void {
    const { heard } = to;
    if (to.engine instanceof ServerConnection && !this.#sawPreface) {
      if (heard.length < clientPreface.length) return;
      this.#sawPreface = true;
      to.heard = Buffer.alloc(0);
      return;
    }
    // DATA is handed on in pieces, which may be answered before the frame is whole.
    if (heard.length === frameHeaderBytes && heard[3] === 0) to.checker.onPeerFrame({ type: 0, flags: heard[4] ?? 0, streamId: heard.readUInt32BE(5), payload: Buffer.alloc(heard.readUIntBE(0, 3)) });
    if (heard.length < frameHeaderBytes || this.#missingOf(to) > 0) return;
    if (heard[3] !== 0) for (const frame of parseFrames(heard)) to.checker.onPeerFrame(frame);
    to.heard = Buffer.alloc(0);
  }

  #flush(side: Side): void {
    const { outlet } = side.engine;
    if (side.engine instanceof ClientConnection) side.engine.onTake();
    for (let slices = outlet.take(); slices.length > 0; slices = outlet.take()) {
      const bytes = Buffer.concat(slices);
      side.checker.onOutput(bytes);
      side.pipe = Buffer.concat([side.pipe, bytes]);
      outlet.onBacklog(side.pipe.length);
    }
  }

  #checkAtRest({ engine, checker, limits }: Side): void {
    assert.equal(engine.streamCount, 0, 'streams are left');
    checker.finish();
    checker.checkAnswered();
    // All was read: what is not announced as credit is what is not worth a frame, less than half of the window.
    assert.ok(checker.grantedBytes * 2 > limits.connectionWindowBytes, `of ${limits.connectionWindowBytes} bytes of credit ${checker.grantedBytes} are left`);
  }
}
