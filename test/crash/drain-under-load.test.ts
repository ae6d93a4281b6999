// SIGTERM under clients that upload blobs and action results, with limits of the end so short that it is cut off in the
// middle, again and again on one data directory. Afterwards the stores themselves are read, not what the server says of
// them: it would hide a result whose blobs are gone.
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { decodeStoredActionResult } from '../../src/actions/stored-action-result.ts';
import { collect } from '../../src/base/byte-source.ts';
import { DigestList } from '../../src/digest/digest-list.ts';
import { Digest } from '../../src/digest/digest.ts';
import { sha256 } from '../../src/digest/digest-function.ts';
import { ActionCache, ContentAddressableStorage } from '../../src/proto/gen/build/bazel/remote/execution/v2/remote_execution_pb.ts';
import { ByteStream } from '../../src/proto/gen/google/bytestream/bytestream_pb.ts';
import { GrpcJsClient } from '../../src/testing/grpc-js-client.ts';
import { serveKiln, temporaryDirectory } from '../../src/testing/kiln-process.ts';
import { seededRandom } from '../../src/testing/seeded-random.ts';
import type { SeededRandom } from '../../src/testing/seeded-random.ts';
import { openEngineStore } from '../../src/testing/temporary-engine-store.ts';

const rounds = 6;
const writers = 12;
/** Calls get 40 ms, the stores whatever the round says. */
const callTimeout = ['--drain-timeout', '40ms', '--drain-listener-timeout', '40ms'];
const flushTimeouts = ['1ms', '30s', '5ms'] as const;
/** The longest end that these limits allow, with what handlers and observers get, on a busy machine. */
const endMsMax = 60_000;
/** More than all rounds write. */
const maxBytes = 20 * 1024 ** 3;
const resultBytesMax = 1024 * 1024;
/** How a server ends: all finished, some calls cut off, the stores not closed in time. */
const statuses = [143, 1, 137];

/** What the server has acknowledged, in all rounds. */
interface Ledger {
  readonly blobs: Map<string, Digest>;
  /** Action hashes of results, also of those that were not acknowledged. */
  readonly sent: Set<string>;
  /** By action hash: its outputs. */
  readonly results: Map<string, readonly Digest[]>;
}

/** One client that builds: two outputs and the result that points at them, again and again until it is refused. */
async function build(address: string, ledger: Ledger, random: SeededRandom): Promise<void> {
  using client = new GrpcJsClient(address);
  for (;;) {
    const [small, large] = [random.bytes(random.integer(40, 3_000)), Buffer.concat([random.bytes(40), Buffer.alloc(random.integer(100_000, 700_000))])];
    const digests = [Digest.of(small), Digest.of(large)] as const;
    try {
      await client.unary(ContentAddressableStorage.method.batchUpdateBlobs, { requests: [{ digest: wire(digests[0]), data: small }] });
      ledger.blobs.set(digests[0].hash, digests[0]);
      await putStream(client, digests[1], large);
      ledger.blobs.set(digests[1].hash, digests[1]);
      const action = Digest.of(random.bytes(40));
      ledger.sent.add(action.hash);
      const outputFiles = digests.map((digest, index) => ({ path: `out${index}`, digest: wire(digest) }));
      await client.unary(ActionCache.method.updateActionResult, { actionDigest: wire(action), actionResult: { outputFiles } });
      ledger.results.set(action.hash, digests);
    } catch (error) {
      assert.equal((error as { readonly code?: number }).code, 14, `a refusal that may be tried again, not ${String(error)}`);
      return;
    }
  }
}

async function putStream(client: GrpcJsClient, digest: Digest, bytes: Uint8Array): Promise<void> {
  const { call, outcome } = client.clientStream(ByteStream.method.write);
  call.on('error', () => {}); // told by the outcome
  call.write({ resourceName: `uploads/${digest.hash.slice(0, 32)}/blobs/${digest.hash}/${digest.sizeBytes}`, data: bytes, finishWrite: true });
  call.end();
  assert.equal((await outcome).message.committedSize, BigInt(bytes.byteLength));
}

