// Uploads that nobody goes on with, and how long they are kept.
import assert from 'node:assert/strict';
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { assertCounted, assertStored, sendPart, sendRest, uploadsRoot, wholeBytes as whole } from '../testing/sent-uploads.ts';
import { openUploads, patternOf as blob } from '../testing/temporary-uploads.ts';
import { pieceBytes } from './upload-journal-format.ts';

describe('limits of uploads', () => {
  it('BS-22, K5-10: those that nobody goes on with have a share of the store, the one idle longest goes first', async (t) => {
    const { root, random } = await uploadsRoot(t);
    const sent = [1, 2, 3].map((salt) => blob(whole, salt));
    await using opened = await openUploads(root, { limits: { idleBytesMax: 2 * (pieceBytes + 4_096) } });
    for (const one of sent.slice(0, 2)) await sendPart(opened, one, [0, pieceBytes + 1], random);
    // The first one is gone on with and idle again, so it is the second that has waited longest.
    const [first, second, third] = sent;
    assert.ok(first && second && third);
    await sendPart(opened, first, [pieceBytes, pieceBytes + 1_000], random);
    await sendPart(opened, third, [0, pieceBytes + 1], random);
    await opened.uploads.close();
    assert.deepEqual(sent.map(({ upload }) => opened.uploads.committedBytes(upload)), [pieceBytes, 0, pieceBytes]);
    await assertCounted(root, opened);
    await using again = await openUploads(root, { limits: { idleBytesMax: pieceBytes + 4_096 } });
    assert.equal(again.uploads.idleCount, 1, 'the share was lowered');
    await assertCounted(root, again);
  });

  it('lets go of the one idle longest when its room is needed', async (t) => {
    const { root, random } = await uploadsRoot(t);
    await using opened = await openUploads(root);
    const sent = [1, 2].map((salt) => blob(whole, salt));
    for (const one of sent) {
      await sendPart(opened, one, [0, pieceBytes + 1], random);
      opened.clock.advance(1_000);
    }
    assert.equal(await opened.uploads.giveUpOldest(), true);
    assert.deepEqual(sent.map(({ upload }) => opened.uploads.committedBytes(upload)), [0, pieceBytes]);
    assert.equal(await opened.uploads.giveUpOldest(), true);
    assert.equal(await opened.uploads.giveUpOldest(), false);
    await opened.uploads.close();
    assert.equal(opened.ledger.usedBytes, 0);
  });

  it('K5-10: one that is gone on with does not count, however large it is', async (t) => {
    const { root, random } = await uploadsRoot(t);
    await using opened = await openUploads(root, { limits: { idleBytesMax: 4_096 } });
    const sent = blob(whole);
    await sendRest(opened, sent, random);
    await assertStored(root, sent);
    assert.equal(await sendPart(opened, blob(whole, 2), [0, pieceBytes + 1], random), 0, 'alone it takes too much room');
  });

  it('K5-10: after a day without a byte it is given up, while running and at the next start', async (t) => {
    const { root, random } = await uploadsRoot(t);
    const sent = blob(whole);
    {
      await using opened = await openUploads(root);
      await sendPart(opened, sent, [0, pieceBytes + 1], random);
      opened.clock.advance(86_400_000 - 1);
      assert.equal(opened.uploads.committedBytes(sent.upload), pieceBytes);
      await sendPart(opened, sent, [pieceBytes, pieceBytes + 5], random);
      opened.clock.advance(86_400_000 - 1);
      assert.equal(opened.uploads.committedBytes(sent.upload), pieceBytes, 'it was asked for meanwhile');
      opened.clock.advance(1);
      assert.equal(opened.uploads.committedBytes(sent.upload), 0);
      await opened.uploads.close();
      await assertCounted(root, opened);
      assert.equal(opened.clock.pendingTimers, 0);
    }
    {
      await using opened = await openUploads(root);
      await sendPart(opened, sent, [0, pieceBytes + 1], random);
    }
    const clock = (await openUploads(root)).clock;
    clock.advance(2 * 86_400_000);
    await using late = await openUploads(root, { clock });
    assert.equal(late.uploads.committedBytes(sent.upload), 0);
    assert.deepEqual(await readdir(join(root, 'uploads')), []);
  });
});
