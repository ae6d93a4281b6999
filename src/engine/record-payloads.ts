// What records carry when it is not the bytes of a blob or value: what a tombstone removes, where a long value is, and
// when things were used. docs/formats/segments.md
import { assert } from '../base/assert.ts';
import { recordKindOf, recordKinds } from './record-codec.ts';
import type { RecordKind } from './record-codec.ts';
import { readWide, writeWide } from './wide-integers.ts';

/** What a tombstone can remove; an intent: the upload ended without a file. */
export type RemovedKind = Extract<RecordKind, 'blob' | 'actionResult' | 'opaque' | 'intent' | 'commit'>;

export interface Tombstone {
  readonly removed: RemovedKind;
  /** The file of the commit is gone for good. */
  readonly isGone: boolean;
}

const removedKinds: readonly RecordKind[] = ['blob', 'actionResult', 'opaque', 'intent', 'commit'];
const tombstoneBytes = 8;

export function isRemovedKind(kind: RecordKind | undefined): kind is RemovedKind {
  return kind !== undefined && removedKinds.includes(kind);
}

export function encodeTombstone({ removed, isGone }: Tombstone): Buffer {
  assert(!isGone || removed === 'commit', 'only files are gone for good');
  const payload = Buffer.alloc(tombstoneBytes);
  payload[0] = recordKinds[removed];
  payload[1] = isGone ? 1 : 0;
  return payload;
}

/** Undefined: no writer of this version wrote it. */
export function decodeTombstone(payload: Uint8Array): Tombstone | undefined {
  if (payload.byteLength !== tombstoneBytes) return undefined;
  const removed = recordKindOf(payload[0] ?? 0);
  if (!isRemovedKind(removed)) return undefined;
  const tombstone = { removed, isGone: payload[1] === 1 };
  if (tombstone.isGone && removed !== 'commit') return undefined;
  return encodeTombstone(tombstone).equals(payload) ? tombstone : undefined;
}

/** The blob that is a value too long for a segment. */
export interface ValuePointer {
  readonly functionNumber: number;
  /** At most 32 bytes. */
  readonly hash: Uint8Array;
  readonly sizeBytes: number;
}

const pointerBytes = 48;
const pointerHashBytesMax = 32;

export function encodePointer({ functionNumber, hash, sizeBytes }: ValuePointer): Buffer {
  assert(hash.byteLength <= pointerHashBytesMax, 'a pointer has room for a hash of 32 bytes');
  const payload = Buffer.alloc(pointerBytes);
  payload.writeUInt8(functionNumber, 0);
  payload[1] = hash.byteLength;
  writeWide(payload, sizeBytes, 8);
  payload.set(hash, 16);
  return payload;
}

/** Undefined: no writer of this version wrote it. `hash` is a view. */
export function decodePointer(payload: Buffer): ValuePointer | undefined {
  if (payload.byteLength !== pointerBytes || payload.readUInt8(1) > pointerHashBytesMax) return undefined;
  const pointer = { functionNumber: payload.readUInt8(0), hash: payload.subarray(16, 16 + payload.readUInt8(1)), sizeBytes: readWide(payload, 8) };
  if (!Number.isSafeInteger(pointer.sizeBytes)) return undefined;
  return encodePointer(pointer).equals(payload) ? pointer : undefined;
}

/** A use of what has an index key that begins so (two little-endian words). */
export interface Touch {
  readonly low: number;
  readonly high: number;
  /** Seconds since the Unix epoch. */
  readonly usedAtS: number;
}

const touchBytes = 12;

export function encodeTouches(touches: readonly Touch[]): Buffer {
  const payload = Buffer.allocUnsafe(touches.length * touchBytes);
  let at = 0;
  for (const { low, high, usedAtS } of touches) {
    payload.writeUInt32LE(low, at);
    payload.writeUInt32LE(high, at + 4);
    payload.writeUInt32LE(usedAtS, at + 8);
    at += touchBytes;
  }
  return payload;
}

/** Tells of each, in the order written. False: no writer of this version wrote it, and nothing was told. */
export function readTouches(payload: Buffer, told: (low: number, high: number, usedAtS: number) => void): boolean {
  if (payload.byteLength % touchBytes !== 0) return false;
  const view = new DataView(payload.buffer, payload.byteOffset, payload.byteLength);
  for (let at = 0; at < payload.byteLength; at += touchBytes) told(view.getUint32(at, true), view.getUint32(at + 4, true), view.getUint32(at + 8, true));
  return true;
}

/** In the order written. Undefined: no writer of this version wrote it. */
export function decodeTouches(payload: Buffer): readonly Touch[] | undefined {
  const touches: Touch[] = [];
  return readTouches(payload, (low, high, usedAtS) => void touches.push({ low, high, usedAtS })) ? touches : undefined;
}
