// The tracer with a collector of our own over real sockets: what arrives, and what happens when nothing can.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { noMeter } from '../base/metrics.ts';
import { endProcessAfterTests } from '../testing/end-process.ts';
import { OtlpCollector } from '../testing/otlp-collector.ts';
import { RecordedLog } from '../testing/recorded-log.ts';
import { RecordedMeter } from '../testing/recorded-meter.ts';
import { monotonicClock, timers } from './clocks.ts';
import { OtelTracer } from './otel-tracer.ts';
import { systemRandom } from './random.ts';

// The SDK waits for collectors that hang, whoever has gone on meanwhile.
endProcessAfterTests();

const traceId = '0af7651916cd43dd8448eb211c80319c';
const spanId = 'b7ad6b7169203331';
const sampledParent = `00-${traceId}-${spanId}-01`;
const nothing = { traceparent: undefined, tracestate: undefined };

interface Opened {
  readonly tracer: OtelTracer;
  readonly log: RecordedLog;
  readonly count: (outcome: string) => number;
}

function open(endpoint: string, more: { headers?: Record<string, string>; flushTimeoutMs?: number } = {}): Opened {
  const log = new RecordedLog();
  const meter = new RecordedMeter();
  const tracer = new OtelTracer(
    { endpoint, headers: {}, sampleRatio: 1, version: '1.2.3', flushTimeoutMs: 5_000, ...more },
    { log, meter, clock: monotonicClock, timers, random: systemRandom },
  );
  const count = (outcome: string): number => meter.value(`kiln_trace_spans_total{outcome="${outcome}"}`) ?? NaN;
  return { tracer, log, count };
}

