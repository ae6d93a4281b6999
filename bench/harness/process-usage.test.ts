// CPU accounting, on fixed readings and on real processes that burn a known time.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { describe, it } from 'node:test';
import { cpuBetween, endedChildrenCpuSeconds, parseStat, readCpu, residentBytes } from './process-usage.ts';
import type { CpuReading } from './process-usage.ts';

function reading(threads: Readonly<Record<string, number>>, tickedNanoseconds = 0): CpuReading {
  return { threads: new Map(Object.entries(threads)), tickedNanoseconds };
}

/** Runs `source` in a child with pipes; `line` gives what it prints next. */
function start(source: string) {
  const child = spawn(process.execPath, ['-e', source], { stdio: ['pipe', 'pipe', 'inherit'] });
  return {
    pid: child.pid ?? NaN,
    line: async () => String(((await once(child.stdout, 'data')) as [Buffer])[0]).trim(),
    go: () => child.stdin.write('go\n'),
    async [Symbol.asyncDispose]() {
      const ended = once(child, 'exit');
      child.kill('SIGKILL');
      await ended;
    },
  };
}

/** Burns CPU until the process has used so many milliseconds more. */
const burn = 'const burn = (ms) => { const from = process.cpuUsage(); for (;;) { const { user, system } = process.cpuUsage(from); if (user + system > ms * 1000) return; } };';

describe('cpuBetween', () => {
  it('adds up what each thread has done since', () => {
    assert.equal(cpuBetween(reading({ '1/1': 100, '1/2': 50 }), reading({ '1/1': 400, '1/2': 60 })), 310);
  });
  it('counts threads and children that came meanwhile in full', () => {
    assert.equal(cpuBetween(reading({ '1/1': 100 }), reading({ '1/1': 100, '1/9': 7, '5/5': 8 })), 15);
  });
  it('goes by the coarse counter when threads ended and took their time with them', () => {
    const before = reading({ '1/1': 1e9, '1/2': 5e9 }, 6e9);
    assert.equal(cpuBetween(before, reading({ '1/1': 1.1e9 }, 8e9)), 2e9);
  });
  it('does not take two counters that are ticks apart for that', () => {
    assert.equal(cpuBetween(reading({ '1/1': 0 }, 0), reading({ '1/1': 5e6 }, 2e7)), 5e6);
  });
});

describe('parseStat', () => {
  it('finds its fields behind any name', () => {
    const text = '42 (a) (b c) S 7 42 42 0 -1 4194560 1 2 3 4 11 12 13 14 20 0 9 0';
    assert.deepEqual(parseStat(text), { parent: 7, ownTicks: 23, reapedTicks: 27 });
  });
});

describe('readings of a real process', () => {
  it('see what it burns, and little more', async () => {
    await using child = start(`${burn} console.log('up'); process.stdin.once('data', () => { burn(300); console.log('burnt'); });`);
    await child.line();
    const before = readCpu(child.pid);
    child.go();
    await child.line();
    const milliseconds = cpuBetween(before, readCpu(child.pid)) / 1e6;
    assert.ok(milliseconds >= 290 && milliseconds < 450, `${milliseconds} ms were seen of 300`);
  });

  it('see what its children burn, and a worker thread that is over', async () => {
    const worker = `${burn} burn(200); require('node:worker_threads').parentPort.postMessage(1);`;
    const grandchild = `${burn} burn(200); console.log('burnt'); setInterval(() => {}, 1000);`;
    await using child = start(`
      const { spawn } = require('node:child_process');
      const { Worker } = require('node:worker_threads');
      console.log('up');
      process.stdin.once('data', () => new Worker(${JSON.stringify(worker)}, { eval: true }).on('exit', () => {
        const child = spawn(process.execPath, ['-e', ${JSON.stringify(grandchild)}], { stdio: ['ignore', 'pipe', 'inherit'] });
        child.stdout.on('data', () => console.log(child.pid));
      }));`);
    await child.line();
    const before = readCpu(child.pid);
    child.go();
    const grandchildPid = Number(await child.line());
    const milliseconds = cpuBetween(before, readCpu(child.pid)) / 1e6;
    process.kill(grandchildPid, 'SIGKILL');
    // Both burnt 200 ms, and both had to start up.
    assert.ok(milliseconds >= 380 && milliseconds < 1_500, `${milliseconds} ms were seen of 400 and two starts`);
  });

  it('see memory it holds', async () => {
    await using child = start(`console.log('up'); let held; process.stdin.once('data', () => { held = Buffer.alloc(64 << 20, 1); console.log('held'); }); setInterval(() => held, 1000);`);
    await child.line();
    const before = residentBytes(child.pid);
    child.go();
    await child.line();
    const mebibytes = (residentBytes(child.pid) - before) / 2 ** 20;
    assert.ok(mebibytes > 55 && mebibytes < 90, `${mebibytes} MiB were seen of 64`);
  });

  it('are refused for a process that is gone', () => {
    assert.throws(() => residentBytes(2 ** 22 + 1), /is gone/);
  });

  it('see what a child used that has ended', async () => {
    const before = endedChildrenCpuSeconds();
    const child = spawn(process.execPath, ['-e', `${burn} burn(200);`], { stdio: 'inherit' });
    await once(child, 'exit');
    const seconds = endedChildrenCpuSeconds() - before;
    assert.ok(seconds >= 0.19 && seconds < 0.6, `${seconds} s were seen of 0.2 and a start`);
  });
});
