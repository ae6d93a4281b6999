// The header `traceparent` (W3C Trace Context, level 1 §3.2): who called, and whether that call is recorded.

export interface TraceParent {
  /** 32 lower-case digits of hex, not all zero. */
  readonly traceId: string;
  /** 16 lower-case digits of hex, not all zero. */
  readonly spanId: string;
  /** The caller may have recorded its part, so ours belongs to it. */
  readonly sampled: boolean;
}

/** Later versions may add fields after the four that are known, and are read as far as they are known. */
const form = /^([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?$/;
const sampledFlag = 1;

/** Undefined for what breaks the rules: it then counts as absent. */
export function parseTraceParent(header: string): TraceParent | undefined {
  const [, version, traceId, spanId, flags, more] = form.exec(header) ?? [];
  if (version === undefined || traceId === undefined || spanId === undefined || flags === undefined) return undefined;
  if (version === 'ff' || (version === '00' && more !== undefined)) return undefined;
  if (/^0+$/.test(traceId) || /^0+$/.test(spanId)) return undefined;
  return { traceId, spanId, sampled: (Number.parseInt(flags, 16) & sampledFlag) !== 0 };
}
