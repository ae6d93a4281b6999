// Who may do what, as it is written in the configuration.
import * as z from 'zod/mini';
import { CacheError } from '../base/cache-error.ts';
import { parseCertificatePattern } from '../rights/certificate-pattern.ts';
import { parseInstancePattern } from '../rights/instance-pattern.ts';
import { tokenHashForm } from '../rights/token.ts';
import { group, listKey, nestedKey, optionalKey, requiredKey, requiredListKey } from './key.ts';
import { line, oneOf, path, textType } from './value-type.ts';

const tokenHash = textType('HASH', { type: 'string', pattern: tokenHashForm.source }, (text) => {
  if (tokenHashForm.test(text)) return text;
  // Whatever it is, it may be a token: the error must not contain it.
  const problem = text.startsWith('sha256:') ? 'is not "sha256:" and 64 lower-case hexadecimal digits' : 'is no hash; a token itself does not belong into a configuration';
  throw new CacheError('invalid_argument', `what is given (and not shown here) ${problem}`);
});

const identityName = line('NAME', /^[^\s:,"\p{Cc}]{1,128}$/u, 'is not a name: 1 to 128 characters, and no spaces, colons, commas and quotes');

const instancePattern = textType('PATTERN', { type: 'string' }, (text) => {
  parseInstancePattern(text);
  return text;
});

const grant = z.strictObject({
  instances: requiredListKey(instancePattern, {
    help: 'Instances the rights are for: a name ("" is the one without a name), all below a name ("team/*"), or every one ("*").',
    example: '"team/*"',
  }),
  rights: requiredListKey(oneOf('read', 'write', 'overwrite', 'execute', 'admin'), {
    help: 'None includes another: who uploads needs read and write. With write alone the first action result, or value of a tool, under a key stays; overwrite, beside it, puts another in its place. Admin is for profiles and the like.',
    example: 'read',
  }),
});

const certificatePattern = textType('PATTERN', { type: 'string' }, (text) => {
  parseCertificatePattern(text);
  return text;
});

/** Somebody, how they show that they are it, and what they may do. */
export const identitySchema = z.strictObject({
  name: requiredKey(identityName, { help: 'For logs, and the user name of HTTP Basic. Entries of the same name add up.', example: 'ci' }),
  tokens: listKey(tokenHash, {
    help: 'Hashes of bearer tokens, as "kiln token create" prints them.',
    example: 'sha256:HEX',
    default: { derived: 'none' },
    from: 'file',
    secret: true, // what stands there by mistake
  }),
  certificates: listKey(certificatePattern, {
    help: 'Client certificates that stand for it, of those that tls.client-ca believes: "cn:NAME", "subject:CN=NAME,O=...", "dns:NAME", "uri:URI", "email:ADDRESS", or "*" for all.',
    example: 'cn:ci',
    default: { derived: 'none' },
    from: 'file',
  }),
  grants: nestedKey(grant, {
    help: 'What the identity may do, and where.',
    example: '{instances: ["*"], rights: [read, write]}',
    default: { derived: 'none' },
    from: 'file',
  }),
});

export const rightsGroup = group(
  { title: 'Rights', help: 'Who may do what. Tokens are made by "kiln token create" and kept as hashes only.' },
  {
    'tokens-file': optionalKey(path('FILE'), {
      help: 'YAML file with a list of identities, as under rights.identities: what "kiln token create" printed, collected.',
      example: '/etc/kiln/tokens.yaml',
      default: { derived: 'none' },
      reload: true,
    }),
    'htpasswd-file': optionalKey(path('FILE'), {
      help: 'Users and hashes of their passwords, for HTTP Basic, as "htpasswd -B" writes them. A user may do what the identity of that name may. Where there are no identities and no tokens-file, every user may read and write everywhere, and overwrite nowhere; where there are, one without an identity may do what callers without credentials may.',
      example: '/etc/kiln/htpasswd',
      default: { derived: 'none' },
      reload: true,
    }),
    identities: nestedKey(identitySchema, {
      help: 'Who there is: each with name, tokens (hashes) and grants, which are rights (read, write, overwrite, execute, admin) in instances (patterns).',
      example: '{name: ci, tokens: [sha256:HEX], grants: [{instances: ["*"], rights: [read, write]}]}',
      default: { derived: 'none' },
      reload: true,
      from: 'file',
    }),
  },
);
