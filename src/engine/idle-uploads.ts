// Uploads that nobody writes to at the moment, and may go on with: which there are, and which have to go because they
// wait for too long or take too much room. Memory only; removing files is its owner's.
import type { Timers } from '../base/clock.ts';
import type { Digest } from '../digest/digest.ts';
import { sumOf } from './upload-file.ts';
import type { UploadSpace } from './upload-file.ts';

export interface UploadLimits {
  /** What uploads that nobody writes to may take on the disk, all together; those idle longest go first. */
  readonly idleBytesMax: number;
  /** How long one may be idle. */
  readonly idleMsMax: number;
}

export interface IdleUpload {
  readonly key: string;
  readonly digest: Digest;
  readonly committedBytes: number;
  /** Milliseconds since the Unix epoch. */
  readonly idleSinceMs: number;
  readonly space: UploadSpace;
}

export interface IdlePorts {
  /** Wall time that does not jump. */
  readonly time: { nowMs(): number };
  readonly timers: Timers;
}

/** Late by so much is near enough for a limit of hours, and a timer knows no more than some weeks. */
const lookMsMax = 60 * 60 * 1_000;

export class IdleUploads implements Disposable {
  readonly #limits: UploadLimits;
  readonly #ports: IdlePorts;
  readonly #giveUp: (upload: IdleUpload, reason: string) => void;
  /** The one idle longest first. Each takes room on the disk, which bounds them. */
  readonly #uploads = new Map<string, IdleUpload>();
  #usedBytes = 0;
  #timer: Disposable | undefined;
  #isClosed = false;

  /** `giveUp` is called for each that is to go; it is not here any more by then. */
  constructor(limits: UploadLimits, ports: IdlePorts, giveUp: (upload: IdleUpload, reason: string) => void) {
    this.#limits = limits;
    this.#ports = ports;
    this.#giveUp = giveUp;
  }

  get count(): number {
    return this.#uploads.size;
  }

  /** On the disk. */
  get usedBytes(): number {
    return this.#usedBytes;
  }

  get(key: string): IdleUpload | undefined {
    return this.#uploads.get(key);
  }

  /** One more, idle no longer than all others. It may be the next one to go. */
  add(upload: IdleUpload): void {
    this.#uploads.set(upload.key, upload);
    this.#usedBytes += sumOf(upload.space);
    this.#trim();
  }

  /** It is not idle any more. */
  remove(upload: IdleUpload): void {
    if (this.#uploads.delete(upload.key)) this.#usedBytes -= sumOf(upload.space);
  }

  /** It is not here any more. Undefined: there is none. */
  takeOldest(): IdleUpload | undefined {
    const [first] = this.#uploads.values();
    if (first !== undefined) this.remove(first);
    return first;
  }

  /** Nothing is given up from here on. */
  [Symbol.dispose](): void {
    this.#isClosed = true;
    this.#timer?.[Symbol.dispose]();
  }

  #trim(): void {
    if (this.#isClosed) return;
    const { idleMsMax, idleBytesMax } = this.#limits;
    const nowMs = this.#ports.time.nowMs();
    for (const upload of this.#uploads.values()) {
      const isLate = nowMs - upload.idleSinceMs >= idleMsMax;
      if (!isLate && this.#usedBytes <= idleBytesMax) break;
      this.remove(upload);
      this.#giveUp(upload, isLate ? 'nobody has gone on with it for too long' : 'uploads that nobody goes on with take too much room');
    }
    this.#look(nowMs);
  }

  /** Again when the first one may have waited for too long. */
  #look(nowMs: number): void {
    const [first] = this.#uploads.values();
    if (this.#timer !== undefined || first === undefined) return;
    const leftMs = first.idleSinceMs + this.#limits.idleMsMax - nowMs;
    this.#timer = this.#ports.timers.after(Math.min(leftMs, lookMsMax), () => {
      this.#timer = undefined;
      this.#trim();
    });
  }
}
