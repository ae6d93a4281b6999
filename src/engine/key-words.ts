// The key of a blob or value in the index: 32 bytes as eight words, and a tag for function and name space.
// docs/formats/segments.md, "Index key"
import { hash as hashOnce } from 'node:crypto';
import { readHexWords } from '../base/hex-words.ts';
import { digestFunctions } from '../digest/digest-function.ts';
import type { DigestFunction } from '../digest/digest-function.ts';
import type { RecordHead, RecordKind } from './record-codec.ts';
import { isRemovedKind } from './record-payloads.ts';

export type ValueKind = 'action_result' | 'opaque';

/** Identity of a value. */
export interface ValueIdentity {
  readonly kind: ValueKind;
  readonly instance: string;
  readonly digestFunction: DigestFunction;
  /** Lower-case hex. */
  readonly hash: string;
}

const wordCount = 8;
const wordBytes = 4;
export const keyBytes = wordCount * wordBytes;
/** Hex digits in a word; the hash of every function has a whole number of words. */
const wordDigits = 2 * wordBytes;
const digitsMax = 128;
/** Bytes that a UTF-16 unit can take in UTF-8. */
const unitBytesMax = 3;
/** On disk for ever, in what the key of a value is the hash of; in the lower two bits of the tag. */
const valueKindNumbers = { action_result: 1, opaque: 2 } as const;
const tagKindBits = 2;
/** Before the instance name in what the key of a value is the hash of: kind, function, bytes of the instance name. */
const identityHeadBytes = 6;

const digitsOfFunction: readonly number[] = (() => {
  const digits: number[] = [];
  for (const { wireValue, hexLength } of digestFunctions) digits[wireValue] = hexLength;
  return digits;
})();

/** Of a blob or large file. Below 256, as the other. */
export function blobTag(functionNumber: number): number {
  return functionNumber << tagKindBits;
}

export function valueTag(kind: ValueKind, functionNumber: number): number {
  return (functionNumber << tagKindBits) | valueKindNumbers[kind];
}

/** The digest function that a tag says. */
export function functionNumberOf(tag: number): number {
  return tag >> tagKindBits;
}

/** One key, set again for each look-up. Words are little-endian: word 0 has the first four bytes. */
export class KeyWords {
  readonly words = new Uint32Array(wordCount);
  tag = 0;
  readonly #digits = Buffer.alloc(digitsMax * unitBytesMax);
  readonly #rest = new Uint32Array(digitsMax / wordDigits - wordCount);
  readonly #view = new DataView(this.#digits.buffer, this.#digits.byteOffset, this.#digits.byteLength);

  /**
   * The key of what has a hash of the tag's function. False: `hash` is not lower-case hex of that function's length, and the
   * key is none. Allocates nothing.
   */
  setHash(tag: number, hash: string): boolean {
    const digits = digitsOfFunction[tag >> tagKindBits];
    // A character that is no digit takes more bytes in UTF-8 or is found below.
    if (hash.length !== digits || this.#digits.write(hash, 0, 'utf8') !== digits) return false;
    this.tag = tag;
    const count = digits / wordDigits;
    const kept = Math.min(count, wordCount);
    const { words } = this;
    words.fill(0, kept);
    // What is behind the key must be digits too.
    return readHexWords(this.#view, 0, words, { at: 0, count: kept }) && (count === kept || readHexWords(this.#view, kept * wordDigits, this.#rest, { at: 0, count: count - kept }));
  }

  /** The key of what has the hash in the eight words from `at` on, of a function whose hashes have no more. */
  setWords(tag: number, words: Uint32Array, at: number): void {
    this.tag = tag;
    for (let word = 0; word < wordCount; word += 1) this.words[word] = words[at + word] ?? 0;
  }

  /** @param hash as it stands in a record or hint: longer ones are cut, shorter ones get zeros behind. */
  setBytes(tag: number, hash: Uint8Array): void {
    this.tag = tag;
    for (let word = 0, at = 0; word < wordCount; word += 1, at += wordBytes) {
      this.words[word] = (hash[at] ?? 0) | ((hash[at + 1] ?? 0) << 8) | ((hash[at + 2] ?? 0) << 16) | ((hash[at + 3] ?? 0) << 24);
    }
  }

  setValue({ kind, instance, digestFunction, hash }: ValueIdentity): void {
    const whole = Buffer.allocUnsafe(identityHeadBytes + unitBytesMax * instance.length + digestFunction.hashBytes);
    const end = writeIdentity(whole, kind, digestFunction.wireValue, instance);
    this.setBytes(valueTag(kind, digestFunction.wireValue), hashOnce('sha256', whole.subarray(0, end + whole.write(hash, end, 'hex')), 'buffer'));
  }

  /**
   * The key that a record is about; of a tombstone, what it removes.
   * @param removed from the tombstone's payload. False: touches and seals are about no key.
   */
  setRecord({ kind, functionNumber, instance, hash }: Pick<RecordHead, 'kind' | 'functionNumber' | 'instance' | 'hash'>, removed?: RecordKind): boolean {
    const about = kind === 'tombstone' ? removed : kind;
    if (!isRemovedKind(about)) return false;
    if (about !== 'actionResult' && about !== 'opaque') {
      this.setBytes(blobTag(functionNumber), hash);
      return true;
    }
    const valueKind = about === 'opaque' ? 'opaque' : 'action_result';
    const whole = Buffer.allocUnsafe(identityHeadBytes + unitBytesMax * instance.length + hash.byteLength);
    const end = writeIdentity(whole, valueKind, functionNumber, instance);
    whole.set(hash, end);
    this.setBytes(valueTag(valueKind, functionNumber), hashOnce('sha256', whole.subarray(0, end + hash.byteLength), 'buffer'));
    return true;
  }

  /** The 32 bytes of the key. */
  writeTo(into: Buffer, at: number): void {
    for (let word = 0; word < wordCount; word += 1) into.writeUInt32LE(this.words[word] ?? 0, at + word * wordBytes);
  }

  /** The 32 bytes of the key, in memory of their own. */
  bytes(): Uint8Array {
    const bytes = new Uint8Array(keyBytes);
    for (let word = 0, at = 0; word < wordCount; word += 1, at += wordBytes) {
      const value = this.words[word] ?? 0;
      bytes[at] = value;
      bytes[at + 1] = value >>> 8;
      bytes[at + 2] = value >>> 16;
      bytes[at + 3] = value >>> 24;
    }
    return bytes;
  }

  /** For people and for names: 64 hex digits. */
  hex(): string {
    const bytes = Buffer.allocUnsafe(keyBytes);
    this.writeTo(bytes, 0);
    return bytes.toString('hex');
  }
}

/** Everything that stands before the hash. @returns where that goes. */
function writeIdentity(into: Buffer, kind: ValueKind, functionNumber: number, instance: string): number {
  const instanceBytes = into.write(instance, identityHeadBytes, 'utf8');
  into[0] = valueKindNumbers[kind];
  into[1] = functionNumber;
  into.writeUInt32LE(instanceBytes, 2);
  return identityHeadBytes + instanceBytes;
}
