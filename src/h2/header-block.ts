// A decoded header block, with what must be true of it as a request, as a response or as trailers (RFC 9113 §8.2, §8.3). The checks
// depend on the fields only, so a block that repeats is checked once.
import type { HeaderBlock } from './stream.ts';

/** What the checks of a request head found. */
export interface RequestCheck {
  /** Why the request is malformed (RFC 9113 §8.1.1), or undefined when it is well-formed. */
  readonly problem: string | undefined;
  /** From content-length; undefined when there is none. */
  readonly contentLength: number | undefined;
}

/** What the checks of a response head found. */
export interface ResponseCheck {
  /** Why the response is malformed, or undefined when it is well-formed. */
  readonly problem: string | undefined;
  /** 100 to 599; 0 when there is a problem. */
  readonly status: number;
  readonly contentLength: number | undefined;
}

/** Fields as decoded. */
export class DecodedBlock implements HeaderBlock {
  readonly fields: readonly string[];
  /** Of the list, as SETTINGS_MAX_HEADER_LIST_SIZE counts (RFC 9113 §6.5.2); when it is too long, as far as it was read. */
  readonly listBytes: number;
  /** The list was longer than allowed and `fields` is only its beginning. */
  readonly tooLong: boolean;
  memo: unknown = undefined;
  #requestCheck: RequestCheck | undefined = undefined;
  #responseCheck: ResponseCheck | undefined = undefined;

  constructor(fields: readonly string[], listBytes: number, tooLong: boolean) {
    this.fields = fields;
    this.listBytes = listBytes;
    this.tooLong = tooLong;
  }

  get(name: string): string | undefined {
    for (let index = 0; index < this.fields.length; index += 2) {
      if (this.fields[index] === name) return this.fields[index + 1];
    }
    return undefined;
  }

