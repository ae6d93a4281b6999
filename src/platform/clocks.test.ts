// The real clocks and timers.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { describe, it } from 'node:test';
import { monotonicClock, timers, wallClock } from './clocks.ts';

describe('clocks', () => {
  it('the monotonic clock never goes back; the wall clock tells the time', () => {
    const first = monotonicClock.nowMs();
    assert.ok(monotonicClock.nowMs() >= first);
    assert.ok(Math.abs(wallClock.nowMs() - Date.now()) < 1_000);
  });

  it('a timer fires once, after its delay, unless disposed', async () => {
    const started = monotonicClock.nowMs();
    let cancelled = 0;
    timers.after(1, () => (cancelled += 1))[Symbol.dispose]();
    // A pending timer of ours keeps nobody alive, so something else has to.
    const alive = setInterval(() => undefined, 1_000);
    await new Promise<void>((resolve) => void timers.after(20, resolve));
    clearInterval(alive);
    assert.ok(monotonicClock.nowMs() - started >= 19);
    assert.equal(cancelled, 0);
  });

  it('a pending timer does not keep the process alive, however long', () => {
    const code = `import { timers } from ${JSON.stringify(import.meta.resolve('./clocks.ts'))}; timers.after(2 ** 40, () => process.exit(3)); console.log('end');`;
    const { status, stdout, stderr } = spawnSync(process.execPath, ['--input-type=module-typescript', '-e', code], { encoding: 'utf8' });
    assert.deepEqual([status, stdout, stderr], [0, 'end\n', '']);
  });
});
