// Somebody else: a steady load of calls on a connection of its own, each of which must succeed.
import assert from 'node:assert/strict';
import { connect } from 'node:http2';
import type { ClientHttp2Session } from 'node:http2';
import { framed } from '../../src/testing/grpc-harness.ts';
import { path, queryMessage } from './calls.ts';

/** Calls at a time. */
const callsAtATime = 4;
/** Between two calls of one lane: a steady load, not as much as goes. */
const pauseMs = 2;
/** A call that takes longer has failed, as it has for the tools that wait for it. */
const callTimeoutMs = 10_000;

/** A call that no attacker makes, so that its latency is that of somebody else alone. */
const request = framed(queryMessage('0'.repeat(64), 1));

export interface BystanderReport {
  readonly calls: number;
  /** Texts of those that did not end well. */
  readonly failures: readonly string[];
}

export class Bystander {
  readonly #session: ClientHttp2Session;
  readonly #failures: string[] = [];
  readonly #lanes: Promise<void>[];
  #calls = 0;
  #ended = false;

  /** @param authority PEM of who has signed the server's certificate: over TLS. */
  constructor(port: number, authority?: string) {
    this.#session = authority === undefined ? connect(`http://127.0.0.1:${port}`) : connect(`https://127.0.0.1:${port}`, { ca: authority });
    this.#session.on('error', (error) => this.#failures.push(String(error)));
    this.#lanes = Array.from({ length: callsAtATime }, () => this.#lane());
  }

  get calls(): number {
    return this.#calls;
  }

  /** Resolves when `count` more calls have ended. */
  async more(count: number): Promise<void> {
    const until = this.#calls + count;
    while (this.#calls < until && this.#failures.length === 0) await new Promise((resolve) => setTimeout(resolve, pauseMs));
  }

  /** Ends it. @throws when any call failed, or none was made. */
  async end(): Promise<BystanderReport> {
    this.#ended = true;
    await Promise.all(this.#lanes);
    this.#session.destroy();
    assert.deepEqual(this.#failures, [], `of ${this.#calls} calls of somebody else`);
    assert.ok(this.#calls > 0, 'somebody else has made calls');
    return { calls: this.#calls, failures: this.#failures };
  }

  async #lane(): Promise<void> {
    while (!this.#ended && this.#failures.length < 10) {
      const failure = await this.#call();
      if (failure !== undefined) this.#failures.push(failure);
      this.#calls += 1;
      await new Promise((resolve) => setTimeout(resolve, pauseMs));
    }
  }

  /** What went wrong, if anything. */
  #call(): Promise<string | undefined> {
    const { promise, resolve } = Promise.withResolvers<string | undefined>();
    const stream = this.#session.request({ ':method': 'POST', ':path': path.query, 'content-type': 'application/grpc', te: 'trailers' });
    stream.setTimeout(callTimeoutMs, () => resolve(`no answer within ${callTimeoutMs} ms`));
    let status: unknown;
    const readStatus = (fields: { readonly 'grpc-status'?: string | string[] | undefined }): void => {
      status = fields['grpc-status'] ?? status;
    };
    stream.on('response', readStatus).on('trailers', readStatus);
    stream.on('error', (error) => resolve(String(error)));
    stream.on('close', () => resolve(status === '0' ? undefined : `grpc-status ${String(status)}`));
    stream.resume();
    stream.end(request);
    return promise;
  }
}
