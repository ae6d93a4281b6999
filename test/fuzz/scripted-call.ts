// The application of the client role: a call that sends what it likes and holds the engine to the order of an answer.
import assert from 'node:assert/strict';
import type { ClientStream, HeaderBlock, OutgoingHeaders, ResponseHandler, ResponseReset } from '../../src/h2/stream.ts';
import type { SeededRandom } from '../../src/testing/seeded-random.ts';
import { ScriptedStream } from './scripted-stream.ts';

export class ScriptedCall extends ScriptedStream implements ResponseHandler {
  readonly headers: OutgoingHeaders;
  /** The request has no body. */
  readonly endsAtOnce: boolean;
  #stream: ClientStream | undefined = undefined;
  #sawHeaders = false;

  constructor(random: SeededRandom, method: string) {
    super(random);
    const long: OutgoingHeaders = random.integer(0, 15) === 0 ? [['x-long', '~'.repeat(20_000)]] : [];
    this.headers = [[':method', method], [':scheme', 'http'], [':path', '/'], ['te', 'trailers'], ...long];
    this.endsAtOnce = random.integer(0, 3) === 0;
    this.saidEnd = this.endsAtOnce;
    this.steps = this.endsAtOnce ? [] : this.bodySteps([['x-checksum', 'abc']]);
  }

  protected get stream(): ClientStream {
    return this.#stream ?? assert.fail('the handler was called before the stream was opened');
  }

  opened(stream: ClientStream): void {
    this.#stream = stream;
  }

  onInformation(headers: HeaderBlock): void {
    assert.ok(!this.#sawHeaders, 'an interim answer after the final one');
    assert.match(headers.get(':status') ?? '', /^1[0-9][0-9]$/);
  }

  onHeaders(headers: HeaderBlock): void {
    assert.ok(!this.#sawHeaders, 'the headers of an answer twice');
    assert.match(headers.get(':status') ?? '', /^[2-9][0-9][0-9]$/);
    this.#sawHeaders = true;
  }

  override onData(bytes: Uint8Array): void {
    assert.ok(this.#sawHeaders, 'DATA before the headers of an answer');
    super.onData(bytes);
  }

  override onEnd(trailers: HeaderBlock | undefined): void {
    assert.ok(this.#sawHeaders, 'the end before the headers of an answer');
    super.onEnd(trailers);
  }

  override onReset(reset: ResponseReset): void {
    super.onReset(reset);
    if (reset.unprocessed && !reset.byPeer) assert.ok(!this.#sawHeaders, 'an answer had begun, and the request is said not to have left');
  }
}
