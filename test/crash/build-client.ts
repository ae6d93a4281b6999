// A client that works as build tools do, over gRPC and HTTP, and remembers what the server told it. Every byte that it reads
// is looked at: the wrong ones end a test, whatever else has happened to the server by then.
import assert, { AssertionError } from 'node:assert/strict';
import { once } from 'node:events';
import { setTimeout as delay } from 'node:timers/promises';
import { Digest } from '../../src/digest/digest.ts';
import { ActionCache, ContentAddressableStorage } from '../../src/proto/gen/build/bazel/remote/execution/v2/remote_execution_pb.ts';
import { ByteStream } from '../../src/proto/gen/google/bytestream/bytestream_pb.ts';
import { GrpcJsClient } from '../../src/testing/grpc-js-client.ts';
import { fetchHttp } from '../../src/testing/http-client.ts';
import type { SeededRandom } from '../../src/testing/seeded-random.ts';
import { actionBytes, CheckingReader, extras, opaqueBytes, wire } from './checking-reader.ts';
import type { ClientWorld } from './checking-reader.ts';
import type { Versions } from './ledger.ts';

const chunkBytes = 64 * 1024;
const mebibyte = 1024 * 1024;
const bodyBytesMax = 8 * mebibyte;
/** Of those that fill a store. */
const atOnce = 4;
const valueBytesMax = 30_000;
/** Until it is looked again whether more may be written. */
const pauseMs = 50;

/** What all contents are cut from. */
export function contentPool(random: SeededRandom): Buffer {
  return Buffer.from(random.bytes(bodyBytesMax + mebibyte));
}

export class BuildClient implements Disposable {
  readonly reader: CheckingReader;
  readonly #grpc: GrpcJsClient;
  readonly #world: ClientWorld;

  constructor(world: ClientWorld) {
    this.reader = new CheckingReader(world);
    this.#grpc = new GrpcJsClient(`127.0.0.1:${world.port}`);
    this.#world = world;
  }

  [Symbol.dispose](): void {
    this.reader[Symbol.dispose]();
    this.#grpc[Symbol.dispose]();
  }

