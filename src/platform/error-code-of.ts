// The operating system's name for a failure.

/** `ENOENT`, `EADDRINUSE`, ...; `unknown` for what is no such error. */
export function errorCodeOf(thrown: unknown): string {
  return thrown instanceof Error && 'code' in thrown && typeof thrown.code === 'string' ? thrown.code : 'unknown';
}
