// Finds the records of a segment in its bytes, which come in order and in pieces of any size, and tells damage from a
// torn tail: what a durable mark says was synced and is not right is damage; what no mark speaks for was never
// acknowledged. docs/formats/segments.md, "Damage".
//
//   telling ── not a record, in front of the mark ──▶ damaged ── a record ──▶ telling
//      │                                                 │
//      │ not a record, behind every mark so far          │ at the mark, still none
//      ▼                                                 ▼
//   looking, for marks alone ── end of the segment ──▶ ended
//
// A mark behind the gap proves damage, and the segment is scanned again from the gap with that mark known. So nothing
// is held back until it is clear which it is, and only the bytes behind damage are read twice.
import { assert, assertNever } from '../base/assert.ts';
import { PieceWindow } from './piece-window.ts';
import { aligned, decodeHead, headBytesAt, payloadIsRight, recordAlignment, recordFixedBytes, recordMagic } from './record-codec.ts';
import type { RecordHead } from './record-codec.ts';

export interface ScanStart {
  /** Of the first byte that is pushed: where a record begins, or the last one ended. */
  readonly offset: number;
  /** End of the segment: nothing is looked at from there on. */
  readonly endOffset: number;
  /** CRC-32 of the nonce of the segment. */
  readonly nonceCrc: number;
  /** Right records in front of `offset`, such as a hint tells of. */
  readonly recordsBefore: number;
  /** From the `again` of a scan before. */
  readonly known?: KnownMarks;
}

export interface KnownMarks {
  /** The furthest durable mark. */
  readonly durableMark: number;
  /** Where the last record ends that has a right head. */
  readonly headsEnd: number;
}

export type ScanEvent =
  /** Not for seals. `head.hash` and `payload` are views that hold until the next push. */
  | { readonly kind: 'record'; readonly head: RecordHead; readonly bytes: number; readonly payload: Buffer }
  /** Bytes that were durable once and are not right. `head`: of the one record that they are, if only its payload is wrong; holds until the next push. */
  | { readonly kind: 'damage'; readonly from: number; readonly to: number; readonly head?: RecordHead }
  /** Only a newer Kiln writes what is here. The scan ends. */
  | { readonly kind: 'newer'; readonly offset: number; readonly what: string };

export type ScanEnd =
  | {
      readonly kind: 'ended';
      /** Where the records end, the seal included. A seal that is missing goes here. */
      readonly endOffset: number;
      /** Right ones, `recordsBefore` included, the seal not. */
      readonly records: number;
      /** How many the seal says there are. Undefined: no seal. */
      readonly sealedRecords: number | undefined;
      /** From `endOffset` to the end of the last right head behind it: a torn tail. 0 when there is none, or none that can be seen. */
      readonly tornBytes: number;
    }
  /** Damage begins at `start.offset`: a scan that is started so tells the rest. */
  | { readonly kind: 'again'; readonly start: ScanStart };

type State =
  | { readonly state: 'telling' }
  | { readonly state: 'damaged'; readonly from: number }
  | { readonly state: 'looking'; readonly gap: number }
  | { readonly state: 'ended'; readonly endOffset: number };

const telling: State = { state: 'telling' };

/** One pass over a segment. Holds at most twice a record and the piece behind it. */
export class RecordScan {
  readonly #start: ScanStart;
  readonly #window: PieceWindow;
  #events: ScanEvent[] = [];
  #state: State = telling;
  #pushedTo: number;
  /** Offset of what is looked at next. */
  #at: number;
  /** With fewer bytes than this from `#at` on, nothing more can be told. */
  #neededBytes = recordFixedBytes;
  #durableMark: number;
  #headsEnd: number;
  #records: number;
  #sealedRecords: number | undefined;

  constructor(start: ScanStart) {
    assert(start.offset % recordAlignment === 0, 'a scan begins where a record can');
    this.#start = start;
    this.#window = new PieceWindow(start.offset);
    this.#pushedTo = start.offset;
    this.#at = start.offset;
    this.#durableMark = start.known?.durableMark ?? start.offset;
    this.#headsEnd = start.known?.headsEnd ?? start.offset;
    this.#records = start.recordsBefore;
  }

  /** Nothing further will be told: the rest of the segment need not be read. */
  get isEnded(): boolean {
    return this.#state.state === 'ended';
  }

