// The thread's side of a HashPool: hashes pieces of bodies that lie in memory which both sides see, and says of each piece
// that it has been read. Knows no hash function: the entry of the thread hands them in.
import { parentPort } from 'node:worker_threads';
import { assert } from '../base/assert.ts';
import type { FromHashThread, RunningHash, ToHashThread } from './hash-messages.ts';
import { lowerThreadPriority } from './thread-priority.ts';

/** Beside large uploads small writes take 7 ms in the 99th percentile with it, and 8 to 9 without, on two processors. */
const niceMore = 5;

/** Answers every message in order. Anything that throws ends the thread, and with it the bodies that it was hashing. */
export function serveHashes(createHasher: (functionName: string) => RunningHash): void {
  const port = parentPort;
  assert(port !== null, 'this file is the start of a thread');
  lowerThreadPriority(niceMore);
  const bodies = new Map<number, { readonly hash: RunningHash; readonly ring: Uint8Array }>();
  const send = (message: FromHashThread): void => port.postMessage(message);
  port.on('message', (message: ToHashThread) => {
    if (message.kind === 'begin') {
      bodies.set(message.id, { hash: createHasher(message.functionName), ring: new Uint8Array(message.ring) });
      return;
    }
    const body = bodies.get(message.id);
    assert(body !== undefined, 'a body is begun before anything else, and nothing comes after its end');
    if (message.kind === 'piece') {
      body.hash.update(body.ring.subarray(message.offset, message.offset + message.sizeBytes));
      send({ kind: 'read', id: message.id });
      return;
    }
    bodies.delete(message.id);
    send(message.kind === 'end' ? { kind: 'ended', id: message.id, hex: body.hash.hex() } : { kind: 'ended', id: message.id, hex: undefined });
  });
}
