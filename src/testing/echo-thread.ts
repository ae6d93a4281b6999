// The entry of a thread for tests of threads: gives back what it is sent, throws on `throw`, and dies on `die`.
import { serveThread } from '../platform/thread.ts';

serveThread((input) => {
  if (input === 'throw') throw new Error('as asked');
  if (input === 'die') process.exit(3);
  return input;
});
