// Signals, uncaught failures and output, in processes of their own.
import assert from 'node:assert/strict';
import { execFile, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, it } from 'node:test';

const module = new URL('./process.ts', import.meta.url).href;

function run(program: string): Promise<{ code: number; out: string }> {
  return new Promise((resolve) => {
    execFile(process.execPath, ['--input-type=module', '-e', program], (error, out) => resolve({ code: Number(error?.code ?? 0), out }));
  });
}

describe('process', () => {
  for (const failure of ['setTimeout(() => { throw new Error("lost") })', 'Promise.reject(new Error("lost"))']) {
    it(`hands over what nobody caught: ${failure}`, async () => {
      const program = `import { exitNow, onUncaught, openOutput } from '${module}';
        const output = openOutput();
        onUncaught((error) => { output.out(error.message); exitNow(1); });
        setInterval(() => {}, 1000);
        ${failure};`;
      assert.deepEqual(await run(program), { code: 1, out: 'lost' });
    });
  }

  it('ends at once although a thread hangs', () => {
    const program = `import { spawnSync } from 'node:child_process';
      import { open } from 'node:fs';
      import { endAtOnce, onUncaught } from '${module}';
      spawnSync('mkfifo', [process.argv[1]]);
      open(process.argv[1], 'r', () => {}); // a thread of the pool waits for a writer who never comes
      onUncaught(() => endAtOnce(1));
      setTimeout(() => { throw new Error('lost'); }, 50);`;
    const directory = mkdtempSync(join(tmpdir(), 'kiln-end-'));
    try {
      const ended = spawnSync(process.execPath, ['--input-type=module', '-e', program, join(directory, 'pipe')], { timeout: 20_000, killSignal: 'SIGKILL' });
      assert.deepEqual([ended.status, ended.stderr.toString()], [1, '']);
    } finally {
      rmSync(directory, { recursive: true });
    }
  });

  it('hands over signals until it is told not to, and knows their exit status', async () => {
    const program = `import { catchStopSignals, exitNow, exitStatusOf } from '${module}';
      const stops = catchStopSignals();
      stops.listen((signal) => { stops[Symbol.dispose](); process.stdout.write(String(exitStatusOf(signal))); process.kill(process.pid, 'SIGTERM'); });
      setInterval(() => {}, 1000);
      process.kill(process.pid, 'SIGINT');`;
    const child = spawn(process.execPath, ['--input-type=module', '-e', program], { stdio: ['ignore', 'pipe', 'inherit'] });
    let out = '';
    child.stdout.on('data', (chunk: Buffer) => (out += chunk.toString()));
    const [, signal] = (await once(child, 'close')) as [number | null, string | null];
    assert.deepEqual([out, signal], ['130', 'SIGTERM']);
  });

  it('is ended by a signal that comes before anybody listens', async () => {
    const program = `import { catchStopSignals } from '${module}';
      catchStopSignals();
      setInterval(() => {}, 1000);
      process.kill(process.pid, 'SIGTERM');`;
    const [, signal] = (await once(spawn(process.execPath, ['--input-type=module', '-e', program], { stdio: 'inherit' }), 'close')) as [number | null, string | null];
    assert.equal(signal, 'SIGTERM');
  });

  it('says so when what must not be lost cannot be written', () => {
    const program = `import { openOutput } from '${module}';
      await openOutput().outForSure('a secret').catch(({ name, code, message }) => process.stderr.write([name, code, message].join(' ')));`;
    const { status, stderr } = spawnSync('sh', ['-c', '"$0" --input-type=module -e "$1" > /dev/full', process.execPath, program]);
    assert.match(String(stderr), /^CacheError failed_precondition cannot write to standard output \(ENOSPC\)\nlet it lead to/);
    assert.equal(status, 0);
  });

  // A container's first process is not ended by its own signals; without namespaces for users there is none to be had.
  const asFirst = ['--user', '--map-root-user', '--pid', '--fork', '--kill-child=KILL'];
  const noContainer = spawnSync('unshare', [...asFirst, 'true']).status === 0 ? false : 'no namespaces here';
  it('is ended by a signal that comes before anybody listens as the first process of a container, too', { skip: noContainer }, () => {
    const program = `import { catchStopSignals } from '${module}';
      catchStopSignals();
      setInterval(() => {}, 1000);
      process.kill(process.pid, 'SIGTERM');`;
    const { status } = spawnSync('unshare', [...asFirst, process.execPath, '--input-type=module', '-e', program], { timeout: 20_000, killSignal: 'SIGKILL' });
    assert.equal(status, 143);
  });

  for (const [signal, status] of [['SIGTERM', 143], ['SIGKILL', 137]] as const) {
    it(`ends by ${signal} as the first process of a container, although a thread hangs`, { skip: noContainer }, () => {
      const program = `import { spawnSync } from 'node:child_process';
        import { open } from 'node:fs';
        import { endBySignal } from '${module}';
        const pipe = process.argv[1];
        spawnSync('mkfifo', [pipe]);
        open(pipe, 'r', () => {}); // a thread of the pool waits for a writer who never comes
        setTimeout(() => endBySignal('${signal}'), 50);`;
      const directory = mkdtempSync(join(tmpdir(), 'kiln-first-process-'));
      try {
        const ended = spawnSync('unshare', [...asFirst, process.execPath, '--input-type=module', '-e', program, join(directory, 'pipe')], { timeout: 20_000, killSignal: 'SIGKILL' });
        assert.deepEqual([ended.status, ended.stderr.toString()], [status, '']);
      } finally {
        rmSync(directory, { recursive: true });
      }
    });
  }

  it('knows when a regular end would wait for the name of a host, or for a thread', async () => {
    const program = `import { spawnSync } from 'node:child_process';
      import { lookup } from 'node:dns';
      import { once } from 'node:events';
      import { mkdtempSync, rmSync } from 'node:fs';
      import { Worker } from 'node:worker_threads';
      import { endBySignal, endWouldWait } from '${module}';
      const told = [endWouldWait()];
      const { promise: looked, resolve } = Promise.withResolvers();
      lookup('localhost', () => setImmediate(resolve));
      told.push(endWouldWait());
      await looked;
      told.push(endWouldWait());
      const directory = mkdtempSync('${tmpdir()}/kiln-thread-');
      spawnSync('mkfifo', [directory + '/pipe']);
      const source = 'import { openSync } from "node:fs"; import { parentPort, workerData } from "node:worker_threads"; parentPort.postMessage("here"); openSync(workerData);';
      const worker = new Worker(new URL('data:text/javascript,' + source), { workerData: directory + '/pipe' });
      await once(worker, 'message');
      setTimeout(() => {
        void worker.terminate();
        setTimeout(() => {
          told.push(endWouldWait());
          rmSync(directory, { recursive: true });
          process.stdout.write(told.join(), () => endBySignal('SIGTERM'));
        }, 50);
      }, 50);`;
    const child = spawn(process.execPath, ['--input-type=module', '-e', program], { stdio: ['ignore', 'pipe', 'inherit'] });
    let out = '';
    child.stdout.on('data', (chunk: Buffer) => (out += chunk.toString()));
    const [, signal] = (await once(child, 'close')) as [number | null, string | null];
    assert.deepEqual([out, signal], ['false,true,false,true', 'SIGTERM']);
  });

  it('goes on when the reader of its output is gone', async () => {
    const program = `import { exitNow, openOutput } from '${module}';
      const { out, error } = openOutput();
      out('first');
      process.stdin.on('end', () => { for (let n = 0; n < 100; n += 1) out('more'.repeat(10_000)); setTimeout(() => { error('alive'); exitNow(7); }, 20); }).resume();`;
    const child = spawn(process.execPath, ['--input-type=module', '-e', program]);
    await once(child.stdout, 'data');
    child.stdout.destroy();
    let errors = '';
    child.stderr.on('data', (chunk: Buffer) => (errors += chunk.toString()));
    child.stdin.end();
    const [code] = (await once(child, 'close')) as [number];
    assert.deepEqual([code, errors], [7, 'alive']);
  });
});
