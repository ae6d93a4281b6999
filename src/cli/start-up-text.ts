// What `kiln serve` prints once it serves: where, what and for whom, lines to copy for build tools, and the ready line.
import { formatListenAddress } from '../base/listen-address.ts';
import { formatByteSize } from '../base/units.ts';
import type { ServeOptions, TlsOptions } from '../config/serve-options.ts';
import type { RunningServer, ServedAddress } from '../wiring/running-server.ts';

/** What there is to say about a server that has started. */
export interface StartUpFacts {
  readonly version: string;
  readonly server: Pick<RunningServer, 'addresses' | 'dataDirectory' | 'usedBytes' | 'maxBytes' | 'anonymousRight'>;
  /** This machine's name, for clients on others. */
  readonly hostName: string;
  /** The file whose users may read and write everywhere, since nobody has rights by name. */
  readonly freeUsersFile: string | undefined;
  /** What somebody may have to show beside a certificate. */
  readonly takesTokens: boolean;
  readonly takesPasswords: boolean;
  readonly clientCertificates: TlsOptions['clientCertificates'];
}

/** What there is to say of the credentials that callers may have. */
export function credentialFacts({ htpasswdFile, tokensFile, identities }: ServeOptions['rights']): Pick<StartUpFacts, 'freeUsersFile' | 'takesTokens' | 'takesPasswords'> {
  return {
    freeUsersFile: tokensFile === undefined && identities.length === 0 ? htpasswdFile : undefined,
    takesTokens: tokensFile !== undefined || identities.some(({ tokens }) => tokens.length > 0),
    takesPasswords: htpasswdFile !== undefined,
  };
}

/** How a client reaches the server. */
export interface Endpoints {
  readonly grpc: string;
  readonly http: string;
}

/** For clients on this machine; an address that stands for every interface is reached through loopback. */
export function endpointsOf(address: ServedAddress): Endpoints {
  if (address.kind === 'unix') return { grpc: formatListenAddress(address), http: formatListenAddress(address) };
  return urlsOf(address, loopbackFor.get(address.host) ?? address.host);
}

function urlsOf({ tls, ...address }: TcpAddress, host: string): Endpoints {
  const authority = formatListenAddress({ ...address, host });
  const end = tls ? 's' : '';
  return { grpc: `grpc${end}://${authority}`, http: `http${end}://${authority}` };
}

const loopbackFor: ReadonlyMap<string, string> = new Map([['0.0.0.0', '127.0.0.1'], ['::', '::1']]);

export function startUpText({ version, server, hostName, freeUsersFile, takesTokens, takesPasswords, clientCertificates }: StartUpFacts): string {
  const [first] = server.addresses;
  if (first === undefined) return '';
  const { grpc, http } = endpointsOf(first);
  return [
    `Kiln ${version}`,
    `  listens on  ${server.addresses.map(listened).join(', ')}`,
    `  keeps       ${server.dataDirectory}: ${formatByteSize(server.usedBytes)} used of at most ${formatByteSize(server.maxBytes)}`,
    `  allows      ${whoMayWhat[server.anonymousRight]}`,
    ...(freeUsersFile === undefined || !(server.anonymousRight === 'none' || server.anonymousRight === 'read') ? [] : [`              every user of ${freeUsersFile} to read and write, since there are no identities`]),
    '',
    ...snippets(server.addresses, hostName),
    ...(clientCertificates !== 'off' && server.addresses.some(({ tls }) => tls) ? clientCertificateHint : []),
    ...(server.anonymousRight === 'none' && takesTokens ? tokenHint(server.addresses) : []),
    ...(server.anonymousRight === 'none' && takesPasswords ? passwordHint(server.addresses) : []),
    '',
    `ready ${grpc} ${http}`,
    '',
  ].join('\n');
}

function listened(address: ServedAddress): string {
  return `${formatListenAddress(address)}${address.tls ? ' (TLS)' : ''}`;
}

const whoMayWhat: Readonly<Record<RunningServer['anonymousRight'], string>> = {
  none: 'callers with credentials only',
  read: 'everyone who can connect to read',
  write: 'everyone who can connect to read and write; what is there stays (first writer wins)',
  overwrite: 'everyone who can connect to read, write and overwrite',
};

