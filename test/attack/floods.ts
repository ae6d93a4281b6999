// Floods: attackers that send as much as goes of what costs the server more than them. Each runs on one connection
// until the server ends it, so that whoever runs them decides how often and beside what.
import { encodeHeaders } from '../../src/h2/header-encoder.ts';
import { data, frame, headers, settings, uint32 } from '../../src/testing/http2-peer.ts';
import { begun, callHeaders, path } from './calls.ts';
import { RawHttp2, repeated, rstStream, type, windowUpdate } from './raw-http2.ts';
import type { Goaway } from './raw-http2.ts';

/** One attack on one connection. */
export interface Flood {
  readonly name: string;
  /** Code of the GOAWAY, and what its debug text says. */
  readonly goaway: { readonly code: string; readonly text: RegExp };
  /** Label of kiln_http2_floods_total, if it has one. */
  readonly frames?: string;
  readonly attack: (client: RawHttp2) => Promise<void>;
}

/** Frames in one write: what an attacker puts into one packet, more or less. */
const burst = 100;
/** Writes before an attacker gives up: ten times what the limits let pass. */
const roundsMax = 200;

/** A stream id for each of the calls of a flood. */
function idOf(round: number, index: number): number {
  return 1 + 2 * (round * burst + index);
}

const calm = (text: RegExp): Flood['goaway'] => ({ code: 'ENHANCE_YOUR_CALM', text });

/** Each frame of the burst belongs to a call of its own that is made for it. */
function perCall(make: (streamId: number) => Uint8Array): Flood['attack'] {
  return (client) => client.flood((round) => repeated(burst, (index) => make(idOf(round, index))), roundsMax);
}

/** The same frame all the time. */
function same(bytes: Uint8Array): Flood['attack'] {
  const chunk = repeated(burst, () => bytes);
  return (client) => client.flood(() => chunk, roundsMax);
}

/** On one call that stays open. */
function onOneCall(bytes: Uint8Array): Flood['attack'] {
  return async (client) => {
    await client.send(begun(1, path.write));
    await same(bytes)(client);
  };
}

/** Not indexed, and so nothing that the decoder could have kept. */
function literal(name: string, value: string): Buffer {
  return Buffer.concat([Buffer.from([0x00, name.length]), Buffer.from(name), Buffer.from([value.length]), Buffer.from(value)]);
}

/** One field of 4,000 bytes goes into the table, and then a byte for each time that it is meant again. */
function bombBlock(times: number): Buffer {
  const value = Buffer.alloc(4_000, 'x');
  const length = value.length - 127; // RFC 7541 §5.1, prefix of 7 bits
  const name = Buffer.from('bomb');
  const intoTable = Buffer.concat([Buffer.from([0x40, name.length]), name, Buffer.from([0x7f, (length & 0x7f) | 0x80, length >> 7]), value]);
  return Buffer.concat([encodeHeaders(callHeaders(path.findMissing)), intoTable, Buffer.alloc(times, 0x80 | 62)]);
}

/** A header list of `bytes`, as HEADERS and as many CONTINUATION frames as it takes. */
function largeHeaders(streamId: number, bytes: number): Buffer {
  const block = Buffer.concat([encodeHeaders(callHeaders(path.findMissing)), ...Array.from({ length: Math.ceil(bytes / 110) }, (_, index) => literal(`x-${index}`, 'y'.repeat(100)))]);
  const frames: Buffer[] = [];
  for (let from = 0; from < block.length; from += 16_384) {
    const last = from + 16_384 >= block.length;
    frames.push(frame(from === 0 ? type.headers : type.continuation, last ? 0x4 : 0, streamId, block.subarray(from, from + 16_384)));
  }
  return Buffer.concat(frames);
}