describe('OtelTracer', () => {
  it('sends spans as OTLP over HTTP, with what they were told', async () => {
    await using collector = await OtlpCollector.open();
    const { tracer, log, count } = open(collector.endpoint, { headers: { authorization: 'Bearer secret' } });
    const span = tracer.start('GET /x', nothing, { text: 'a', number: 7, yes: true, none: undefined });
    const child = span.child('part', { of: 'it' });
    child.event('step', { at: 1 });
    child.end('it broke');
    span.child('other').end('Error: no answer from https://ann:geheim@cache:9092/ to Bearer abcdefgh12345678');
    span.set({ late: 'b' });
    span.end();
    await tracer[Symbol.asyncDispose]();

    const [part, other, root] = collector.spans;
    assert.ok(part !== undefined && other !== undefined && root !== undefined);
    assert.equal(collector.spans.length, 3);
    assert.doesNotMatch(JSON.stringify(collector.spans), /geheim|abcdefgh12345678/, 'texts of errors are as harmless as in the log');
    assert.deepEqual(root.attributes, { text: 'a', number: 7, yes: true, late: 'b' });
    assert.deepEqual([root.name, root.kind, root.parentSpanId, root.statusCode, root.traceId], ['GET /x', 2, '', 0, span.traceId]);
    assert.deepEqual([part.name, part.kind, part.parentSpanId, part.statusCode, part.statusMessage], ['part', 1, root.spanId, 2, 'it broke']);
    assert.deepEqual(part.events, [{ name: 'step', attributes: { at: 1 } }]);
    assert.equal(part.traceId, root.traceId);
    assert.ok(root.durationNs >= part.durationNs && part.durationNs > 0);
    const { 'service.instance.id': instance, 'host.name': host, ...resource } = root.resource;
    assert.deepEqual(resource, { 'service.name': 'kiln', 'service.version': '1.2.3' });
    assert.match(String(instance), /^[0-9a-f-]{36}$/);
    assert.notEqual(host, undefined);
    assert.deepEqual(collector.requests.map(({ path, headers }) => [path, headers['authorization']]), [['/v1/traces', 'Bearer secret']]);
    assert.deepEqual([count('exported'), count('failed'), count('dropped')], [3, 0, 0]);
    assert.deepEqual(log.lines, []);
  });

  it('W3C: belongs to the trace of its caller, and hands its state on', async () => {
    await using collector = await OtlpCollector.open();
    const { tracer } = open(`${collector.endpoint}/some/receiver`);
    tracer.start('a', { traceparent: sampledParent, tracestate: 'vendor=opaque' }).end();
    tracer.start('b', { traceparent: 'nonsense', tracestate: 'vendor=opaque' }).end();
    await tracer[Symbol.asyncDispose]();
    const [a, b] = collector.spans;
    assert.deepEqual([a?.traceId, a?.parentSpanId, a?.traceState], [traceId, spanId, 'vendor=opaque']);
    assert.deepEqual([b?.parentSpanId, b?.traceState], ['', '']);
    assert.equal(collector.requests[0]?.path, '/some/receiver', 'a path that was given is used as it is');
  });

  it('cuts what clients make too long', async () => {
    await using collector = await OtlpCollector.open();
    const { tracer } = open(collector.endpoint);
    const span = tracer.start('a', nothing, { text: 'x'.repeat(10_000) });
    for (let index = 0; index < 1_000; index += 1) span.event('e');
    span.end();
    await tracer[Symbol.asyncDispose]();
    assert.equal(String(collector.spans[0]?.attributes['text']).length, 512);
    assert.equal(collector.spans[0]?.events.length, 64);
  });

  it('says once that the collector refuses, why, without secrets, and when it takes traces again', async () => {
    await using collector = await OtlpCollector.open();
    collector.answer = { status: 401, text: 'unknown\r\ntoken' };
    const { tracer, log, count } = open(`http://user:hunter2@127.0.0.1:${collector.port}`, { headers: { 'x-key': 'hunter3' } });
    for (let batch = 0; batch < 3; batch += 1) {
      for (let index = 0; index < 128; index += 1) tracer.start('a', nothing).end(); // a whole batch goes at once
      await collector.until(() => collector.requests.length === batch + 1);
    }
    while (count('failed') < 3 * 128) await new Promise((resolve) => setImmediate(resolve));
    assert.equal(log.lines.length, 1);
    assert.match(log.lines[0] ?? '', /^warn traces cannot be sent; requests are not affected/);
    assert.match(log.lines[0] ?? '', /HTTP 401\): unknown token/);
    assert.match(log.lines[0] ?? '', new RegExp(`"collector":"${collector.endpoint}/v1/traces"`));
    collector.answer = { status: 200 };
    tracer.start('a', nothing).end();
    await tracer[Symbol.asyncDispose]();
    assert.equal(log.lines.length, 2);
    assert.match(log.lines[1] ?? '', /^info traces are sent again .*"lostSpans":384/);
    assert.doesNotMatch(log.lines.join(), /hunter/);
    assert.equal(count('exported'), 1);
  });

  it('drops what does not fit into its queue while the collector hangs, counts it, and ends in time', async () => {
    await using collector = await OtlpCollector.open();
    collector.answer = undefined;
    const { tracer, log, count } = open(collector.endpoint, { flushTimeoutMs: 50 });
    for (let index = 0; index < 6_000; index += 1) tracer.start('a', nothing).end();
    // One batch is on its way as soon as it is whole, and 4,096 spans wait.
    assert.equal(count('dropped'), 6_000 - 4_096 - 128);
    await collector.until(() => collector.requests.length > 0);
    await tracer[Symbol.asyncDispose]();
    assert.match(log.lines.join('\n'), /warn the last traces could not be sent in time {"lostSpans":4224,"timeoutMs":50}/);
  });

  it('gives a collector that was away only one more try at the end', async () => {
    await using collector = await OtlpCollector.open();
    collector.answer = { status: 400 };
    const { tracer, log, count } = open(collector.endpoint, { flushTimeoutMs: 60_000 });
    for (let index = 0; index < 128; index += 1) tracer.start('a', nothing).end();
    while (count('failed') === 0) await new Promise((resolve) => setImmediate(resolve));
    collector.answer = undefined;
    tracer.start('a', nothing).end();
    await tracer[Symbol.asyncDispose]();
    assert.match(log.lines.at(-1) ?? '', /could not be sent in time {"lostSpans":1,"timeoutMs":500}/);
  });

  it('tells who has taken the port of OTLP over gRPC', async (t) => {
    const collector = await OtlpCollector.open(4317).catch(() => undefined);
    if (collector === undefined) return t.skip('port 4317 is taken');
    await using _collector = collector;
    collector.answer = { status: 415 };
    const { tracer, log } = open(collector.endpoint);
    tracer.start('a', nothing).end();
    await tracer[Symbol.asyncDispose]();
    assert.match(log.lines.join(), /OTLP over HTTP, which is usually on port 4318/);
  });

  it('asks the sampler before anything else', () => {
    const tracer = new OtelTracer(
      { endpoint: 'http://127.0.0.1:1', headers: {}, sampleRatio: 0, version: '', flushTimeoutMs: 1 },
      { log: new RecordedLog(), meter: noMeter, clock: monotonicClock, timers, random: systemRandom },
    );
    assert.equal(tracer.samples(undefined), false);
    assert.equal(tracer.samples(sampledParent), true);
  });
});
