// Reference servers of ours: the same cache in memory on the transports of this platform, and a bare socket.
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { startServer } from '../harness/processes.ts';
import { grpcProtocols } from './contender.ts';
import type { Contender, Protocol, StartPlace } from './contender.ts';

interface Reference {
  readonly name: string;
  readonly file: URL;
  readonly about: string;
  readonly protocols: readonly Protocol[];
  readonly filling: Contender['filling'];
  /** The second word of the program. */
  readonly detail: (at: StartPlace) => string;
}

function reference({ name, file, about, protocols, filling, detail }: Reference): Contender {
  return {
    name,
    about,
    filling,
    protocols,
    lacking: undefined,
    canonical: true,
    durable: false,
    start(at) {
      const readyFile = join(at.directory, 'ready.json');
      const words = [process.execPath, file.pathname, readyFile, detail(at)];
      return startServer({ name, words, core: at.core, readiness: { kind: 'ready-file', path: readyFile } });
    },
  };
}

export const ownReferences: readonly Contender[] = [
  reference({
    name: 'node:http2',
    file: new URL('../reference/node-http2-server.ts', import.meta.url),
    about: 'a cache in memory on raw node:http2, with protobuf-es',
    protocols: grpcProtocols,
    filling: 'api',
    detail: ({ numbered }) => String(numbered),
  }),
  reference({
    name: 'grpc-js',
    file: new URL('../reference/grpc-js-server.ts', import.meta.url),
    about: 'the same on @grpc/grpc-js',
    protocols: grpcProtocols,
    filling: 'api',
    detail: ({ numbered }) => String(numbered),
  }),
  reference({
    name: 'node:http',
    file: new URL('../reference/node-http-server.ts', import.meta.url),
    about: 'the same cache behind HTTP/1.1, on node:http',
    protocols: ['http'],
    filling: 'api',
    detail: () => '0',
  }),
  reference({
    name: 'socket',
    file: new URL('../reference/bare-socket-server.ts', import.meta.url),
    about: 'a node:net socket that sends one prepared answer: the ceiling of this platform',
    protocols: [...grpcProtocols, 'http'],
    filling: 'answer',
    detail: ({ directory, protocol, answer }) => {
      const file = join(directory, 'answer');
      writeFileSync(file, answer);
      return `${protocol === 'http' ? 'http1' : 'grpc'}:${file}`;
    },
  }),
];