  /** What is known now, in order. `piece` may be written again once the events are dealt with. */
  push(piece: Buffer): readonly ScanEvent[] {
    this.#events = [];
    if (this.isEnded) return this.#events;
    const wanted = piece.subarray(0, Math.max(0, this.#start.endOffset - this.#pushedTo));
    this.#pushedTo += wanted.byteLength;
    this.#window.add(wanted);
    const { bytes, offset } = this.#window;
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    while (!this.isEnded && this.#step(bytes, view, offset));
    this.#window.keepFrom(this.#at);
    return this.#events;
  }

  /** Once, when `isEnded` or all bytes up to the end of the segment were pushed. */
  end(): ScanEnd {
    const endOffset = this.#endOffset();
    if (this.#durableMark > endOffset) {
      const known: KnownMarks = { durableMark: this.#durableMark, headsEnd: this.#headsEnd };
      return { kind: 'again', start: { ...this.#start, offset: endOffset, recordsBefore: this.#records, known } };
    }
    return { kind: 'ended', endOffset, records: this.#records, sealedRecords: this.#sealedRecords, tornBytes: Math.max(0, this.#headsEnd - endOffset) };
  }

  #endOffset(): number {
    // The mark that makes damage of it came from a record behind it, which was read once.
    assert(this.#state.state !== 'damaged', 'all bytes up to the end of the segment are pushed');
    switch (this.#state.state) {
      case 'telling': return this.#at;
      case 'looking': return this.#state.gap;
      case 'ended': return this.#state.endOffset;
      default: return assertNever(this.#state);
    }
  }

  /** Looks at one place. False: more bytes are needed. */
  #step(bytes: Buffer, view: DataView, offset: number): boolean {
    if (this.#state.state !== 'telling') this.#at = offset + this.#nextMagic(view, this.#at - offset, offset);
    const [at, position] = [this.#at, this.#at - offset];
    if (bytes.byteLength - position < this.#neededBytes) return false;
    const headBytes = headBytesAt(bytes, position);
    if (headBytes !== undefined && bytes.byteLength - position < headBytes && at + headBytes <= this.#start.endOffset) return this.#waitFor(headBytes);
    const decoded = decodeHead(bytes, position, at, this.#start.nonceCrc);
    if (decoded.kind === 'newer') {
      this.#events.push({ kind: 'newer', offset: at, what: decoded.what });
      this.#state = { state: 'ended', endOffset: this.#state.state === 'looking' ? this.#state.gap : at };
      return true;
    }
    if (decoded.kind === 'none' || at + decoded.bytes > this.#start.endOffset) {
      this.#missed(at);
      return this.#advance(recordAlignment);
    }
    if (this.#state.state === 'looking') return this.#heard(decoded.head, decoded.bytes, this.#state.gap);
    if (this.#state.state === 'damaged') {
      this.#events.push({ kind: 'damage', from: this.#state.from, to: at });
      this.#state = telling;
    }
    return bytes.byteLength - position < decoded.bytes ? this.#waitFor(decoded.bytes) : this.#tell(decoded.head, decoded.bytes, bytes.subarray(position));
  }

  /** Position of the next place that begins as a record does, or that has to be looked at for another reason. */
  #nextMagic(view: DataView, from: number, offset: number): number {
    const last = Math.min(view.byteLength - recordFixedBytes, this.#state.state === 'damaged' ? this.#durableMark - offset : view.byteLength);
    let position = from;
    while (position < last && view.getUint32(position + 4, true) !== recordMagic) position += recordAlignment;
    return position;
  }

  /** No record begins here. */
  #missed(at: number): void {
    if (this.#state.state === 'looking') return;
    if (at < this.#durableMark) {
      if (this.#state.state === 'telling') this.#state = { state: 'damaged', from: at };
      return;
    }
    // Where damage reaches the mark, what stands behind is a torn tail like any other: records are kept up to the first hole.
    if (this.#state.state === 'damaged') this.#events.push({ kind: 'damage', from: this.#state.from, to: at });
    this.#foundGap(at);
  }

  /** What is known from a scan before needs no looking for. */
  #foundGap(at: number): void {
    this.#state = this.#start.known === undefined ? { state: 'looking', gap: at } : { state: 'ended', endOffset: at };
  }

  /** A right head behind the gap: its payload says nothing about the mark. */
  #heard(head: RecordHead, bytes: number, gap: number): boolean {
    this.#note(head, bytes);
    if (head.kind === 'seal') this.#state = { state: 'ended', endOffset: gap };
    return this.#advance(bytes);
  }

  #tell(head: RecordHead, bytes: number, record: Buffer): boolean {
    const at = this.#at;
    const payloadAt = bytes - aligned(head.payloadBytes);
    const payload = record.subarray(payloadAt, payloadAt + head.payloadBytes);
    this.#note(head, bytes);
    if (!payloadIsRight(head, payload)) {
      if (at < this.#durableMark) this.#events.push({ kind: 'damage', from: at, to: at + bytes, head });
      else this.#foundGap(at);
    } else if (head.kind === 'seal') {
      this.#sealedRecords = head.logicalBytes;
      this.#state = { state: 'ended', endOffset: at + bytes };
    } else {
      this.#records += 1;
      this.#events.push({ kind: 'record', head, bytes, payload });
    }
    return this.#advance(bytes);
  }

  #note(head: RecordHead, bytes: number): void {
    this.#durableMark = Math.max(this.#durableMark, head.durableMark);
    this.#headsEnd = Math.max(this.#headsEnd, head.offset + bytes);
  }

  #waitFor(bytes: number): false {
    this.#neededBytes = bytes;
    return false;
  }

  #advance(bytes: number): true {
    this.#at += bytes;
    this.#neededBytes = recordFixedBytes;
    return true;
  }
}