  get requestCheck(): RequestCheck {
    return (this.#requestCheck ??= checkRequest(this.fields));
  }

  get responseCheck(): ResponseCheck {
    return (this.#responseCheck ??= checkResponse(this.fields));
  }
}

/** Why the block cannot be trailers, or undefined when it can. */
export function trailersProblem(fields: readonly string[]): string | undefined {
  for (let index = 0; index < fields.length; index += 2) {
    const name = fields[index] ?? '';
    const problem = name.startsWith(':') ? `pseudo-header ${name} in trailers` : fieldProblem(name, fields[index + 1] ?? '');
    if (problem !== undefined) return problem;
  }
  return undefined;
}

const requestPseudoHeaders: ReadonlySet<string> = new Set([':method', ':scheme', ':path', ':authority']);
const responsePseudoHeaders: ReadonlySet<string> = new Set([':status']);
const connectionHeaders: ReadonlySet<string> = new Set(['connection', 'keep-alive', 'proxy-connection', 'transfer-encoding', 'upgrade']);

function checkRequest(fields: readonly string[]): RequestCheck {
  const { problem, pseudo, host, contentLength } = checkFields(fields, requestPseudoHeaders);
  return { problem: problem ?? pseudoProblem(pseudo, host), contentLength };
}

/** RFC 9113 §8.3.2: exactly one pseudo-header, a status of three digits; 101 has no meaning here (§8.6). */
function checkResponse(fields: readonly string[]): ResponseCheck {
  const { problem, pseudo, contentLength } = checkFields(fields, responsePseudoHeaders);
  const status = pseudo.get(':status');
  const malformed = (why: string): ResponseCheck => ({ problem: why, status: 0, contentLength });
  if (problem !== undefined) return malformed(problem);
  if (status === undefined) return malformed('no :status');
  if (!/^[1-5][0-9]{2}$/.test(status)) return malformed(`:status ${JSON.stringify(status)} is no status`);
  if (status === '101') return malformed(':status 101, which HTTP/2 does not have');
  return { problem: undefined, status: Number(status), contentLength };
}

interface FieldsCheck {
  readonly problem: string | undefined;
  readonly pseudo: ReadonlyMap<string, string>;
  /** The first `host`. */
  readonly host: string | undefined;
  readonly contentLength: number | undefined;
}

/** What requests and responses have in common (RFC 9113 §8.2, §8.3). */
function checkFields(fields: readonly string[], allowedPseudo: ReadonlySet<string>): FieldsCheck {
  const pseudo = new Map<string, string>();
  let regular = 0;
  let host: string | undefined;
  let contentLength: number | undefined;
  const malformed = (problem: string): FieldsCheck => ({ problem, pseudo, host, contentLength });
  for (let index = 0; index < fields.length; index += 2) {
    const name = fields[index] ?? '';
    const value = fields[index + 1] ?? '';
    if (name.startsWith(':')) {
      if (regular > 0) return malformed(`${name} after a regular header`);
      if (!allowedPseudo.has(name)) return malformed(`unknown pseudo-header ${JSON.stringify(name)}`);
      if (pseudo.has(name)) return malformed(`${name} twice`);
      if (!isFieldValue(value)) return malformed(`forbidden character in ${name}`);
      pseudo.set(name, value);
      continue;
    }
    regular++;
    const problem = fieldProblem(name, value);
    if (problem !== undefined) return malformed(problem);
    if (name === 'host') host ??= value;
    if (name === 'content-length') {
      const length = parseContentLength(value);
      if (length === undefined || (contentLength !== undefined && contentLength !== length)) return malformed('wrong content-length');
      contentLength = length;
    }
  }
  return { problem: undefined, pseudo, host, contentLength };
}

function pseudoProblem(pseudo: ReadonlyMap<string, string>, host: string | undefined): string | undefined {
  const authority = pseudo.get(':authority');
  if (pseudo.get(':method') === 'CONNECT') {
    const fits = authority !== undefined && !pseudo.has(':scheme') && !pseudo.has(':path');
    return fits ? undefined : 'CONNECT has an authority, no scheme and no path';
  }
  if (!pseudo.get(':method')) return 'no :method';
  if (!pseudo.get(':scheme')) return 'no :scheme';
  if (!pseudo.get(':path')) return 'no :path';
  // Names of hosts are compared without regard to case (RFC 9110 §4.2.3).
  if (authority !== undefined && host !== undefined && authority.toLowerCase() !== host.toLowerCase()) return ':authority and host differ';
  return undefined;
}

function fieldProblem(name: string, value: string): string | undefined {
  if (!isFieldName(name)) return `forbidden character in the header name ${JSON.stringify(name)}`;
  if (!isFieldValue(value)) return `forbidden character in the header ${name}`;
  if (connectionHeaders.has(name)) return `connection-specific header ${name}`;
  if (name === 'te' && value !== 'trailers') return 'te may only be "trailers"';
  return undefined;
}

/** RFC 9113 §8.2.1: no controls, blanks, capitals, colons or octets above ASCII. */
function isFieldName(name: string): boolean {
  for (let index = 0; index < name.length; index++) {
    const unit = name.charCodeAt(index);
    if (unit <= 0x20 || unit >= 0x7f || (unit >= 0x41 && unit <= 0x5a) || unit === 0x3a) return false;
  }
  return name.length > 0;
}

/** RFC 9113 §8.2.1: no NUL, LF or CR, and no blank at either end. */
function isFieldValue(value: string): boolean {
  for (let index = 0; index < value.length; index++) {
    const unit = value.charCodeAt(index);
    if (unit === 0 || unit === 0x0a || unit === 0x0d) return false;
  }
  return !isBlank(value.charCodeAt(0)) && !isBlank(value.charCodeAt(value.length - 1));
}

function isBlank(unit: number): boolean {
  return unit === 0x20 || unit === 0x09;
}

/** A list of equal lengths counts as one (RFC 9110 §8.6). Undefined when it is no length. */
function parseContentLength(value: string): number | undefined {
  let length: number | undefined;
  for (const part of value.split(',')) {
    const digits = part.trim();
    if (!/^[0-9]{1,16}$/.test(digits)) return undefined;
    const parsed = Number(digits);
    if (!Number.isSafeInteger(parsed) || (length !== undefined && length !== parsed)) return undefined;
    length = parsed;
  }
  return length;
}
