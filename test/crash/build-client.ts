// A client that writes as build tools do, over gRPC, and remembers what the server acknowledged.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { Digest } from '../../src/digest/digest.ts';
import { sha256 } from '../../src/digest/digest-function.ts';
import { ActionCache, ContentAddressableStorage } from '../../src/proto/gen/build/bazel/remote/execution/v2/remote_execution_pb.ts';
import { ByteStream } from '../../src/proto/gen/google/bytestream/bytestream_pb.ts';
import { GrpcJsClient, statusOf } from '../../src/testing/grpc-js-client.ts';
import type { SeededRandom } from '../../src/testing/seeded-random.ts';

/** What outlives every crash of the server. */
export class Ledger {
  /** Blobs whose put was acknowledged, by hash; and those that were merely sent. */
  readonly acknowledged = new Map<string, Digest>();
  readonly sent = new Map<string, Digest>();
  /** By action hash: the last version acknowledged, and the last one sent. */
  readonly results = new Map<string, { acknowledged: number; sent: number }>();
}

/** Blobs up to this travel in batches. */
const batchBlobBytesMax = 100_000;
const batchBytesMax = 3_000_000;
const chunkBytes = 64 * 1024;
const deadlineMs = 60_000;

export class BuildClient implements Disposable {
  readonly #client: GrpcJsClient;
  readonly #ledger: Ledger;
  readonly #random: SeededRandom;
  /** Random bytes to cut blobs from; making each afresh would take longer than storing it. */
  readonly #pool: Buffer;

  constructor(address: string, ledger: Ledger, random: SeededRandom, pool: Buffer) {
    this.#client = new GrpcJsClient(address);
    this.#ledger = ledger;
    this.#random = random;
    this.#pool = pool;
  }

  [Symbol.dispose](): void {
    this.#client[Symbol.dispose]();
  }

  /** Writes until `isOver` says that the server was killed. Throws what fails before that. */
  async writeUntil(isOver: () => boolean, writer: number): Promise<void> {
    for (let action = 0; !isOver(); action += 1) {
      try {
        const kind = this.#random.integer(0, 9);
        if (kind < 5) await this.#putBatch();
        else if (kind < 8) await this.#putStream();
        else await this.#putResult(`${writer} ${action % 3}`);
      } catch (thrown) {
        if (!isOver()) throw thrown;
      }
    }
  }

