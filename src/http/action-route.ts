// Action results over HTTP: /{instance/}ac/{hash}. Three kinds of values share these paths, and never each other's
// place: results in the binary form, which gRPC serves too; results as JSON, kept as they came (MO-2); and bytes of
// a tool's own (CC-2). docs/protocols/ says which one a GET gives.
import type { ByteSource } from '../base/byte-source.ts';
import { byteSourceOf, collect } from '../base/byte-source.ts';
import type { HttpExchange } from '../base/http-exchange.ts';
import type { Caller } from '../base/authorizer.ts';
import type { ActionKey, SharedActionCache } from '../actions/action-cache.ts';
import { classifyActionValue, encodeJson, mayBeJson } from '../actions/action-value.ts';
import type { CompletenessCheck } from '../actions/completeness-check.ts';
import type { EntryRights } from '../actions/entry-rights.ts';
import { FirstWriter } from '../actions/first-writer.ts';
import { storeInlinedOutputs } from '../actions/inlined-outputs.ts';
import type { BlobStore } from '../blob/blob-store.ts';
import type { ValueKey, ValueStore } from '../blob/value-store.ts';
import type { EncodedActionResult } from '../proto/encoded-action-result.ts';
import { absentAnswer, bytesAnswer, jsonAnswer, storedAnswer, textAnswer } from './answer.ts';
import type { HttpAnswer } from './answer.ts';
import { tooLarge } from './blob-route.ts';
import type { BuildCachePath } from './build-cache-path.ts';
import { remaining } from './held-body.ts';
import type { BodyMemory } from './held-body.ts';

export interface ActionRouteDependencies {
  /** Checks completeness itself. */
  readonly actions: SharedActionCache;
  readonly entryRights: EntryRights;
  readonly values: ValueStore;
  readonly blobs: BlobStore;
  readonly completeness: CompletenessCheck;
  readonly memory: BodyMemory;
}

/** A body that is kept as it came. */
interface OpaqueBody {
  readonly body: AsyncIterable<Uint8Array>;
  /** What it says, when it is a result as JSON. */
  readonly result: EncodedActionResult | undefined;
}

export interface ActionRouteLimits {
  /** Longer bodies are no action results; they are bytes of a tool's own, or refused. */
  readonly actionResultBytesMax: number;
  /** Whether bytes that are no action result are kept (CT-3). Off, they get 400. */
  readonly opaqueValues: boolean;
}

export class ActionRoute {
  readonly #deps: ActionRouteDependencies;
  readonly #limits: ActionRouteLimits;

  constructor(deps: ActionRouteDependencies, limits: ActionRouteLimits) {
    this.#deps = deps;
    this.#limits = limits;
  }

