// Reads what servers hold, over gRPC and HTTP, and holds every byte and every absence against what was told before.
import assert from 'node:assert/strict';
import type { Digest } from '../../src/digest/digest.ts';
import { sha256 } from '../../src/digest/digest-function.ts';
import { ActionCache, ContentAddressableStorage } from '../../src/proto/gen/build/bazel/remote/execution/v2/remote_execution_pb.ts';
import { ByteStream } from '../../src/proto/gen/google/bytestream/bytestream_pb.ts';
import { GrpcJsClient, statusOf } from '../../src/testing/grpc-js-client.ts';
import { fetchHttp } from '../../src/testing/http-client.ts';
import type { SeededRandom } from '../../src/testing/seeded-random.ts';
import type { Ledger, Versions } from './ledger.ts';

/** Blobs up to this travel in batches. */
const batchBlobBytesMax = 100_000;
const batchBytesMax = 3_000_000;
const batchCountMax = 1_000;
/** Longer than anything takes that is not stuck, on a machine with ten times as much to do as it has processors. */
const deadlineMs = 280_000;
const notFound = 5;
/** Of the digests that action results stand under. */
export const actionBytes = 100n;

/** A server, and what it was told by whom. */
export interface ClientWorld {
  readonly port: number;
  readonly ledger: Ledger;
  readonly random: SeededRandom;
  /** Random bytes to cut contents from; making each afresh would take longer than storing it. */
  readonly pool: Buffer;
}

export class CheckingReader implements Disposable {
  readonly #grpc: GrpcJsClient;
  readonly #world: ClientWorld;

  constructor(world: ClientWorld) {
    this.#grpc = new GrpcJsClient(`127.0.0.1:${world.port}`);
    this.#world = world;
  }

  [Symbol.dispose](): void {
    this.#grpc[Symbol.dispose]();
  }

