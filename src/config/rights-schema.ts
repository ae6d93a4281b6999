// Who may do what, as it is written in the configuration.
import * as z from 'zod/mini';
import { CacheError } from '../base/cache-error.ts';
import { group, nestedKey, optionalKey } from './key.ts';
import { line, oneOf, path, textType } from './value-type.ts';

const tokenHash = textType('sha256:HEX', { type: 'string', pattern: '^sha256:[0-9a-f]{64}$' }, (text) => {
  if (/^sha256:[0-9a-f]{64}$/.test(text)) return text;
  // Whatever it is, it may be a token: the text of the error must not contain it.
  const problem = text.startsWith('sha256:') ? 'is not "sha256:" and 64 hexadecimal digits in lower case' : 'is no hash; a token itself does not belong here';
  throw new CacheError('invalid_argument', `the text given ${problem}`);
});

const identityName = line('NAME', /^[^\s:,"\p{Cc}]{1,128}$/u, 'is not a name: 1 to 128 characters without spaces, colons, commas and quotes');
const instancePattern = line('PATTERN', /^(?:\*|[^\s*\p{Cc}]*(?:\/\*)?)$/u, 'is not a pattern: write an instance name, a beginning such as team/*, or *');

export const rightWords = ['read', 'write', 'execute', 'admin'] as const;

const grant = z.strictObject({
  instances: z.array(instancePattern.schema).check(z.minLength(1)),
  rights: z.array(oneOf(...rightWords).schema).check(z.minLength(1)),
});

/** Somebody, how they show that they are it, and what they may do. */
export const identitySchema = z.strictObject({
  name: identityName.schema,
  tokens: z.prefault(z.array(tokenHash.schema), []),
  grants: z.prefault(z.array(grant), []),
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
      help: 'Users and bcrypt hashes of their passwords, for HTTP Basic, as "htpasswd -B" writes them. What a user may do is in the grants of the identity of that name.',
      example: '/etc/kiln/htpasswd',
      default: { derived: 'none' },
      reload: true,
    }),
    identities: nestedKey(identitySchema, {
      help: 'Who there is: name, hashes of tokens, and grants, each a list of rights (read, write, execute, admin) in instances that match one of the patterns.',
      example: '{name: ci, tokens: [sha256:...], grants: [{instances: ["*"], rights: [read, write]}]}',
      default: { derived: 'none' },
      reload: true,
      from: 'file',
    }),
  },
);
