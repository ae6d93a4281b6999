// The peer's SETTINGS: what each may be, and which of two values counts.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { settings } from '../testing/http2-peer.ts';
import { ConnectionError, errorCode } from './error-code.ts';
import { parseSettings } from './peer-settings.ts';
import type { SettingsChange } from './peer-settings.ts';

function parse(...pairs: readonly (readonly [number, number])[]): SettingsChange {
  const bytes = settings(...pairs).subarray(9);
  return parseSettings(bytes, 0, bytes.length);
}

describe('SETTINGS (RFC 9113 §6.5.2)', () => {
  it('gives what changes, the last value of each, and passes over what nobody knows', () => {
    assert.deepEqual(parse(), {});
    assert.deepEqual(parse([4, 1], [5, 16_384], [4, 0x7fff_ffff], [2, 0], [3, 7], [6, 0xffff_ffff], [99, 1]), {
      initialWindowBytes: 0x7fff_ffff,
      frameBytesMax: 16_384,
      enablePush: 0,
      concurrentStreamsMax: 7,
      headerListBytesMax: 0xffff_ffff,
    });
  });

  it('keeps the smallest table of a frame, since the table was that small for a moment (RFC 7541 §4.2)', () => {
    assert.deepEqual(parse([1, 4_096], [1, 0], [1, 65_536]), { headerTableBytes: 0 });
  });

  it('refuses values out of range, each with its own code', () => {
    const refused: readonly (readonly [number, number, number])[] = [
      [2, 2, errorCode.protocolError],
      [4, 0x8000_0000, errorCode.flowControlError],
      [5, 16_383, errorCode.protocolError],
      [5, 16_777_216, errorCode.protocolError],
    ];
    for (const [id, value, code] of refused) {
      assert.throws(() => parse([id, value]), (thrown) => thrown instanceof ConnectionError && thrown.code === code);
    }
    assert.throws(() => parseSettings(Buffer.alloc(7), 0, 7), (thrown) => thrown instanceof ConnectionError && thrown.code === errorCode.frameSizeError);
  });
});
