// Hashes of passwords as an htpasswd file has them. Slow by intention: run on a thread of its own.
import { hash, timingSafeEqual } from 'node:crypto';
import { compareSync } from 'bcryptjs';
import { apacheMd5 } from './apache-md5.ts';

/** Ordered by what a check costs. */
export type PasswordHashKind = 'sha1' | 'apr1' | 'bcrypt';

const bcryptForm = /^\$2[aby]\$(\d\d)\$[./A-Za-z0-9]{53}$/;
const apr1Form = /^\$apr1\$([./A-Za-z0-9]{1,8})\$([./A-Za-z0-9]{22})$/;
const sha1Form = /^\{SHA\}([A-Za-z0-9+/]{27}=)$/;

/** bcrypt's own least. */
const bcryptCostMin = 4;
/** Two to this power rounds take seconds; every further step doubles them. */
const bcryptCostMax = 16;

/** Undefined for what is no hash, or none of a kind that is checked here. */
export function passwordHashKind(text: string): PasswordHashKind | undefined {
  const cost = Number(bcryptForm.exec(text)?.[1]);
  if (cost >= bcryptCostMin && cost <= bcryptCostMax) return 'bcrypt';
  if (apr1Form.test(text)) return 'apr1';
  return sha1Form.test(text) ? 'sha1' : undefined;
}

/** Relative, for finding the costliest of several. */
export function costOfPasswordHash(text: string): number {
  const cost = bcryptForm.exec(text)?.[1];
  if (cost !== undefined) return 2 ** Number(cost);
  return apr1Form.test(text) ? 1 : 0;
}

/** Compares in constant time. `text` has one of the kinds above; anything else matches nothing. */
export function passwordMatches(password: string, text: string): boolean {
  switch (passwordHashKind(text)) {
    case 'bcrypt':
      return compareSync(password, text);
    case 'apr1': {
      const salt = apr1Form.exec(text)?.[1] ?? '';
      return isSame(apacheMd5(password, salt), text);
    }
    case 'sha1':
      return isSame(`{SHA}${hash('sha1', password, 'base64')}`, text);
    case undefined:
      return false;
  }
}

/** Both are printable ASCII. */
function isSame(computed: string, expected: string): boolean {
  return computed.length === expected.length && timingSafeEqual(Buffer.from(computed), Buffer.from(expected));
}
