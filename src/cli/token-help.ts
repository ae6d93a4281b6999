// What `kiln help token` says; apart from the command, which is loaded when it is asked for.
import type { CommandSummary } from './help.ts';

export const tokenSummary: CommandSummary = {
  name: 'token',
  synopsis: 'token create [options]',
  summary: 'makes a token for clients, and the entry by which a server knows it',
  notes: [
    '  --name NAME',
    '      Who the token is for; in logs, and in errors that the client gets. Entries of one name are one identity.',
    '      [default: token- and the first digits of its hash]',
    '  --grant PATTERN=RIGHTS',
    '      What it may do: read, write, overwrite, execute, admin, with commas between them; none includes another. With write the first entry under a key stays; overwrite, beside it, puts another in its place: for CI of the main branch, not for pull requests. PATTERN names instances: one ("main"), all below a name ("team/*"), every one ("*"), or the one without a name (""). May be given several times. [default: *=read,write; nothing more for a name that is in FILE already]',
    '  --file FILE',
    '      Tokens file to add the entry to; made when missing, readable by its owner only. [default: none]',
    '',
    'The token goes to standard output, once: the entry has a hash of it, which is no secret. The rest goes to standard error. A server takes the file by --rights-tokens-file FILE, and reads it again on SIGHUP.',
  ].join('\n'),
};
