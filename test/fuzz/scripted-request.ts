// The application of the server role: each request is answered in a way of its own.
import type { HeaderBlock, OpenStream, OutgoingHeaders, ServerStream, StreamHandler } from '../../src/h2/stream.ts';
import type { SeededRandom } from '../../src/testing/seeded-random.ts';
import { ScriptedStream } from './scripted-stream.ts';

const trailers: OutgoingHeaders = [['grpc-status', '0'], ['x-checksum', 'abcdef']];

export class ScriptedRequest extends ScriptedStream implements StreamHandler {
  protected readonly stream: ServerStream;

  /** May answer before it returns. */
  constructor(stream: ServerStream, headers: HeaderBlock, random: SeededRandom) {
    super(random);
    this.stream = stream;
    this.steps = this.#answer(headers);
    if (random.integer(0, 3) === 0) this.advance(random.integer(1, 6));
  }

  onCutOff(): void {
    if (this.random.integer(0, 1) === 0) this.advance(10);
  }

  #answer(headers: HeaderBlock): (() => void)[] {
    const { random } = this;
    const stream: OpenStream & ServerStream = this.stream;
    const head: OutgoingHeaders = [[':status', random.pick(['200', '404', '500'])], ['server', 'fuzz'], ['x-fields', String(headers.fields.length)]];
    const information = random.integer(0, 5) === 0 ? [() => stream.sendHeaders([[':status', '103'], ['link', '<a>']], false)] : [];
    if (random.integer(0, 5) === 0) return [...information, () => this.#sendOnly(head)];
    const long: OutgoingHeaders = random.integer(0, 15) === 0 ? [['x-long', '~'.repeat(20_000)]] : [];
    return [...information, () => stream.sendHeaders([...head, ...long], false), ...this.bodySteps(trailers)];
  }

  #sendOnly(head: OutgoingHeaders): void {
    this.saidEnd = true;
    this.stream.sendHeaders([...head, ...trailers], true);
  }
}
