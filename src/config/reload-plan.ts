// What a new configuration changes in a server that runs: what can be applied at once, and what waits for a restart.
// Pure: nothing is applied here.
import { isDeepStrictEqual } from 'node:util';
import type { Key } from './key.ts';
import type { Configuration } from './read-configuration.ts';
import type { LimitOptions, ServeOptions, TlsOptions } from './serve-options.ts';
import { serveKeys } from './serve-schema.ts';
import { TreeBuilder, valueAt } from './source.ts';

export interface KeyChange {
  /** As in `log.level`. */
  readonly name: string;
  /** As it was written, or what the default is in words. Of secrets, neither is told. */
  readonly from: string;
  readonly to: string;
  /** False: it takes a restart. */
  readonly applied: boolean;
}

export interface ReloadPlan {
  /** In the order of the schema; empty when nothing has changed. */
  readonly changes: readonly KeyChange[];
  /** What the server runs with afterwards, and what the next plan is made from. */
  readonly configuration: Configuration;
}

export function planReload(running: Configuration, next: Configuration): ReloadPlan {
  const changed = serveKeys.filter((key) => !isDeepStrictEqual(valueAt(running.given, key.path), valueAt(next.given, key.path)));
  const changes = changed.map((key) => ({
    name: key.name,
    from: shown(key, valueAt(running.given, key.path)),
    to: shown(key, valueAt(next.given, key.path)),
    applied: applies(key, running, next),
  }));
  return { changes: [...changes, ...tokensFileChange(running, next), ...certificateChange(running, next)], configuration: combined(running, next) };
}

function applies(key: Key, running: Configuration, next: Configuration): boolean {
  if (key.reload !== true) return false;
  // Which addresses speak TLS at all was decided when they were opened.
  if (key.path[0] === 'tls') return running.options.tls !== undefined && next.options.tls !== undefined;
  // Its default is to trust everybody on loopback, and whether this server is on loopback is not for the new
  // configuration to say: its addresses may have changed there, but not here.
  return key.name !== 'allow-anonymous' || next.options.allowAnonymous !== undefined || hasCredentials(next.options);
}

function hasCredentials({ rights }: ServeOptions): boolean {
  return rights.identities.length > 0 || rights.tokensFile !== undefined || rights.htpasswdFile !== undefined;
}

/** What of `next` applies, and everything else as it runs. That each key stands on its side is tested key by key. */
function combined(running: Configuration, next: Configuration): Configuration {
  const applied = new Set(serveKeys.filter((key) => applies(key, running, next)).map(({ name }) => name));
  const given = new TreeBuilder();
  for (const { name, path } of serveKeys) {
    const value = valueAt((applied.has(name) ? next : running).given, path);
    if (value !== undefined) given.set(path, value);
  }
  const [before, after] = [running.options, next.options];
  return {
    file: next.file,
    given: given.tree,
    originOf: (name) => (applied.has(name) ? next : running).originOf(name),
    options: {
      ...before,
      allowAnonymous: applied.has('allow-anonymous') ? after.allowAnonymous : before.allowAnonymous,
      rights: after.rights,
      tls: before.tls === undefined || after.tls === undefined ? before.tls : after.tls,
      drain: after.drain,
      log: { ...before.log, level: after.log.level },
      limits: reloadedLimits(before.limits, after.limits),
    },
  };
}

/** Bounds of connections are those of `after`; what the stores were opened with, and what clients were told, stays. */
function reloadedLimits(before: LimitOptions, after: LimitOptions): LimitOptions {
  const { messageBytesMax, batchBytesMax, blobBytesMax, valueBytesMax, hotBytesMax, bufferedBytesMax, heldBodyBytesMax, openReadsMax, openWritesMax } = before;
  return { ...after, messageBytesMax, batchBytesMax, blobBytesMax, valueBytesMax, hotBytesMax, bufferedBytesMax, heldBodyBytesMax, openReadsMax, openWritesMax };
}

/** The tokens file may say something else than before although its name is the same. */
function tokensFileChange(running: Configuration, next: Configuration): KeyChange[] {
  const [before, after] = [identitiesOfTokensFile(running), identitiesOfTokensFile(next)];
  if (running.options.rights.tokensFile !== next.options.rights.tokensFile || isDeepStrictEqual(before, after)) return [];
  return [{ name: 'rights.tokens-file', from: identities(before.length), to: identities(after.length), applied: true }];
}

/** A renewed certificate is in the file that the old one was in. */
function certificateChange(running: Configuration, next: Configuration): KeyChange[] {
  const [before, after] = [running.options.tls, next.options.tls];
  if (before === undefined || after === undefined || before.certificateFile !== after.certificateFile || before.material.fingerprint === after.material.fingerprint) return [];
  const validity = ({ material }: TlsOptions) => `valid until ${material.validTo}`;
  return [{ name: 'tls.certificate', from: validity(before), to: validity(after), applied: true }];
}

function identitiesOfTokensFile({ given, options }: Configuration): ServeOptions['rights']['identities'] {
  const own = valueAt(given, ['rights', 'identities']);
  return options.rights.identities.slice(Array.isArray(own) ? own.length : 0);
}

function shown(key: Key, value: unknown): string {
  if (value === undefined) return 'text' in key.default ? key.default.text : key.default.derived;
  if (key.secret === true) return 'hidden';
  if (key.shape === 'nested') return identities(Array.isArray(value) ? value.length : 0);
  return Array.isArray(value) ? value.map(listed).join(', ') : typeof value === 'string' ? value : '';
}

/** A value of a list: a text, or a structure of texts. */
function listed(value: unknown): string {
  if (typeof value !== 'object' || value === null) return String(value);
  return `{${Object.entries(value).map(([name, text]) => `${name}: ${String(text)}`).join(', ')}}`;
}

function identities(count: number): string {
  return count === 1 ? '1 identity' : `${count} identities`;
}
