// The thread that makes hints of segments: started when one is wanted, ended when none has been for a while.
import { assert } from '../base/assert.ts';
import type { HintRequest, HintScans } from '../engine/hint-scan.ts';
import type { ScanQuestion } from '../platform/scan-worker.ts';
import { Thread, entryBeside } from '../platform/thread.ts';
import type { ThreadLimits } from '../platform/thread.ts';

/** What it reads and the hint are outside of its heap, at most 100 MB for a segment of the smallest records. Several segments are sealed in a row, or none for long. */
const threadLimits: ThreadLimits = { idleMs: 10_000, heapMiBMax: 64 };

/** One scan at a time, in the order of asking: their callers pace them. */
export class ThreadHintScans implements HintScans, Disposable {
  readonly #thread = new Thread(entryBeside(import.meta.url, './scan-thread.ts'), threadLimits);

  async hintOf(path: string, request: HintRequest): Promise<Uint8Array | undefined> {
    const question: ScanQuestion = { path, request };
    const hint = await this.#thread.call(question);
    assert(hint === undefined || hint instanceof Uint8Array, 'a scan gives a hint or none');
    return hint;
  }

  /** What is being scanned fails. */
  [Symbol.dispose](): void {
    this.#thread[Symbol.dispose]();
  }
}
