// Random and damaged input on the pure connection, with fixed seeds: it never throws, never stays without an answer
// to what is wrong, and neither events nor output depend on where the chunks of the input end.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { Http2Peer, data, frame, headers, requestHeaders, settings, uint32 } from '../testing/http2-peer.ts';
import { SeededRandom } from '../testing/seeded-random.ts';
import { clientPreface } from './frames.ts';
import { prepareHeaders } from './header-encoder.ts';

const ok = prepareHeaders([[':status', '200']]);

/** Plausible frames in a plausible order. */
function conversation(random: SeededRandom): Buffer[] {
  const frames: Buffer[] = [];
  let newest = -1;
  for (let count = random.integer(5, 40); count > 0; count--) {
    const id = random.integer(0, 3) === 0 ? Math.max(1, newest - 2 * random.integer(0, 3)) : Math.max(1, newest);
    const kinds: readonly (() => Buffer)[] = [
      () => headers((newest += 2), random.integer(0, 1) === 0),
      () => headers((newest += 2), false, [...requestHeaders, ['x', 'y'.repeat(random.integer(0, 300))]]),
      () => frame(1, 0x5, (newest += 2), Buffer.from(random.pick(['8386840161016240016301640f', '838684400161 0162'.replace(' ', ''), '838684be', '3f0183868440016101623fe11f']), 'hex')),
      () => {
        const block = Buffer.from(headers(1, true).subarray(9));
        newest += 2;
        return Buffer.concat([frame(1, 0, newest, block.subarray(0, 2)), frame(9, 0, newest, block.subarray(2, 3)), frame(9, 4, newest, block.subarray(3))]);
      },
      () => data(id, random.integer(0, 3) === 0, random.bytes(random.pick([0, 1, 72, 5_000]))),
      () => frame(0, 0x8, id, Buffer.concat([Buffer.from([20]), random.bytes(50)])),
      () => frame(8, 0, random.pick([0, id]), uint32(random.pick([1, 1_000, 100_000, 0x7fff_ffff]))),
      () => settings([random.pick([1, 3, 4, 5, 6, 9]), random.pick([0, 1, 100, 16_384, 70_000])]),
      () => frame(6, random.integer(0, 1), 0, random.bytes(8)),
      () => frame(3, 0, id, uint32(random.integer(0, 20))),
      () => headers(id, true, [['t', '1']]),
      () => frame(2, 0, id, random.bytes(5)),
      () => frame(random.integer(10, 255), random.integer(0, 255), id, random.bytes(random.integer(0, 30))),
    ];
    frames.push(random.pick(kinds)());
  }
  return frames;
}

/** Some octets changed, some left out, some put in. */
function damage(bytes: Buffer, random: SeededRandom): Buffer {
  const damaged = Buffer.from(bytes);
  for (let count = random.integer(1, 6); count > 0; count--) damaged[random.integer(0, damaged.length - 1)] = random.integer(0, 255);
  const cut = random.integer(0, damaged.length);
  const kind = random.integer(0, 3);
  if (kind === 0) return Buffer.concat([damaged.subarray(0, cut), damaged.subarray(cut + random.integer(1, 12))]);
  return kind === 1 ? Buffer.concat([damaged.subarray(0, cut), random.bytes(random.integer(1, 12)), damaged.subarray(cut)]) : damaged;
}

/** Everything that can be seen from outside after reading `input` in chunks of the given sizes. */
function run(input: Buffer, chunkBytes: () => number): { events: unknown; output: string } {
  const peer = new Http2Peer({ idleFramesBurst: 20, concurrentStreamsMax: 8, headerListBytesMax: 400 }, { raw: true });
  peer.onEnd = ({ stream, block }) => {
    stream.sendHeaders(ok, false);
    stream.sendData([Buffer.from(block.fields.join())], false);
    stream.sendData([new Uint8Array(3_000)], stream.id % 4 === 1);
    stream.sendTrailers([['t', String(stream.id)]]);
  };
  const output: Buffer[] = [peer.takeBytes()];
  for (let at = 0; at < input.length; ) {
    const chunk = new Uint8Array(input.subarray(at, (at += chunkBytes())));
    peer.connection.receive(chunk);
    chunk.fill(0xee); // the transport reuses its buffer: nobody may have kept a view of it
    output.push(peer.takeBytes());
  }
  peer.connection.abort();
  for (const { events } of peer.streams) {
    assert.ok(events.filter((event) => event.startsWith('reset')).length <= 1, 'reset once');
    const end = events.findIndex((event) => event.startsWith('reset'));
    assert.ok(end === -1 || end === events.length - 1, 'nothing after a reset');
  }
  const events = peer.streams.map((stream) => [stream.block.fields, stream.receivedBytes, stream.events.filter((event) => !event.startsWith('data'))]);
  return { events, output: Buffer.concat(output).toString('hex') };
}

function compareChunkings(input: Buffer, random: SeededRandom): void {
  const whole = run(input, () => input.length);
  for (const most of [1, 7, 30, 700]) {
    assert.deepEqual(run(input, () => random.integer(1, most)), whole, `seed ${random.seed}, chunks up to ${most}`);
  }
}

describe('connection fuzz', () => {
  it('chunking changes neither events nor output of conversations that keep the rules', () => {
    for (let seed = 1; seed <= 150; seed++) {
      const random = new SeededRandom(seed);
      compareChunkings(Buffer.concat([clientPreface, settings(), ...conversation(random)]), random);
    }
  });

  it('nor of damaged ones, and nothing is thrown', () => {
    for (let seed = 1_000; seed <= 1_300; seed++) {
      const random = new SeededRandom(seed);
      const valid = Buffer.concat([settings(), ...conversation(random)]);
      compareChunkings(Buffer.concat([clientPreface, damage(valid, random)]), random);
    }
  });

  it('nor of plain noise', () => {
    for (let seed = 2_000; seed <= 2_100; seed++) {
      const random = new SeededRandom(seed);
      compareChunkings(Buffer.concat([clientPreface, settings(), random.bytes(random.integer(1, 400))]), random);
      compareChunkings(Buffer.from(random.bytes(60)), random);
    }
  });

  it('header blocks of noise never throw and never come out too long', () => {
    for (let seed = 3_000; seed <= 3_400; seed++) {
      const random = new SeededRandom(seed);
      const blocks = Array.from({ length: 5 }, (_, index) => frame(1, 0x5, 2 * index + 1, Buffer.concat([Buffer.from('838684', 'hex'), random.bytes(random.integer(0, 40))])));
      compareChunkings(Buffer.concat([clientPreface, settings(), ...blocks]), random);
    }
  });
});
