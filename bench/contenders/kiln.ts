// Kiln as people start it: the real launcher, a file store on the disk of the directory, everything at its default.
import { join } from 'node:path';
import { startServer } from '../harness/processes.ts';
import type { ServerProcess } from '../harness/processes.ts';
import { grpcProtocols } from './contender.ts';
import type { Contender } from './contender.ts';

const launcher = new URL('../../bin/kiln', import.meta.url).pathname;

export interface KilnPlace {
  readonly name?: string;
  /** Holds the ready file, and the data unless `data` is elsewhere. */
  readonly directory: string;
  readonly data?: string;
  readonly core: number | undefined;
  /** Further flags of `kiln serve`. */
  readonly flags?: readonly string[];
}

export function startKiln({ name = 'kiln', directory, data, core, flags = [] }: KilnPlace): Promise<ServerProcess> {
  const readyFile = join(directory, 'ready.json');
  const words = [launcher, 'serve', '--listen', '127.0.0.1:0', '--data', data ?? join(directory, 'data'), '--ready-file', readyFile, ...flags];
  return startServer({ name, words, core, readiness: { kind: 'ready-file', path: readyFile } });
}

export const kiln: Contender = {
  name: 'kiln',
  about: 'this working copy, with its defaults',
  filling: 'api',
  protocols: [...grpcProtocols, 'http'],
  lacking: undefined,
  canonical: true,
  durable: true,
  start: ({ directory, core }) => startKiln({ directory, core }),
};
