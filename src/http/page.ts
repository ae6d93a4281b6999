// What is served at one path of its own, beside the build cache: health, metrics, administration.
import type { Right } from '../base/authorizer.ts';
import type { HttpExchange } from '../base/http-exchange.ts';
import type { MaybePromise } from '../base/maybe-promise.ts';
import type { HttpAnswer } from './answer.ts';

export interface Page {
  /** Begins with a slash; the root is `/`. */
  readonly path: string;
  /**
   * `everyone` asks for no credentials, not even for right ones: probes have none. Any other page is for callers with
   * that right in some instance, and asked for before `answer` is called.
   */
  readonly access: 'everyone' | Right;
  /** Others get 405. Whoever sends the answer to a HEAD leaves its body out. */
  readonly methods: readonly ('GET' | 'HEAD' | 'POST')[];
  /** A person may come here by a link on another site. Not for pages whose GET does something. */
  readonly linkable: boolean;
  /** @throws CacheError. */
  answer(exchange: HttpExchange): MaybePromise<HttpAnswer>;
}

/** Of a page that is only looked at. */
export const readingMethods: Page['methods'] = ['GET', 'HEAD'];
