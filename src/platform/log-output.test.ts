// Lines on their way out: what is kept, what is dropped, and how it is told.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { ManualClock } from '../testing/manual-clock.ts';
import { LogOutput } from './log-output.ts';
import type { OutputChannel, WriteOutcome } from './output-channel.ts';

/** Takes `room` bytes, or nothing at all when it is `broken`. */
class FakeChannel implements OutputChannel {
  readonly descriptor = -1;
  readonly hanging = false;
  room = Infinity;
  broken = false;
  text = '';
  writes = 0;

  write(bytes: Uint8Array): WriteOutcome {
    this.writes += 1;
    if (this.broken) return 'broken';
    const taken = Math.min(bytes.byteLength, this.room);
    this.room -= taken;
    this.text += Buffer.from(bytes.subarray(0, taken)).toString();
    return taken;
  }

  writeAtEnd(bytes: Uint8Array): WriteOutcome {
    return this.write(bytes);
  }
}

function open(queuedBytesMax = 100) {
  const channel = new FakeChannel();
  const clock = new ManualClock();
  const output = new LogOutput({ channel, timers: clock, limits: { queuedBytesMax }, droppedLine: (count) => `<${count} dropped>\n` });
  return { channel, clock, output };
}

function turn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}

const line = 'a line of 20 bytes.\n';

describe('log output', () => {
  it('writes the first line of a turn at once, and what follows in it together', async () => {
    const { channel, output } = open(10_000);
    output.write('one\n');
    assert.equal(channel.text, 'one\n');
    output.write('two\n');
    output.write('three\n');
    assert.equal(channel.text, 'one\n');
    await turn();
    assert.equal(channel.text, 'one\ntwo\nthree\n');
    assert.equal(channel.writes, 2);
  });

  it('drops a line that is too large by itself, tells of it, and goes on', () => {
    const { channel, output } = open();
    output.write('x'.repeat(101));
    assert.deepEqual([output.dropping, output.droppedLines], [false, 1]);
    output.write('next\n');
    assert.equal(channel.text, '<1 dropped>\nnext\n');
  });

  it('K11-06: keeps what is not taken up to its bound, drops whole lines beyond it, and says how many', async () => {
    const { channel, clock, output } = open();
    channel.room = 0;
    for (let count = 0; count < 12; count += 1) output.write(line);
    assert.equal(output.droppedLines, 7);
    channel.room = Infinity;
    clock.advance(250);
    assert.equal(channel.text, `${line.repeat(5)}<7 dropped>\n`);
    output.write('next\n');
    await turn();
    assert.ok(channel.text.endsWith('<7 dropped>\nnext\n'));
    assert.equal(output.droppedLines, 7);
  });

  it('K11-06: never splits a line, and never lets two run together, however little is taken at a time', () => {
    const { channel, clock, output } = open();
    channel.room = 7;
    for (let count = 0; count < 20; count += 1) {
      output.write(line);
      channel.room = 7;
      clock.advance(250);
    }
    channel.room = Infinity;
    clock.advance(250);
    const lines = channel.text.split('\n').slice(0, -1);
    assert.ok(lines.every((one) => `${one}\n` === line || /^<\d+ dropped>$/.test(one)), channel.text);
    const told = lines.reduce((sum, one) => sum + Number(/^<(\d+)/.exec(one)?.[1] ?? 0), 0);
    assert.equal(told, output.droppedLines);
    assert.equal(lines.filter((one) => `${one}\n` === line).length + told, 20);
  });

  it('puts the line that tells of dropped ones between those before and those after', () => {
    const { channel, clock, output } = open();
    channel.room = 0;
    for (const name of 'abcdefghij') output.write(`${name} ${'.'.repeat(17)}\n`);
    channel.room = 60;
    clock.advance(5); // half of the bound is free again
    output.write('later\n');
    channel.room = Infinity;
    clock.advance(500);
    assert.match(channel.text, /^a .*\nb .*\nc .*\nd .*\ne .*\n<\d+ dropped>\n(?:later\n)?$/);
  });

  it('K11-06: drops all when nobody reads, asks again only from time to time, and goes on when somebody does', () => {
    const { channel, clock, output } = open();
    channel.broken = true;
    for (let count = 0; count < 3; count += 1) output.write(line);
    assert.equal(channel.writes, 1);
    clock.advance(999);
    assert.equal(channel.writes, 1);
    clock.advance(1);
    assert.equal(channel.writes, 2);
    assert.equal(output.droppedLines, 3);
    channel.broken = false;
    output.write('back\n');
    clock.advance(1_000);
    assert.equal(channel.text, '<3 dropped>\nback\n');
  });

  it('tells of what was lost with a line that told of others', async () => {
    const { channel, clock, output } = open();
    channel.broken = true;
    output.write(line);
    await turn();
    clock.advance(1_000);
    output.write(line); // goes out behind the line that tells of the first
    await turn();
    clock.advance(1_000);
    channel.broken = false;
    output.write('back\n');
    await turn();
    assert.equal(channel.text, '<2 dropped>\nback\n');
  });

  it('ends a line that broke off before it writes the next', () => {
    const { channel, clock, output } = open();
    channel.room = 5;
    output.write(line);
    channel.broken = true;
    clock.advance(10);
    channel.broken = false;
    channel.room = Infinity;
    output.write('back\n');
    clock.advance(2_000);
    assert.equal(channel.text, 'a lin\n<1 dropped>\nback\n');
  });

  it('writes what waits at the end of the process, within its time', () => {
    const { channel, output } = open();
    channel.room = 0;
    output.write('last\n');
    output.write('words\n');
    const startedMs = performance.now();
    output.end(50);
    const tookMs = performance.now() - startedMs;
    assert.ok(tookMs >= 45, `${tookMs} ms`); // and it came to an end
    channel.room = Infinity;
    output.end(50);
    assert.equal(channel.text, 'last\nwords\n');
    assert.ok(output.idle);
  });

  it('does not wait at the end for who has gone', () => {
    const { channel, output } = open();
    channel.room = 0;
    output.write('last\n');
    channel.broken = true;
    const startedMs = performance.now();
    output.end(40_000);
    assert.ok(performance.now() - startedMs < 30_000);
  });
});
