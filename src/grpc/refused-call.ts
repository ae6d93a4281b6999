// A request that no handler sees: answered from its headers, and its body dropped.
import type { Timers } from '../base/clock.ts';
import type { ServerStream, StreamHandler } from '../h2/stream.ts';
import type { GrpcLimits } from './limits.ts';
import type { Refusal } from './request-head.ts';
import { RequestDiscard } from './request-discard.ts';

export class RefusedCall implements StreamHandler {
  readonly #discard: RequestDiscard;

  constructor(stream: ServerStream, refusal: Refusal, host: { readonly limits: GrpcLimits; readonly timers: Timers }) {
    stream.sendHeaders(refusal.headers, refusal.body === '');
    if (refusal.body !== '') stream.sendData([new TextEncoder().encode(refusal.body)], true);
    this.#discard = new RequestDiscard(stream, host.limits, host.timers);
  }

  onData(bytes: Uint8Array): void {
    this.#discard.drop(bytes.byteLength);
  }

  onEnd(): void {
    this.#discard.end();
  }

  onReset(): void {
    this.#discard.end();
  }

  onDrained(): void {}
}
