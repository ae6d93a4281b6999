// Kiln as people start it: the real launcher, a store on the disk of the directory, everything at its default.
import { join } from 'node:path';
import { startServer } from '../harness/processes.ts';
import type { ServerProcess } from '../harness/processes.ts';
import type { TlsFiles } from '../harness/tls-files.ts';
import { grpcProtocols } from './contender.ts';
import type { Contender } from './contender.ts';
import { answerFile, startProgram } from './own-program.ts';

const launcher = new URL('../../bin/kiln', import.meta.url).pathname;
/** What is compiled for the benchmark's own programs would make its start shorter than it is. `env` becomes the launcher. */
const asPeopleStartIt = ['env', '-u', 'NODE_COMPILE_CACHE'];

export interface KilnPlace {
  readonly name?: string;
  /** Holds the ready file, and the data unless `data` is elsewhere. */
  readonly directory: string;
  readonly data?: string;
  readonly core: number | undefined;
  readonly tls?: TlsFiles | undefined;
  /** Further flags of `kiln serve`. */
  readonly flags?: readonly string[];
}

export function startKiln({ name = 'kiln', directory, data, core, tls, flags = [] }: KilnPlace): Promise<ServerProcess> {
  const readyFile = join(directory, 'ready.json');
  const words = [...asPeopleStartIt, launcher, 'serve', '--listen', '127.0.0.1:0', '--data', data ?? join(directory, 'data'), '--ready-file', readyFile, ...tlsFlags(tls), ...flags];
  return startServer({ name, words, core, authority: tls?.authority, readiness: { kind: 'ready-file', path: readyFile } });
}

function tlsFlags(tls: TlsFiles | undefined): readonly string[] {
  return tls === undefined ? [] : ['--tls-certificate', tls.certificateFile, '--tls-key', tls.keyFile];
}

const transportServer = new URL('../reference/kiln-transport-server.ts', import.meta.url);

export const kiln: Contender = {
  name: 'kiln',
  about: 'this working copy, with its defaults',
  filling: 'api',
  protocols: [...grpcProtocols, 'http'],
  lacking: undefined,
  canonical: true,
  durable: true,
  speaksTls: true,
  start: ({ directory, core, tls }) => startKiln({ directory, core, tls }),
  startTransport: (at) => startProgram('kiln', { file: transportServer, detail: answerFile(at), at }),
};
