// Values that may already be there. A hot verb that answers from memory costs no promise and no extra turn
// of the loop; measured on the unary path, bench/unary.

/** A value now or later. */
export type MaybePromise<T> = T | Promise<T>;

/** True when the value is not there yet. Only real promises count: nothing in Kiln returns foreign thenables. */
export function isPromise<T>(value: MaybePromise<T>): value is Promise<T> {
  return value instanceof Promise;
}
