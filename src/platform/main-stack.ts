// Where the main thread is right now, asked from another thread: it is interrupted for an instant, and goes on.
import { Session } from 'node:inspector';
import type { Debugger } from 'node:inspector';

const framesMax = 30;
/** Between two looks whether there is still something to interrupt. */
const lookMs = 20;

/**
 * The stack, as lines of `at name (file:line:column)`. Undefined when `wanted` turned false or `timeoutMs` passed
 * before any JavaScript ran: the thread is in native code, in the kernel, or idle.
 */
export async function takeMainStack(wanted: () => boolean, timeoutMs: number): Promise<string | undefined> {
  const session = new Session();
  session.connectToMainThread();
  const { promise, resolve } = Promise.withResolvers<string | undefined>();
  const deadline = performance.now() + timeoutMs;
  const look = setInterval(() => {
    if (!wanted() || performance.now() > deadline) resolve(undefined);
  }, lookMs);
  try {
    const files = new Map<string, string>();
    session.on('Debugger.scriptParsed', ({ params }) => void files.set(params.scriptId, params.url));
    session.on('Debugger.paused', ({ params }) => {
      session.post('Debugger.resume'); // before anything else: it stands still because of us now
      resolve(formatFrames(params.callFrames, files));
    });
    session.post('Debugger.enable');
    session.post('Debugger.pause');
    return await promise;
  } finally {
    clearInterval(look);
    // In this order, or a pause that was asked for and has not come yet would come with nobody to end it.
    session.post('Debugger.disable');
    session.disconnect();
  }
}

function formatFrames(frames: readonly Debugger.CallFrame[], files: ReadonlyMap<string, string>): string {
  return frames
    .slice(0, framesMax)
    .map(({ functionName, location }) => {
      const { scriptId, lineNumber, columnNumber = 0 } = location; // both count from 0
      return `at ${functionName || '<anonymous>'} (${files.get(scriptId) ?? 'unknown'}:${lineNumber + 1}:${columnNumber + 1})`;
    })
    .join('\n');
}
