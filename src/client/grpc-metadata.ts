// Metadata of calls that we make: what is sent, as plain values, and what comes back.
import { CacheError } from '../base/cache-error.ts';
import { decodeBinaryMetadata, encodeBinaryMetadata, isMetadataName, isMetadataText } from '../grpc/metadata.ts';
import type { HeaderBlock, OutgoingHeaders } from '../h2/stream.ts';

type MetadataValue = string | Uint8Array;

/**
 * Metadata to send, by lower-case name: text (printable ASCII), or bytes where the name ends in `-bin`. Several values of
 * one name go out in order. `authorization` and its like are kept out of the tables of HPACK.
 */
export type GrpcMetadata = Readonly<Record<string, MetadataValue | readonly MetadataValue[]>>;

/** @throws CacheError `invalid_argument` that names the entry, and never its value, which may be secret. */
export function metadataHeaders(metadata: GrpcMetadata): OutgoingHeaders {
  const headers: (readonly [name: string, value: string])[] = [];
  for (const [name, given] of Object.entries(metadata)) {
    if (!isMetadataName(name)) throw refusal(`${JSON.stringify(name)} is no name for metadata: lower-case letters, digits and _-. are, unless HTTP/2 or gRPC has the name for itself`);
    const values: readonly MetadataValue[] = typeof given === 'string' || given instanceof Uint8Array ? [given] : given;
    for (const value of values) headers.push([name, headerValue(name, value)]);
  }
  return headers;
}

function headerValue(name: string, value: MetadataValue): string {
  if (name.endsWith('-bin')) {
    if (typeof value === 'string') throw refusal(`the metadata ${name} takes bytes (Uint8Array), since its name ends in -bin`);
    return encodeBinaryMetadata(value);
  }
  if (typeof value !== 'string') throw refusal(`the metadata ${name} takes text; a name for bytes ends in -bin`);
  if (!isMetadataText(value)) throw refusal(`the value of the metadata ${name} is not printable ASCII without blanks at its ends`);
  return value;
}

function refusal(text: string): CacheError {
  return new CacheError('invalid_argument', text);
}

/** Metadata that a server sent, headers or trailers. */
export class ReceivedMetadata {
  readonly #fields: readonly string[];

  constructor(block: Pick<HeaderBlock, 'fields'> | undefined) {
    this.#fields = block?.fields ?? [];
  }

  /** The first value; of a name in `-bin` as it came, in base64. */
  get(name: string): string | undefined {
    return this.getAll(name)[0];
  }

  /** In the order sent. */
  getAll(name: string): readonly string[] {
    const values: string[] = [];
    for (let at = 0; at < this.#fields.length; at += 2) if (this.#fields[at] === name) values.push(this.#fields[at + 1] ?? '');
    return values;
  }

  /** The first value of a name in `-bin`; undefined when there is none, or it is not base64. */
  getBytes(name: string): Uint8Array | undefined {
    const value = this.get(name);
    return value === undefined ? undefined : decodeBinaryMetadata(value);
  }

  /** All names, those of HTTP/2 and gRPC itself too; as often as they came. */
  get names(): readonly string[] {
    return this.#fields.filter((_, at) => at % 2 === 0);
  }
}
