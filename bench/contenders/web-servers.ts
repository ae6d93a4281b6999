// nghttpd and nginx: servers in C and C++ that send a file. What they measure is transport; there is no cache behind.
import { mkdirSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { freePort, startServer } from '../harness/processes.ts';
import type { ServerProcess } from '../harness/processes.ts';
import { grpcProtocols } from './contender.ts';
import type { Contender, StartPlace } from './contender.ts';
import { findProgram } from './installed-program.ts';

function writeDocuments({ directory, files }: StartPlace): string {
  const root = join(directory, 'documents');
  for (const [path, bytes] of files) {
    const file = join(root, path);
    mkdirSync(dirname(file), { recursive: true });
    writeFileSync(file, bytes);
  }
  return root;
}

async function startNghttpd(program: string, at: StartPlace): Promise<ServerProcess> {
  const port = await freePort();
  const common = ['-a', '127.0.0.1', '-n', '1', '-m', '1000', '-d', writeDocuments(at)];
  const words = at.tls === undefined ? [program, '--no-tls', ...common, String(port)] : [program, ...common, String(port), at.tls.keyFile, at.tls.certificateFile];
  return startServer({ name: 'nghttpd', words, core: at.core, authority: at.tls?.authority, readiness: { kind: 'port', port } });
}

async function startNginx(program: string, at: StartPlace): Promise<ServerProcess> {
  const port = await freePort();
  const root = writeDocuments(at);
  const configuration = join(at.directory, 'nginx.conf');
  const temporary = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'].map((kind) => `  ${kind}_temp_path ${at.directory}/${kind};`);
  const lines = [
    `pid ${at.directory}/nginx.pid;`,
    `error_log ${at.directory}/error.log;`,
    ...(process.getuid?.() === 0 ? ['user root;'] : []), // its workers must be able to read the directory
    'daemon off;',
    'worker_processes 1;',
    'events { worker_connections 1024; }',
    'http {',
    '  access_log off;',
    '  sendfile on;',
    '  tcp_nopush on;',
    '  open_file_cache max=100;',
    '  keepalive_requests 1000000000;',
    ...temporary,
    `  server { listen 127.0.0.1:${port}; root ${root}; }`,
    '}',
  ];
  writeFileSync(configuration, lines.join('\n'));
  const words = [program, '-p', at.directory, '-e', join(at.directory, 'error.log'), '-c', configuration];
  return startServer({ name: 'nginx', words, core: at.core, readiness: { kind: 'port', port } });
}

function webServer(name: string, details: { about: string; protocols: Contender['protocols']; speaksTls: boolean; start: (program: string, at: StartPlace) => Promise<ServerProcess> }): Contender {
  const program = findProgram([name]) ?? findProgram([name], '/usr/sbin');
  return {
    name,
    about: details.about,
    filling: 'files',
    protocols: details.protocols,
    lacking: program === undefined ? 'not on PATH' : undefined,
    canonical: false,
    durable: false,
    speaksTls: details.speaksTls,
    start: (at) => details.start(program ?? name, at),
  };
}

export function webServers(): readonly Contender[] {
  return [
    webServer('nghttpd', { about: "nghttp2's server in C++, sending a file with the answer", protocols: grpcProtocols, speaksTls: true, start: startNghttpd }),
    webServer('nginx', { about: 'sends the same bytes as a file over HTTP/1.1', protocols: ['http'], speaksTls: false, start: startNginx }),
  ];
}
