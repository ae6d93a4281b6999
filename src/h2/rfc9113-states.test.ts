// RFC 9113 §5.1 as a table, for both roles: every frame in every state of a stream, and what comes of it.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { Http2Peer, data, frame, headers, requestHeaders, settings, uint32 } from '../testing/http2-peer.ts';
import type { Frame } from '../testing/http2-peer.ts';
import { Http2ServerPeer } from '../testing/http2-server-peer.ts';
import { errorCode, errorCodeName } from './error-code.ts';
import { prepareHeaders } from './header-encoder.ts';
import type { OutgoingHeaders } from './stream.ts';

const ok = prepareHeaders([[':status', '200']]);
const okList: OutgoingHeaders = [[':status', '200']];
const trailers: OutgoingHeaders = [['t', '1']];

/** A connection with one stream in the state asked for, and others that must live on. */
interface Scene {
  readonly id: number;
  readonly send: (bytes: Buffer) => Frame[];
  readonly isOver: () => boolean;
  /** Throws unless another exchange still works. */
  readonly goesOn: () => void;
}

/** `ok`, `stream CODE` when that stream alone was reset, `connection CODE` when all is over. */
function outcome(scene: Scene, sent: readonly Frame[]): string {
  const goaway = sent.find(({ type }) => type === 7);
  if (goaway !== undefined) {
    assert.equal(scene.isOver(), true, 'nothing follows a connection error (§5.4.1)');
    return `connection ${errorCodeName(goaway.payload.readUInt32BE(4))}`;
  }
  assert.equal(scene.isOver(), false);
  scene.goesOn();
  const resets = sent.filter(({ type }) => type === 3);
  assert.ok(resets.length <= 1 && resets.every(({ streamId }) => streamId === scene.id));
  const reset = resets[0];
  return reset === undefined ? 'ok' : `stream ${errorCodeName(reset.payload.readUInt32BE(0))}`;
}

const frames: Readonly<Record<string, (id: number) => Buffer>> = {
  DATA: (id) => data(id, false, 5),
  'DATA with END_STREAM': (id) => data(id, true, 5),
  'DATA with more padding than payload': (id) => frame(0, 8, id, Buffer.from([5, 0])),
  'trailers with END_STREAM': (id) => headers(id, true, trailers),
  'trailers without END_STREAM': (id) => headers(id, false, trailers),
  'HEADERS with more padding than payload': (id) => frame(1, 0xd, id, Buffer.from([9, 0x88])),
  'HEADERS that cannot be decoded': (id) => frame(1, 5, id, Buffer.from([0x80])),
  PRIORITY: (id) => frame(2, 0, id, Buffer.from([0, 0, 0, 11, 16])),
  'PRIORITY on itself': (id) => frame(2, 0, id, Buffer.concat([uint32(id), Buffer.from([16])])),
  'PRIORITY of 4 bytes': (id) => frame(2, 0, id, Buffer.alloc(4)),
  RST_STREAM: (id) => frame(3, 0, id, uint32(errorCode.cancel)),
  'RST_STREAM of 3 bytes': (id) => frame(3, 0, id, Buffer.alloc(3)),
  'SETTINGS on a stream': (id) => frame(4, 0, id),
  PUSH_PROMISE: (id) => frame(5, 4, id, Buffer.concat([uint32(2), Buffer.from([0x82])])),
  'PING on a stream': (id) => frame(6, 0, id, Buffer.alloc(8)),
  'GOAWAY on a stream': (id) => frame(7, 0, id, uint32(0, 0)),
  WINDOW_UPDATE: (id) => frame(8, 0, id, uint32(100)),
  'WINDOW_UPDATE by 0': (id) => frame(8, 0, id, uint32(0)),
  'WINDOW_UPDATE to 2^31': (id) => frame(8, 0, id, uint32(0x7fff_ffff)),
  'WINDOW_UPDATE of 5 bytes': (id) => frame(8, 0, id, Buffer.alloc(5)),
  CONTINUATION: (id) => frame(9, 4, id, Buffer.from([0x88])),
  'an unknown frame': (id) => frame(0x77, 0xff, id, Buffer.alloc(5)),
};