/** Of the first address; and of the first of TCP, which more tools can use. */
function snippets(addresses: readonly ServedAddress[], hostName: string): readonly string[] {
  const [first] = addresses;
  const tcp = addresses.find(isTcp);
  const overSocket = first?.kind === 'unix' ? unixSnippets(first.path) : [];
  // ccache has no TLS of its own.
  const plain = addresses.find((address): address is TcpAddress => isTcp(address) && !address.tls);
  if (tcp !== undefined) return [...overSocket, ...tcpSnippets(tcp, hostName), ...(plain === undefined ? [] : ccacheSnippet(plain, hostName)), ...(tcp.tls ? tlsHint : [])];
  return [...overSocket, 'moon and ccache cannot use a socket file; for them, serve an address as well:', '    --listen 127.0.0.1:9092'];
}

type TcpAddress = ServedAddress & { readonly kind: 'tcp' };

function isTcp(address: ServedAddress): address is TcpAddress {
  return address.kind === 'tcp';
}

function isPlainTcp(address: ServedAddress): boolean {
  return isTcp(address) && !address.tls;
}

/** A token of somebody is nothing to print. */
function tokenHint(addresses: readonly ServedAddress[]): readonly string[] {
  return [
    'Each shows its token as well ("kiln token create" makes one):',
    "    Bazel   build --remote_header='authorization=Bearer TOKEN'",
    ...(addresses.some(isTcp) ? ['    moon    auth.token below remote, with the name of a variable that holds it'] : []),
    ...(addresses.some(isPlainTcp) ? ["    ccache  '|bearer-token=TOKEN' behind the address"] : []),
  ];
}

function passwordHint(addresses: readonly ServedAddress[]): readonly string[] {
  return [
    "Each with a password shows it as well (printf 'NAME:PASSWORD' | base64 | tr -d '\\n'):",
    "    Bazel   build --remote_header='authorization=Basic BASE64'",
    ...(addresses.some(isTcp) ? ["    moon    auth.headers below remote, with authorization: 'Basic BASE64'"] : []),
    ...(addresses.some(isPlainTcp) ? ["    ccache  'NAME:PASSWORD@' before the host"] : []),
  ];
}

function tcpSnippets(address: TcpAddress, hostName: string): readonly string[] {
  const { grpc, http } = clientUrls(address, hostName);
  return [
    'Bazel   in .bazelrc (either line):',
    `    build --remote_cache=${grpc}`,
    `    build --remote_cache=${http}`,
    'moon    in .moon/workspace.yml:',
    '    remote:',
    `      host: '${grpc}'`,
  ];
}

function ccacheSnippet(address: TcpAddress, hostName: string): readonly string[] {
  return ['ccache  in the environment:', `    export CCACHE_REMOTE_STORAGE='${clientUrls(address, hostName).http}/ccache|layout=bazel'`];
}

/** Clients of a cache that is open to the network are elsewhere, where this machine has its name. */
function clientUrls(address: TcpAddress, hostName: string): Endpoints {
  return urlsOf(address, loopbackFor.has(address.host) ? hostName : address.host);
}

/** A public authority is known to every tool already. */
const tlsHint: readonly string[] = [
  'A certificate of an authority of your own is made known to',
  '    Bazel   build --tls_certificate=CA.pem',
  '    curl    --cacert CA.pem',
];

const clientCertificateHint: readonly string[] = [
  'A certificate of the client is shown by',
  '    Bazel   build --tls_client_certificate=CLIENT.pem --tls_client_key=CLIENT.key',
  '    curl    --cert CLIENT.pem --key CLIENT.key',
];

/** Of the build tools, Bazel alone can use a socket file. */
function unixSnippets(path: string): readonly string[] {
  return [
    'Over the socket file:',
    `    Bazel   build --remote_cache=grpc://kiln --remote_proxy=unix:${path}`,
    `    curl    --unix-socket ${path} http://localhost/status`,
  ];
}
