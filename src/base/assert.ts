// Guards against our own mistakes. They stay on in production: a crash is better than a wrong byte.
// Bad input is never asserted; it becomes a CacheError where it is parsed.

/** Ends the current call with an `AssertionError` when an invariant of ours does not hold. */
export function assert(condition: unknown, invariant: string): asserts condition {
  if (!condition) throw new AssertionError(invariant);
}

/** The `default` of an exhaustive switch: a new case does not compile until it is handled. */
export function assertNever(value: never): never {
  throw new AssertionError(`unhandled case: ${JSON.stringify(value)}`);
}

/** A bug in Kiln. Not a CacheError, so that the outermost edge reports it as `internal` with its stack. */
export class AssertionError extends Error {
  override readonly name = 'AssertionError';
}
