// What other programs call what Kiln calls otherwise. Only for advice: none of these names is read.

/** By the unknown name, the key that was probably meant. */
export const alsoCalled: ReadonlyMap<string, string> = new Map(
  Object.entries({
    listen: ['address', 'addr', 'bind', 'endpoint', 'host', 'hostname', 'http-address', 'grpc-address', 'port', 'http-port', 'grpc-port', 'socket'],
    config: ['c', 'conf', 'config-file', 'configuration'],
    data: ['cache', 'cache-dir', 'cache-directory', 'data-dir', 'data-directory', 'dir', 'directory', 'path', 'root', 'storage'],
    'max-size': ['cache-size', 'capacity', 'disk-size', 'limit', 'max-bytes', 'quota', 'size'],
    'allow-anonymous': ['allow-unauthenticated-reads', 'anonymous', 'public'],
    'rights.tokens-file': ['auth', 'authentication', 'token', 'tokens'],
    'rights.htpasswd-file': ['htpasswd', 'passwords', 'users'],
    'tls.certificate': ['cert', 'ssl', 'tls-cert', 'tls-cert-file'],
    'tls.key': ['private-key', 'tls-key-file'],
    'tls.client-ca': ['ca', 'tls-ca-file'],
    'log.level': ['debug', 'verbose', 'verbosity'],
    'limits.connections': ['max-connections'],
    'limits.message-size': ['max-message-size', 'grpc-max-message-size'],
    'limits.blob-size': ['max-blob-size'],
    'traces.endpoint': ['otel', 'otlp', 'tracing'],
  }).flatMap(([key, others]) => others.map((other) => [other, key] as const)),
);
