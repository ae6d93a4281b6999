// htpasswd files: a line per user, USER:HASH. What cannot be checked safely is refused when the file is read, not when
// somebody logs in.
import { CacheError } from '../base/cache-error.ts';
import { passwordHashKind } from './password-hash.ts';

/** Hashes by user. */
export type PasswordHashes = ReadonlyMap<string, string>;

/** Longer names, and ones with control characters, would spoil logs. */
const userCharsMax = 255;

/** Tens of thousands of users. */
export const htpasswdBytesMax: number = 4 * 1024 * 1024;

/**
 * The users in the bytes of the file; of a longer one, one byte more than `htpasswdBytesMax` is enough.
 * @throws CacheError `invalid_argument` that names file, line and what to do.
 */
export function readHtpasswd(bytes: Uint8Array, path: string): PasswordHashes {
  if (bytes.byteLength <= htpasswdBytesMax) return parseHtpasswd(new TextDecoder().decode(bytes), path);
  throw new CacheError('invalid_argument', `${path} is longer than ${htpasswdBytesMax} bytes, so it is no file of users\nname the htpasswd file: --rights-htpasswd-file FILE`);
}

/**
 * `path` is for texts. Blank lines and lines that begin with `#` are left out. Nothing of a hash goes into an error.
 * @throws CacheError `invalid_argument` that names file, line and what to do.
 */
export function parseHtpasswd(text: string, path: string): PasswordHashes {
  const hashes = new Map<string, string>();
  for (const [index, line] of text.split(/\r?\n/).entries()) {
    const entry = line.trim();
    if (entry === '' || entry.startsWith('#')) continue;
    const refuse = (problem: string, fix: string): never => {
      throw new CacheError('invalid_argument', `${path}:${index + 1}: ${problem}\n${fix}`);
    };
    const colon = entry.indexOf(':');
    if (colon <= 0) return refuse('this line is not USER:HASH', `make it with: htpasswd -B ${path} USER`);
    const [user, hash] = [entry.slice(0, colon), entry.slice(colon + 1)];
    if (user.length > userCharsMax || hasControlCharacter(user)) return refuse(`the user name is longer than ${userCharsMax} characters, or has control characters`, 'choose another one');
    if (hashes.has(user)) refuse(`user ${JSON.stringify(user)} is there twice`, 'keep the line with the password in use, and delete the other');
    if (passwordHashKind(hash) === undefined) {
      refuse(`the password of ${JSON.stringify(user)} is ${formOf(hash)}`, `accepted are bcrypt up to cost 16, {SHA} and apr1; make one with: htpasswd -B ${path} ${user}`);
    }
    hashes.set(user, hash);
  }
  return hashes;
}

/** What it looks like, without repeating it. */
function formOf(hash: string): string {
  if (/^\$2[abxy]?\$/.test(hash)) return 'a bcrypt hash that is damaged, of an old form, or of a cost that nobody can wait for';
  if (/^\$[156]\$|^\$y\$/.test(hash)) return 'a hash for the login of a system (crypt), which is not checked here';
  if (hash.startsWith('$apr1$') || hash.startsWith('{SHA}')) return 'a damaged hash';
  return 'no hash that is checked here: perhaps the password itself, or the old crypt';
}

function hasControlCharacter(text: string): boolean {
  for (let index = 0; index < text.length; index += 1) {
    const code = text.charCodeAt(index);
    if (code < 0x20 || code === 0x7f) return true;
  }
  return false;
}
