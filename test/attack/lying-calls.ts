// Calls whose messages or deadlines are not what they say, each with an answer that the attacker does not wait for to
// make the next one.
import { gzipSync } from 'node:zlib';
import { defaultGrpcLimits } from '../../src/grpc/limits.ts';
import { data } from '../../src/testing/http2-peer.ts';
import { begun, findMissingMessage, path, whole } from './calls.ts';
import { RawHttp2, repeated } from './raw-http2.ts';

export type LyingCall = (streamId: number) => Uint8Array;

const message = findMissingMessage('0'.repeat(64), 1);
/** Zeros, far more than the largest message, and than a server under attack may take. */
const bomb = gzipSync(Buffer.alloc(128 * 1024 * 1024));
const frameBytesMax = 16_384;

/** The prefix of a message of `bytes`. */
export function prefix(bytes: number, flag = 0): Buffer {
  const five = Buffer.alloc(5);
  five[0] = flag;
  five.writeUInt32BE(bytes, 1);
  return five;
}

export function announces4GiB(id: number): Buffer {
  return Buffer.concat([begun(id, path.batchUpdate), data(id, false, prefix(0xffff_ffff))]);
}

/** All that a message may have is announced, and one byte comes. */
export function announcesAll(id: number): Buffer {
  return Buffer.concat([begun(id, path.batchUpdate), data(id, false, Buffer.concat([prefix(defaultGrpcLimits.messageBytesMax), Buffer.alloc(1)]))]);
}

export function shorterThanSaid(id: number): Buffer {
  return Buffer.concat([begun(id, path.findMissing), data(id, true, Buffer.concat([prefix(message.length + 1), message]))]);
}

export function longerThanSaid(id: number): Buffer {
  return Buffer.concat([begun(id, path.findMissing), data(id, true, Buffer.concat([prefix(message.length - 1), message]))]);
}

/** Some 128 KB that unpack to a thousand times as much. */
export function unpacksToTooMuch(id: number): Buffer {
  const body = Buffer.concat([prefix(bomb.length, 1), bomb]);
  const frames = [begun(id, path.batchUpdate, [['grpc-encoding', 'gzip']])];
  for (let from = 0; from < body.length; from += frameBytesMax) frames.push(data(id, from + frameBytesMax >= body.length, body.subarray(from, from + frameBytesMax)));
  return Buffer.concat(frames);
}

export function deadlineInThePast(id: number): Buffer {
  return whole(id, path.findMissing, message, [['grpc-timeout', '0m']]);
}

/** Makes `calls` of them on one connection, and waits until each has an answer. The connection is left open. */
export async function allAnswered(port: number, make: LyingCall, calls: number): Promise<RawHttp2> {
  const client = await RawHttp2.open(port);
  await client.send(repeated(calls, (index) => make(1 + 2 * index)));
  await client.until(({ headersFrames, resets }) => headersFrames + [...resets.values()].reduce((sum, count) => sum + count, 0) >= calls);
  return client;
}
