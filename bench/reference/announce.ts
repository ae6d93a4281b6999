// How a reference server says where it listens: the same ready file as Kiln's.
import { renameSync, writeFileSync } from 'node:fs';

/** Writes the ready file named by the first argument and ends the process on SIGTERM. */
export function announce(port: number): void {
  const file = process.argv[2];
  if (file === undefined) throw new Error('usage: server READY_FILE');
  writeFileSync(`${file}.partial`, JSON.stringify({ pid: process.pid, grpc: `grpc://127.0.0.1:${port}` }));
  renameSync(`${file}.partial`, file);
  process.on('SIGTERM', () => process.exit(0));
}
