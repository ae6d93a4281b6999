// Changes an input a little: octets, frames, header blocks, or what stands around them. Knows the format well enough
// that most of what comes out gets past the first checks of the engine, and not so well that all of it does.
import { frame, uint32 } from '../../src/testing/http2-peer.ts';
import type { SeededRandom } from '../../src/testing/seeded-random.ts';
import type { FuzzInput } from './fuzz-input.ts';
import { HpackWriter, integer, staticField } from './hpack-writer.ts';

/** Where numbers of the format have their edges. */
const edges = [0, 1, 2, 31, 100, 4_095, 4_096, 4_097, 16_383, 16_384, 16_385, 65_535, 65_536, 16_777_215, 16_777_216, 0x7fff_fffe, 0x7fff_ffff, 0x8000_0000, 0xffff_ffff];
const itemsMax = 200;
const itemBytesMax = 40_000;

/** One to six changes by chance; `other` is an input to take frames from. */
export function mutateInput(input: FuzzInput, other: FuzzInput, random: SeededRandom): FuzzInput {
  let { items, application, limits } = input;
  for (let count = random.pick([1, 1, 2, 3, 6]); count > 0; count--) {
    const kind = random.integer(0, 11);
    if (kind === 0) application = random.integer(0, 2 ** 31);
    else if (kind === 1) limits = random.integer(0, 3);
    else if (kind < 5) items = mutateOrder(items, other.items, random);
    else items = replaceOne(items, random);
  }
  return { ...input, items: items.slice(0, itemsMax), application, limits };
}

function placeIn(items: readonly Buffer[], random: SeededRandom): number {
  return random.integer(0, Math.max(0, items.length - 1));
}

/** Frames come twice, not at all, in another order, or from elsewhere. */
function mutateOrder(items: readonly Buffer[], others: readonly Buffer[], random: SeededRandom): Buffer[] {
  const from = placeIn(items, random);
  const to = placeIn(items, random);
  const item = items[from] ?? Buffer.alloc(0);
  switch (random.integer(0, 5)) {
    case 0:
      return items.toSpliced(from, 1);
    case 1:
      return items.toSpliced(to, 0, ...Array.from({ length: random.pick([1, 1, 2, 20]) }, () => item));
    case 2:
      return items.toSpliced(from, 1).toSpliced(to, 0, item);
    case 3: {
      const start = placeIn(others, random);
      return items.toSpliced(to, 0, ...others.slice(start, start + random.integer(1, 6)));
    }
    case 4:
      return [...items.slice(0, from), ...others.slice(placeIn(others, random))];
    default:
      return items.toSpliced(to, 0, anyFrame(random, streamIdOf(item)));
  }
}

function replaceOne(items: readonly Buffer[], random: SeededRandom): Buffer[] {
  const place = placeIn(items, random);
  const item = items[place];
  if (item === undefined) return [anyFrame(random, 1)];
  const mutated = item.length < 9 || random.integer(0, 2) === 0 ? mutateOctets(item, random) : mutateFrame(item, random);
  return items.with(place, mutated.subarray(0, itemBytesMax));
}

function mutateOctets(bytes: Buffer, random: SeededRandom): Buffer {
  const at = random.integer(0, bytes.length);
  const end = Math.min(bytes.length, at + random.pick([1, 1, 2, 4, 30]));
  switch (random.integer(0, 3)) {
    case 0:
      return Buffer.concat([bytes.subarray(0, at), bytes.subarray(end)]);
    case 1:
      return Buffer.concat([bytes.subarray(0, at), random.bytes(random.integer(1, 10)), bytes.subarray(at)]);
    case 2:
      return Buffer.concat([bytes.subarray(0, at), bytes.subarray(at, end).map(() => random.integer(0, 255)), bytes.subarray(end)]);
    default: {
      const flipped = Buffer.from(bytes);
      if (at < flipped.length) flipped[at] = (flipped[at] ?? 0) ^ (1 << random.integer(0, 7));
      return flipped;
    }
  }
}