  /** Hashes of those that must be there, and are not by what the server says. */
  async lost(digests: readonly Digest[]): Promise<readonly string[]> {
    const lost: string[] = [];
    for (let start = 0; start < digests.length; start += batchCountMax) {
      const asked = digests.slice(start, start + batchCountMax);
      const { message } = await this.#grpc.unary(ContentAddressableStorage.method.findMissingBlobs, { blobDigests: asked.map(wire) }, extras());
      const missing = new Set(message.missingBlobDigests.map(({ hash }) => hash));
      for (const digest of asked) if (!missing.has(digest.hash)) this.#world.ledger.use(digest);
      lost.push(...[...missing].filter((hash) => this.#world.ledger.mustBeThere(hash)));
    }
    return lost;
  }

  /** Reads every blob, checks its bytes, and returns how many were there; those stay from now on. */
  async readAll(digests: Iterable<Digest>): Promise<number> {
    let count = 0;
    let batch: Digest[] = [];
    let batchBytes = 0;
    for (const digest of digests) {
      if (digest.sizeBytes > batchBlobBytesMax) {
        count += await this.#readOne(digest);
        continue;
      }
      if (batchBytes + digest.sizeBytes > batchBytesMax || batch.length === batchCountMax) {
        count += await this.#readBatch(batch);
        [batch, batchBytes] = [[], 0];
      }
      batch.push(digest);
      batchBytes += digest.sizeBytes;
    }
    return count + (await this.#readBatch(batch));
  }

  /** Checks that every value is the last one acknowledged, or one sent later, and returns how many are there. */
  async checkValues(): Promise<number> {
    let count = 0;
    for (const [hash, versions] of this.#world.ledger.results) {
      const sentAtMs = Date.now();
      const asked = { actionDigest: { hash, sizeBytes: actionBytes } };
      const found = await this.#grpc.unary(ActionCache.method.getActionResult, asked, extras()).then(
        ({ message }) => message.exitCode,
        (thrown: { readonly code: number }) => {
          if (thrown.code !== notFound) throw thrown;
          return 0;
        },
      );
      count += this.#checkVersion(`action result ${hash}`, versions, { found, sentAtMs });
    }
    for (const [hash, versions] of this.#world.ledger.opaque) {
      const sentAtMs = Date.now();
      const reply = await fetchHttp(this.#world.port, `/ac/${hash}`);
      const { status, body } = reply;
      if (status !== 200 && status !== 404) throw new Error(`GET /ac: ${status} ${reply.text}`);
      const found = status === 404 ? 0 : Number(/^version (\d+) /.exec(body.toString('latin1', 0, 30))?.[1]);
      if (status === 200) assert.ok(body.equals(opaqueBytes(this.#world.pool, found, body.byteLength)), `${hash}: other bytes than were put`);
      count += this.#checkVersion(`value ${hash}`, versions, { found, sentAtMs });
    }
    return count;
  }

  #checkVersion(name: string, versions: Versions, { found, sentAtMs }: { readonly found: number; readonly sentAtMs: number }): number {
    const { acknowledged, sent } = versions;
    if (found === 0 && !this.#world.ledger.mustHaveValue(versions)) return 0;
    assert.ok(found >= acknowledged && found <= sent, `${name} has version ${found}, acknowledged was ${acknowledged}, sent ${sent}`);
    Object.assign(versions, { acknowledged: found, usedAtMs: sentAtMs });
    return found === 0 ? 0 : 1;
  }

  async #readBatch(digests: readonly Digest[]): Promise<number> {
    if (digests.length === 0) return 0;
    const sentAtMs = Date.now();
    const { message } = await this.#grpc.unary(ContentAddressableStorage.method.batchReadBlobs, { digests: digests.map(wire) }, extras());
    let count = 0;
    for (const [index, { data, status }] of message.responses.entries()) {
      const digest = digests[index];
      assert.ok(digest);
      if (status?.code === notFound) this.#isAbsent(digest);
      else {
        if ((status?.code ?? 0) !== 0) throw new Error(`BatchReadBlobs: ${status?.code} ${status?.message}`);
        this.#isThere(digest, sha256.hashHex(data), sentAtMs);
        count += 1;
      }
    }
    return count;
  }

  /** Over HTTP as often as over gRPC. Gives 1 if it is there. */
  async #readOne(digest: Digest): Promise<number> {
    const sentAtMs = Date.now();
    const hash = this.#world.random.fraction() < 0.5 ? await this.#streamedHash(digest) : await this.#fetchedHash(digest);
    if (hash === undefined) this.#isAbsent(digest);
    else this.#isThere(digest, hash, sentAtMs);
    return hash === undefined ? 0 : 1;
  }

  async #streamedHash(digest: Digest): Promise<string | undefined> {
    const call = this.#grpc.serverStream(ByteStream.method.read, { resourceName: `blobs/${digest.hash}/${digest.sizeBytes}` }, extras());
    const status = statusOf(call);
    const hasher = sha256.createHasher();
    call.on('data', ({ data }: { data: Uint8Array }) => hasher.update(data));
    const { code, details } = await status;
    if (code !== 0 && code !== notFound) throw new Error(`Read: ${code} ${details}`);
    return code === 0 ? hasher.hex() : undefined;
  }

  async #fetchedHash(digest: Digest): Promise<string | undefined> {
    const reply = await fetchHttp(this.#world.port, `/cas/${digest.hash}`);
    if (reply.status !== 200 && reply.status !== 404) throw new Error(`GET /cas: ${reply.status} ${reply.text}`);
    return reply.status === 200 ? sha256.hashHex(reply.body) : undefined;
  }

  #isThere(digest: Digest, hash: string, sentAtMs: number): void {
    assert.equal(hash, digest.hash, 'wrong bytes');
    this.#world.ledger.use(digest);
    this.#world.ledger.keep(digest, sentAtMs);
  }

  #isAbsent(digest: Digest): void {
    assert.ok(!this.#world.ledger.mustBeThere(digest.hash), `${digest.toString()} was acknowledged and is lost`);
  }
}

/** Of that version of a value. */
export function opaqueBytes(pool: Buffer, version: number, sizeBytes: number): Buffer {
  const name = Buffer.from(`version ${version} `);
  return Buffer.concat([name, pool.subarray(0, sizeBytes - name.byteLength)]);
}

export function extras(): { readonly deadline: number } {
  return { deadline: Date.now() + deadlineMs };
}

export function wire({ hash, sizeBytes }: Digest): { readonly hash: string; readonly sizeBytes: bigint } {
  return { hash, sizeBytes: BigInt(sizeBytes) };
}
