// Loaded into every test process. Ends one whose tests are done but which something still keeps alive, such as a
// listener that nobody closed, and says what it was. Node's own --test-force-exit does not wait for its output to
// be read, and loses results.
import { after } from 'node:test';

/** Long enough for whatever closes in the background after the last test. */
const lingerMs = 2000;

after(() => {
  const timer = setTimeout(() => {
    console.error(`still open ${lingerMs} ms after the last test: ${process.getActiveResourcesInfo().join(', ')}`);
    process.exit(1);
  }, lingerMs);
  timer.unref(); // a process that nothing else keeps alive ends at once
});