/** One part of a frame changes; the length in its header follows. */
function mutateFrame(bytes: Buffer, random: SeededRandom): Buffer {
  const [type, flags, streamId, payload] = [bytes[3] ?? 0, bytes[4] ?? 0, streamIdOf(bytes), bytes.subarray(9)];
  switch (random.integer(0, 7)) {
    case 0:
      return frame(random.integer(0, 10), flags, streamId, payload);
    case 1:
      return frame(type, flags ^ random.pick([0x1, 0x4, 0x8, 0x20, 0x40]), streamId, payload);
    case 2:
      return frame(type, flags, random.pick([0, 1, 2, Math.max(0, streamId - 2), streamId + 1, streamId + 2, streamId + 200, 0x7fff_ffff, 0xffff_ffff]), payload);
    case 3:
      return frame(type, flags, streamId, payload.subarray(0, random.integer(0, payload.length)));
    case 4:
      return frame(type, flags, streamId, Buffer.concat([payload, random.bytes(random.pick([1, 4, 6, 300]))]));
    case 5:
      return payload.length < 4 ? bytes : frame(type, flags, streamId, withEdge(payload, random));
    case 6:
      return type === 1 || type === 9 ? frame(type, flags, streamId, anyBlock(random)) : splitFrame(bytes, random);
    default:
      return frame(type, flags, streamId, mutateOctets(payload, random));
  }
}

function withEdge(payload: Buffer, random: SeededRandom): Buffer {
  const changed = Buffer.from(payload);
  changed.writeUInt32BE(random.pick(edges), random.pick([0, payload.length - 4, random.integer(0, payload.length - 4)]));
  return changed;
}

/** A header block over two frames; any other frame as it was. */
function splitFrame(bytes: Buffer, random: SeededRandom): Buffer {
  if (bytes[3] !== 1) return bytes;
  const payload = bytes.subarray(9);
  const at = random.integer(0, payload.length);
  return Buffer.concat([frame(1, (bytes[4] ?? 0) & ~0x4, streamIdOf(bytes), payload.subarray(0, at)), frame(9, 0x4, streamIdOf(bytes), payload.subarray(at))]);
}

function streamIdOf(bytes: Buffer): number {
  return bytes.length < 9 ? 0 : bytes.readUInt32BE(5) & 0x7fff_ffff;
}

/** A frame of a known type with a payload that may be right. */
function anyFrame(random: SeededRandom, streamId: number): Buffer {
  const id = random.pick([0, streamId, streamId + 2, 1]);
  const payloads: readonly (() => Buffer)[] = [
    () => frame(0, random.pick([0, 1, 8, 9]), id, random.bytes(random.pick([0, 1, 100, 3_000]))),
    () => frame(1, random.pick([0, 4, 5, 0xc, 0x24]), id, anyBlock(random)),
    () => frame(2, 0, id, random.bytes(5)),
    () => frame(3, 0, id, uint32(random.pick(edges))),
    () => frame(4, random.pick([0, 0, 1]), 0, Buffer.concat([Buffer.from([0, random.integer(0, 7)]), uint32(random.pick(edges))])),
    () => frame(5, 4, id, Buffer.concat([uint32(2), anyBlock(random)])),
    () => frame(6, random.integer(0, 1), 0, random.pick([Buffer.from('draining'), Buffer.alloc(8)])),
    () => frame(7, 0, 0, uint32(random.pick([0, streamId, 0x7fff_ffff]), random.integer(0, 13))),
    () => frame(8, 0, id, uint32(random.pick(edges))),
    () => frame(9, random.pick([0, 4]), id, anyBlock(random)),
  ];
  return random.pick(payloads)();
}

/** Header fields as instructions of HPACK, right ones and wrong ones mixed. */
function anyBlock(random: SeededRandom): Buffer {
  const request = new HpackWriter(random).block([staticField(2), staticField(4), staticField(6)]);
  const instructions: readonly (() => Buffer)[] = [
    () => integer(random.pick([0, 1, 7, 61, 62, 63, 100, ...edges]), 7, 0x80),
    () => Buffer.concat([integer(random.pick([0, 1, 32, 62, 70]), random.pick([4, 6]), random.pick([0x00, 0x10, 0x40])), anyString(random), anyString(random)]),
    () => integer(random.pick(edges), 5, 0x20),
    () => Buffer.concat([Buffer.from([0xff, ...Array.from({ length: random.integer(0, 6) }, () => 0x80)]), random.bytes(1)]),
  ];
  const extra = Array.from({ length: random.integer(0, 4) }, () => random.pick(instructions)());
  return random.integer(0, 5) === 0 ? Buffer.concat(extra) : Buffer.concat([request, ...extra]);
}

function anyString(random: SeededRandom): Buffer {
  const bytes = random.pick([Buffer.from('x-a'), Buffer.from(':path'), Buffer.from('content-length'), Buffer.from('12'), Buffer.from(random.bytes(random.integer(0, 12)))]);
  return Buffer.concat([integer(random.integer(0, 9) === 0 ? random.integer(0, 70) : bytes.length, 7, random.pick([0, 0, 0x80])), bytes]);
}
