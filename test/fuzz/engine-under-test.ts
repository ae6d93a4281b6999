// What the fuzzer needs of an engine, whichever role it has.
import type { ByteBudget } from '../../src/base/byte-budget.ts';
import type { Http2Limits } from '../../src/h2/limits.ts';
import type { ManualClock } from '../../src/testing/manual-clock.ts';
import type { SeededRandom } from '../../src/testing/seeded-random.ts';
import type { ScriptedStream } from './scripted-stream.ts';

/** An engine of either role with its application. */
export interface EngineUnderTest {
  readonly outlet: {
    readonly hasOutput: boolean;
    take(): readonly Uint8Array[];
    onBacklog(bytes: number): void;
  };
  readonly isOver: boolean;
  readonly streamCount: number;
  /** Input that is not complete and is kept for that reason. */
  readonly gatheredBytes: number;
  receive(bytes: Uint8Array): void;
  abort(): void;
  /** The output is about to be taken. */
  onTake?(): void;
  /** All streams there ever were. */
  readonly streams: readonly ScriptedStream[];
  /** Something that the application may do at any time; on a stream mostly. */
  act(): void;
}

export interface EngineParts {
  readonly limits: Http2Limits;
  readonly random: SeededRandom;
  readonly clock: ManualClock;
  readonly budget: ByteBudget;
  readonly wake: () => void;
}