/** Frames that end the connection in every state, whatever stream they name. */
const always: Readonly<Record<string, string>> = {
  'DATA with more padding than payload': 'connection PROTOCOL_ERROR',
  'RST_STREAM of 3 bytes': 'connection FRAME_SIZE_ERROR',
  'SETTINGS on a stream': 'connection PROTOCOL_ERROR',
  PUSH_PROMISE: 'connection PROTOCOL_ERROR',
  'PING on a stream': 'connection PROTOCOL_ERROR',
  'GOAWAY on a stream': 'connection PROTOCOL_ERROR',
  'WINDOW_UPDATE of 5 bytes': 'connection FRAME_SIZE_ERROR',
  CONTINUATION: 'connection PROTOCOL_ERROR',
};

/** What most frames come to on a stream that nobody opened. */
const idle: Readonly<Record<string, string>> = {
  DATA: 'connection PROTOCOL_ERROR',
  'DATA with END_STREAM': 'connection PROTOCOL_ERROR',
  'PRIORITY on itself': 'connection PROTOCOL_ERROR',
  'PRIORITY of 4 bytes': 'connection FRAME_SIZE_ERROR',
  RST_STREAM: 'connection PROTOCOL_ERROR',
  WINDOW_UPDATE: 'connection PROTOCOL_ERROR',
  'WINDOW_UPDATE by 0': 'connection PROTOCOL_ERROR',
  'WINDOW_UPDATE to 2^31': 'connection PROTOCOL_ERROR',
};

/** On a stream where the peer may send nothing but what is about our own sending. */
const live: Readonly<Record<string, string>> = {
  'HEADERS with more padding than payload': 'connection PROTOCOL_ERROR',
  'HEADERS that cannot be decoded': 'connection COMPRESSION_ERROR',
  'PRIORITY on itself': 'stream PROTOCOL_ERROR',
  'PRIORITY of 4 bytes': 'stream FRAME_SIZE_ERROR',
  'WINDOW_UPDATE by 0': 'stream PROTOCOL_ERROR',
  'WINDOW_UPDATE to 2^31': 'stream FLOW_CONTROL_ERROR',
};

/** On a stream that we have reset, or that is not served: all of it was on its way, or should not have been sent at all. */
const dropped: Readonly<Record<string, string>> = {
  'HEADERS with more padding than payload': 'connection PROTOCOL_ERROR',
  'HEADERS that cannot be decoded': 'connection COMPRESSION_ERROR',
  'PRIORITY on itself': 'stream PROTOCOL_ERROR',
  'PRIORITY of 4 bytes': 'stream FRAME_SIZE_ERROR',
};

/** On a stream that ended for both sides, or that the peer has reset. */
const ended: Readonly<Record<string, string>> = {
  DATA: 'stream STREAM_CLOSED',
  'DATA with END_STREAM': 'stream STREAM_CLOSED',
  'trailers with END_STREAM': 'connection STREAM_CLOSED',
  'trailers without END_STREAM': 'connection STREAM_CLOSED',
  'HEADERS with more padding than payload': 'connection STREAM_CLOSED',
  'HEADERS that cannot be decoded': 'connection STREAM_CLOSED',
  'PRIORITY on itself': 'stream PROTOCOL_ERROR',
  'PRIORITY of 4 bytes': 'stream FRAME_SIZE_ERROR',
};

const afterTheirEnd: Readonly<Record<string, string>> = {
  ...live,
  DATA: 'stream STREAM_CLOSED',
  'DATA with END_STREAM': 'stream STREAM_CLOSED',
  'trailers with END_STREAM': 'stream STREAM_CLOSED',
  'trailers without END_STREAM': 'stream STREAM_CLOSED',
};

interface State {
  readonly scene: () => Scene;
  /** What is not named here or in `always` is `ok`. */
  readonly expected: Readonly<Record<string, string>>;
}

function server(id: number, prepare: (peer: Http2Peer) => void): Scene {
  const peer = new Http2Peer();
  peer.send(headers(3, false)); // lives on
  prepare(peer);
  peer.take();
  return {
    id,
    send: (bytes) => peer.send(bytes),
    isOver: () => peer.connection.isOver,
    goesOn: () => {
      peer.send(data(3, true, 7));
      assert.deepEqual(peer.stream(0).events, ['data 7', 'end']);
    },
  };
}

