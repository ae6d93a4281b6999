// TLS by the real program: every protocol on the one port, clients with certificates, renewal without a restart, and what
// it says about certificates that are not right.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { chmod, writeFile } from 'node:fs/promises';
import { connect as connectHttp2 } from 'node:http2';
import type { ClientHttp2Session, IncomingHttpHeaders } from 'node:http2';
import { request } from 'node:https';
import { connect as connectPlain } from 'node:net';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import type { TestContext } from 'node:test';
import { setTimeout } from 'node:timers/promises';
import { connect } from 'node:tls';
import grpc from '@grpc/grpc-js';
import { Digest } from '../digest/digest.ts';
import { sha256 } from '../digest/digest-function.ts';
import { ContentAddressableStorage } from '../proto/gen/build/bazel/remote/execution/v2/remote_execution_pb.ts';
import { hashOfToken } from '../rights/token.ts';
import { makeCertificate, makeServerCertificate } from '../testing/certificates.ts';
import type { CertificateWishes, TestCertificate } from '../testing/certificates.ts';
import { GrpcJsClient } from '../testing/grpc-js-client.ts';
import { fetchHttp } from '../testing/http-client.ts';
import { runKiln, serveKiln, temporaryDirectory } from '../testing/kiln-process.ts';
import type { KilnProcess } from '../testing/kiln-process.ts';

const { authority, server } = makeServerCertificate();
const clients = makeCertificate({ authority: true, subject: [['CN', 'Authority of clients']] });
const clientOf = (name: string, wishes: CertificateWishes = {}) => makeCertificate({ issuer: clients, subject: [['O', 'Example'], ['CN', name]], ...wishes });
const ci = clientOf('ci');
const hello = Digest.of(Buffer.from('hello'), sha256);
const dayMs = 86_400_000;

interface Directory {
  readonly path: string;
  write(name: string, text: string): Promise<void>;
}

/** With a certificate, its key and the authority of clients. */
async function directoryWithTls(t: TestContext, shown: TestCertificate = server): Promise<Directory> {
  const path = await temporaryDirectory(t);
  const write = (name: string, text: string) => writeFile(join(path, name), text, { mode: 0o600 });
  await write('cert.pem', shown.certificate);
  await write('key.pem', shown.key);
  await write('clients.pem', clients.certificate);
  return { path, write };
}

const tls = 'tls: {certificate: cert.pem, key: key.pem}\n';
const tlsWithClients = 'tls: {certificate: cert.pem, key: key.pem, client-ca: clients.pem, client-certificates: optional}\n';

async function serve(t: TestContext, directory: Directory, yaml: string): Promise<KilnProcess> {
  await directory.write('kiln.yaml', `data: data\n${yaml.includes('listen:') ? '' : 'listen: [127.0.0.1:0]\n'}${yaml}`);
  const kiln = await serveKiln(t, ['--config', join(directory.path, 'kiln.yaml'), '--log-format', 'json']);
  while (!/^ready .*\n/m.test(kiln.out())) await setTimeout(5);
  return kiln;
}

