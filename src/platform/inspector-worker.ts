// A thread beside the main one that can look into it: notices when its loop stands still and sees where, and takes CPU
// profiles and heap snapshots, so that their work falls here. The inspector is used inside the process; no port is opened.
import { parentPort, workerData } from 'node:worker_threads';
import { assert } from '../base/assert.ts';
import { errorCodeOf } from './error-code-of.ts';
import { writeCpuProfile, writeHeapSnapshot } from './inspector-files.ts';
import type { FromInspector, InspectorSettings, ToInspector } from './inspector-thread.ts';
import { StallWatch } from './stall-watch.ts';

assert(parentPort !== null, 'this file is the start of a thread');
const port = parentPort;
const settings = workerData as InspectorSettings;
const watch = settings.stallMs === 0 ? undefined : new StallWatch(settings);

function send(message: FromInspector): void {
  port.postMessage(message);
}

function excuse(): Disposable | undefined {
  return watch?.excuse();
}

async function answer(message: ToInspector): Promise<void> {
  if (message.kind === 'stall-ended') {
    send({ kind: 'stall', beat: message.beat, ...(await watch?.seen(message.beat)) });
    return;
  }
  try {
    const sizeBytes = message.kind === 'cpu-profile' ? await writeCpuProfile(message, excuse) : await writeHeapSnapshot(message, excuse);
    send({ kind: 'written', id: message.id, sizeBytes });
  } catch (error) {
    send({ kind: 'failed', id: message.id, message: error instanceof Error ? error.message : String(error), code: errorCodeOf(error) });
  }
}

port.on('message', (message: ToInspector) => void answer(message));
send({ kind: 'ready' });
