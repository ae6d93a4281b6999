// The watch over the certificate of a server: when it speaks up, and what a renewal does to it.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { TlsOptions } from '../config/serve-options.ts';
import { readTlsMaterial } from '../config/tls-files.ts';
import { makeCertificate } from '../testing/certificates.ts';
import { ManualClock } from '../testing/manual-clock.ts';
import { RecordedLog } from '../testing/recorded-log.ts';
import { openTls } from './tls.ts';

const dayMs = 86_400_000;
const startMs = Date.UTC(2026, 5, 1);
const limits = { handshakesMax: 1, handshakeTimeoutMs: 1_000 };

/** Valid from a day before the start on. */
function optionsFor(days: number, clients?: string, dnsNames = ['cache.example']): TlsOptions {
  const { certificate, key } = makeCertificate({ dnsNames, notBefore: new Date(startMs - dayMs), notAfter: new Date(startMs + days * dayMs) });
  const certificateFile = '/tls/cert.pem';
  const keyFile = '/tls/key.pem';
  const clientCa = clients === undefined ? undefined : { path: '/tls/clients.pem', text: clients };
  const read = readTlsMaterial({ certificate: { path: certificateFile, text: certificate }, key: { path: keyFile, text: key }, clientCa });
  assert.ok('material' in read);
  return { certificateFile, keyFile, clientCaFile: clientCa?.path, clientCertificates: clientCa === undefined ? 'off' : 'required', minVersion: '1.2', material: read.material };
}

const daysIn = (log: RecordedLog) => log.lines.map((line) => /^warn the certificate in \/tls\/cert\.pem (.*), on .*"fix":"renew it/.exec(line)?.[1] ?? line);

describe('the certificate of a server', () => {
  it('is warned about once a day from two weeks before its end, and no more once it is renewed', async () => {
    const clock = new ManualClock(startMs);
    const log = new RecordedLog();
    using tls = await openTls(optionsFor(16.5), limits, { log, wallClock: clock, timers: clock });
    clock.advance(2 * dayMs);
    assert.deepEqual(daysIn(log), []);
    clock.advance(15 * dayMs);
    assert.deepEqual(daysIn(log), [...Array.from({ length: 12 }, (_, index) => `expires in ${13 - index} days`), 'expires in 1 day', 'expires in less than a day', 'has expired']);
    log.lines.length = 0;
    const take = await tls.prepare(optionsFor(17 + 90));
    clock.advance(dayMs);
    assert.deepEqual(daysIn(log), ['has expired'], 'it was only looked at');
    take();
    clock.advance(10 * dayMs);
    assert.equal(log.lines.length, 1);
  });

  it('keeps nothing else from being reloaded once it has expired, unlike another one that has', async () => {
    const clock = new ManualClock(startMs);
    const log = new RecordedLog();
    const options = optionsFor(2);
    using tls = await openTls(options, limits, { log, wallClock: clock, timers: clock });
    clock.advance(3 * dayMs);
    log.lines.length = 0;
    (await tls.prepare({ ...options, minVersion: '1.3' }))();
    assert.deepEqual(daysIn(log), ['has expired']);
    await assert.rejects(tls.prepare(optionsFor(2)), { code: 'invalid_argument', message: /has expired on/ });
  });

  it('is warned about as well when it vouches for clients', async () => {
    const clock = new ManualClock(startMs);
    const log = new RecordedLog();
    const ca = makeCertificate({ authority: true, subject: [['CN', 'Clients']], notAfter: new Date(startMs + 10 * dayMs) });
    using _tls = await openTls(optionsFor(90, ca.certificate), limits, { log, wallClock: clock, timers: clock });
    clock.advance(11 * dayMs);
    assert.match(log.lines[0] ?? '', /^warn the authority of clients CN=Clients in \/tls\/clients\.pem expires in 10 days, on Jun 11 00:00:00 2026 GMT .*"fix":"renew it/);
    assert.match(log.lines.at(-1) ?? '', /clients\.pem has expired, on/);
    assert.equal(log.lines.length, 12);
  });

  it('is warned about when no client can find a host in it, since they do not go by its subject', async () => {
    const clock = new ManualClock(startMs);
    const log = new RecordedLog();
    using _tls = await openTls(optionsFor(90, undefined, []), limits, { log, wallClock: clock, timers: clock });
    assert.match(log.lines.join('\n'), /^warn the certificate in \/tls\/cert\.pem \(CN=localhost\) has no subjectAltName with a host; clients do not go by its subject, and will refuse it .*"fix":"make a new one with the names and addresses/);
  });

  it('is not taken by a server before it is valid or after it has expired, but for a clock that is a little late', async () => {
    const log = new RecordedLog();
    for (const [atMs, text] of [[startMs + 2 * dayMs, /has expired on Jun {2}3 00:00:00 2026 GMT\nrenew it; no client would take this one$/], [startMs - 2 * dayMs, /is not valid before May 31 00:00:00 2026 GMT, by the clock of this machine\nwait, or set the clock right$/]] as const) {
      const clock = new ManualClock(atMs);
      await assert.rejects(openTls(optionsFor(2), limits, { log, wallClock: clock, timers: clock }), { code: 'invalid_argument', message: text });
    }
    const late = new ManualClock(startMs - dayMs - 299_000);
    using _tls = await openTls(optionsFor(90), limits, { log, wallClock: late, timers: late });
  });
});