function wire({ hash, sizeBytes }: Digest): { readonly hash: string; readonly sizeBytes: bigint } {
  return { hash, sizeBytes: BigInt(sizeBytes) };
}

/** Looks into the stores for all results that were ever sent: which of their outputs are not there, and how many results are. */
async function scan(data: string, { sent }: Ledger): Promise<{ readonly results: number; readonly dangling: readonly string[] }> {
  await using store = await openEngineStore(data, { maxBytes });
  const dangling: string[] = [];
  let results = 0;
  for (const hash of sent) {
    const source = await store.values.get({ kind: 'action_result', instance: '', digestFunction: sha256, hash });
    if (source === undefined) continue;
    const stored = decodeStoredActionResult(await collect(source, resultBytesMax));
    assert.ok(stored, `${hash} is whole`);
    results += 1;
    const outputs = stored.result.message.outputFiles.map(({ digest }) => digest).filter((digest) => digest !== undefined);
    const missing = await store.blobs.findMissing(DigestList.from(outputs.map(({ hash: of, sizeBytes }) => Digest.parse(sha256, of, sizeBytes))));
    dangling.push(...Array.from(missing, (digest) => `${hash}: ${digest.toString()}`));
  }
  return { results, dangling };
}

describe('SIGTERM under write load', () => {
  it(`K10-04: ${rounds} rounds: no action result points at a missing blob, and nothing acknowledged is lost`, async (t) => {
    const random = seededRandom(t);
    const data = join(await temporaryDirectory(t), 'data');
    const ledger: Ledger = { blobs: new Map(), sent: new Set(), results: new Map() };
    const ends: number[] = [];
    for (let round = 0; round < rounds; round += 1) {
      const flush = flushTimeouts[round % flushTimeouts.length] ?? '1ms';
      const kiln = await serveKiln(t, ['--listen', '127.0.0.1:0', '--data', data, '--max-size', '20GiB', ...callTimeout, '--drain-flush-timeout', flush]);
      const builds = Promise.all(Array.from({ length: writers }, () => build(`127.0.0.1:${kiln.port}`, ledger, random)));
      builds.catch(() => {}); // awaited below
      const enough = ledger.results.size + random.integer(1, 3 * writers);
      while (ledger.results.size < enough) await delay(1);
      const startedMs = performance.now();
      kiln.kill('SIGTERM');
      const { status, errors } = await kiln.ended;
      assert.ok(statuses.includes(status), `status ${status}:\n${errors}`);
      assert.ok(performance.now() - startedMs < endMsMax, errors);
      ends.push(status);
      await builds;
      const { results, dangling } = await scan(data, ledger);
      assert.deepEqual(dangling, [], `after round ${round}`);
      assert.ok(results >= ledger.results.size);
    }
    assert.ok(ends.some((status) => status !== 143), 'no end was cut off: the limits are not short enough');
    assert.ok(ledger.results.size >= rounds, 'the clients got to write');

    const kiln = await serveKiln(t, ['--listen', '127.0.0.1:0', '--data', data, '--max-size', '20GiB']);
    {
      using client = new GrpcJsClient(`127.0.0.1:${kiln.port}`);
      const { message } = await client.unary(ContentAddressableStorage.method.findMissingBlobs, { blobDigests: [...ledger.blobs.values()].map(wire) });
      assert.deepEqual(message.missingBlobDigests, []);
      for (const [hash, outputs] of ledger.results) {
        const found = await client.unary(ActionCache.method.getActionResult, { actionDigest: { hash, sizeBytes: 40n } });
        assert.deepEqual(found.message.outputFiles.map(({ digest }) => digest?.hash), outputs.map((output) => output.hash));
      }
    }
    kiln.kill('SIGTERM');
    await kiln.ended;
    assert.deepEqual((await scan(data, ledger)).dangling, []);
    t.diagnostic(`${ledger.blobs.size} blobs and ${ledger.results.size} action results were acknowledged and are there; the servers ended with ${ends.join(', ')}`);
  });
});
