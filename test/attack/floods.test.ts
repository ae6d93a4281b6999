// Floods against a real server. Each ends with GOAWAY and its reason, is counted by its kind, takes no memory, and
// troubles nobody else.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { attackedServer } from './attacked-server.ts';
import { floods, runFlood } from './floods.ts';

/** Attackers come back. */
const connections = 5;

describe('floods of HTTP/2', () => {
  for (const flood of floods) {
    it(`${flood.name}: ${flood.goaway.code}`, async (t) => {
      // One for each, so that its memory is its own.
      const { port, endures, metric } = await attackedServer(t);
      await endures(async () => {
        for (let index = 0; index < connections; index += 1) {
          const { goaway } = await runFlood(port, flood);
          assert.equal(goaway?.code, flood.goaway.code, goaway?.text ?? 'no GOAWAY');
          assert.match(goaway?.text ?? '', flood.goaway.text);
        }
      });
      assert.equal(await metric('kiln_http2_faults_total', { code: flood.goaway.code }), connections);
      if (flood.frames !== undefined) assert.equal(await metric('kiln_http2_floods_total', { frames: flood.frames }), connections);
    });
  }
});
