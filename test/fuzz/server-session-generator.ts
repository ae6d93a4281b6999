// What a server that keeps every rule may send to a client that has opened its first streams, in random order and in
// every form the format allows.
import type { Http2Limits } from '../../src/h2/limits.ts';
import { frame, uint32 } from '../../src/testing/http2-peer.ts';
import type { SeededRandom } from '../../src/testing/seeded-random.ts';
import type { Field } from './hpack-writer.ts';
import { SessionWriter } from './session-writer.ts';
import type { SentMessage, SessionOptions } from './session-writer.ts';

/** Streams 1, 3, 5 and so on, which the client has opened before it reads anything: as many as the tightest limits let it. */
export const streamsOpenedFirst = 4;

export interface ServerSession {
  /** One frame each; a split header block is one item. */
  readonly frames: readonly Buffer[];
  readonly answers: readonly SentMessage[];
}

/** A session that a client with these limits has nothing to say against. */
export function serverSession(random: SeededRandom, limits: Http2Limits, options: SessionOptions): ServerSession {
  return new ServerSessionWriter(random, limits, options).write();
}

class ServerSessionWriter extends SessionWriter {
  readonly #unanswered = Array.from({ length: streamsOpenedFirst }, (_, index) => 2 * index + 1);

  write(): ServerSession {
    this.settings();
    if (this.random.integer(0, 1) === 0) this.acknowledge();
    else this.#answer();
    for (let step = this.random.integer(1, this.options.steps); step > 0; step--) this.#step();
    if (this.options.completes === true) {
      while (this.#unanswered.length > 0) this.#answer();
      for (const answer of this.open()) this.end(answer);
    }
    return { frames: this.frames, answers: this.messages };
  }

  protected settingsValues(): readonly (readonly [id: number, value: number])[] {
    const { random } = this;
    return [
      [1, random.pick([0, 50, 4_096, 65_536])],
      [2, 0],
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
    const anyId = 2 * random.integer(0, streamsOpenedFirst - 1) + 1;
    const farewell = () => this.push(frame(7, 0, 0, Buffer.concat([uint32(0x7fff_ffff, 0), Buffer.from('bye')])));
    const steps: (() => void)[] = [() => this.#answer(), () => this.control(anyId, completes ? [] : [() => this.settings(), farewell]), () => this.credit([anyId])];
    const open = this.open();
    if (open.length > 0) {
      const answer = random.pick(open);
      steps.push(() => this.data(answer), () => this.data(answer), () => this.end(answer));
      if (!completes) steps.push(() => this.reset(answer));
    }
    random.pick(steps)();
  }

  /** Interim answers by chance, then the head of the answer. */
  #answer(): void {
    const { random } = this;
    const id = this.#unanswered.splice(random.integer(0, this.#unanswered.length - 1), 1)[0];
    if (id === undefined) return;
    for (let count = random.pick([0, 0, 0, 1, 2]); count > 0; count--) this.block(id, false, [[':status', random.pick(['100', '103'])], ...this.someFields()]);
    const fields: Field[] = [[':status', random.pick(['200', '206', '404', '500', '418'])], ...this.someFields()];
    const endStream = random.integer(0, 3) === 0;
    this.block(id, endStream, fields);
    this.messages.push({ id, fields, body: Buffer.alloc(0), frameBytes: 0, trailers: undefined, state: endStream ? 'ended' : 'open' });
  }
}
