// The entry of the thread that checks passwords.
import { serveThread } from '../platform/thread.ts';
import { passwordMatches } from '../rights/password-hash.ts';

/** What the thread is asked: whether the password has the hash. */
export interface PasswordQuestion {
  readonly password: string;
  readonly hash: string;
}

serveThread((input) => {
  const { password, hash } = input as PasswordQuestion; // as rights.ts sends it
  return passwordMatches(password, hash);
});
