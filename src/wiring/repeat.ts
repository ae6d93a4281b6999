// Something to be done from time to time while something else goes on.
import type { Timers } from '../base/clock.ts';

/** Calls `act` every `intervalMs`, for the first time after one, until disposed. */
export function repeat(intervalMs: number, act: () => void, timers: Timers): Disposable {
  let timer: Disposable;
  const plan = (): void => {
    timer = timers.after(intervalMs, () => {
      plan(); // first, so that `act` may dispose
      act();
    });
  };
  plan();
  return { [Symbol.dispose]: () => timer[Symbol.dispose]() };
}
