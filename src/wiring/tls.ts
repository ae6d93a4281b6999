// TLS of a server: made from the options, replaced by a reload, and watched so that nobody is surprised by a certificate
// that has expired.
import { CacheError } from '../base/cache-error.ts';
import type { Timers, WallClock } from '../base/clock.ts';
import type { Log } from '../base/log.ts';
import type { Meter } from '../base/metrics.ts';
import type { TlsOptions } from '../config/serve-options.ts';
import { insecureRefusal } from '../h2/preface-refusal.ts';
import type { HandshakeLimits } from '../platform/handshake-line.ts';
import type { ListenerTls } from '../platform/listener.ts';
import { fileAccess } from '../platform/small-file.ts';
import { TlsTerminator, requireUsable } from '../platform/tls-terminator.ts';
import type { HandshakeFailure, TlsSettings } from '../platform/tls-terminator.ts';
import { repeat } from './repeat.ts';

const dayMs = 86_400_000;

/** Certificates of 90 days are renewed after 60; who renews later than this has probably forgotten it. */
const expiryWarningMs = 14 * dayMs;

/** A clock that is a little behind, as of a machine that has just started, is no reason to refuse a new certificate. */
const clockToleranceMs = 300_000;

/** Disposing it ends the watch for the expiry. */
export interface OpenTls extends Disposable {
  readonly listener: ListenerTls;
  /**
   * Looks whether other options can be taken, and gives what takes them, without fail.
   * @throws CacheError as `checkTls`; of a certificate that it has already, it does not matter that it has expired.
   */
  prepare(options: TlsOptions): Promise<() => void>;
  /** For handshakes from now on. */
  limit(limits: HandshakeLimits): void;
  /** Adds what there is to count. */
  meter(meter: Meter): void;
}

/** Something that works and should not stay as it is. */
export interface TlsWarning {
  readonly problem: string;
  readonly advice: string;
}

/** A certificate that no address shows is no mistake, as behind a proxy; but who has it configured mostly wants it shown. */
export function unusedWarnings({ certificateFile }: Pick<TlsOptions, 'certificateFile'>, addresses: readonly { readonly tls: boolean }[]): readonly TlsWarning[] {
  if (addresses.some(({ tls }) => tls)) return [];
  const problem = `no address speaks TLS although there is a certificate, ${certificateFile}: each of listen is a unix socket or says tls: false`;
  return [{ problem, advice: 'take tls: false out where clients should come by TLS, or take tls.certificate and tls.key out' }];
}

export interface TlsPorts {
  readonly log: Log;
  readonly wallClock: WallClock;
  readonly timers: Timers;
}

/** @throws CacheError as `checkTls`. */
export async function openTls(options: TlsOptions, limits: HandshakeLimits, { log, wallClock, timers }: TlsPorts): Promise<OpenTls> {
  let current = options;
  let currentLimits = limits;
  const warnings = await checkTls(options, wallClock);
  warnOf(warnings, log);
  const terminator = new TlsTerminator(settingsOf(options), limits, log);
  const daily = repeat(dayMs, () => {
    warnOf(expiryWarnings(current, wallClock), log);
  }, timers);
  return {
    listener: { terminator, refusals },
    async prepare(next) {
      // The one that clients see already keeps nothing else from being reloaded, such as a token that was revoked.
      const isKnown = next.material.fingerprint === current.material.fingerprint;
      const found = isKnown ? await checkBesideTime(next, wallClock) : await checkTls(next, wallClock);
      return () => {
        terminator.replace(settingsOf(next));
        current = next;
        warnOf(found, log);
      };
    },
    limit(next) {
      currentLimits = next;
      terminator.limit(next);
    },
    meter: (meter) => meterTls(terminator, () => current, { meter, limits: () => currentLimits }),
    [Symbol.dispose]: () => daily[Symbol.dispose](),
  };
}

/**
 * What is right by itself and wrong at this moment or on this machine.
 * @throws CacheError `invalid_argument` for a certificate that no client would take, or that OpenSSL does not.
 */
export async function checkTls(options: TlsOptions, wallClock: WallClock): Promise<readonly TlsWarning[]> {
  const { certificateFile, material } = options;
  const nowMs = wallClock.nowMs();
  if (material.notAfterMs <= nowMs) throw wrong(`the certificate in ${certificateFile} (${material.subject}) has expired on ${material.validTo}`, 'renew it; no client would take this one');
  if (material.notBeforeMs > nowMs + clockToleranceMs) {
    throw wrong(`the certificate in ${certificateFile} (${material.subject}) is not valid before ${material.validFrom}, by the clock of this machine`, 'wait, or set the clock right');
  }
  return checkBesideTime(options, wallClock);
}

