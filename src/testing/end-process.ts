// For test files that open what cannot be closed, such as a socket of the datagram addon or a timer of a library.
import { after } from 'node:test';

/** Longer than it takes to write down the outcome of the last test; twice it is shorter than what end-of-tests.ts allows. */
const lingerMs = 500;

/** Ends the process of this test file when its last test has ended. What failed is told all the same. */
export function endProcessAfterTests(): void {
  after(() => {
    setTimeout(() => {
      // node:test sums up a file when nothing keeps its process alive any more, which it learns by this event. Without
      // its summary the file counts as broken off.
      process.emit('beforeExit', 0);
      setTimeout(() => process.exit(), lingerMs);
    }, lingerMs);
  });
}
