// Calls to a Kiln server over HTTP: so many at a time, with credentials, and every status that is no answer as a
// CacheError.
import { collect } from '../base/byte-source.ts';
import { CacheError } from '../base/cache-error.ts';
import type { ErrorDetail } from '../base/cache-error.ts';
import type { CallOptions } from '../base/call-options.ts';
import type { HttpClient, HttpReply, HttpRequest } from '../base/http-client.ts';
import type { Semaphore } from '../base/semaphore.ts';
import { kindOfAnswer } from './http-status.ts';

/** Texts of refusals are a line or two; of more than this nobody would read the rest. */
const refusalBytesMax = 16 * 1024;

export interface HttpCallsOptions {
  /** Value of the authorization header. */
  readonly authorization?: string | undefined;
  /** A permit is held from the request until the reply was read or disposed. */
  readonly lane: Semaphore;
}

/** The statuses that are answers, beside a 404 that is a Kiln server's; all others are failures. */
const answers: ReadonlySet<number> = new Set([200, 204, 206]);

export class HttpCalls {
  readonly #client: HttpClient;
  readonly #options: HttpCallsOptions;

  constructor(client: HttpClient, options: HttpCallsOptions) {
    this.#client = client;
    this.#options = options;
  }

  /** The server in texts. */
  get serverName(): string {
    return this.#client.serverName;
  }

  /**
   * The reply, whose status is 200, 204, 206 or, where there is nothing, 404. The caller reads its body or disposes it.
   * @throws CacheError as the server classified it; `failed_precondition` (no Kiln server); as `HttpClient.send`.
   */
  async send(request: HttpRequest, options?: CallOptions): Promise<HttpReply> {
    const { lane, authorization } = this.#options;
    await using held = new AsyncDisposableStack();
    held.use(await lane.acquire(options));
    const reply = await this.#client.send({ ...request, headers: { authorization, ...request.headers } }, options);
    held.use(reply);
    if (!answers.has(reply.status) && !isAbsent(reply)) throw await this.#refusal(reply);
    return releasing(reply, held.move());
  }

  async #refusal(reply: HttpReply): Promise<CacheError> {
    const { status, headers } = reply;
    if (status === 404) {
      // Taking it for a miss would hide a wrong address for as long as nobody wonders about the hits.
      return new CacheError('failed_precondition', `what answers at ${this.serverName} is no Kiln server: it does not know the paths of a cache; check the URL`);
    }
    const text = await collect(reply.body, refusalBytesMax).then(
      (bytes) => Buffer.from(bytes).toString('utf8').trim(),
      () => '', // the status says the most
    );
    const said = text === '' ? 'no reason given' : text;
    return new CacheError(kindOfAnswer(status, headers), `${said} (status ${status} from ${this.serverName})`, { details: detailsOf(headers) });
  }
}

/** The server knows the path, and has nothing there. */
function isAbsent({ status, headers }: HttpReply): boolean {
  return status === 404 && headers['kiln-code'] === 'not_found';
}

/** `reply`, whose end gives back what `held` holds. */
function releasing(reply: HttpReply, held: AsyncDisposableStack): HttpReply {
  const body = (async function* () {
    try {
      yield* reply.body;
    } finally {
      await held.disposeAsync();
    }
  })();
  return { ...reply, body, [Symbol.asyncDispose]: () => held.disposeAsync() };
}

function detailsOf(headers: HttpReply['headers']): readonly ErrorDetail[] {
  const seconds = Number(headers['retry-after']);
  return Number.isFinite(seconds) && seconds >= 0 ? [{ kind: 'retry_after', delayMs: seconds * 1000 }] : [];
}
