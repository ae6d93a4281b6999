// The thread's side of what reads whole files where it may block. Knows nothing of what is in them: the entry of the
// thread hands that in.
import { closeSync, openSync, readSync } from 'node:fs';
import { serveThread } from './thread.ts';

/** Bytes read into `into` from `position` on, fewer than asked only at the end of the file. */
export type ReadFileNow = (into: Uint8Array, position: number) => number;

/** What a thread of `serveScans` is asked: a file, and what the entry makes of it. */
export interface ScanQuestion {
  readonly path: string;
  readonly request: unknown;
}

/** Answers every question with what `scan` gives; it reads the file by `read` while it runs. */
export function serveScans(scan: (read: ReadFileNow, request: unknown) => unknown): void {
  serveThread((input) => {
    const { path, request } = input as ScanQuestion; // as the side that asks sends it
    const fd = openSync(path, 'r');
    try {
      return scan((into, position) => readWhole(fd, into, position), request);
    } finally {
      closeSync(fd);
    }
  });
}

function readWhole(fd: number, into: Uint8Array, position: number): number {
  let got = 0;
  while (got < into.byteLength) {
    const count = readSync(fd, into, got, into.byteLength - got, position + got);
    if (count === 0) break;
    got += count;
  }
  return got;
}
