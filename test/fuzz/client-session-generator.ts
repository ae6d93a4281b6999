// What a client that keeps every rule may send, in random order and in every form the format allows: the seeds of
// the fuzzer, and the input that other implementations must understand in the same way as ours.
import type { Http2Limits } from '../../src/h2/limits.ts';
import { frame, uint32 } from '../../src/testing/http2-peer.ts';
import type { SeededRandom } from '../../src/testing/seeded-random.ts';
import type { Field } from './hpack-writer.ts';
import { SessionWriter } from './session-writer.ts';
import type { SentMessage, SessionOptions } from './session-writer.ts';

export interface ClientSession {
  /** The preface, then one frame each; a split header block is one item. */
  readonly frames: readonly Buffer[];
  readonly requests: readonly SentMessage[];
}

const methods = ['GET', 'POST', 'PUT', 'HEAD', 'DELETE', 'OPTIONS'];
const paths = ['/', '/index.html', '/a.Service/Method', '/cas/0123456789', '/%00?q=~'];

/** A session that a server with these limits has nothing to say against, but that it may refuse streams. */
export function clientSession(random: SeededRandom, limits: Http2Limits, options: SessionOptions): ClientSession {
  return new ClientSessionWriter(random, limits, options).write();
}

class ClientSessionWriter extends SessionWriter {
  #nextId = 1;

  write(): ClientSession {
    this.preface();
    this.settings();
    if (this.random.integer(0, 1) === 0) this.acknowledge();
    else this.#request();
    for (let step = this.random.integer(1, this.options.steps); step > 0; step--) this.#step();
    if (this.options.completes === true) for (const request of this.open()) this.end(request);
    return { frames: this.frames, requests: this.messages };
  }

  protected settingsValues(): readonly (readonly [id: number, value: number])[] {
    const { random } = this;
    return [
      [1, random.pick([0, 50, 4_096, 65_536])],
      [2, random.integer(0, 1)],
      [3, random.pick([0, 1, 100])],
      [4, random.pick(this.options.completes === true ? [1_000, 65_535, 1_000_000] : [0, 1, 1_000, 65_535, 1_000_000])],
      [5, random.pick([16_384, 20_000, 16_777_215])],
      [6, random.pick([100, 16_384])],
      [random.pick([7, 8, 9, 0xf0f0]), random.integer(0, 1)],
    ];
  }

  #step(): void {
    const { random } = this;
    const completes = this.options.completes === true;
    const anyId = random.integer(0, 1) === 0 ? this.#nextId : Math.max(1, this.#nextId - 2);
    const farewell = () => this.push(frame(7, 0, 0, Buffer.concat([uint32(0, 0), Buffer.from('bye')])));
    const steps: (() => void)[] = [
      () => this.#request(),
      () => this.#request(),
      () => this.control(anyId, completes ? [] : [() => this.settings(), farewell]),
      () => this.credit(this.messages.filter(({ state }) => state !== 'reset').map(({ id }) => id)),
    ];
    const open = this.open();
    if (open.length > 0) {
      const request = random.pick(open);
      steps.push(() => this.data(request), () => this.data(request), () => this.end(request));
      if (!completes) steps.push(() => this.reset(request));
    }
    random.pick(steps)();
  }

  #request(): void {
    const { random } = this;
    const id = this.#nextId;
    this.#nextId += 2 * random.pick([1, 1, 1, 2, 5]);
    const pseudo: Field[] = [[':method', random.pick(methods)], [':scheme', random.pick(['http', 'https'])], [':path', random.pick(paths)]];
    // Not required by RFC 9113 §8.3.1, but by others: nghttp2 refuses a request that names no host at all.
    if (this.options.completes === true || random.integer(0, 1) === 0) pseudo.push([':authority', random.pick(['localhost', '127.0.0.1:80'])]);
    const fields = [...pseudo.toSorted(() => random.integer(-1, 1)), ...this.someFields()];
    const endStream = random.integer(0, 2) === 0;
    this.block(id, endStream, fields);
    this.messages.push({ id, fields, body: Buffer.alloc(0), frameBytes: 0, trailers: undefined, state: endStream ? 'ended' : 'open' });
  }
}
