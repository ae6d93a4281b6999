// The file of one value: a header with its whole identity and checksums, then its bytes. docs/formats/value.md
import { hash as hashOnce } from 'node:crypto';
import { crc32 } from 'node:zlib';
import { assert } from '../base/assert.ts';
import { digestFunctionNumbered } from '../digest/digest-function.ts';
import type { DigestFunction } from '../digest/digest-function.ts';
import { valueSpaces } from './object-layout.ts';
import type { ValueSpace } from './object-layout.ts';

/** First bytes of every value file. */
const valueMagic = 'KILNVALU';
const version = 1;
const fixedBytes = 32;
/** Before the instance in what a name is the hash of: kind, function, length of the instance. */
const nameHeadBytes = 6;
/** On disk for ever, hence not an index into a list of the program. */
const kindCodes: Readonly<Record<ValueSpace, number>> = { action_result: 1, opaque: 2 };

/** Identity of a value. */
export interface ValueIdentity {
  readonly kind: ValueSpace;
  readonly instance: string;
  readonly digestFunction: DigestFunction;
  /** Lower-case hex. */
  readonly hash: string;
}

/** Name of a value's file: SHA-256 in hex over its identity, length before each part that may hold anything. */
export function valueFileName({ kind, instance, digestFunction, hash }: ValueIdentity): string {
  // In one piece: a hasher that is fed takes three times as long, which was a quarter of a look-up (bench/action-result).
  const whole = Buffer.allocUnsafe(nameHeadBytes + 3 * instance.length + digestFunction.hashBytes);
  const instanceBytes = whole.write(instance, nameHeadBytes, 'utf8');
  whole[0] = kindCodes[kind];
  whole[1] = digestFunction.wireValue;
  whole.writeUInt32LE(instanceBytes, 2);
  const end = nameHeadBytes + instanceBytes;
  return hashOnce('sha256', whole.subarray(0, end + whole.write(hash, end, 'hex')), 'hex');
}

/** Length of the file of a value of `valueBytes`. */
function valueFileBytes(identity: ValueIdentity, valueBytes: number): number {
  return fixedBytes + identity.digestFunction.hashBytes + Buffer.byteLength(identity.instance) + valueBytes;
}

/** The header that stands before `value`. */
export function encodeValueHeader(identity: ValueIdentity, value: Uint8Array): Uint8Array {
  const { kind, instance, digestFunction, hash } = identity;
  const header = Buffer.alloc(valueFileBytes(identity, 0));
  const instanceBytes = Buffer.byteLength(instance);
  assert(instanceBytes <= 0xffff, 'an instance name fits its length field');
  header.write(valueMagic, 0, 'latin1');
  header.writeUInt16LE(version, 8);
  header.writeUInt8(kindCodes[kind], 10);
  header.writeUInt8(digestFunction.wireValue, 11);
  header.writeUInt16LE(digestFunction.hashBytes, 12);
  header.writeUInt16LE(instanceBytes, 14);
  header.writeBigUInt64LE(BigInt(value.byteLength), 16);
  header.writeUInt32LE(crc32(value), 24);
  header.write(hash, fixedBytes, 'hex');
  header.write(instance, fixedBytes + digestFunction.hashBytes, 'utf8');
  header.writeUInt32LE(headerChecksum(header), 28);
  return header;
}

/** What a value file turned out to be. */
export type DecodedValue = { readonly kind: 'value'; readonly bytes: Uint8Array } | { readonly kind: 'damaged'; readonly reason: string };

/** The value in `file`, a view of it, if every byte is as it was written for `identity`. */
export function decodeValueFile(identity: ValueIdentity, file: Uint8Array): DecodedValue {
  const bytes = Buffer.from(file.buffer, file.byteOffset, file.byteLength);
  const headerBytes = valueFileBytes(identity, 0);
  if (bytes.byteLength < headerBytes) return damaged(`${bytes.byteLength} bytes are too short for a header`);
  if (bytes.toString('latin1', 0, 8) !== valueMagic) return damaged('it does not begin with the magic');
  if (bytes.readUInt16LE(8) !== version) return damaged(`format version ${bytes.readUInt16LE(8)} is not known`);
  const header = bytes.subarray(0, headerBytes);
  if (bytes.readUInt32LE(28) !== headerChecksum(header)) return damaged('the header does not have its checksum, or belongs to another value');
  const value = bytes.subarray(headerBytes);
  const expected = encodeValueHeader(identity, value);
  // One comparison covers identity, length and checksum: a header is a function of them.
  if (!header.equals(expected)) return damaged('the content does not have its length or checksum, or belongs to another value');
  return { kind: 'value', bytes: value };
}

/** Whose value `file` says that it holds, as far as that can be told: nothing of it is checked. */
export function identityOfValueFile(file: Buffer): ValueIdentity | undefined {
  if (file.byteLength < fixedBytes) return undefined;
  const kind = valueSpaces.find((space) => kindCodes[space] === file.readUInt8(10));
  const digestFunction = digestFunctionNumbered(file.readUInt8(11));
  const [hashBytes, instanceBytes] = [file.readUInt16LE(12), file.readUInt16LE(14)];
  const instanceAt = fixedBytes + hashBytes;
  if (kind === undefined || digestFunction?.hashBytes !== hashBytes || instanceAt + instanceBytes > file.byteLength) return undefined;
  return { kind, digestFunction, hash: file.toString('hex', fixedBytes, instanceAt), instance: file.toString('utf8', instanceAt, instanceAt + instanceBytes) };
}

function damaged(reason: string): DecodedValue {
  return { kind: 'damaged', reason };
}

/** CRC-32 over the header, the field of the checksum itself left out. */
function headerChecksum(header: Uint8Array): number {
  return crc32(header.subarray(fixedBytes), crc32(header.subarray(0, 28)));
}
