// The memory of answers that are copied together from many parts: kept for the next ones, since memory of its own for each
// of them is what the garbage collector would run for.
import { ReusedMemory } from '../base/reused-memory.ts';

/** Of longer answers, parts are passed on where they are: another copy of them would cost more than it saves. */
export const placedBytesMax = 1_048_576;

/** What waits for the next answers, of all connections together: some dozens of batches of a hundred blobs. */
const keptBytesMax = 8 * 1_048_576;

export function newAnswerMemory(): ReusedMemory {
  return new ReusedMemory(keptBytesMax);
}
