// The `grpc-timeout` request header.

const unitMs: Readonly<Record<string, number>> = { H: 3_600_000, M: 60_000, S: 1000, m: 1, u: 1e-3, n: 1e-6 };

/**
 * Longest wait that timers take (2^31 - 1 ms, 24 days). A call that asks for more has no deadline worth keeping.
 */
const timeoutMsMax = 0x7fff_ffff;

/**
 * Milliseconds, with fractions; Infinity for more than timers can wait; undefined when `value` is not at most
 * eight digits and a unit (gRPC over HTTP/2, "Timeout").
 */
export function parseTimeout(value: string): number | undefined {
  const unit = unitMs[value.slice(-1)];
  const digits = value.slice(0, -1);
  if (unit === undefined || !/^[0-9]{1,8}$/.test(digits)) return undefined;
  const timeoutMs = Number(digits) * unit;
  return timeoutMs > timeoutMsMax ? Infinity : timeoutMs;
}

/** The most that eight digits of milliseconds say. */
const exactMsMax = 99_999_999;

/** The header's value for at least `timeoutMs`, which is finite and above 0; more than three years is written as that. */
export function formatTimeout(timeoutMs: number): string {
  const wholeMs = Math.ceil(timeoutMs);
  return wholeMs <= exactMsMax ? `${wholeMs}m` : `${Math.min(Math.ceil(wholeMs / 1000), exactMsMax)}S`;
}
