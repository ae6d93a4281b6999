// Reads what can still be read of a file of which the disk has lost some places: around a sector that is gone stands what is right.
import type { LogFile } from '../base/log-files.ts';
import { io, systemCode } from './storage-error.ts';

export interface ReadAround {
  /** Bytes of `into` that are filled, as by `LogFile.read`. */
  readonly count: number;
  /** Of them, those that could not be read, and are zeros now. */
  readonly lostBytes: number;
}

/** How a system says that bytes of a file are lost, of which others may be read: disks, and file systems that check what they read. */
const lostCodes: ReadonlySet<string | undefined> = new Set(['EIO', 'ENODATA', 'EBADMSG', 'EUCLEAN', 'EILSEQ']);
/** What is read at once where more cannot be: a page, and a sector of today's disks. */
const blockBytes = 4_096;

/** Off the loop. Each lost place was tried twice. @throws CacheError `unavailable`: the disk refuses for another reason, or altogether. */
export async function readAround(file: Pick<LogFile, 'read'>, into: Uint8Array, position: number): Promise<ReadAround> {
  const whole = await tryRead(file, into, position);
  if (whole !== undefined) return { count: whole, lostBytes: 0 };
  let lostBytes = 0;
  for (let at = 0; at < into.byteLength; at += blockBytes) {
    const block = into.subarray(at, at + blockBytes);
    const count = await tryRead(file, block, position + at);
    if (count === undefined) {
      block.fill(0);
      lostBytes += block.byteLength;
    } else if (count < block.byteLength) {
      return { count: at + count, lostBytes };
    }
  }
  return { count: into.byteLength, lostBytes };
}

/** Undefined: it is lost. */
async function tryRead(file: Pick<LogFile, 'read'>, into: Uint8Array, position: number): Promise<number | undefined> {
  try {
    return await io('read a segment', file.read(into, position));
  } catch (thrown) {
    if (!lostCodes.has(systemCode(thrown))) throw thrown;
    return undefined;
  }
}