export const floods: readonly Flood[] = [
  {
    name: 'rapid reset (CVE-2023-44487)',
    goaway: calm(/RST_STREAM/),
    frames: 'RST_STREAM',
    attack: perCall((id) => Buffer.concat([begun(id, path.findMissing), rstStream(id)])),
  },
  {
    name: 'MadeYouReset (CVE-2025-8671): WINDOW_UPDATE by 0',
    goaway: calm(/WINDOW_UPDATE against the rules/),
    frames: 'WINDOW_UPDATE against the rules',
    attack: perCall((id) => Buffer.concat([begun(id, path.findMissing), windowUpdate(id, 0)])),
  },
  {
    name: 'MadeYouReset: a window above 2^31-1',
    goaway: calm(/WINDOW_UPDATE/),
    attack: perCall((id) => Buffer.concat([begun(id, path.findMissing), windowUpdate(id, 0x7fff_ffff), windowUpdate(id, 0x7fff_ffff)])),
  },
  {
    name: 'MadeYouReset: PRIORITY of a wrong length',
    goaway: calm(/PRIORITY/),
    frames: 'PRIORITY',
    attack: perCall((id) => Buffer.concat([begun(id, path.findMissing), frame(type.priority, 0, id, new Uint8Array(4))])),
  },
  {
    name: 'MadeYouReset: PRIORITY on itself',
    goaway: calm(/PRIORITY/),
    frames: 'PRIORITY',
    attack: perCall((id) => Buffer.concat([begun(id, path.findMissing), frame(type.priority, 0, id, Buffer.concat([uint32(id), Buffer.alloc(1)]))])),
  },
  {
    name: 'MadeYouReset: a body longer than its content-length',
    goaway: calm(/DATA against the rules/),
    frames: 'DATA against the rules',
    attack: perCall((id) => Buffer.concat([begun(id, path.findMissing, [['content-length', '1']]), data(id, false, 2)])),
  },
  {
    name: 'MadeYouReset: a body shorter than its content-length',
    goaway: calm(/a body shorter than its content-length/),
    frames: 'a body shorter than its content-length',
    attack: perCall((id) => Buffer.concat([begun(id, path.findMissing, [['content-length', '2']]), data(id, true, 1)])),
  },
  {
    name: 'MadeYouReset: trailers that do not end the request',
    goaway: calm(/malformed trailers/),
    frames: 'malformed trailers',
    attack: perCall((id) => Buffer.concat([begun(id, path.findMissing), headers(id, false, [['x', 'y']])])),
  },
  {
    name: 'requests that are refused',
    goaway: calm(/a refused request/),
    frames: 'a refused request',
    attack: perCall((id) => headers(id, false, [[':method', 'POST']])),
  },
  {
    name: 'empty HEADERS',
    goaway: calm(/a refused request/),
    frames: 'a refused request',
    attack: perCall((id) => frame(type.headers, 0x5, id)),
  },
  {
    name: 'more streams than allowed',
    goaway: calm(/a refused request/),
    frames: 'a refused request',
    attack: perCall((id) => begun(id, path.write)),
  },
  { name: 'SETTINGS flood', goaway: calm(/SETTINGS/), frames: 'SETTINGS', attack: same(settings([4, 65_535])) },
  { name: 'SETTINGS flood, acknowledgements', goaway: calm(/SETTINGS with ACK/), frames: 'SETTINGS with ACK', attack: same(frame(type.settings, 1, 0)) },
  { name: 'PING flood', goaway: calm(/^too_many_pings$/), frames: 'PING', attack: same(frame(type.ping, 0, 0, new Uint8Array(8))) },
  { name: 'PING flood, answers to nothing', goaway: calm(/PING with ACK/), frames: 'PING with ACK', attack: same(frame(type.ping, 1, 0, new Uint8Array(8))) },
  { name: 'PRIORITY flood', goaway: calm(/PRIORITY/), frames: 'PRIORITY', attack: same(frame(type.priority, 0, 1, new Uint8Array(5))) },
  { name: 'flood of unknown frames', goaway: calm(/of an unknown type/), frames: 'of an unknown type', attack: same(frame(0xfa, 0, 0, new Uint8Array(8))) },
  { name: 'GOAWAY flood', goaway: calm(/GOAWAY/), frames: 'GOAWAY', attack: same(frame(type.goaway, 0, 0, new Uint8Array(8))) },
  { name: 'empty DATA', goaway: calm(/empty DATA/), frames: 'empty DATA', attack: onOneCall(data(1, false, 0)) },
  { name: 'empty DATA, padded', goaway: calm(/empty DATA/), frames: 'empty DATA', attack: onOneCall(frame(type.data, 0x8, 1, Buffer.concat([Buffer.from([255]), Buffer.alloc(255)]))) },
  {
    name: 'DATA on a closed stream',
    goaway: calm(/DATA on a closed stream/),
    frames: 'DATA on a closed stream',
    attack: async (client) => {
      await client.send(begun(1, path.findMissing), data(1, true, new Uint8Array(5)));
      await same(data(1, false, 1))(client);
    },
  },
  {
    name: 'CONTINUATION flood',
    goaway: calm(/CONTINUATION/),
    attack: async (client) => {
      await client.send(frame(type.headers, 0, 1, encodeHeaders(callHeaders(path.findMissing))));
      await same(frame(type.continuation, 0, 1, literal('x', 'y')))(client);
    },
  },
  {
    name: 'CONTINUATION flood of empty frames',
    goaway: calm(/CONTINUATION/),
    attack: async (client) => {
      await client.send(frame(type.headers, 0, 1));
      await same(frame(type.continuation, 0, 1))(client);
    },
  },
  {
    name: 'header block too large',
    goaway: calm(/a header block of more than 65536 bytes/),
    attack: (client) => client.send(largeHeaders(1, 200_000)),
  },
  {
    name: 'HPACK bomb',
    goaway: calm(/headers above the limit/),
    frames: 'headers above the limit',
    attack: (client) => client.flood((round) => repeated(10, (index) => frame(type.headers, 0x5, 1 + 2 * (round * 10 + index), bombBlock(8_000))), roundsMax),
  },
  {
    name: 'header list too large',
    goaway: calm(/headers above the limit/),
    frames: 'headers above the limit',
    attack: (client) => client.flood((round) => repeated(10, (index) => manyFields(1 + 2 * (round * 10 + index))), roundsMax),
  },
];

/** 10 KB on the wire; as a list, where each field counts for 32 bytes more, above the bound. */
function manyFields(streamId: number): Buffer {
  const fields = Buffer.concat(Array.from({ length: 2_500 }, (_, index) => literal('x', String(index % 10))));
  const block = Buffer.concat([encodeHeaders(callHeaders(path.findMissing)), fields]);
  return frame(type.headers, 0x5, streamId, block);
}

export interface FloodOutcome {
  readonly goaway: Goaway | undefined;
}

/** One connection of the attack, from its preface to the end that the server makes of it. */
export async function runFlood(port: number, flood: Flood): Promise<FloodOutcome> {
  const client = await RawHttp2.open(port);
  await flood.attack(client);
  const goaway = await client.end();
  client.destroy();
  await client.closed;
  return { goaway };
}