  /** Hashes of acknowledged blobs that the server says it does not have. */
  async lost(): Promise<readonly string[]> {
    const lost: string[] = [];
    const all = [...this.#ledger.acknowledged.values()];
    for (let start = 0; start < all.length; start += 5_000) {
      const blobDigests = all.slice(start, start + 5_000).map(wire);
      const { message } = await this.#client.unary(ContentAddressableStorage.method.findMissingBlobs, { blobDigests }, this.#extras());
      lost.push(...message.missingBlobDigests.map(({ hash }) => hash));
    }
    return lost;
  }

  /** Reads every blob, checks its bytes, and returns how many were there. An acknowledged one must be. */
  async readAll(digests: Iterable<Digest>): Promise<number> {
    let count = 0;
    let batch: Digest[] = [];
    let batchBytes = 0;
    for (const digest of digests) {
      if (digest.sizeBytes > batchBlobBytesMax) {
        count += (await this.#readStream(digest)) ? 1 : 0;
        continue;
      }
      if (batchBytes + digest.sizeBytes > batchBytesMax) {
        count += await this.#readBatch(batch);
        [batch, batchBytes] = [[], 0];
      }
      batch.push(digest);
      batchBytes += digest.sizeBytes;
    }
    return count + (await this.#readBatch(batch));
  }

  /** Checks that every action result is the last acknowledged version, or one sent later. */
  async checkResults(): Promise<void> {
    for (const [hash, { acknowledged, sent }] of this.#ledger.results) {
      const asked = { actionDigest: { hash, sizeBytes: 100n } };
      const found = await this.#client.unary(ActionCache.method.getActionResult, asked, this.#extras()).then(
        ({ message }) => message.exitCode,
        (thrown: { code: number }) => {
          assert.equal(thrown.code, 5, 'a result that is not there is NOT_FOUND');
          return 0;
        },
      );
      assert.ok(found >= acknowledged && found <= sent, `action result ${hash} has version ${found}, acknowledged was ${acknowledged}, sent ${sent}`);
    }
  }

  async #putBatch(): Promise<void> {
    const blobs = Array.from({ length: this.#random.integer(1, 20) }, () => this.#blob(this.#random.integer(33, 20_000)));
    const requests = blobs.map(({ digest, data }) => ({ digest: wire(digest), data }));
    for (const { digest } of blobs) this.#ledger.sent.set(digest.hash, digest);
    const { message } = await this.#client.unary(ContentAddressableStorage.method.batchUpdateBlobs, { requests }, this.#extras());
    for (const { digest, status } of message.responses) {
      assert.equal(status?.code ?? 0, 0, status?.message ?? '');
      const stored = blobs.find((blob) => blob.digest.hash === digest?.hash);
      assert.ok(stored);
      this.#ledger.acknowledged.set(stored.digest.hash, stored.digest);
    }
  }

  async #putStream(): Promise<void> {
    const { digest, data } = this.#blob(this.#random.integer(1_000, 1_500_000));
    this.#ledger.sent.set(digest.hash, digest);
    const { call, outcome } = this.#client.clientStream(ByteStream.method.write, this.#extras());
    outcome.catch(() => undefined); // awaited below
    call.on('error', () => undefined);
    const resourceName = `uploads/${Buffer.from(this.#random.bytes(16)).toString('hex')}/blobs/${digest.hash}/${digest.sizeBytes}`;
    for (let offset = 0; offset < data.byteLength; offset += chunkBytes) {
      const chunk = data.subarray(offset, offset + chunkBytes);
      const finishWrite = offset + chunk.byteLength === data.byteLength;
      const goesOn = call.write({ resourceName: offset === 0 ? resourceName : '', writeOffset: BigInt(offset), finishWrite, data: chunk });
      if (!goesOn) await Promise.race([once(call, 'drain'), outcome]);
    }
    call.end();
    const { message } = await outcome;
    assert.equal(message.committedSize, BigInt(data.byteLength));
    this.#ledger.acknowledged.set(digest.hash, digest);
  }

  async #putResult(name: string): Promise<void> {
    const { hash } = Digest.of(Buffer.from(name));
    const versions = this.#ledger.results.get(hash) ?? { acknowledged: 0, sent: 0 };
    this.#ledger.results.set(hash, versions);
    versions.sent += 1;
    const { sent } = versions;
    const stdoutRaw = this.#pool.subarray(0, this.#random.integer(0, 3_000));
    const request = { actionDigest: { hash, sizeBytes: 100n }, actionResult: { exitCode: sent, stdoutRaw } };
    await this.#client.unary(ActionCache.method.updateActionResult, request, this.#extras());
    versions.acknowledged = sent;
  }

  async #readBatch(digests: readonly Digest[]): Promise<number> {
    if (digests.length === 0) return 0;
    const { message } = await this.#client.unary(ContentAddressableStorage.method.batchReadBlobs, { digests: digests.map(wire) }, this.#extras());
    let count = 0;
    for (const [index, { data, status }] of message.responses.entries()) {
      const digest = digests[index];
      assert.ok(digest);
      if (status?.code === 5) this.#mayBeAbsent(digest);
      else {
        assert.equal(status?.code ?? 0, 0, status?.message ?? '');
        assert.equal(sha256.hashHex(data), digest.hash, 'wrong bytes');
        count += 1;
      }
    }
    return count;
  }

  async #readStream(digest: Digest): Promise<boolean> {
    const call = this.#client.serverStream(ByteStream.method.read, { resourceName: `blobs/${digest.hash}/${digest.sizeBytes}` }, this.#extras());
    const status = statusOf(call);
    const hasher = sha256.createHasher();
    call.on('data', ({ data }: { data: Uint8Array }) => hasher.update(data));
    const { code, details } = await status;
    if (code === 5) {
      this.#mayBeAbsent(digest);
      return false;
    }
    assert.equal(code, 0, details);
    assert.equal(hasher.hex(), digest.hash, 'wrong bytes');
    return true;
  }

  #mayBeAbsent(digest: Digest): void {
    assert.ok(!this.#ledger.acknowledged.has(digest.hash), `${digest.toString()} was acknowledged and is lost`);
  }

  #blob(length: number): { readonly digest: Digest; readonly data: Uint8Array } {
    const start = this.#random.integer(0, this.#pool.byteLength - length);
    const data = Buffer.from(this.#pool.subarray(start, start + length));
    data.set(this.#random.bytes(32)); // never the same blob twice
    return { digest: Digest.of(data), data };
  }

  #extras(): { readonly deadline: number } {
    return { deadline: Date.now() + deadlineMs };
  }
}

function wire({ hash, sizeBytes }: Digest): { readonly hash: string; readonly sizeBytes: bigint } {
  return { hash, sizeBytes: BigInt(sizeBytes) };
}
