// The real source of randomness: the operating system's, good enough for secrets.
import { randomBytes } from 'node:crypto';
import type { Random } from '../base/random.ts';

export const systemRandom: Random = { bytes: (length) => randomBytes(length) };