  /** GET and HEAD: whoever sends the answer leaves the body out for HEAD. */
  async get(exchange: HttpExchange, path: BuildCachePath): Promise<HttpAnswer> {
    const wantsJson = accepts(exchange, 'application/json');
    const answer = wantsJson
      ? ((await this.#opaque(exchange, path, wantsJson)) ?? (await this.#result(exchange, path, wantsJson)))
      : ((await this.#result(exchange, path, wantsJson)) ?? (await this.#opaque(exchange, path, wantsJson)));
    return answer ?? absentAnswer(`no action result ${path.digestFunction.name}/${path.hash} in the cache`);
  }

  async put(exchange: HttpExchange, path: BuildCachePath, caller: Caller): Promise<HttpAnswer> {
    const lengthMax = this.#bodyBytesMax();
    if ((exchange.contentLength ?? 0) > lengthMax) return tooLarge(exchange.contentLength ?? 0, lengthMax);
    const body = exchange.body()[Symbol.asyncIterator]();
    using held = await this.#deps.memory.hold(remaining(body), this.#limits.actionResultBytesMax);
    if (held.complete && held.bytes.byteLength === 0) return textAnswer(400, 'an empty body is no action result');
    const value = held.complete ? classifyActionValue(held.bytes, path.digestFunction) : { kind: 'foreign' as const };
    switch (value.kind) {
      case 'binary':
        await this.#putResult(exchange, path, caller, value.result);
        return storedAnswer;
      case 'json':
        await this.#putOpaque(exchange, path, caller, { body: held.all(), result: value.result });
        return storedAnswer;
      case 'foreign':
        if (this.#limits.opaqueValues) {
          await this.#putOpaque(exchange, path, caller, { body: held.all(), result: undefined });
          return storedAnswer;
        }
        return textAnswer(400, 'the body is no ActionResult with well-formed digests, and other values are not kept here');
    }
  }

  async #putResult(exchange: HttpExchange, path: BuildCachePath, caller: Caller, result: EncodedActionResult): Promise<void> {
    const { actions, blobs, entryRights } = this.#deps;
    const stored = await storeInlinedOutputs(result, path.digestFunction, blobs, exchange);
    if (entryRights.mayReplace(caller, path.instance)) await actions.put(actionKey(path), stored, exchange);
    else if ((await actions.putFirst(actionKey(path), stored, exchange)) === 'kept') throw entryRights.kept(caller, 'action_result', actionKey(path));
  }

  async #putOpaque(exchange: HttpExchange, path: BuildCachePath, caller: Caller, value: OpaqueBody): Promise<void> {
    const { values, completeness, entryRights } = this.#deps;
    if (entryRights.mayReplace(caller, path.instance)) return await values.put(opaqueKey(path), value.body, exchange);
    const { digestFunction } = path;
    const writer = new FirstWriter({ kind: 'opaque', digestFunction, result: value.result }, {
      resultBytesMax: this.#limits.actionResultBytesMax,
      isStanding: async (result) => (await completeness.whyIncomplete(result, digestFunction, exchange)) === undefined,
    });
    const isThere = await values.putFirst(opaqueKey(path), value.body, writer.stands, exchange);
    if (!isThere && !writer.metSame) throw entryRights.kept(caller, 'opaque', actionKey(path));
  }

  async #result(exchange: HttpExchange, path: BuildCachePath, asJson: boolean): Promise<HttpAnswer | undefined> {
    const result = await this.#deps.actions.get(actionKey(path), exchange);
    return result && resultAnswer(result, asJson);
  }

  async #opaque(exchange: HttpExchange, path: BuildCachePath, asJson: boolean): Promise<HttpAnswer | undefined> {
    const source = await this.#deps.values.get(opaqueKey(path), exchange);
    if (source === undefined || source.sizeBytes > this.#limits.actionResultBytesMax) return source && bytesAnswer(source);
    const looked = await lookInto(source, this.#limits.actionResultBytesMax);
    if (looked.bytes === undefined) return bytesAnswer(looked.source);
    const value = classifyActionValue(looked.bytes, path.digestFunction);
    if (value.kind === 'foreign') return bytesAnswer(looked.bytes);
    const incomplete = await this.#deps.completeness.whyIncomplete(value.result, path.digestFunction, exchange);
    if (incomplete !== undefined) return undefined;
    return asJson ? jsonAnswer(looked.bytes) : resultAnswer(value.result, false);
  }

  #bodyBytesMax(): number {
    const { actionResultBytesMax, opaqueValues } = this.#limits;
    return opaqueValues ? Math.max(this.#deps.values.capabilities.valueBytesMax, actionResultBytesMax) : actionResultBytesMax;
  }
}

function resultAnswer(result: EncodedActionResult, asJson: boolean): HttpAnswer {
  return asJson ? jsonAnswer(encodeJson(result.message)) : bytesAnswer(result.bytes);
}

/** The whole value when it begins like JSON, else the source as it was. */
async function lookInto(source: ByteSource, bytesMax: number): Promise<{ source: ByteSource; bytes?: Uint8Array }> {
  if (source.inMemory !== undefined) {
    return mayBeJson(source.inMemory) ? { source, bytes: source.inMemory } : { source: byteSourceOf(source.inMemory) };
  }
  const iterator = source[Symbol.asyncIterator]();
  const first = await iterator.next();
  const whole: ByteSource = {
    sizeBytes: source.sizeBytes,
    async *[Symbol.asyncIterator]() {
      if (first.done === true) return;
      yield first.value;
      yield* remaining(iterator);
    },
    [Symbol.asyncDispose]: () => source[Symbol.asyncDispose](),
  };
  if (first.done === true || !mayBeJson(first.value)) return { source: whole };
  await using _owned = source;
  return { source: whole, bytes: await collect(whole, bytesMax) };
}

function accepts(exchange: HttpExchange, type: string): boolean {
  return (exchange.headers['accept'] ?? '').split(',').some((range) => range.split(';', 1)[0]?.trim().toLowerCase() === type);
}

function actionKey({ instance, digestFunction, hash }: BuildCachePath): ActionKey {
  return { instance, actionDigest: { function: digestFunction, hash, sizeBytes: undefined } };
}

function opaqueKey({ instance, digestFunction, hash }: BuildCachePath): ValueKey {
  return { kind: 'opaque', instance, digestFunction, hash };
}
