// What is wrong only together: each value is fine by itself. Checked once everything else is all right.
import type { ListenAddress } from '../base/listen-address.ts';
import { formatListenAddress } from '../base/listen-address.ts';
import type { Rule } from './rule.ts';
import type { IdentityOptions } from './serve-options.ts';
import type { ServeValues } from './serve-schema.ts';
import { formatOrigin } from './source.ts';
import type { Mistake, Origin } from './source.ts';
import { tlsRules } from './tls-contradictions.ts';

const rules: readonly Rule[] = [
  {
    keys: ['limits.batch-size', 'limits.message-size'],
    wrong: ({ limits }) =>
      limits['batch-size'] + batchFramingBytes > limits['message-size']
        ? ['limits.message-size has no room for a batch of limits.batch-size', 'let limits.message-size be at least 64KiB larger than limits.batch-size']
        : undefined,
  },
  {
    keys: ['limits.buffered-bytes', 'limits.message-size'],
    wrong: ({ limits, listen }) => {
      const messageBytes = Math.max(limits['message-size'], ...listen.map((address) => address['message-size'] ?? 0));
      return (limits['buffered-bytes'] ?? Infinity) < 4 * messageBytes
        ? ['limits.buffered-bytes has no room for four messages of the largest message-size', 'raise it, or lower message-size']
        : undefined;
    },
  },
  {
    keys: ['limits.http2.connection-window', 'limits.http2.stream-window'],
    wrong: ({ limits: { http2 } }) =>
      http2['stream-window'] > http2['connection-window']
        ? ['limits.http2.stream-window is larger than limits.http2.connection-window, so that one upload could never fill it', 'raise limits.http2.connection-window, or lower limits.http2.stream-window']
        : undefined,
  },
  {
    keys: ['drain.listener-timeout', 'drain.timeout'],
    wrong: ({ drain }) =>
      (drain['listener-timeout'] ?? 0) > drain.timeout ? ['drain.listener-timeout is longer than drain.timeout, which ends all listeners', 'make it shorter, or drain.timeout longer'] : undefined,
  },
  {
    keys: ['limits.blob-size', 'max-size'],
    wrong: (values) =>
      (values.limits['blob-size'] ?? 0) > (values['max-size'] ?? Infinity) ? ['limits.blob-size is larger than max-size, so such a blob can never be stored', 'lower limits.blob-size, or raise max-size'] : undefined,
  },
  {
    keys: ['diagnostics.profile-duration', 'diagnostics.profile-interval'],
    wrong: ({ diagnostics }) =>
      diagnostics['profile-duration'] >= diagnostics['profile-interval']
        ? ['diagnostics.profile-duration is not shorter than diagnostics.profile-interval', 'a profile must end before the next may begin; make the interval longer']
        : undefined,
  },
  {
    keys: ['allow-anonymous', 'allow-anonymous'],
    wrong: (values) =>
      values['allow-anonymous'] === 'none' && !hasIdentities(values)
        ? ['nobody may do anything: allow-anonymous is none, and there are no identities', 'add identities under rights ("kiln token create" makes a token), or allow-anonymous: read']
        : undefined,
  },
  {
    // Whoever writes it means that nobody has rights by name, and without this rule it would mean that everybody has all.
    keys: ['rights.identities', 'rights.identities'],
    wrong: ({ rights }, isGiven) =>
      isGiven('rights.identities') && rights.identities.length === 0 && rights['tokens-file'] === undefined && rights['htpasswd-file'] !== undefined
        ? ['rights.identities is empty, and without identities every user of rights.htpasswd-file may read and write everywhere', 'leave rights.identities out if that is what you want; otherwise name who may do something, each with grants']
        : undefined,
  },
  {
    keys: ['listen', 'listen'],
    wrong: (values) => {
      const open = values['allow-anonymous'] === undefined && !hasIdentities(values) ? values.listen.map(({ address }) => address).find(isOpen) : undefined;
      return open === undefined
        ? undefined
        : [
            `${formatListenAddress(open)} can be reached from other machines, and nobody has said what they may do`,
            'give out tokens (kiln token create --file tokens.yaml, and --rights-tokens-file tokens.yaml here), or let everyone in by --allow-anonymous read (download) or --allow-anonymous write (upload as well), or listen on 127.0.0.1',
          ];
    },
  },
  {
    keys: ['listen', 'listen'],
    wrong: ({ listen }) => {
      const texts = listen.map(({ address }) => address).filter((address) => address.kind === 'unix' || address.port !== 0).map(formatListenAddress);
      const twice = texts.find((text, index) => texts.indexOf(text) !== index);
      return twice === undefined ? undefined : [`${twice} is given twice`, 'give each address once'];
    },
  },
  {
    keys: ['listen', 'limits.batch-size'],
    wrong: ({ listen, limits }) => {
      const small = listen.find((entry) => (entry['message-size'] ?? Infinity) < limits['batch-size'] + batchFramingBytes);
      return small === undefined ? undefined : [`the message-size of ${formatListenAddress(small.address)} has no room for a batch of limits.batch-size`, 'let it be at least 64KiB larger than limits.batch-size'];
    },
  },
  ...tlsRules,
];

