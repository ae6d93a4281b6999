// Values that may already be there. A hot verb that answers from memory costs no promise and no extra turn
// of the loop; measured on the unary path, bench/unary.

/** A value now or later. */
export type MaybePromise<T> = T | Promise<T>;

/** True when the value is not there yet. Only real promises count: nothing in Kiln returns foreign thenables. */
export function isPromise<T>(value: MaybePromise<T>): value is Promise<T> {
  return value instanceof Promise;
}

/** One step of a generator that `runSteps` drives: gives the value, and waits only when it is not there yet. */
export function* step<T>(value: MaybePromise<T>): Generator<Promise<unknown>, T, unknown> {
  return isPromise(value) ? ((yield value) as T) : value;
}

/**
 * Runs an algorithm written once as a generator of steps: without any promise as long as every step has its
 * value at once, and as an async function from the first step that has not.
 */
export function runSteps<T>(steps: Generator<Promise<unknown>, T, unknown>): MaybePromise<T> {
  const first = steps.next();
  return first.done === true ? first.value : finishSteps(steps, first.value);
}

async function finishSteps<T>(steps: Generator<Promise<unknown>, T, unknown>, waiting: Promise<unknown>): Promise<T> {
  let result = await resume(steps, waiting);
  while (result.done !== true) result = await resume(steps, result.value);
  return result.value;
}

async function resume<T>(
  steps: Generator<Promise<unknown>, T, unknown>,
  waiting: Promise<unknown>,
): Promise<IteratorResult<Promise<unknown>, T>> {
  let value: unknown;
  try {
    value = await waiting;
  } catch (error) {
    return steps.throw(error);
  }
  return steps.next(value);
}
