// The last look at a line before it leaves: what has the shape of a credential is replaced, whoever let it through.
// Fields are plain values chosen by our code, so this is for texts of others: errors of libraries, URLs.

const redacted = '[redacted]';

/** Names of fields whose values never appear. */
export const secretFields = ['authorization', 'cookie', 'credentials', 'password', 'secret', 'token'] as const;

/** Cheap to run over a line without any: each begins with letters that are rare in logs. */
const credentials: readonly { readonly shape: RegExp; readonly replacement: string }[] = [
  // RFC 9110 §11.4: scheme and token68, as an Authorization header has them.
  { shape: /\b(bearer|basic)([ :]+)[A-Za-z0-9\-._~+/]{8,}=*/gi, replacement: `$1$2${redacted}` },
  // RFC 3986 §3.2.1: user and password in a URL.
  { shape: /(\w:\/\/)[^\s/@"'<>]{1,512}@/g, replacement: `$1${redacted}@` },
  // Our own tokens, as `kiln token create` makes them.
  { shape: /\bkiln_[A-Za-z0-9_-]{43}(?![A-Za-z0-9_-])/g, replacement: redacted },
  // A name of a secret with its value, as URLs, command lines and JSON write it.
  { shape: /\b(authorization|password|passwd|secret|api[-_]?key|(?:access|auth|id)?[-_]?token)((?:\\?["'])?\s*[=:]\s*(?:\\?["'])?)(?!\[redacted\]|bearer\b|basic\b)[^\s"'\\,;&]{4,}/gi, replacement: `$1$2${redacted}` },
];

/** `text` with `[redacted]` in the place of what looks like a credential. */
export function withoutCredentials(text: string): string {
  let result = text;
  for (const { shape, replacement } of credentials) result = result.replace(shape, replacement);
  return result;
}

/** What stands in the place of a secret field. */
export const redactedValue = redacted;