const serverStates: Readonly<Record<string, State>> = {
  idle: {
    scene: () => server(5, () => {}),
    expected: {
      ...idle,
      // A request that is none: §8.1.1.
      'trailers with END_STREAM': 'stream PROTOCOL_ERROR',
      'trailers without END_STREAM': 'stream PROTOCOL_ERROR',
      'HEADERS with more padding than payload': 'connection PROTOCOL_ERROR',
      'HEADERS that cannot be decoded': 'connection COMPRESSION_ERROR',
    },
  },
  'idle, of an id that no client may use': {
    scene: () => server(2, () => {}),
    expected: {
      ...idle,
      'trailers with END_STREAM': 'connection PROTOCOL_ERROR',
      'trailers without END_STREAM': 'connection PROTOCOL_ERROR',
      'HEADERS with more padding than payload': 'connection PROTOCOL_ERROR',
      'HEADERS that cannot be decoded': 'connection PROTOCOL_ERROR',
    },
  },
  open: {
    scene: () => server(5, (peer) => peer.send(headers(5, false))),
    expected: { ...live, 'trailers without END_STREAM': 'stream PROTOCOL_ERROR' },
  },
  'half-closed (local)': {
    scene: () =>
      server(5, (peer) => {
        peer.send(headers(5, false));
        peer.stream(1).stream.sendHeaders(ok, true);
      }),
    expected: { ...live, 'trailers without END_STREAM': 'stream PROTOCOL_ERROR' },
  },
  'half-closed (remote)': {
    scene: () => server(5, (peer) => peer.send(headers(5, true))),
    expected: afterTheirEnd,
  },
  'closed by END_STREAM both ways': {
    scene: () =>
      server(5, (peer) => {
        peer.send(headers(5, true));
        peer.stream(1).stream.sendHeaders(ok, true);
      }),
    expected: ended,
  },
  'closed by their RST_STREAM': {
    scene: () => server(5, (peer) => peer.send(headers(5, false), frame(3, 0, 5, uint32(8)))),
    expected: ended,
  },
  'closed by our RST_STREAM': {
    scene: () =>
      server(5, (peer) => {
        peer.send(headers(5, false));
        peer.stream(1).stream.reset(errorCode.cancel);
      }),
    expected: dropped,
  },
  'closed by our refusal': {
    scene: () => server(5, (peer) => peer.send(headers(5, false, [[':method', 'GET']]))),
    expected: dropped,
  },
  'closed because a higher one was opened': {
    scene: () => server(1, () => {}),
    expected: {
      ...ended,
      'trailers with END_STREAM': 'connection PROTOCOL_ERROR',
      'trailers without END_STREAM': 'connection PROTOCOL_ERROR',
      'HEADERS with more padding than payload': 'connection PROTOCOL_ERROR',
      'HEADERS that cannot be decoded': 'connection PROTOCOL_ERROR',
    },
  },
  'not served, above the final GOAWAY': {
    scene: () =>
      server(5, (peer) => {
        peer.connection.drain();
        peer.connection.refuseNew();
        peer.send(headers(5, false));
        for (let id = 7; id < 3_000; id += 2) {
          peer.clock.advance(100);
          peer.send(headers(id, true)); // more than are remembered
        }
      }),
    expected: dropped,
  },
};

function client(id: number, prepare: (peer: Http2ServerPeer) => void): Scene {
  const peer = new Http2ServerPeer();
  const first = peer.open(); // stream 1, lives on
  prepare(peer);
  peer.take();
  return {
    id,
    send: (bytes) => peer.send(bytes),
    isOver: () => peer.connection.isOver,
    goesOn: () => {
      peer.send(headers(1, true, okList));
      assert.deepEqual(first.events, ['headers 200', 'end']);
    },
  };
}