/** Each blob of a batch adds digest and framing; this is room for some hundred of them. */
const batchFramingBytes = 64 * 1024;

function hasIdentities({ rights }: ServeValues): boolean {
  return rights.identities.length > 0 || rights['tokens-file'] !== undefined || rights['htpasswd-file'] !== undefined;
}

/** What can be told without asking for the addresses of names; whoever listens asks, and checks again. */
function isOpen(address: ListenAddress): boolean {
  if (address.kind === 'unix') return false;
  const { host } = address;
  if (host.includes(':')) return !/^(?:::1|0:0:0:0:0:0:0:1|::ffff:127\..*)$/i.test(host);
  return /^\d+\.\d+\.\d+\.\d+$/.test(host) && !host.startsWith('127.');
}

/** Digits of a token's hash that a text shows; enough to find it in a file. */
const shownHashChars = 'sha256:'.length + 8;

/**
 * Tokens that stand for two callers at once; entries of one name are one.
 * @param identities of the configuration and of the tokens file. @param origin of the latter, or else of the former.
 */
export function sharedTokens(identities: readonly IdentityOptions[], origin: Origin): Mistake[] {
  const owners = new Map<string, string>();
  return identities.flatMap(({ name, tokens }) =>
    tokens.flatMap((token) => {
      const owner = owners.get(token) ?? name;
      owners.set(token, owner);
      if (owner === name) return [];
      const problem = `${formatOrigin(origin)}: token ${token.slice(0, shownHashChars)}... belongs to both ${JSON.stringify(owner)} and ${JSON.stringify(name)}`;
      return [{ origin, problem, advice: 'make one for each with "kiln token create"' }];
    }),
  );
}

/**
 * Identities that may overwrite and not write, which allows nothing; entries of one name are one, and their grants add up.
 * @param identities and `origin` as for `sharedTokens`.
 */
export function overwritesWithoutWrite(identities: readonly IdentityOptions[], origin: Origin): Mistake[] {
  return [...Map.groupBy(identities, ({ name }) => name)].flatMap(([name, entries]) => {
    const rights = new Set(entries.flatMap(({ grants }) => grants.flatMap((grant) => grant.rights)));
    if (!rights.has('overwrite') || rights.has('write')) return [];
    return [{ origin, problem: `${formatOrigin(origin)}: ${JSON.stringify(name)} may overwrite and not write, so it can store nothing`, advice: 'none includes the other: rights: [write, overwrite]' }];
  });
}

/** @param originOf where the key of that name got its value. */
export function contradictions(values: ServeValues, originOf: (name: string) => Origin): Mistake[] {
  return rules.flatMap(({ keys, wrong }) => {
    const found = wrong(values, (name) => originOf(name).kind !== 'default');
    if (found === undefined) return [];
    const origin = keys.map(originOf).find(({ kind }) => kind !== 'default') ?? originOf(keys[0]);
    return [{ origin, problem: `${formatOrigin(origin)}: ${found[0]}`, advice: found[1] }];
  });
}
