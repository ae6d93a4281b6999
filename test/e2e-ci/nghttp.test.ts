// nghttp, the client of nghttp2, against the real server: frames and windows as its users set them, in plaintext and
// over TLS.
import assert from 'node:assert/strict';
import { createHash, randomBytes } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { startDaemon } from '../e2e/daemon.ts';
import { temporaryDirectory } from '../e2e/file-tree.ts';
import { mustRun } from '../e2e/tool-run.ts';
import { installedTool } from './installed-tool.ts';
import { startTlsDaemon } from './tls-daemon.ts';

const blobBytes = 1_000_000;
const getsAtOnce = 10;
/** An own way through the protocol each. */
const ways: readonly (readonly string[])[] = [
  [],
  ['--padding=200'],
  ['--window-bits=10', '--connection-window-bits=14'],
  ['--header-table-size=0'],
  ['--header-table-size=65536', '--encoder-header-table-size=100'],
  ['--no-dep', '--weight=1'],
  ['--expect-continue'],
  ['--trailer=x-checksum: abc'],
];

describe('nghttp', () => {
  for (const secure of [false, true]) {
    it(`HT-11: puts a blob and gets it many times at once${secure ? ' over TLS' : ''}, in every way it can be told to`, async (t) => {
      const directory = temporaryDirectory(t, 'nghttp');
      const daemon = secure ? await startTlsDaemon(t) : await startDaemon(t, join(directory, 'data'));
      const nghttp = [installedTool('nghttp', 'apt-get install nghttp2-client'), '--no-verify-peer', '--timeout=60'] as const;
      for (const flags of ways) {
        const bytes = randomBytes(blobBytes);
        writeFileSync(join(directory, 'blob'), bytes);
        const url = `${daemon.http}/cas/${createHash('sha256').update(bytes).digest('hex')}`;
        const put = await mustRun([...nghttp, ...flags, '--verbose', '--data=blob', '--header=:method: PUT', url], { cwd: directory });
        assert.match(put, /recv \(stream_id=\d+\) :status: 200/, flags.join(' '));
        const gets = await mustRun([...nghttp, ...flags.filter((one) => !/trailer|continue/.test(one)), '--verbose', '--null-out', `--multiply=${getsAtOnce}`, url], { cwd: directory });
        assert.equal([...gets.matchAll(/recv \(stream_id=\d+\) :status: 200/g)].length, getsAtOnce, flags.join(' '));
        const received = [...gets.matchAll(/recv DATA frame <length=(\d+)/g)].reduce((sum, [, length]) => sum + Number(length), 0);
        assert.equal(received, getsAtOnce * blobBytes, flags.join(' '));
      }
      await daemon.stop();
    });
  }
});
