// What a service manager hears, over a real datagram socket.
import assert from 'node:assert/strict';
import { EventEmitter, once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import type { TestContext } from 'node:test';
import { endProcessAfterTests } from '../testing/end-process.ts';
import { RecordedLog } from '../testing/recorded-log.ts';
import { openSupervisor } from './systemd-supervisor.ts';
import { openDatagramSocket } from './unix-datagram.ts';

// Sockets of the addon are never closed.
endProcessAfterTests();

const lacking = openDatagramSocket() === undefined && 'no addon for datagrams on this platform';

/** A socket in the place of systemd's. */
async function receiver(t: TestContext) {
  const directory = await mkdtemp(join(tmpdir(), 'kiln-notify-'));
  t.after(() => rm(directory, { recursive: true }));
  const path = join(directory, 'notify');
  const datagrams: string[] = [];
  const arrivals = new EventEmitter();
  openDatagramSocket((datagram) => {
    datagrams.push(datagram.toString());
    arrivals.emit('one');
  })?.bind(path);
  return {
    path,
    /** The first `count` datagrams. */
    async first(count: number): Promise<readonly string[]> {
      while (datagrams.length < count) await once(arrivals, 'one');
      return datagrams.slice(0, count);
    },
  };
}

describe('supervisor: systemd', { skip: lacking }, () => {
  it('hears what is told, in order, each as one datagram', async (t) => {
    const systemd = await receiver(t);
    const log = new RecordedLog();
    const supervisor = openSupervisor({ environment: { NOTIFY_SOCKET: systemd.path }, pid: 1, log });
    supervisor.extendTimeout(30_000);
    supervisor.ready('serves on 127.0.0.1:9092');
    supervisor.status('two\nlines');
    const before = process.hrtime.bigint() / 1000n;
    supervisor.reloading();
    supervisor.stopping('stopping: 1 call');
    const [extend, ready, status, reloading, stopping] = await systemd.first(5);
    assert.equal(extend, 'EXTEND_TIMEOUT_USEC=30000000');
    assert.equal(ready, 'READY=1\nSTATUS=serves on 127.0.0.1:9092');
    assert.equal(status, 'STATUS=two lines');
    const usec = /^RELOADING=1\nMONOTONIC_USEC=(\d+)\nSTATUS=/.exec(reloading ?? '')?.[1];
    assert.ok(usec !== undefined && BigInt(usec) >= before && BigInt(usec) < before + 60_000_000n, 'the time is now, by the clock of systemd');
    assert.equal(stopping, 'STOPPING=1\nSTATUS=stopping: 1 call');
    assert.deepEqual(log.lines, []);
  });

  it('hears the watchdog at half of its time', async (t) => {
    const systemd = await receiver(t);
    const startedMs = performance.now();
    const environment = { NOTIFY_SOCKET: systemd.path, WATCHDOG_USEC: '100000', WATCHDOG_PID: '77' };
    openSupervisor({ environment, pid: 77, log: new RecordedLog() });
    assert.deepEqual(await systemd.first(3), ['WATCHDOG=1', 'WATCHDOG=1', 'WATCHDOG=1']);
    assert.ok(performance.now() - startedMs >= 145, 'three pulses take three times 50 ms');
  });

  it('hears no watchdog that is meant for another process', async (t) => {
    const [systemd, other] = [await receiver(t), await receiver(t)];
    const environment = { WATCHDOG_USEC: '2000', WATCHDOG_PID: '78' };
    const supervisor = openSupervisor({ environment: { ...environment, NOTIFY_SOCKET: systemd.path }, pid: 77, log: new RecordedLog() });
    openSupervisor({ environment: { ...environment, NOTIFY_SOCKET: other.path }, pid: 78, log: new RecordedLog() });
    await other.first(10); // began later, so ours would have sent as many
    supervisor.status('last');
    assert.deepEqual(await systemd.first(1), ['STATUS=last']);
  });
});

describe('supervisor: none, or one that cannot be reached', () => {
  it('does nothing without NOTIFY_SOCKET', () => {
    const log = new RecordedLog();
    openSupervisor({ environment: { WATCHDOG_USEC: '1' }, pid: 1, log }).ready('serves');
    assert.deepEqual(log.lines, []);
  });

  it('warns once and names the fix when neither the socket nor systemd-notify works', async (t) => {
    const path = process.env['PATH'];
    process.env['PATH'] = '/nonexistent';
    t.after(() => (process.env['PATH'] = path));
    const log = new RecordedLog();
    const supervisor = openSupervisor({ environment: { NOTIFY_SOCKET: '/nonexistent/notify' }, pid: 1, log });
    supervisor.ready('serves');
    supervisor.status('still serves');
    while (log.lines.length === 0) await new Promise(setImmediate);
    supervisor.status('and still');
    await new Promise(setImmediate);
    assert.equal(log.lines.length, 1);
    assert.match(JSON.stringify(log.lines[0]), /node-unix-socket-linux-x64-gnu.*NotifyAccess=all/);
  });

  it('survives a system that starts no program at all', () => {
    const log = new RecordedLog();
    // No environment can hold this, so that there is nothing to be started.
    openSupervisor({ environment: { NOTIFY_SOCKET: '@no\0name' }, pid: 1, log }).ready('serves');
    assert.match(String(log.lines), /^warn the service manager cannot be told/);
  });
});