  /** Works until `isOver` says that the server is about to end, and whatever then fails is of no interest. @throws what fails before that, and wrong bytes. */
  async workUntil(isOver: () => boolean, worker: number): Promise<void> {
    for (let action = 0; !isOver(); action += 1) {
      try {
        if (this.#world.ledger.roomBytes < bodyBytesMax) await delay(pauseMs);
        else await this.#act(`${worker} ${action % 3}`);
      } catch (thrown) {
        if (!isOver() || thrown instanceof AssertionError) throw thrown;
      }
    }
  }

  /** As long blobs as there are, until so many bytes are there. */
  async fill(bytes: number): Promise<void> {
    for (let put = 0; put < bytes; put += atOnce * bodyBytesMax) await Promise.all(Array.from({ length: atOnce }, () => this.#putBody(bodyBytesMax)));
  }

  /** Whether one more blob can be put. */
  async canWrite(): Promise<boolean> {
    return this.#putBody(100_000).then(
      () => true,
      () => false,
    );
  }

  #act(name: string): Promise<unknown> {
    const kind = this.#world.random.integer(0, 12);
    if (kind < 4) return this.#putBatch();
    if (kind < 6) return this.#putBody(this.#world.random.integer(33, 100_000));
    if (kind < 9) return this.#putBody(this.#world.random.integer(mebibyte, bodyBytesMax));
    if (kind < 10) return this.#putResult(name);
    if (kind < 11) return this.#putOpaque(name);
    return this.#readSome();
  }

  async #putBatch(): Promise<void> {
    const blobs = Array.from({ length: this.#world.random.integer(1, 20) }, () => this.#blob(this.#world.random.integer(33, 20_000)));
    const requests = blobs.map(({ digest, data }) => ({ digest: wire(digest), data }));
    const sentAtMs = Date.now();
    for (const { digest } of blobs) this.#world.ledger.begin(digest);
    const { message } = await this.#grpc.unary(ContentAddressableStorage.method.batchUpdateBlobs, { requests }, extras());
    let refused: Error | undefined;
    for (const { digest, status } of message.responses) {
      const stored = blobs.find((blob) => blob.digest.hash === digest?.hash);
      assert.ok(stored);
      if ((status?.code ?? 0) === 0) this.#world.ledger.keep(stored.digest, sentAtMs);
      else refused = new Error(`BatchUpdateBlobs: ${status?.code} ${status?.message}`);
    }
    if (refused !== undefined) throw refused;
  }

  /** Over HTTP as often as over gRPC. */
  async #putBody(sizeBytes: number): Promise<void> {
    const { digest, data } = this.#blob(sizeBytes);
    const sentAtMs = this.#world.ledger.begin(digest);
    if (this.#world.random.fraction() < 0.5) await this.#putStream(digest, data);
    else await this.#putHttp(`/cas/${digest.hash}`, data);
    this.#world.ledger.keep(digest, sentAtMs);
  }

  async #putStream(digest: Digest, data: Uint8Array): Promise<void> {
    const { call, outcome } = this.#grpc.clientStream(ByteStream.method.write, extras());
    outcome.catch(() => undefined); // awaited below
    call.on('error', () => undefined);
    const resourceName = `uploads/${Buffer.from(this.#world.random.bytes(16)).toString('hex')}/blobs/${digest.hash}/${digest.sizeBytes}`;
    for (let offset = 0; offset < data.byteLength; offset += chunkBytes) {
      const chunk = data.subarray(offset, offset + chunkBytes);
      const finishWrite = offset + chunk.byteLength === data.byteLength;
      const goesOn = call.write({ resourceName: offset === 0 ? resourceName : '', writeOffset: BigInt(offset), finishWrite, data: chunk });
      if (!goesOn) await Promise.race([once(call, 'drain'), outcome]);
    }
    call.end();
    const { message } = await outcome;
    assert.equal(message.committedSize, BigInt(data.byteLength));
  }

  async #putHttp(path: string, body: Uint8Array): Promise<void> {
    const { status, text } = await fetchHttp(this.#world.port, path, { method: 'PUT', body, headers: { 'content-length': String(body.byteLength) } });
    if (status !== 200) throw new Error(`PUT ${path}: ${status} ${text}`);
  }

  async #putResult(name: string): Promise<void> {
    const { hash } = Digest.of(Buffer.from(name));
    const stdoutRaw = this.#world.pool.subarray(0, this.#world.random.integer(0, 3_000));
    await this.#putVersion(this.#world.ledger.results, hash, async (exitCode) => {
      const request = { actionDigest: { hash, sizeBytes: actionBytes }, actionResult: { exitCode, stdoutRaw } };
      await this.#grpc.unary(ActionCache.method.updateActionResult, request, extras());
    });
  }

  async #putOpaque(name: string): Promise<void> {
    const { hash } = Digest.of(Buffer.from(`opaque ${name}`));
    const sizeBytes = this.#world.random.integer(40, valueBytesMax);
    await this.#putVersion(this.#world.ledger.opaque, hash, (version) => this.#putHttp(`/ac/${hash}`, opaqueBytes(this.#world.pool, version, sizeBytes)));
  }

  async #putVersion(all: Map<string, Versions>, hash: string, put: (version: number) => Promise<void>): Promise<void> {
    const versions = all.get(hash) ?? { acknowledged: 0, sent: 0, usedAtMs: 0 };
    all.set(hash, versions);
    versions.sent += 1;
    const { sent } = versions;
    const usedAtMs = this.#world.ledger.beginValue(hash, valueBytesMax);
    await put(sent);
    Object.assign(versions, { acknowledged: sent, usedAtMs });
  }

  async #readSome(): Promise<void> {
    const { ledger, random } = this.#world;
    await this.reader.readAll(ledger.some(random.integer(1, 10), random));
  }

  #blob(length: number): { readonly digest: Digest; readonly data: Uint8Array } {
    const start = this.#world.random.integer(0, this.#world.pool.byteLength - length);
    const data = Buffer.from(this.#world.pool.subarray(start, start + length));
    data.set(this.#world.random.bytes(32)); // never the same blob twice
    return { digest: Digest.of(data), data };
  }
}
