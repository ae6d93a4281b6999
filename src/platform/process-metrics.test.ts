// What is told of this process.
import assert from 'node:assert/strict';
import { openSync, closeSync } from 'node:fs';
import { describe, it } from 'node:test';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { RecordedMeter } from '../testing/recorded-meter.ts';
import { timers } from './clocks.ts';
import { meterProcess } from './process-metrics.ts';

const nextTurn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

/** Keeps the loop from turning. */
function block(ms: number): void {
  for (const endMs = performance.now() + ms; performance.now() < endMs; );
}

describe('metrics of the process', () => {
  it('are plausible, and follow what happens', async () => {
    const meter = new RecordedMeter();
    using _metered = meterProcess(meter, timers);
    const value = (name: string): number => meter.value(name) ?? NaN;
    assert.ok(Math.abs(value('process_start_time_seconds') - (Date.now() / 1_000 - process.uptime())) < 1);
    assert.ok(value('process_resident_memory_bytes') > 10_000_000);
    assert.ok(value('kiln_heap_used_bytes') > 1_000_000 && value('kiln_heap_used_bytes') <= value('kiln_heap_size_bytes'));
    assert.ok(value('kiln_array_buffers_bytes') <= value('kiln_external_memory_bytes'));
    const [cpu, active] = [value('process_cpu_seconds_total'), value('kiln_event_loop_active_seconds_total')];
    block(60);
    await nextTurn();
    assert.ok(value('process_cpu_seconds_total') > cpu);
    assert.ok(value('kiln_event_loop_active_seconds_total') > active);
    assert.ok(value('kiln_event_loop_idle_seconds_total') >= 0);
  });

  it('count open files, where the system tells', { skip: process.platform !== 'linux' && 'Linux tells' }, () => {
    const meter = new RecordedMeter();
    using _metered = meterProcess(meter, timers);
    const before = meter.value('process_open_fds') ?? NaN;
    const files = Array.from({ length: 5 }, () => openSync('/dev/null', 'r'));
    assert.equal(meter.value('process_open_fds'), before + 5);
    for (const file of files) closeSync(file);
    assert.ok((meter.value('process_max_fds') ?? NaN) > before);
  });

  it('show how late the event loop was', async () => {
    const meter = new RecordedMeter();
    using _metered = meterProcess(meter, timers);
    while ((meter.value('kiln_event_loop_delay_max_seconds') ?? NaN) < 0.15) {
      block(220);
      await new Promise((resolve) => setTimeout(resolve, 60)); // a look at the loop is due every 50 ms
    }
    assert.ok((meter.value('kiln_event_loop_delay_p99_seconds') ?? NaN) >= (meter.value('kiln_event_loop_delay_p50_seconds') ?? NaN));
  });

  it('record the pauses of the collector by kind, until they are disposed', async () => {
    setFlagsFromString('--expose-gc');
    const collect = runInNewContext('gc') as () => void;
    const meter = new RecordedMeter();
    const metered = meterProcess(meter, timers);
    const majors = (): number => meter.records('kiln_gc_pause_seconds{kind="major"}').length;
    while (majors() === 0) {
      collect();
      await nextTurn();
    }
    assert.ok(meter.records('kiln_gc_pause_seconds{kind="major"}').every((seconds) => seconds > 0 && seconds < 10));
    metered[Symbol.dispose]();
    const seen = majors();
    collect();
    await nextTurn();
    await nextTurn();
    assert.equal(majors(), seen);
  });
});
