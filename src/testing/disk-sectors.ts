// Bytes of files in and out of sectors. A sector is never written again: a write makes new ones.
import { sectorBytes, zeroSector } from './disk-image.ts';
import type { FileContent } from './disk-image.ts';

/** The sectors that a write of `buffers` at `position` touches, whole, as they are afterwards. */
export function sectorsWritten(before: FileContent, buffers: readonly Uint8Array[], position: number): Uint8Array[] {
  const sizeBytes = buffers.reduce((sum, { byteLength }) => sum + byteLength, 0);
  const first = Math.floor(position / sectorBytes);
  const end = Math.ceil((position + sizeBytes) / sectorBytes);
  const [only] = buffers;
  if (buffers.length === 1 && only !== undefined && isZeros(only, position)) return Array.from({ length: end - first }, () => zeroSector);
  const block = Buffer.alloc((end - first) * sectorBytes);
  const at = position - first * sectorBytes;
  for (const edge of [first, end - 1]) block.set(before.sectors[edge] ?? zeroSector, (edge - first) * sectorBytes);
  let offset = at;
  for (const buffer of buffers) {
    block.set(buffer, offset);
    offset += buffer.byteLength;
  }
  return Array.from({ length: end - first }, (_, index) => {
    const sector = block.subarray(index * sectorBytes, (index + 1) * sectorBytes);
    return sector[0] === 0 && sector.equals(zeroSector) ? zeroSector : sector;
  });
}

/** Whole sectors of nothing else, as files are made ready with. */
function isZeros(bytes: Uint8Array, position: number): boolean {
  if (position % sectorBytes !== 0 || bytes.byteLength % sectorBytes !== 0 || bytes[0] !== 0) return false;
  for (let at = 0; at < bytes.byteLength; at += sectorBytes) if (Buffer.compare(bytes.subarray(at, at + sectorBytes), zeroSector) !== 0) return false;
  return true;
}

/** Bytes read into `into`, fewer than asked only at the end. */
export function readContent({ sectors, sizeBytes }: FileContent, into: Uint8Array, position: number): number {
  const count = Math.max(0, Math.min(into.byteLength, sizeBytes - position));
  for (let done = 0; done < count; ) {
    const at = position + done;
    const within = at % sectorBytes;
    const length = Math.min(sectorBytes - within, count - done);
    const index = (at - within) / sectorBytes;
    const sector = sectors[index] ?? zeroSector;
    if (sector === zeroSector) {
      let end = index + 1;
      while (sectors[end] === zeroSector) end += 1;
      const zeros = Math.min(end * sectorBytes - at, count - done);
      into.fill(0, done, done + zeros);
      done += zeros;
      continue;
    }
    into.set(length === sectorBytes ? sector : sector.subarray(within, within + length), done);
    done += length;
  }
  return count;
}

export function wholeContent(content: FileContent): Buffer {
  const bytes = Buffer.allocUnsafe(content.sizeBytes);
  readContent(content, bytes, 0);
  return bytes;
}