/** Sends SIGHUP and gives what the log says about it. */
async function reloaded(kiln: KilnProcess): Promise<readonly Record<string, unknown>[]> {
  const before = kiln.errors().length;
  kiln.kill('SIGHUP');
  const since = () => kiln.errors().slice(before);
  while (!/"message":"(?:configuration reloaded|the configuration has mistakes)[^\n]*\n/.test(since())) await setTimeout(5);
  while (since().includes('has mistakes') && !since().includes('"fix"')) await setTimeout(5);
  return since().trim().split('\n').map((line) => JSON.parse(line) as Record<string, unknown>);
}

interface Shown {
  readonly client?: TestCertificate;
  readonly authorization?: string;
  readonly ca?: string;
}

const shownTo = ({ client, ca = authority.certificate }: Shown) => ({ ca, ...(client === undefined ? {} : { cert: client.certificate, key: client.key }) });
const headersOf = ({ authorization }: Shown): Record<string, string> => (authorization === undefined ? {} : { authorization });

/** By HTTP/1.1: status and body. */
async function overHttp1(port: number, path: string, shown: Shown = {}, body?: string): Promise<string> {
  const sent = request({ host: '127.0.0.1', port, path, method: body === undefined ? 'GET' : 'PUT', agent: false, headers: headersOf(shown), ...shownTo(shown) });
  sent.end(body);
  const [response] = (await once(sent, 'response')) as [AsyncIterable<Buffer> & { statusCode: number }];
  let text = '';
  for await (const chunk of response) text += String(chunk);
  return `${response.statusCode} ${text}`.trim();
}

function session(t: TestContext, port: number, shown: Shown = {}): ClientHttp2Session {
  const opened = connectHttp2(`https://127.0.0.1:${port}`, shownTo(shown));
  opened.on('error', () => {});
  t.after(() => opened.destroy());
  return opened;
}

/** By HTTP/2: status and body. */
async function overHttp2(opened: ClientHttp2Session, path: string, shown: Shown = {}, body?: string): Promise<string> {
  const stream = opened.request({ ':path': path, ':method': body === undefined ? 'GET' : 'PUT', ...headersOf(shown) });
  stream.end(body);
  const [headers] = (await once(stream, 'response')) as [IncomingHttpHeaders & { ':status': number }];
  let text = '';
  for await (const chunk of stream) text += String(chunk);
  return `${headers[':status']} ${text}`.trim();
}

/** grpc-js would send the address as a server name, which is not allowed. */
const asLocalhost = { 'grpc.ssl_target_name_override': 'localhost' };

/** By gRPC: the status code of FindMissingBlobs. */
async function overGrpc(port: number, shown: Shown = {}): Promise<number> {
  const { client, ca = authority.certificate } = shown;
  const pem = (text: string | undefined) => (text === undefined ? null : Buffer.from(text));
  using caller = new GrpcJsClient(`127.0.0.1:${port}`, asLocalhost, grpc.credentials.createSsl(Buffer.from(ca), pem(client?.key), pem(client?.certificate)));
  const metadata = new grpc.Metadata();
  if (shown.authorization !== undefined) metadata.set('authorization', shown.authorization);
  const asked = caller.unary(ContentAddressableStorage.method.findMissingBlobs, { blobDigests: [{ hash: hello.hash, sizeBytes: 5n }] }, { metadata });
  return await asked.then(({ status }) => status.code, (error: grpc.ServiceError) => error.code);
}

describe('kiln serve with TLS', () => {
  it('serves gRPC, HTTP/2 and HTTP/1.1 on one port, and says so', async (t) => {
    const kiln = await serve(t, await directoryWithTls(t), tls);
    assert.deepEqual([kiln.ready.grpc, kiln.ready.http], [`grpcs://127.0.0.1:${kiln.port}`, `https://127.0.0.1:${kiln.port}`]);
    assert.match(kiln.out(), new RegExp(`listens on  127\\.0\\.0\\.1:${kiln.port} \\(TLS\\)\\n[^]*\\nready grpcs://127\\.0\\.0\\.1:${kiln.port} https://127\\.0\\.0\\.1:${kiln.port}\\n$`));
    assert.equal(await overGrpc(kiln.port), 0);
    assert.equal(await overHttp1(kiln.port, `/cas/${hello.hash}`, {}, 'hello'), '200');
    const opened = session(t, kiln.port);
    assert.equal(await overHttp2(opened, `/cas/${hello.hash}`), '200 hello');
    assert.match(await overHttp2(opened, '/status'), /^200 .*"ok"/);
    assert.match(await overHttp2(opened, '/metrics'), /\nkiln_tls_handshakes_total\{outcome="ok"\} 3\n/);
    kiln.kill('SIGTERM');
    assert.equal((await kiln.ended).status, 143, 'connections with TLS are drained as well');
  });

  it('tells clients without TLS to use it, in their protocol', async (t) => {
    const kiln = await serve(t, await directoryWithTls(t), tls);
    const { status, text } = await fetchHttp(kiln.port, '/status');
    assert.deepEqual([status, text], [400, 'this port speaks TLS: use https:// for HTTP and grpcs:// for gRPC\n']);
    const plain = connectHttp2(`http://127.0.0.1:${kiln.port}`);
    plain.on('error', () => {});
    const [code, , why] = (await once(plain, 'goaway')) as [number, number, Buffer];
    assert.deepEqual([code, String(why)], [0xc, 'this port speaks TLS: use https:// for HTTP and grpcs:// for gRPC']);
    plain.destroy();
    using caller = new GrpcJsClient(`127.0.0.1:${kiln.port}`);
    await assert.rejects(caller.unary(ContentAddressableStorage.method.findMissingBlobs, {}), { code: 14 });
  });

  it('K6-01: takes a message of 5 MiB on an address for 16 MiB, and refuses it on one for 4 MiB', async (t) => {
    const kiln = await serve(t, await directoryWithTls(t), `${tls}listen:\n  - {address: "127.0.0.1:0", message-size: 4MiB}\n  - {address: "127.0.0.1:0", message-size: 16MiB, tls: false}\n`);
    const [, small, large] = /listens on {2}127\.0\.0\.1:(\d+) \(TLS\), 127\.0\.0\.1:(\d+)\n/.exec(kiln.out()) ?? [];
    const digest = { hash: hello.hash, sizeBytes: 5n };
    const request = { blobDigests: Array.from({ length: 75_000 }, () => digest) };
    using limited = new GrpcJsClient(`127.0.0.1:${small}`, asLocalhost, grpc.credentials.createSsl(Buffer.from(authority.certificate)));
    await assert.rejects(limited.unary(ContentAddressableStorage.method.findMissingBlobs, request), { code: 8, details: /message of 5\d{6} bytes, and the limit of this server is 4194304 bytes/ });
    using free = new GrpcJsClient(`127.0.0.1:${large}`);
    assert.equal((await free.unary(ContentAddressableStorage.method.findMissingBlobs, request)).message.missingBlobDigests.length, 1);
  });

  it('knows callers by their certificates over every protocol, and lets a header go before', async (t) => {
    const directory = await directoryWithTls(t);
    const grants = (right: string) => `grants: [{instances: ["*"], rights: [read${right}]}]`;
    const kiln = await serve(t, directory, `${tlsWithClients}rights:\n  identities:\n    - {name: ci, certificates: ["cn:ci"], ${grants(', write')}}\n    - {name: reader, tokens: ["${hashOfToken('kiln_reader')}"], ${grants('')}}\n`);
    const path = `/cas/${hello.hash}`;
    assert.equal(await overGrpc(kiln.port, { client: ci }), 0);
    assert.equal(await overHttp1(kiln.port, path, { client: ci }, 'hello'), '200');
    const known = session(t, kiln.port, { client: ci });
    assert.equal(await overHttp2(known, path, {}, 'hello'), '200');
    // Without a certificate, or with that of somebody else.
    assert.equal(await overGrpc(kiln.port), 16);
    assert.match(await overHttp1(kiln.port, path), /^401 /);
    assert.match(await overHttp2(session(t, kiln.port), path), /^401 /);
    assert.equal(await overGrpc(kiln.port, { client: clientOf('eve') }), 16);
    assert.match(await overHttp1(kiln.port, path, { client: clientOf('eve') }), /^401 the client certificate of "CN=eve,O=Example" belongs to no identity of this server/);
    // A header says who calls, whatever the certificate: with fewer rights here, and refused if it is wrong.
    const reader = 'Bearer kiln_reader';
    assert.equal(await overHttp2(known, path, { authorization: reader }), '200 hello');
    assert.match(await overHttp2(known, path, { authorization: reader }, 'hello'), /^403 "reader" may not write/);
    assert.match(await overHttp2(known, path, { authorization: 'Bearer kiln_wrong' }), /^401 /);
    assert.equal(await overGrpc(kiln.port, { client: ci, authorization: 'Bearer kiln_wrong' }), 16);
    assert.equal(await overGrpc(kiln.port, { authorization: reader }), 0);
    // An authority that nobody believes here.
    assert.match(await overHttp1(kiln.port, path, { client: makeCertificate({ issuer: authority, subject: [['CN', 'ci']] }) }), /^400 the client certificate is not accepted: its authority is not believed here/);
    // Who the certificate stands for ends with a reload, on the open connection as well.
    await directory.write('kiln.yaml', `data: data\nlisten: [127.0.0.1:0]\n${tlsWithClients}rights:\n  identities:\n    - {name: reader, tokens: ["${hashOfToken('kiln_reader')}"], ${grants('')}}\n`);
    await reloaded(kiln);
    assert.match(await overHttp2(known, path), /^401 /);
  });

  it('lets in nobody without a certificate where one is required', async (t) => {
    const kiln = await serve(t, await directoryWithTls(t), `${tlsWithClients.replace('optional', 'required')}allow-anonymous: read\n`);
    assert.match(await overHttp1(kiln.port, '/status'), /^400 this server asks its clients for a certificate, and there is none/);
    assert.equal(await overGrpc(kiln.port), 14);
    assert.match(await overHttp1(kiln.port, '/status', { client: clientOf('anybody') }), /^200 /);
    assert.equal(await overGrpc(kiln.port, { client: clientOf('anybody') }), 0);
  });

  it('K12-03: shows a renewed certificate after SIGHUP, while open connections and calls go on', async (t) => {
    const directory = await directoryWithTls(t);
    const kiln = await serve(t, directory, tls);
    const before = session(t, kiln.port);
    assert.match(await overHttp2(before, '/status'), /^200 /);
    const put = before.request({ ':path': `/cas/${hello.hash}`, ':method': 'PUT', 'content-length': '5' });
    put.write('he');
    const renewed = makeServerCertificate({ notAfter: new Date(Date.now() + 90 * dayMs) });
    await directory.write('cert.pem', renewed.server.certificate);
    await directory.write('key.pem', renewed.server.key);
    const lines = await reloaded(kiln);
    assert.equal(lines.filter(({ message }) => message === 'changed: tls.certificate').length, 1, JSON.stringify(lines));
    assert.match(await overHttp1(kiln.port, '/status', { ca: renewed.authority.certificate }), /^200 /);
    await assert.rejects(overHttp1(kiln.port, '/status'), { code: 'CERT_SIGNATURE_FAILURE' });
    put.end('llo');
    const [headers] = (await once(put, 'response')) as [{ ':status': number }];
    assert.equal(headers[':status'], 200);
    assert.equal(await overHttp2(before, `/cas/${hello.hash}`), '200 hello');
  });

  it('K12-03: keeps what it has when the renewed files do not fit, and says which and why', async (t) => {
    const directory = await directoryWithTls(t);
    const kiln = await serve(t, directory, tls);
    const file = (name: string) => join(directory.path, name);
    const attempts: readonly [string, string, RegExp][] = [
      ['key.pem', makeCertificate().key, /the private key in .*key\.pem does not belong to the certificate in .*cert\.pem \(CN=localhost\)/],
      ['key.pem', '', /key\.pem is empty/],
      ['cert.pem', makeServerCertificate({ key: server.key, notAfter: new Date(Date.now() - 1_000) }).server.certificate, /the certificate in .*cert\.pem \(CN=localhost\) has expired on /],
    ];
    for (const [name, text, problem] of attempts) {
      await directory.write('cert.pem', server.certificate);
      await directory.write('key.pem', server.key);
      await writeFile(file(name), text);
      const lines = await reloaded(kiln);
      assert.match(String(lines[0]?.['message']), /has mistakes and was not reloaded; the server goes on with what it has/);
      assert.match(String(lines[1]?.['message']), problem);
      assert.match(await overHttp1(kiln.port, '/status'), /^200 /);
    }
  });

  it('warns at the start of a certificate that expires soon, and of a key that others can read; the expiry is a metric', async (t) => {
    const notAfter = new Date(Math.floor(Date.now() / 1_000) * 1_000 + 13.5 * dayMs);
    const directory = await directoryWithTls(t, makeServerCertificate({ issuer: authority, notAfter }).server);
    await chmod(join(directory.path, 'key.pem'), 0o644);
    const kiln = await serve(t, directory, tls);
    const warnings = kiln.errors().trim().split('\n').map((line) => JSON.parse(line) as Record<string, unknown>).filter(({ level }) => level === 'warn');
    assert.deepEqual(warnings.map(({ message, fix }) => [message, fix]), [
      [`the certificate in ${directory.path}/cert.pem expires in 13 days, on ${opensslDate(notAfter)}`, 'renew it, and send SIGHUP ("systemctl reload kiln")'],
      [`the private key in ${directory.path}/key.pem can be read by every user of this machine`, `take that right away: chmod o-rwx ${directory.path}/key.pem`],
    ]);
    assert.match(await overHttp1(kiln.port, '/metrics'), new RegExp(`\nkiln_tls_certificate_expiry_timestamp_seconds ${notAfter.getTime() / 1_000}\n`));
    const checked = await runKiln(['config', 'check', '--config', join(directory.path, 'kiln.yaml')]);
    assert.equal(checked.status, 0);
    assert.match(checked.errors, /^kiln: warning: the certificate in .* expires in 13 days, .*\n {2}renew it.*\nkiln: warning: the private key in .*\n {2}take that right away: chmod o-rwx .*\n$/);
  });

  it('warns of a certificate that no address shows', async (t) => {
    const directory = await directoryWithTls(t);
    const kiln = await serve(t, directory, `${tls}listen: [{address: "127.0.0.1:0", tls: false}, "unix:kiln.sock"]\n`);
    const text = `no address speaks TLS although there is a certificate, ${directory.path}/cert.pem: each of listen is a unix socket or says tls: false`;
    const fix = 'take tls: false out where clients should come by TLS, or take tls.certificate and tls.key out';
    const lines = kiln.errors().trim().split('\n').map((line) => JSON.parse(line) as Record<string, unknown>);
    assert.deepEqual(lines.filter(({ level }) => level === 'warn').map((line) => [line['message'], line['fix']]), [[text, fix]]);
    const checked = await runKiln(['config', 'check', '--config', join(directory.path, 'kiln.yaml')]);
    assert.deepEqual([checked.status, checked.errors], [0, `kiln: warning: ${text}\n  ${fix}\n`]);
  });

  it('does not start with a certificate that no client would take, and "config check" says the same', async (t) => {
    const expired = makeServerCertificate({ notAfter: new Date(Date.now() - dayMs) }).server;
    const early = makeServerCertificate({ notBefore: new Date(Date.now() + dayMs) }).server;
    const mixed = { ...server, key: makeCertificate().key };
    for (const [shown, text] of [[expired, /^kiln: the certificate in .*cert\.pem \(CN=localhost\) has expired on .*\n {2}renew it; no client would take this one\n$/], [early, /is not valid before .*\n {2}wait, or set the clock right\n$/], [mixed, /^kiln: .*kiln\.yaml:2:30: the private key in .*key\.pem does not belong to the certificate in .*\n {2}name the key/]] as const) {
      const directory = await directoryWithTls(t, shown);
      await directory.write('kiln.yaml', `data: data\n${tls}listen: [127.0.0.1:0]\n`);
      for (const command of [['serve'], ['config', 'check']]) {
        const { status, errors } = await runKiln([...command, '--config', join(directory.path, 'kiln.yaml')]);
        assert.equal(status, 2, errors);
        assert.match(errors, text);
      }
    }
  });

  it('goes on after clients that leave or fall silent at any point of the handshake', async (t) => {
    const kiln = await serve(t, await directoryWithTls(t), `${tls}limits: {tls-handshakes: 4, tls-handshake-timeout: 300ms, first-bytes-timeout: 300ms}\n`);
    const silent = Array.from({ length: 12 }, (_, index) => {
      const socket = connectPlain(kiln.port, '127.0.0.1');
      socket.on('error', () => {});
      socket.write(Buffer.from([0x16, 0x03, 0x01, 0x02, 0x00].slice(0, index % 6)));
      return new Promise((resolve) => socket.resume().on('close', resolve));
    });
    for (let count = 0; count < 8; count += 1) {
      const socket = connect({ host: '127.0.0.1', port: kiln.port, ca: authority.certificate });
      socket.on('error', () => {});
      await once(socket, 'connect');
      socket.destroy();
    }
    await Promise.all(silent);
    assert.match(await overHttp1(kiln.port, '/metrics'), /\nkiln_tls_handshakes_in_progress 0\n/);
  });
});

/** `Nov 21 15:55:08 2027 GMT` */
function opensslDate(date: Date): string {
  const [, day = '', month = '', year = '', time = ''] = /^\w+, (\d+) (\w+) (\d+) ([\d:]+)/.exec(date.toUTCString()) ?? [];
  return `${month} ${String(Number(day)).padStart(2)} ${time} ${year} GMT`;
}

describe('kiln status', () => {
  it('asks servers with TLS, and says what is wrong with the trust', async (t) => {
    const directory = await directoryWithTls(t);
    await directory.write('ca.pem', authority.certificate);
    await directory.write('ci.pem', ci.certificate);
    await directory.write('ci.key', ci.key);
    const file = (name: string) => join(directory.path, name);
    const kiln = await serve(t, directory, `${tlsWithClients.replace('optional', 'required')}rights: {identities: [{name: ci, certificates: ["cn:ci"], grants: [{instances: ["*"], rights: [read]}]}]}\n`);
    const trust = ['--ca-file', file('ca.pem')];
    const { status, out, errors } = await runKiln(['status', kiln.ready.http, ...trust, '--certificate-file', file('ci.pem'), '--key-file', file('ci.key')]);
    assert.equal(status, 0, errors);
    assert.match(out, new RegExp(`^kiln .* at ${kiln.ready.http} is up\n {2}rights {2}you may read\n {2}gRPC {4}gets through\n`));
    const refusals: readonly [readonly string[], RegExp][] = [
      [[kiln.ready.http, ...trust], /^kiln: this server asks its clients for a certificate, and there is none/],
      [[kiln.ready.http], /^kiln: cannot connect to 127\.0\.0\.1:\d+: its certificate is signed by nobody who is trusted here; name the certificate of the authority that signed it .*\n {2}--ca-file says whom to trust; --certificate-file and --key-file, what to show/],
      [[kiln.ready.http, ...trust, '--certificate-file', file('ci.pem')], /^kiln: a client certificate needs its key/],
      [[kiln.ready.http, ...trust, '--certificate-file', file('ci.pem'), '--key-file', file('key.pem')], /^kiln: the certificate of this client, its key or the authorities cannot be used for TLS/],
      [[kiln.ready.grpc], /^kiln: grpcs:\/\/ URLs are for build tools\n {2}the same port takes https:\/\//],
      [[kiln.ready.http.replace('https', 'http')], /^kiln: this port speaks TLS: use https:\/\//],
    ];
    for (const [args, text] of refusals) {
      const refused = await runKiln(['status', ...args]);
      assert.notEqual(refused.status, 0);
      assert.match(refused.errors, text);
    }
    const plain = await serveKiln(t, ['--listen', '127.0.0.1:0', '--data', file('plain')]);
    assert.match((await runKiln(['status', plain.ready.http.replace('http', 'https')])).errors, /^kiln: cannot connect to 127\.0\.0\.1:\d+: (?:it|what answers there) does not speak TLS.*\n {2}.*; one without TLS is asked at http:\/\//);
  });
});
