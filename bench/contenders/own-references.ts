// Reference servers of ours: the same cache in memory on the transports of this platform, and a bare socket.
import { grpcProtocols } from './contender.ts';
import type { Contender, Protocol, StartPlace } from './contender.ts';
import { answerFile, startProgram } from './own-program.ts';

interface Reference {
  readonly name: string;
  readonly file: URL;
  readonly about: string;
  readonly protocols: readonly Protocol[];
  readonly filling: Contender['filling'];
  readonly speaksTls: boolean;
  /** The second word of the program. */
  readonly detail: (at: StartPlace) => string;
  /** See Contender; the second word is the file with the answer. */
  readonly transport?: URL;
}

function reference({ name, file, about, protocols, filling, speaksTls, detail, transport }: Reference): Contender {
  const contender: Contender = {
    name,
    about,
    filling,
    protocols,
    lacking: undefined,
    canonical: true,
    durable: false,
    speaksTls,
    start: (at) => startProgram(name, { file, detail: detail(at), at }),
  };
  return transport === undefined ? contender : { ...contender, startTransport: (at) => startProgram(name, { file: transport, detail: answerFile(at), at }) };
}

export const ownReferences: readonly Contender[] = [
  reference({
    name: 'node:http2',
    file: new URL('../reference/node-http2-server.ts', import.meta.url),
    about: 'a cache in memory on raw node:http2, with protobuf-es',
    protocols: grpcProtocols,
    filling: 'api',
    speaksTls: true,
    detail: ({ numbered }) => String(numbered),
    transport: new URL('../reference/node-http2-transport-server.ts', import.meta.url),
  }),
  reference({
    name: 'grpc-js',
    file: new URL('../reference/grpc-js-server.ts', import.meta.url),
    about: 'the same on @grpc/grpc-js',
    protocols: grpcProtocols,
    filling: 'api',
    speaksTls: true,
    detail: ({ numbered }) => String(numbered),
  }),
  reference({
    name: 'node:http',
    file: new URL('../reference/node-http-server.ts', import.meta.url),
    about: 'the same cache behind HTTP/1.1, on node:http',
    protocols: ['http'],
    filling: 'api',
    speaksTls: false,
    detail: () => '0',
  }),
  reference({
    name: 'socket',
    file: new URL('../reference/bare-socket-server.ts', import.meta.url),
    about: 'a node:net (or node:tls) socket that sends one prepared answer: the ceiling of this platform',
    protocols: [...grpcProtocols, 'http'],
    filling: 'answer',
    speaksTls: true,
    detail: (at) => `${at.protocol === 'http' ? 'http1' : 'grpc'}:${answerFile(at)}`,
  }),
];
