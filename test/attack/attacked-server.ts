// The real server with an attacker on one side and somebody else on the other: what it counts, what it takes, and how long
// the other one waits.
import assert from 'node:assert/strict';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { makeServerCertificate } from '../../src/testing/certificates.ts';
import { parseExposition, sampleValue } from '../../src/testing/exposition-parser.ts';
import { fetchHttp } from '../../src/testing/http-client.ts';
import { serveKiln, temporaryDirectory } from '../../src/testing/kiln-process.ts';
import type { KilnProcess } from '../../src/testing/kiln-process.ts';
import { Bystander } from './bystander.ts';
import { namedBlob } from './calls.ts';
import type { NamedBlob } from './calls.ts';
import { latenciesIn, quantileBetween } from './server-latency.ts';

/**
 * What an attack may add to the resident size: the bounds of its connections and what the garbage collector lets lie.
 * An idle server of this kind has some 90 MiB, and a heap that doubles under any load.
 */
export const grownBytesMax = 96 * 1024 * 1024;

/** How often the resident size is looked at. */
const sampleIntervalMs = 50;
/** Calls of somebody else before the first look at the memory, so that the heap of a server that is used is compared. */
const warmUpCalls = 300;
/** Calls of somebody else whose time is what it is without an attack. */
const quietCalls = 300;
/**
 * How long others may wait, 99 of 100: so many times as long as without the attack, or so long as a machine with much else
 * to do makes them wait by itself. The benchmark `attacks` measures it against the same load that is no attack.
 */
const latencyTimesMax = 3;
const latencyMicrosecondsMin = 500_000;

export interface AttackedServer {
  readonly kiln: KilnProcess;
  readonly port: number;
  /** The value of one series; 0 when there is none. */
  readonly metric: (name: string, labels?: Readonly<Record<string, string>>) => Promise<number>;
  /** Resolves when a series has grown to `least`; what it waits for is bounded by the time of the test. */
  readonly counted: (name: string, labels: Readonly<Record<string, string>>, least: number) => Promise<void>;
  /** Stores a blob of `sizeBytes` under `ordinal`, different for each. */
  readonly store: (sizeBytes: number, ordinal?: number) => Promise<NamedBlob>;
  /**
   * Runs `attack` beside somebody else, whose calls must all succeed and not wait for it, and holds the server to its memory.
   * `grownBytesMax`: what it may take more than before.
   */
  readonly endures: <T>(attack: (others: Bystander) => Promise<T>, options?: { readonly grownBytesMax?: number }) => Promise<T>;
}

export interface AttackedTlsServer extends AttackedServer {
  /** PEM of who has signed its certificate. */
  readonly authority: string;
}

export function attackedServer(t: TestContext, ...flags: readonly string[]): Promise<AttackedServer> {
  return attacked(t, flags);
}

/** The same over TLS, for somebody else as well. */
export async function attackedTlsServer(t: TestContext, ...flags: readonly string[]): Promise<AttackedTlsServer> {
  const directory = await temporaryDirectory(t);
  const { authority, server } = makeServerCertificate();
  const [certificateFile, keyFile] = [join(directory, 'certificate.pem'), join(directory, 'key.pem')];
  await writeFile(certificateFile, server.certificate);
  await writeFile(keyFile, server.key, { mode: 0o600 });
  const tls = ['--tls-certificate', certificateFile, '--tls-key', keyFile];
  return { ...(await attacked(t, [...tls, ...flags], authority.certificate)), authority: authority.certificate };
}

async function attacked(t: TestContext, flags: readonly string[], authority?: string): Promise<AttackedServer> {
  const kiln = await serveKiln(t, ['--listen', '127.0.0.1:0', '--data', await temporaryDirectory(t), ...flags]);
  const { port } = kiln;
  const scrape = async (): Promise<string> => (await fetchHttp(port, '/metrics', { authority })).text;
  const metric = async (name: string, labels: Readonly<Record<string, string>> = {}): Promise<number> => {
    return sampleValue(parseExposition(await scrape(), 'prometheus'), name, labels) ?? 0;
  };
  return {
    kiln,
    port,
    metric,
    async counted(name, labels, least) {
      while ((await metric(name, labels)) < least) await new Promise((resolve) => setTimeout(resolve, sampleIntervalMs));
    },
    async store(sizeBytes, ordinal = 0) {
      const blob = namedBlob(Buffer.alloc(sizeBytes, `blob ${ordinal} `));
      const { status } = await fetchHttp(port, `/cas/${blob.hash}`, { method: 'PUT', body: blob.bytes, authority });
      assert.equal(status, 200);
      return blob;
    },
    async endures(attack, options) {
      const bystander = new Bystander(port, authority);
      await bystander.more(warmUpCalls);
      const warm = latenciesIn(await scrape());
      await bystander.more(quietCalls);
      const quiet = latenciesIn(await scrape());
      const before = await residentBytes(kiln);
      let most = before;
      const sampling = setInterval(() => void residentBytes(kiln).then((bytes) => (most = Math.max(most, bytes))), sampleIntervalMs);
      t.after(() => clearInterval(sampling));
      const outcome = await attack(bystander);
      await bystander.more(20); // also after the attack
      clearInterval(sampling);
      await bystander.end();
      const [quietUs, attackedUs] = [quantileBetween(warm, quiet, 0.99), quantileBetween(quiet, latenciesIn(await scrape()), 0.99)];
      t.diagnostic(`resident size ${mebibytes(before)} MiB before, ${mebibytes(most)} MiB at most; ${bystander.calls} calls of somebody else, p99 ${milliseconds(quietUs)} ms before, ${milliseconds(attackedUs)} ms under attack`);
      const bound = options?.grownBytesMax ?? grownBytesMax;
      assert.ok(most - before <= bound, `${mebibytes(before)} MiB before, ${mebibytes(most)} MiB at most; it may grow by ${mebibytes(bound)}`);
      assert.ok(attackedUs <= Math.max(latencyTimesMax * quietUs, latencyMicrosecondsMin), `p99 of somebody else: ${milliseconds(quietUs)} ms before, ${milliseconds(attackedUs)} ms under attack`);
      return outcome;
    },
  };
}

async function residentBytes({ ready }: KilnProcess): Promise<number> {
  const [, kibibytes] = /^VmRSS:\s+(\d+) kB/m.exec(await readFile(`/proc/${ready.pid}/status`, 'latin1')) ?? [];
  return Number(kibibytes) * 1024;
}

function mebibytes(bytes: number): string {
  return (bytes / 2 ** 20).toFixed(1);
}

function milliseconds(microseconds: number): string {
  return (microseconds / 1_000).toFixed(2);
}
