// Resource names of google.bytestream as the Remote Execution API defines them (RN-1 to RN-7). Parses and judges
// the form only; whether a compressor is offered is for the service to say.
import { CacheError } from '../base/cache-error.ts';
import { Digest } from './digest.ts';
import { digestFunctionNamed, digestFunctions, resolveDigestFunction } from './digest-function.ts';
import type { DigestFunction } from './digest-function.ts';
import { parseInstanceName } from './instance-name.ts';
import type { InstanceName } from './instance-name.ts';

/** How the bytes travel; `identity` as they are. */
export type CompressorName = 'identity' | 'zstd' | 'deflate' | 'brotli';

/** What a read names. The digest is of the bytes without compression. */
export interface BlobName {
  readonly instance: InstanceName;
  readonly digest: Digest;
  readonly compressor: CompressorName;
}

/** What a write names. The client chose the uuid and may use it again for another blob (RN-7). */
export interface UploadName extends BlobName {
  readonly uuid: string;
}

const readForm = '[instance/]blobs/[function/]hash/size';
const writeForm = '[instance/]uploads/uuid/blobs/[function/]hash/size[/metadata]';

/** Room for an instance name, a uuid, the longest hash, and a whole path (PATH_MAX) as metadata. */
const nameCharsMax = 8192;
/** Of a name that is quoted in an error text: as much as tells the caller which one it was. */
const quotedCharsMax = 300;

const compressorNames: ReadonlySet<string> = new Set<CompressorName>(['zstd', 'deflate', 'brotli']);
/** Functions that REAPI names in resource names and Kiln does not serve (RN-3, DG-7). */
const unservedSegments: ReadonlySet<string> = new Set(['sha256tree', 'gitsha1', 'vso', 'murmur3']);
/** One way to write each size, without sign, and short enough to be a number. */
const decimal = /^(?:0|[1-9][0-9]{0,15})$/;

/**
 * `[instance/]blobs/[function/]hash/size` and `[instance/]compressed-blobs/compressor/[function/]hash/size`.
 * @throws CacheError `invalid_argument` that says which part is wrong (RN-6).
 */
export function parseReadName(name: string): BlobName {
  const segments = segmentsOf(name, readForm);
  const start = segments.findIndex((segment) => segment === 'blobs' || segment === 'compressed-blobs' || segment === 'uploads');
  if (start < 0) throw malformed(name, readForm, 'it has no segment "blobs"');
  if (segments[start] === 'uploads') throw malformed(name, readForm, 'it names an upload, which cannot be read');
  const { rest, ...blob } = parseBlob(name, segments.slice(start), readForm);
  if (rest.length > 0) throw malformed(name, readForm, `nothing may follow the size, but ${JSON.stringify(rest[0])} does`);
  return { instance: instanceOf(name, segments.slice(0, start), readForm), ...blob };
}

/**
 * `[instance/]uploads/uuid/` followed by what a read has, then any number of segments that are ignored (RN-4).
 * @throws CacheError `invalid_argument` that says which part is wrong (RN-6).
 */
export function parseWriteName(name: string): UploadName {
  const segments = segmentsOf(name, writeForm);
  const start = segments.indexOf('uploads');
  if (start < 0) throw malformed(name, writeForm, 'it has no segment "uploads"');
  const uuid = segments[start + 1];
  if (uuid === undefined || uuid === '') throw malformed(name, writeForm, 'the uuid is empty');
  const { rest: _metadata, ...blob } = parseBlob(name, segments.slice(start + 2), writeForm);
  return { instance: instanceOf(name, segments.slice(0, start), writeForm), ...blob, uuid };
}

function segmentsOf(name: string, form: string): readonly string[] {
  if (name.length > nameCharsMax) throw malformed(name, form, `it has ${name.length} characters; at most ${nameCharsMax} are allowed`);
  return name.split('/');
}

function instanceOf(name: string, segments: readonly string[], form: string): InstanceName {
  if (segments.length === 1 && segments[0] === '') throw malformed(name, form, 'it begins with a slash; without instance there is none');
  return parseInstanceName(segments.join('/'));
}

/** Parses from the segment `blobs` or `compressed-blobs` on; `rest` is what follows the size. */
function parseBlob(name: string, segments: readonly string[], form: string) {
  const [kind, ...after] = segments;
  if (kind !== 'blobs' && kind !== 'compressed-blobs') {
    throw malformed(name, form, `expected "blobs" or "compressed-blobs" instead of ${quoted(kind)}`);
  }
  const compressor: CompressorName = kind === 'blobs' ? 'identity' : compressorOf(name, after.shift(), form);
  const digestFunction = functionOf(name, after[0], form);
  if (digestFunction !== undefined) after.shift();
  const [hash, size, ...rest] = after;
  if (hash === undefined || hash === '') throw malformed(name, form, 'the hash is missing');
  if (size === undefined || !decimal.test(size)) {
    throw malformed(name, form, `the size ${quoted(size)} is not a decimal number of bytes below 10^16`);
  }
  return { digest: Digest.parse(digestFunction ?? resolveDigestFunction(0, hash), hash, Number(size)), compressor, rest };
}

function compressorOf(name: string, segment: string | undefined, form: string): CompressorName {
  if (segment !== undefined && compressorNames.has(segment)) return segment as CompressorName;
  if (segment === 'identity') throw malformed(name, form, '"identity" is no compressor of "compressed-blobs"; use "blobs"');
  throw malformed(name, form, `${quoted(segment)} is not a compressor; they are ${[...compressorNames].join(', ')}, in lower case`);
}

/** The function that the segment names, or undefined when it is the hash already (RN-3). */
function functionOf(name: string, segment: string | undefined, form: string): DigestFunction | undefined {
  if (segment === undefined) return undefined;
  const named = digestFunctions.find(({ pathSegment }) => pathSegment === segment);
  if (named !== undefined) return named;
  const lower = segment.toLowerCase();
  if (unservedSegments.has(lower)) throw malformed(name, form, `the digest function ${lower} is not served here`);
  const known = digestFunctionNamed(lower);
  if (known === undefined) return undefined;
  throw malformed(
    name,
    form,
    known.pathSegment === undefined
      ? `${lower} is told by the length of the hash; leave the segment ${quoted(segment)} out`
      : `write the digest function as ${quoted(known.pathSegment)}`,
  );
}

function quoted(segment: string | undefined): string {
  return segment === undefined ? 'nothing' : JSON.stringify(segment.slice(0, quotedCharsMax));
}

function malformed(name: string, form: string, reason: string): CacheError {
  return new CacheError('invalid_argument', `resource name ${quoted(name)} is not of the form ${form}: ${reason}`);
}
