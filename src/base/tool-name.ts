// Which build tool is calling, by what it calls itself. For statistics only: anybody may claim anything.

/** For callers that do not say who they are. */
export const unknownTool = 'unknown';

/** Tools that name themselves first, and what they are called here. Others are unknown, since the text is free. */
const known: ReadonlySet<string> = new Set([
  ...['bazel', 'buck2', 'buildstream', 'ccache', 'curl', 'goma', 'gradle', 'grpcurl', 'maven', 'moon', 'nx', 'pants'],
  ...['please', 'prometheus', 'recc', 'reclient', 'sccache', 'siso', 'turbo', 'wget'],
]);

/** The tool by the value of User-Agent: `bazel/8.1` is bazel, `moon tonic/0.14` is moon. */
export function toolOfUserAgent(userAgent: string | undefined): string {
  const [token = ''] = /^[A-Za-z0-9][A-Za-z0-9_-]*/.exec(userAgent ?? '') ?? [];
  const name = token.toLowerCase();
  return known.has(name) ? name : unknownTool;
}
