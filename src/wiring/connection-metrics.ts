// What a scrape shows of connections: how many there are, who was turned away, and what went wrong on them.
import type { ListenAddress } from '../base/listen-address.ts';
import type { Counter, Meter } from '../base/metrics.ts';
import type { ConnectionEvents } from '../h2/connection-events.ts';
import { errorCodeName } from '../h2/error-code.ts';
import { http1Refusals } from '../platform/http1-refusals.ts';
import type { Listener, ListenerCounts } from '../platform/listener.ts';
import type { Http1Parts } from '../platform/node-http.ts';
import type { Connections } from './connections.ts';

type Kind = ListenAddress['kind'];

/** What is served on, as it is at the moment of asking. */
export interface ConnectionSources {
  readonly listeners: () => readonly Listener[];
  readonly connections: readonly Connections[];
  /** Per address. */
  readonly connectionsMax: () => number;
  /** Per HTTP/2 connection. */
  readonly streamsMax: () => number;
}

export function meterConnections(meter: Meter, sources: ConnectionSources): void {
  for (const kind of ['tcp', 'unix'] as const) meterKind(meter, kind, sources);
  const { connections } = sources;
  const open = { name: 'kiln_connections_by_protocol', help: 'Connections that have shown their protocol.' } as const;
  meter.gauge(open, () => sum(connections, ({ http1Count }) => http1Count), { protocol: 'http1' });
  meter.gauge(open, () => sum(connections, ({ http2Count }) => http2Count), { protocol: 'http2' });
  meter.gauge({ name: 'kiln_http2_streams', help: 'HTTP/2 streams in progress.' }, () => sum(connections, ({ streamCount }) => streamCount));
  meter.gauge({ name: 'kiln_http2_streams_max', help: 'The bound of streams of one HTTP/2 connection (limits.streams).' }, sources.streamsMax);
  meter.gauge({ name: 'kiln_connections_max', help: 'The bound of connections of one address (limits.connections).' }, sources.connectionsMax);
}

function meterKind(meter: Meter, kind: Kind, { listeners }: ConnectionSources): void {
  const read = (of: (counts: ListenerCounts) => number) => () =>
    sum(listeners().filter(({ address }) => address.kind === kind), ({ counts }) => of(counts));
  meter.gauge({ name: 'kiln_connections', help: 'Connections that are open, by kind of address.' }, read(({ open }) => open), { kind });
  meter.observedCounter({ name: 'kiln_connections_accepted_total', help: 'Connections that were accepted.' }, read(({ accepted }) => accepted), { kind });
  const refused = { name: 'kiln_connections_refused_total', help: 'Connections that were turned away, by reason: too_many, silent (no first bytes in time), failed (the system gave an error), plaintext (where TLS is spoken), tls (where it is not).' } as const;
  meter.observedCounter(refused, read((counts) => counts.refused), { kind, reason: 'too_many' });
  meter.observedCounter(refused, read(({ silent }) => silent), { kind, reason: 'silent' });
  meter.observedCounter(refused, read(({ failed }) => failed), { kind, reason: 'failed' });
  meter.observedCounter(refused, read(({ plaintext }) => plaintext), { kind, reason: 'plaintext' });
  meter.observedCounter(refused, read(({ tls }) => tls), { kind, reason: 'tls' });
}

/** Counts what the HTTP/2 engine tells. Codes have a name each, and floods are told by one of a few fixed texts. */
export function meteredConnectionEvents(meter: Meter): ConnectionEvents {
  const resets = (by: 'client' | 'server'): ((code: string) => Counter) => (code) =>
    meter.counter({ name: 'kiln_http2_resets_total', help: 'HTTP/2 streams that were reset, by whom and with which code.' }, { by, code });
  const byClient = memoised(resets('client'));
  const byServer = memoised(resets('server'));
  const faults = memoised((code) => meter.counter({ name: 'kiln_http2_faults_total', help: 'HTTP/2 connections that were ended with GOAWAY for a fault, by code.' }, { code }));
  const floods = memoised((frames) => meter.counter({ name: 'kiln_http2_floods_total', help: 'HTTP/2 connections that were ended for too many frames that ask for nothing, by the last of them.' }, { frames }));
  const stalled = memoised((side) => meter.counter({ name: 'kiln_http2_stalls_total', help: 'HTTP/2 calls that were ended because too little of their request came, or of their answer was taken.' }, { side }));
  const ended = memoised((reason) => endedConnections(meter, 'http2', reason));
  for (const side of ['request', 'answer']) stalled(side);
  for (const reason of ['idle', 'dead', 'stalled']) ended(reason);
  faults('PROTOCOL_ERROR');
  floods('PING');
  byClient('CANCEL');
  byServer('CANCEL');
  return {
    onReset: (code, byPeer) => (byPeer ? byClient : byServer)(errorCodeName(code)).add(),
    onFault(code, flood) {
      faults(errorCodeName(code)).add();
      if (flood !== undefined) floods(flood).add();
    },
    onStalled: (side) => stalled(side).add(),
    onEnded: (reason) => ended(reason).add(),
  };
}

/** Counts what HTTP/1.1 tells; every reason is shown from the start. */
export function meteredHttp1Events(meter: Meter): Required<Pick<Http1Parts, 'onRefused' | 'onIdle'>> {
  const of = (reason: string): Counter =>
    meter.counter({ name: 'kiln_http1_refusals_total', help: 'HTTP/1.1 requests and connections that were refused before a handler saw them, or cut off, by reason.' }, { reason });
  const refused = Object.fromEntries(http1Refusals.map((reason) => [reason, of(reason)]));
  const idle = endedConnections(meter, 'http1', 'idle');
  return { onRefused: (reason) => refused[reason]?.add(), onIdle: () => idle.add() };
}

function endedConnections(meter: Meter, protocol: 'http1' | 'http2', reason: string): Counter {
  return meter.counter({ name: 'kiln_connections_ended_total', help: 'Connections that were ended although their client had broken no rule, by reason.' }, { protocol, reason });
}

function memoised(make: (name: string) => Counter): (name: string) => Counter {
  const made = new Map<string, Counter>();
  return (name) => {
    const known = made.get(name) ?? make(name);
    made.set(name, known);
    return known;
  };
}

function sum<T>(items: readonly T[], of: (item: T) => number): number {
  return items.reduce((total, item) => total + of(item), 0);
}
