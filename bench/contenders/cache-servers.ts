// Other build caches, when they are on PATH. Each is started as its own documentation has it, with its data in a
// temporary directory and listening on loopback; nothing of them is part of Kiln.
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { freePort, startServer } from '../harness/processes.ts';
import type { ServerCommand, ServerProcess } from '../harness/processes.ts';
import { grpcProtocols } from './contender.ts';
import type { Contender, Protocol, StartPlace } from './contender.ts';
import { findProgram } from './installed-program.ts';

/** What a server is started with, given its program and a port that is free. */
interface CacheServer {
  readonly name: string;
  readonly programs: readonly string[];
  readonly about: string;
  readonly protocols: readonly Protocol[];
  words(program: string, at: { readonly directory: string; readonly port: number; readonly otherPort: number; readonly protocol: Protocol }): readonly string[];
}

const gibibyte = 1024 ** 3;
/** Room for everything a benchmark writes. */
const storeBytes = 20 * gibibyte;

const bazelRemote: CacheServer = {
  name: 'bazel-remote',
  programs: ['bazel-remote'],
  about: 'a cache in Go, a file per blob, synced',
  protocols: [...grpcProtocols, 'http'],
  words: (program, { directory, port, otherPort, protocol }) => [
    program,
    ...['--dir', join(directory, 'data'), '--max_size', String(storeBytes / gibibyte)],
    ...['--http_address', `127.0.0.1:${protocol === 'http' ? port : otherPort}`],
    ...['--grpc_address', `127.0.0.1:${protocol === 'http' ? otherPort : port}`],
    // Kiln does not compress what it stores either.
    ...['--storage_mode', 'uncompressed', '--access_log_level', 'none'],
  ],
};

const bbStorage: CacheServer = {
  name: 'bb_storage',
  programs: ['bb_storage', 'bb-storage'],
  about: "Buildbarn's storage daemon in Go, blocks in one large file, synced by epochs",
  protocols: grpcProtocols,
  words(program, { directory, port }) {
    const file = join(directory, 'bb_storage.jsonnet');
    const allow = { allow: {} };
    const local = (kind: string, bytes: number) => {
      const state = join(directory, kind, 'state');
      mkdirSync(state, { recursive: true });
      return {
        local: {
          keyLocationMapOnBlockDevice: { file: { path: join(directory, kind, 'map'), sizeBytes: 256 * 1024 * 1024 } },
          keyLocationMapMaximumGetAttempts: 8,
          keyLocationMapMaximumPutAttempts: 32,
          oldBlocks: 8,
          currentBlocks: 24,
          newBlocks: 3,
          blocksOnBlockDevice: { source: { file: { path: join(directory, kind, 'blocks'), sizeBytes: bytes } }, spareBlocks: 3 },
          persistent: { stateDirectoryPath: state, minimumEpochInterval: '5s' },
        },
      };
    };
    const contentAddressableStorage = { backend: local('cas', storeBytes), getAuthorizer: allow, putAuthorizer: allow, findMissingAuthorizer: allow };
    const checked = { completenessChecking: { backend: local('ac', gibibyte), maximumTotalTreeSizeBytes: 64 * 1024 * 1024 } };
    const configuration = {
      contentAddressableStorage,
      actionCache: { backend: checked, getAuthorizer: allow, putAuthorizer: allow },
      grpcServers: [{ listenAddresses: [`127.0.0.1:${port}`], authenticationPolicy: allow }],
      maximumMessageSizeBytes: 16 * 1024 * 1024,
    };
    writeFileSync(file, JSON.stringify(configuration)); // JSON is Jsonnet
    return [program, file];
  },
};

const buildboxCasd: CacheServer = {
  name: 'buildbox-casd',
  programs: ['buildbox-casd'],
  about: "BuildBox's local cache in C++, a file per blob",
  protocols: grpcProtocols,
  words: (program, { directory, port }) => [program, `--bind=127.0.0.1:${port}`, `--quota-high=${storeBytes}`, join(directory, 'data')],
};

const justbuild: CacheServer = {
  name: 'justbuild',
  programs: ['justbuild', 'just-execute'],
  about: "justbuild's execution service in C++, a file per blob",
  protocols: ['cas', 'byte-stream'],
  words: (program, { directory, port }) => [program, 'execute', '--interface', '127.0.0.1', '--port', String(port), '--local-build-root', join(directory, 'data')],
};

function contender(server: CacheServer): Contender {
  const { name, about, protocols } = server;
  const program = findProgram(server.programs);
  return {
    name,
    about,
    filling: 'api',
    protocols,
    lacking: program === undefined ? 'not on PATH' : undefined,
    canonical: false,
    durable: true,
    speaksTls: false,
    start: (at) => startCacheServer(server, program ?? name, at),
  };
}

async function startCacheServer(server: CacheServer, program: string, { directory, core, protocol }: StartPlace): Promise<ServerProcess> {
  const [port, otherPort] = [await freePort(), await freePort()];
  const words = server.words(program, { directory, port, otherPort, protocol });
  const command: ServerCommand = { name: server.name, words, core, readiness: { kind: 'port', port } };
  return startServer(command);
}

export function cacheServers(): readonly Contender[] {
  return [bazelRemote, bbStorage, buildboxCasd, justbuild].map(contender);
}