const clientStates: Readonly<Record<string, State>> = {
  idle: {
    scene: () => client(5, () => {}),
    expected: {
      ...idle,
      'trailers with END_STREAM': 'connection PROTOCOL_ERROR',
      'trailers without END_STREAM': 'connection PROTOCOL_ERROR',
      'HEADERS with more padding than payload': 'connection PROTOCOL_ERROR',
      'HEADERS that cannot be decoded': 'connection PROTOCOL_ERROR',
    },
  },
  'idle, of an id that a server without push cannot use': {
    scene: () => client(2, () => {}),
    expected: {
      ...idle,
      'trailers with END_STREAM': 'connection PROTOCOL_ERROR',
      'trailers without END_STREAM': 'connection PROTOCOL_ERROR',
      'HEADERS with more padding than payload': 'connection PROTOCOL_ERROR',
      'HEADERS that cannot be decoded': 'connection PROTOCOL_ERROR',
    },
  },
  'open, before the answer': {
    scene: () => client(3, (peer) => peer.open({ endStream: false })),
    expected: {
      ...live,
      // Malformed answers: §8.1.1.
      DATA: 'stream PROTOCOL_ERROR',
      'DATA with END_STREAM': 'stream PROTOCOL_ERROR',
      'trailers with END_STREAM': 'stream PROTOCOL_ERROR',
      'trailers without END_STREAM': 'stream PROTOCOL_ERROR',
    },
  },
  'open, within the answer': {
    scene: () =>
      client(3, (peer) => {
        peer.open({ endStream: false });
        peer.send(headers(3, false, okList));
      }),
    expected: { ...live, 'trailers without END_STREAM': 'stream PROTOCOL_ERROR' },
  },
  'half-closed (local), within the answer': {
    scene: () =>
      client(3, (peer) => {
        peer.open();
        peer.send(headers(3, false, okList));
      }),
    expected: { ...live, 'trailers without END_STREAM': 'stream PROTOCOL_ERROR' },
  },
  'half-closed (remote)': {
    scene: () =>
      client(3, (peer) => {
        peer.open({ endStream: false });
        peer.send(headers(3, true, okList));
      }),
    expected: afterTheirEnd,
  },
  'closed by END_STREAM both ways': {
    scene: () =>
      client(3, (peer) => {
        peer.open();
        peer.send(headers(3, true, okList));
      }),
    expected: ended,
  },
  'closed by their RST_STREAM': {
    scene: () =>
      client(3, (peer) => {
        peer.open();
        peer.send(frame(3, 0, 3, uint32(8)));
      }),
    expected: ended,
  },
  'closed by our RST_STREAM': {
    scene: () => client(3, (peer) => peer.open().stream?.reset(errorCode.cancel)),
    expected: dropped,
  },
  'closed by our RST_STREAM, long ago': {
    scene: () =>
      client(3, (peer) => {
        for (let count = 0; count < 1_500; count++) peer.open().stream?.reset(errorCode.cancel);
      }),
    expected: dropped,
  },
  'not processed, above their GOAWAY': {
    scene: () =>
      client(3, (peer) => {
        peer.open();
        peer.send(frame(7, 0, 0, uint32(1, 0)));
      }),
    expected: dropped,
  },
};

for (const [role, states] of Object.entries({ server: serverStates, client: clientStates })) {
  describe(`RFC 9113 §5.1 and §6: every frame in every state, as ${role}`, () => {
    for (const [state, { scene, expected }] of Object.entries(states)) {
      for (const [name, make] of Object.entries(frames)) {
        const wanted = always[name] ?? expected[name] ?? 'ok';
        it(`§5.1: ${name} on a stream that is ${state}: ${wanted}`, () => {
          const opened = scene();
          assert.equal(outcome(opened, opened.send(make(opened.id))), wanted);
        });
      }
    }
  });
}

describe('RFC 9113 §5.1: frames with stream 0', () => {
  const wanted: Readonly<Record<string, string>> = {
    ...always,
    DATA: 'connection PROTOCOL_ERROR',
    'DATA with END_STREAM': 'connection PROTOCOL_ERROR',
    'trailers with END_STREAM': 'connection PROTOCOL_ERROR',
    'trailers without END_STREAM': 'connection PROTOCOL_ERROR',
    'HEADERS with more padding than payload': 'connection PROTOCOL_ERROR',
    'HEADERS that cannot be decoded': 'connection PROTOCOL_ERROR',
    PRIORITY: 'connection PROTOCOL_ERROR',
    'PRIORITY on itself': 'connection PROTOCOL_ERROR',
    'PRIORITY of 4 bytes': 'connection PROTOCOL_ERROR',
    RST_STREAM: 'connection PROTOCOL_ERROR',
    'SETTINGS on a stream': 'ok', // that is where it belongs
    'PING on a stream': 'ok',
    'GOAWAY on a stream': 'ok',
    'WINDOW_UPDATE by 0': 'connection PROTOCOL_ERROR',
    'WINDOW_UPDATE to 2^31': 'connection FLOW_CONTROL_ERROR',
  };
  for (const [name, make] of Object.entries(frames)) {
    it(`§6: ${name}, with stream 0: ${wanted[name] ?? 'ok'}`, () => {
      for (const scene of [server(0, () => {}), client(0, () => {})]) {
        const isGoaway = name === 'GOAWAY on a stream';
        const sent = scene.send(isGoaway ? frame(7, 0, 0, uint32(99, 0)) : make(0));
        assert.equal(outcome(scene, sent), wanted[name] ?? 'ok');
      }
    });
  }
});

