// Digests as they stand in a message, without an object for each: a call may have ten thousand.
import { WireError, fieldSet, skipUnknown } from './wire-reader.ts';
import type { WireReader } from './wire-reader.ts';

/** `hash` and `size_bytes`. */
const digestFields = fieldSet(1, 2);

/** Digests that may be sent, in order; a DigestList is such a sequence. */
export interface DigestSequence {
  readonly length: number;
  /** Of their hashes eight each (base/hex-words.ts), where all have 64 digits; there may be more behind them. */
  readonly words?: Uint32Array | undefined;
  hashAt(index: number): string;
  /** From 0 to 2^53 - 1. */
  sizeAt(index: number): number;
}

/** Digests as they came, in order: nothing is known of them yet but that hashes are UTF-8 and sizes numbers of 64 bits. */
export interface ReceivedDigests {
  readonly hashes: readonly string[];
  /** A bigint beyond the safe integers. */
  readonly sizes: readonly (number | bigint)[];
  /** No hash has anything but lower-case hex digits in it. */
  readonly lowerHex: boolean;
  /** As those of DigestSequence. Who has a use for them spares making `hashes`. */
  readonly words?: Uint32Array | undefined;
}

/** One digest of a message, as ReceivedDigests. */
export interface ReceivedDigest {
  readonly hash: string;
  readonly sizeBytes: number | bigint;
}

/** Collects the digests of one message, `countMax` at most. */
export class PackedDigests implements ReceivedDigests {
  readonly hashes: string[] = [];
  readonly sizes: (number | bigint)[] = [];
  lowerHex = true;
  /** Passed over within them. */
  unknownFields = 0;
  readonly #countMax: number;

  constructor(countMax: number) {
    this.#countMax = countMax;
  }

  get length(): number {
    return this.hashes.length;
  }

  /** Reads the message of a Digest field, and returns its index. @throws WireError, also when there are too many. */
  read(reader: WireReader): number {
    if (this.length === this.#countMax) throw new WireError(`it has more than ${this.#countMax} digests; ask for fewer at a time`);
    this.hashes.push('');
    this.sizes.push(0);
    this.merge(this.length - 1, reader);
    return this.length - 1;
  }

  /** Reads the message of a Digest field again that occurs once: what it has comes in place of what it had. */
  merge(index: number, reader: WireReader): void {
    const outerEnd = reader.enter();
    let hash = this.hashes[index] ?? '';
    let size = this.sizes[index] ?? 0;
    for (let tag = reader.tag(); tag !== 0; tag = reader.tag()) {
      if (tag === 10) hash = reader.hash();
      else if (tag === 16) size = reader.size();
      else {
        this.unknownFields += 1;
        skipUnknown(reader, tag, digestFields);
      }
    }
    reader.leave(outerEnd);
    this.hashes[index] = hash;
    this.sizes[index] = size;
    if (!reader.onlyLowerHex) this.lowerHex = false;
  }

  /** Takes the digests of `others` as well, however many. */
  append(others: ReceivedDigests): void {
    for (let index = 0; index < others.hashes.length; index += 1) {
      this.hashes.push(others.hashes[index] ?? '');
      this.sizes.push(others.sizes[index] ?? 0);
    }
    if (!others.lowerHex) this.lowerHex = false;
  }
}

/** Reads the message of a Digest field that occurs once; if it does again, it is merged with what came `before`. */
export function readDigest(reader: WireReader, before: ReceivedDigest | undefined): ReceivedDigest {
  const outerEnd = reader.enter();
  let hash = before?.hash ?? '';
  let sizeBytes = before?.sizeBytes ?? 0;
  for (let tag = reader.tag(); tag !== 0; tag = reader.tag()) {
    if (tag === 10) hash = reader.string();
    else if (tag === 16) sizeBytes = reader.size();
    else skipUnknown(reader, tag, digestFields);
  }
  reader.leave(outerEnd);
  return { hash, sizeBytes };
}
