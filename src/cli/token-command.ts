// `kiln token create`: makes a bearer token, shows it once, and writes down what the server has to know of it.
import { resolve } from 'node:path';
import type { Right } from '../base/authorizer.ts';
import { CacheError } from '../base/cache-error.ts';
import { nearestName } from '../config/nearest-name.ts';
import type { ProcessStart } from '../platform/process.ts';
import { changePrivateFile } from '../platform/private-file.ts';
import { systemRandom } from '../platform/random.ts';
import { everyRight } from '../rights/identity.ts';
import type { GrantDefinition } from '../rights/identity.ts';
import { parseInstancePattern } from '../rights/instance-pattern.ts';
import { createToken, hashOfToken } from '../rights/token.ts';
import { hasEntryNamed, tokenEntry, withTokenEntry } from '../rights/token-entry.ts';
import { exitStatus } from './terminal.ts';
import type { Terminal } from './terminal.ts';
import { usageError } from './usage-error.ts';

interface TokenOptions {
  readonly name: string | undefined;
  /** As given; may be empty. */
  readonly grants: readonly GrantDefinition[];
  readonly file: string | undefined;
}

/** @throws CacheError `invalid_argument` (usage), `failed_precondition` (the file). */
export async function token({ args, workingDirectory }: ProcessStart, terminal: Terminal): Promise<number> {
  const [action, ...rest] = args;
  if (action !== 'create') throw usageError(action === undefined ? 'kiln token needs an action' : `unknown action ${JSON.stringify(action)}`, 'there is one: kiln token create');
  const options = parseOptions(rest);
  const secret = createToken(systemRandom);
  const hash = hashOfToken(secret);
  const name = options.name ?? `token-${hash.slice('sha256:'.length, 'sha256:'.length + 8)}`;
  const entryIn = (text: string) => {
    // A further token for somebody who is there already must not widen what they may do.
    const isKnown = hasEntryNamed(text, name);
    const usual = isKnown ? [] : [{ instances: ['*'], rights: ['read', 'write'] as const }];
    const rights = new Set(options.grants.flatMap((grant) => grant.rights));
    // What it may already do is in the other entries of its name.
    if (!isKnown && rights.has('overwrite') && !rights.has('write')) throw usageError('--grant: overwrite without write allows nothing', "none includes the other; example: --grant '*=read,write,overwrite'");
    return tokenEntry({ name, tokens: [hash], grants: options.grants.length > 0 ? options.grants : usual });
  };
  // What is in the file and was never seen would be a token that nobody has; what was seen and is nowhere is none at all.
  const show = () => terminal.outForSure(`${secret}\n`);
  let advice: string;
  if (options.file === undefined) {
    const entry = entryIn('');
    await show();
    advice = printed(entry);
  } else {
    advice = await added(resolve(workingDirectory, options.file), entryIn, show);
  }
  terminal.error(`\nThis token is shown only now. ${advice}`);
  return exitStatus.fine;
}

function printed(entry: string): string {
  return `Put this into a tokens file (kiln serve --rights-tokens-file FILE):\n\n${entry}`;
}

async function added(file: string, entryIn: (text: string) => string, show: () => Promise<void>): Promise<string> {
  let entry = '';
  await changePrivateFile(file, (text) => withTokenEntry(text, (entry = entryIn(text)), file), show);
  return `This was added to ${file}:\n\n${entry}\nA server that runs with this file takes it on SIGHUP; others by: kiln serve --rights-tokens-file ${file}\n`;
}

const flags = { '--name': 'ci', '--grant': "'*=read,write'", '--file': 'tokens.yaml' } as const;
type Flag = keyof typeof flags;

function parseOptions(args: readonly string[]): TokenOptions {
  const given: Record<Flag, string[]> = { '--name': [], '--grant': [], '--file': [] };
  for (let index = 0; index < args.length; index += 1) {
    const argument = args[index] ?? '';
    const [, written = argument, joined] = /^(--[^=]+)=(.*)$/s.exec(argument) ?? [];
    const flag = flagNamed(written);
    const text = joined ?? args[(index += 1)];
    if (text === undefined || (joined === undefined && text.startsWith('--'))) throw usageError(`${flag} needs a value`, `example: ${flag} ${flags[flag]}`);
    if (flag !== '--grant' && given[flag].length > 0) throw usageError(`${flag} is given twice`, `give ${flag} once`);
    given[flag].push(text);
  }
  const [name] = given['--name'];
  if (name !== undefined && !/^[^\s:,"\p{Cc}]{1,128}$/u.test(name)) throw usageError(`--name: ${JSON.stringify(name)} is not a name: 1 to 128 characters, and no spaces, colons, commas and quotes`, `example: --name ${flags['--name']}`);
  return { name, grants: given['--grant'].map(parseGrant), file: given['--file'][0] };
}

function flagNamed(text: string): Flag {
  const known = Object.keys(flags) as Flag[];
  const flag = known.find((name) => name === text);
  if (flag !== undefined) return flag;
  if (!text.startsWith('-')) throw usageError(`unexpected argument ${JSON.stringify(text)}`, '"kiln help token" lists the options');
  const nearest = nearestName(text, known);
  throw usageError(`unknown option ${text}`, nearest === undefined ? '"kiln help token" lists the options' : `did you mean ${nearest}?`);
}

/** `PATTERN=RIGHT,RIGHT`; names of instances may contain equals signs. */
function parseGrant(text: string): GrantDefinition {
  const advice = `example: --grant ${flags['--grant']}`;
  const equals = text.lastIndexOf('=');
  if (equals === -1) throw usageError(`--grant: ${JSON.stringify(text)} has no "=" between instances and rights`, advice);
  const pattern = text.slice(0, equals);
  try {
    parseInstancePattern(pattern);
  } catch (error) {
    throw usageError(`--grant: ${CacheError.from(error).message}`, advice);
  }
  const rights = text.slice(equals + 1).split(',').map((word) => rightNamed(word.trim(), advice));
  return { instances: [pattern], rights: [...new Set(rights)] };
}

function rightNamed(word: string, advice: string): Right {
  const right = everyRight.find((known) => known === word);
  if (right !== undefined) return right;
  const nearest = nearestName(word, everyRight);
  throw usageError(`--grant: ${JSON.stringify(word)} is not one of ${everyRight.join(', ')}`, nearest === undefined ? advice : `did you mean ${nearest}? ${advice}`);
}