describe('RFC 9113 §5.1: what we send', () => {
  it('§5.1: nothing follows our END_STREAM or RST_STREAM on a stream, not even credit', () => {
    const peer = new Http2Peer({ streamWindowBytes: 1_000 });
    peer.consumes = false;
    peer.send(headers(1, false), data(1, false, 900), headers(3, false), data(3, false, 900));
    peer.stream(0).stream.reset(errorCode.cancel);
    assert.deepEqual(peer.take().map(({ type }) => type), [3]);
    peer.stream(0).stream.consumed(900);
    peer.stream(0).stream.sendHeaders(ok, false);
    peer.stream(0).stream.sendData([new Uint8Array(1)], true);
    peer.stream(0).stream.reset(errorCode.cancel);
    assert.deepEqual(peer.take(), []);
    peer.stream(1).stream.sendHeaders(ok, true);
    peer.stream(1).stream.sendHeaders(ok, true);
    peer.stream(1).stream.sendData([new Uint8Array(1)], true);
    assert.deepEqual(peer.take().map(({ type, flags }) => [type, flags]), [[1, 5]]);
    peer.stream(1).stream.consumed(900); // the peer may go on sending
    assert.deepEqual(peer.take().map(({ type, streamId }) => [type, streamId]), [[8, 3]]);
  });

  it('§5.4.2: RST_STREAM is not answered with RST_STREAM', () => {
    const peer = new Http2Peer();
    const reset = frame(3, 0, 1, uint32(errorCode.internalError));
    assert.deepEqual(peer.send(headers(1, false), reset, reset, reset), []);
  });

  it('§5.1.1, §5.1.2: streams that both sides ended make room, others count', () => {
    const peer = new Http2Peer({ concurrentStreamsMax: 2 });
    peer.send(headers(1, true), headers(3, false));
    peer.stream(1).stream.sendHeaders(ok, true); // half-closed: counts
    peer.take();
    assert.deepEqual(peer.send(headers(5, true)).map(({ type, streamId }) => [type, streamId]), [[3, 5]]);
    peer.send(data(3, true, 0));
    assert.deepEqual(peer.send(headers(7, true)), []);
    assert.equal(peer.streams.length, 3);
  });

  it('§5.1: blocks on streams that are dropped are decoded, so that those after them are read right', () => {
    const peer = new Http2Peer();
    peer.send(headers(1, false), headers(3, false));
    peer.stream(0).stream.reset(errorCode.cancel);
    peer.take();
    const adds = Buffer.concat([Buffer.from([0x40, 1]), Buffer.from('a'), Buffer.from([1]), Buffer.from('b')]);
    peer.send(frame(1, 5, 1, adds), frame(1, 5, 3, Buffer.from([0xbe])));
    assert.deepEqual(peer.stream(1).events, ['end a=b']);
    const served = new Http2ServerPeer();
    served.open().stream?.reset(errorCode.cancel);
    const kept = served.open();
    served.send(frame(1, 4, 1, Buffer.concat([Buffer.from([0x88]), adds])), headers(3, false, okList), frame(1, 5, 3, Buffer.from([0xbe])));
    assert.deepEqual(kept.events, ['headers 200', 'end a=b']);
  });

  it('§5.1: HEADERS on streams that are dropped are not for free', () => {
    const drop: readonly ((peer: Http2Peer) => void)[] = [
      (peer) => peer.stream(0).stream.reset(errorCode.cancel),
      (peer) => {
        peer.stream(0).stream.sendHeaders(ok, false);
        peer.connection.drain();
        peer.connection.refuseNew();
      },
    ];
    for (const [index, make] of drop.entries()) {
      const peer = new Http2Peer({ idleFramesBurst: 20, idleFramesPerSecond: 1 });
      peer.send(headers(1, false, requestHeaders));
      make(peer);
      const id = index === 0 ? 1 : 3;
      let count = 0;
      while (!peer.connection.isOver && count < 100) {
        peer.send(headers(id, false, count === 0 && index === 1 ? requestHeaders : trailers));
        count++;
      }
      assert.ok(count < 30, `${count}`);
      assert.equal(peer.mishaps.at(-1)?.startsWith('ENHANCE_YOUR_CALM'), true);
      assert.deepEqual(peer.send(settings()), []);
    }
  });
});
