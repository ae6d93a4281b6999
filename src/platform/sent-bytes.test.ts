// What of a large write has gone is known before all of it has.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { connect, createServer } from 'node:net';
import type { Socket } from 'node:net';
import { it } from 'node:test';
import { sentBytes } from './sent-bytes.ts';

it('counts a write that the peer takes a part of, and all of it at the end', async (t) => {
  const server = createServer().listen(0, '127.0.0.1');
  t.after(() => server.close());
  await once(server, 'listening');
  const reader = connect({ port: (server.address() as { port: number }).port, host: '127.0.0.1' });
  t.after(() => reader.destroy());
  const [writer] = (await once(server, 'connection')) as [Socket];
  t.after(() => writer.destroy());
  const total = 32 * 1024 * 1024;
  reader.pause();
  writer.write(Buffer.alloc(total));
  const before = sentBytes(writer);
  assert.ok(before < total, 'the buffers of the system are smaller');
  assert.equal(writer.writableLength, total, 'the stream knows of all or nothing');
  let received = 0;
  reader.on('data', (chunk: Buffer) => {
    received += chunk.byteLength;
    if (received > total / 2) reader.pause();
  });
  reader.resume();
  while (sentBytes(writer) < total / 2) await new Promise((resolve) => setImmediate(resolve));
  assert.equal(writer.writableLength, total);
  reader.removeAllListeners('data').resume();
  await once(writer, 'drain');
  assert.equal(sentBytes(writer), total);
});
