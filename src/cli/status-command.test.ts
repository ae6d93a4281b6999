// `kiln status` against real servers: what it prints, and the statuses that scripts and health checks rely on.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { writeFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import type { TestContext } from 'node:test';
import { makeCertificate } from '../testing/certificates.ts';
import { runKiln, serveKiln, temporaryDirectory } from '../testing/kiln-process.ts';
import { status as askStatus } from './status-command.ts';
import { statusText } from './status-text.ts';

/** A server that answers everything with `text`, or with nothing at all. */
async function serveText(t: TestContext, text: string | undefined): Promise<string> {
  const server = createServer((_, response) => void (text === undefined || response.end(text)));
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.after(() => {
    server.close();
    server.closeAllConnections();
  });
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

describe('kiln status', () => {
  it('tells how the server is and what the caller may do, also over a unix socket and as JSON', async (t) => {
    const directory = await temporaryDirectory(t);
    const socket = `unix:${join(directory, 'kiln.sock')}`;
    const { ready } = await serveKiln(t, ['--listen', '127.0.0.1:0', '--listen', socket, '--data', join(directory, 'data'), '--allow-anonymous', 'read']);
    const { status, out, errors } = await runKiln(['status', ready.http]);
    assert.deepEqual([status, errors], [0, '']);
    assert.match(out, new RegExp(`^kiln ${ready.version} at ${ready.http} is up\n {2}rights {2}you may read\n {2}gRPC {4}gets through\n {2}uptime {2}\\d`));
    assert.match(out, / {2}store {3}0 B of \d.* used \(0\.0 %\), 0 blobs, 0 action results and other values\n/);

    const asJson = await runKiln(['status', '--json', socket]);
    const facts = JSON.parse(asJson.out) as { url: string; status: string; rights: object; grpc: object; metrics: Record<string, number> };
    assert.deepEqual([facts.url, facts.status, facts.rights, facts.grpc], [socket, 'ok', { read: true, write: false }, { state: 'serving' }]);
    assert.ok((facts.metrics['kiln_store_max_bytes'] ?? 0) > 0);
  });

  it('tells the rights of a token, and refuses one that the server does not know', async (t) => {
    const directory = await temporaryDirectory(t);
    const tokens = join(directory, 'tokens.yaml');
    const token = join(directory, 'token');
    const created = await runKiln(['token', 'create', '--name', 'ci', '--grant', 'team/*=write', '--file', tokens]);
    await writeFile(token, created.out);
    const { ready } = await serveKiln(t, ['--listen', '127.0.0.1:0', '--data', join(directory, 'data'), '--rights-tokens-file', tokens, '--allow-anonymous', 'none']);
    const within = await runKiln(['status', `${ready.http}/team/a`, '--token-file', token]);
    assert.equal(within.status, 0, within.errors);
    assert.match(within.out, /you may write in instance "team\/a"\n {2}gRPC {4}gets through\n {2}more {4}not shown/);
    await writeFile(token, `\ufeff${created.out.trim()}\r\n`); // as editors of Windows write it
    assert.match((await runKiln(['status', ready.http, `--token-file=${token}`])).out, /you may neither read nor write\n/);
    assert.match((await runKiln(['status', ready.http])).out, /you may neither read nor write\n/);

    await writeFile(token, 'kiln_unknown\n');
    const unknown = await runKiln(['status', ready.http, '--token-file', token]);
    assert.equal(unknown.status, 1);
    assert.match(unknown.errors, /^kiln: .*\(status 401 from 127\.0\.0\.1:\d+\)\n {2}.*"kiln token create"\n$/);
    assert.doesNotMatch(unknown.errors, /kiln_unknown/);

    await writeFile(token, 'two words\n');
    const words = await runKiln(['status', ready.http, '--token-file', token]);
    assert.equal(words.status, 2);
    assert.match(words.errors, /does not hold a token alone: it has several words or lines\n/);
  });

  it('ends with 1 when nothing answers, when it does not answer in time, and when it is no Kiln', async (t) => {
    const refused = await runKiln(['status', 'http://127.0.0.1:1']);
    assert.equal(refused.status, 1);
    assert.match(refused.errors, /^kiln: cannot connect to 127\.0\.0\.1:1 \(ECONNREFUSED\)\n {2}is it running\?/);
    const silent = await runKiln(['status', await serveText(t, undefined), '--timeout', '100ms']);
    assert.equal(silent.status, 1);
    assert.match(silent.errors, /let nothing be heard for 100 ms\n/);
    for (const text of ['hello', '[]', '{"name":"other","version":"1"}']) {
      const other = await runKiln(['status', await serveText(t, text)]);
      assert.equal(other.status, 1);
      assert.match(other.errors, /is no Kiln server\n/);
    }
    const draining = await runKiln(['status', await serveText(t, '{"name":"kiln","version":"1.2.3","status":"draining"}')]);
    assert.equal(draining.status, 1);
    assert.match(draining.out, /^kiln 1\.2\.3 at http:\S+ is draining/);
    // Such as a proxy that passes on HTTP/1.1 only.
    assert.match(draining.out, / {2}gRPC {4}does not get through, so Bazel and other tools that speak it cannot use this address: cannot connect to 127\.0\.0\.1:\d+: /);
  });

  it('names the mistake in a command line and the way out', async (t) => {
    const directory = await temporaryDirectory(t);
    const [long, ca, prose] = ['long.pem', 'ca.pem', 'prose'].map((name) => join(directory, name)) as [string, string, string];
    await writeFile(prose, 'no certificate\n');
    await writeFile(ca, makeCertificate({ authority: true }).certificate);
    await writeFile(long, `-----BEGIN CERTIFICATE-----\n${'A'.repeat(1_048_576)}`);
    const mistakes: readonly (readonly [args: readonly string[], text: RegExp])[] = [
      [['--jsno'], /unknown option --jsno\ndid you mean --json\?/],
      [['a', 'b'], /unexpected argument "b"\n/],
      [['--timeout', '5'], /--timeout: "5" has no unit .*\nexample: --timeout 5s/],
      [['--timeout', '0s'], /cannot answer in no time/],
      [['--token-file'], /--token-file needs a value\n/],
      [['--json=yes'], /unknown option --json=yes/],
      [['--timeout', '1s', '--timeout', '2s'], /--timeout is given twice/],
      [['grpc://127.0.0.1:9092'], /the same port takes http:\/\/127\.0\.0\.1:9092/],
      [['https://127.0.0.1:1', '--ca-file', long], /long\.pem is longer than 1 MiB\nkeep in it only the certificates that are needed$/],
      [['https://127.0.0.1:1', '--token-file', long], /long\.pem is longer than 4 KiB\nname the file that holds the token alone$/],
      [['https://127.0.0.1:1', '--certificate-file', 'c.pem'], /a client certificate needs its key, and a key its certificate\ngive both/],
      [['https://127.0.0.1:1', '--ca-file', prose], /prose has no certificate in PEM: there is no "-----BEGIN CERTIFICATE-----" in it\nname a file that has$/],
      [['https://127.0.0.1:1', '--certificate-file', ca, '--key-file', ca], /ca\.pem has no private key in PEM/],
      [['http://127.0.0.1:1', '--ca-file', ca], /files for TLS are given, and the URL is not one of TLS\nbegin it with https:\/\/, or leave them out$/],
      [['http://me:secret@host:1/?a'], /"http:\/\/…@host:1\/\?a" has a query/],
    ];
    for (const [args, text] of mistakes) {
      const start = { pid: 1, startedAt: '', hostName: 'h', environment: {}, workingDirectory: '/', platform: 'linux', args };
      const terminal = { out: assert.fail, error: assert.fail, outForSure: assert.fail };
      await assert.rejects(askStatus(start, terminal), (thrown: Error & { code?: string }) => {
        assert.equal(thrown.code, 'invalid_argument', args.join(' '));
        assert.match(thrown.message, text);
        assert.doesNotMatch(thrown.message, /secret/);
        return true;
      });
    }
  });

  it('shows what an operator must look at', () => {
    const metrics = new Map([['kiln_store_bytes', 3e9], ['kiln_store_max_bytes', 4e9], ['kiln_store_blobs', 12_345], ['kiln_store_evictions_total', 1], ['kiln_store_evicted_bytes_total', 2048], ['kiln_store_stalled_operations', 2], ['process_start_time_seconds', 1_000]]);
    const text = statusText({ url: 'u', instance: '', nowMs: 3_700_000, status: { version: '1', status: 'ok', rights: { read: true, write: true }, metrics }, grpc: { state: 'not_serving' } });
    assert.match(text, /gRPC {5}gets through, and no calls are taken at the moment\n/);
    assert.match(text, /uptime {3}45 m\n {2}store {4}2\.8 GiB of 3\.7 GiB used \(75 %\), 12,345 blobs/);
    assert.match(text, /evicted {2}1 file since the start, 2 KiB\n {2}trouble {2}2 store operations hang/);
  });
});