async function checkBesideTime(options: TlsOptions, wallClock: WallClock): Promise<readonly TlsWarning[]> {
  const { certificateFile, keyFile, material } = options;
  try {
    requireUsable(settingsOf(options));
  } catch (thrown) {
    const { code, message } = CacheError.from(thrown);
    const [problem = '', ...advice] = message.split('\n');
    throw new CacheError(code, [`${problem}: ${certificateFile}, ${keyFile}`, ...advice].join('\n'), { cause: thrown });
  }
  const warnings = [...expiryWarnings(options, wallClock)];
  if (!material.namesHosts) {
    warnings.push({ problem: `the certificate in ${certificateFile} (${material.subject}) has no subjectAltName with a host; clients do not go by its subject, and will refuse it`, advice: 'make a new one with the names and addresses by which clients call the server, as in subjectAltName=DNS:cache.example,IP:192.0.2.1' });
  }
  const access = await fileAccess(keyFile);
  if (access?.othersMayRead === true) {
    warnings.push({ problem: `the private key in ${keyFile} can be read by every user of this machine`, advice: `take that right away: chmod o-rwx ${keyFile}` });
  }
  return warnings;
}

/** Of the server's certificate, and of those that vouch for clients: without them, no client is let in any more. */
function expiryWarnings({ certificateFile, clientCaFile, material }: TlsOptions, wallClock: WallClock): readonly TlsWarning[] {
  const nowMs = wallClock.nowMs();
  const authorities = material.authorities.map(({ subject, ...validity }) => ({ what: `the authority of clients ${subject} in ${clientCaFile}`, ...validity }));
  return [{ what: `the certificate in ${certificateFile}`, ...material }, ...authorities].flatMap(({ what, notAfterMs, validTo }) => {
    const when = expiryText(notAfterMs - nowMs);
    return when === undefined ? [] : [{ problem: `${what} ${when}, on ${validTo}`, advice: 'renew it, and send SIGHUP ("systemctl reload kiln")' }];
  });
}

/** Undefined while there is no hurry. */
function expiryText(leftMs: number): string | undefined {
  if (leftMs > expiryWarningMs) return undefined;
  const days = Math.floor(leftMs / dayMs);
  return leftMs <= 0 ? 'has expired' : `expires in ${days === 0 ? 'less than a day' : days === 1 ? '1 day' : `${days} days`}`;
}

export function warnOf(warnings: readonly TlsWarning[], log: Log): void {
  for (const { problem, advice } of warnings) log.warn(problem, { fix: advice });
}

function wrong(problem: string, advice: string): CacheError {
  return new CacheError('invalid_argument', `${problem}\n${advice}`);
}

function settingsOf({ material, clientCertificates, minVersion }: TlsOptions): TlsSettings {
  const { certificateChain, key, clientAuthorities } = material;
  return { certificateChain, key, clientAuthorities, clientCertificates, minVersion };
}

const refusals: ListenerTls['refusals'] = {
  http1: (text) => Buffer.from(`HTTP/1.1 400 Bad Request\r\ncontent-type: text/plain; charset=utf-8\r\nconnection: close\r\ncontent-length: ${Buffer.byteLength(text) + 1}\r\n\r\n${text}\n`),
  http2: insecureRefusal,
};

function meterTls(terminator: TlsTerminator, current: () => TlsOptions, { meter, limits }: { readonly meter: Meter; readonly limits: () => HandshakeLimits }): void {
  const handshakes = { name: 'kiln_tls_handshakes_total', help: 'TLS handshakes that have ended, by outcome: ok, or why not.' } as const;
  meter.observedCounter(handshakes, () => terminator.counts.done, { outcome: 'ok' });
  for (const failure of Object.keys(terminator.counts.failed) as HandshakeFailure[]) meter.observedCounter(handshakes, () => terminator.counts.failed[failure], { outcome: failure });
  meter.gauge({ name: 'kiln_tls_handshakes_in_progress', help: 'TLS handshakes under way, and in line.' }, () => terminator.handshakes);
  meter.gauge({ name: 'kiln_tls_handshakes_in_progress_max', help: 'The bound of handshakes under way (limits.tls-handshakes).' }, () => limits().handshakesMax);
  meter.gauge({ name: 'kiln_tls_certificate_expiry_timestamp_seconds', help: 'When the certificate of the server expires, in seconds since the Unix epoch.' }, () => current().material.notAfterMs / 1_000);
}
