// Bytes of files in and out of sectors. A sector is never written again: a write makes new ones.
import { sectorBytes, zeroSector } from './disk-image.ts';
import type { FileContent } from './disk-image.ts';

/** The sectors that a write of `buffers` at `position` touches, whole, as they are afterwards. */
export function sectorsWritten(before: FileContent, buffers: readonly Uint8Array[], position: number): Uint8Array[] {
  const sizeBytes = buffers.reduce((sum, { byteLength }) => sum + byteLength, 0);
  const first = Math.floor(position / sectorBytes);
  const end = Math.ceil((position + sizeBytes) / sectorBytes);
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

/** Bytes read into `into`, fewer than asked only at the end. */
export function readContent({ sectors, sizeBytes }: FileContent, into: Uint8Array, position: number): number {
  const count = Math.max(0, Math.min(into.byteLength, sizeBytes - position));
  for (let done = 0; done < count; ) {
    const at = position + done;
    const within = at % sectorBytes;
    const length = Math.min(sectorBytes - within, count - done);
    const sector = sectors[(at - within) / sectorBytes] ?? zeroSector;
    if (sector === zeroSector) into.fill(0, done, done + length);
    else into.set(length === sectorBytes ? sector : sector.subarray(within, within + length), done);
    done += length;
  }
  return count;
}

export function wholeContent(content: FileContent): Buffer {
  const bytes = Buffer.allocUnsafe(content.sizeBytes);
  readContent(content, bytes, 0);
  return bytes;
}
