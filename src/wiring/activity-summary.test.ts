// The line that sums up what happened.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { MetricReadOut } from '../telemetry/read-out.ts';
import { MetricRegistry } from '../telemetry/registry.ts';
import { ManualClock } from '../testing/manual-clock.ts';
import { RecordedLog } from '../testing/recorded-log.ts';
import { ActivitySummary } from './activity-summary.ts';

function open() {
  const registry = new MetricRegistry();
  const calls = (method: string, code = 'OK') => registry.counter({ name: 'kiln_grpc_calls_total', help: 'Calls.' }, { service: 's', method, code });
  const lookups = (operation: string, result: string, tool = 'bazel') => registry.counter({ name: 'kiln_blob_lookups_total', help: 'Blobs.' }, { tool, instance: '', operation, result });
  const sent = (method: string) => registry.counter({ name: 'kiln_grpc_sent_bytes_total', help: 'Bytes.' }, { service: 's', method });
  const requests = (route: string) => registry.counter({ name: 'kiln_http_requests_total', help: 'Requests.' }, { route, method: 'GET', code: '200' });
  registry.gauge({ name: 'kiln_connections', help: 'Connections.' }, () => 3, { kind: 'tcp' });
  const log = new RecordedLog();
  const clock = new ManualClock();
  calls('FindMissingBlobs').add(7); // before it began
  const summary = new ActivitySummary(new MetricReadOut(registry), 60_000, { log, clock, timers: clock });
  return { calls, lookups, sent, requests, log, clock, summary };
}

describe('the summary of the activity', () => {
  it('K11-08: counts what happened since the last one, over tools and codes', () => {
    const { calls, lookups, requests, log, clock } = open();
    calls('FindMissingBlobs').add(100);
    calls('FindMissingBlobs', 'INTERNAL').add(2);
    calls('GetActionResult', 'NOT_FOUND').add(5);
    lookups('find', 'hit').add(150);
    lookups('find', 'miss').add(50);
    lookups('find', 'miss', 'moon').add(25);
    lookups('read', 'hit').add(1);
    requests('cas').add(2);
    requests('healthz').add(60);
    clock.advance(60_000);
    assert.deepEqual(log.lines, [
      'info activity {"seconds":60,"findMissingBlobs":102,"getActionResult":5,"failedCalls":2,"httpRequests":2,"blobsRequested":225,"blobsMissing":75,"blobReadHits":1,"connections":3,"storedBytes":0}',
    ]);
    calls('FindMissingBlobs').add(1);
    clock.advance(60_000);
    assert.equal(log.lines[1], 'info activity {"seconds":60,"findMissingBlobs":1,"connections":3,"storedBytes":0}');
  });

  it('is left out when nothing happened but probes', () => {
    const { calls, sent, requests, log, clock, summary } = open();
    calls('Check').add(10);
    sent('Check').add(1_000);
    requests('metrics').add(4);
    clock.advance(180_000);
    summary[Symbol.dispose]();
    assert.deepEqual(log.lines, []);
  });

  it('comes a last time at the end, and then no more', () => {
    const { calls, log, clock, summary } = open();
    calls('Read').add(3);
    clock.advance(5_000);
    summary[Symbol.dispose]();
    assert.deepEqual(log.lines, ['info activity {"seconds":5,"read":3,"connections":3,"storedBytes":0}']);
    calls('Read').add(3);
    clock.advance(600_000);
    assert.equal(log.lines.length, 1);
  });
});
