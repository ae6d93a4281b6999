// What a writer sends of an upload, as far as it can be taken: from the right offset, no more than the blob has, and in the end
// with the right hash.
import { CacheError } from '../base/cache-error.ts';
import type { CallOptions } from '../base/call-options.ts';
import type { Digest } from '../digest/digest.ts';
import { tooLong, wrongHash } from './digest-check.ts';
import type { UploadFile } from './upload-file.ts';
import type { UploadIdentity } from './upload-journal-format.ts';

/** What a writer sends. */
export interface SentBytes {
  readonly upload: UploadIdentity;
  readonly fromOffset: number;
  readonly bytes: AsyncIterable<Uint8Array>;
}

/** `wrong`: what came cannot be the beginning of the blob. */
export type TakenBytes = { readonly kind: 'whole' | 'part' } | WrongBytes;
export type TakenWhole = { readonly kind: 'whole'; readonly bytes: Uint8Array } | { readonly kind: 'part' } | WrongBytes;
interface WrongBytes {
  readonly kind: 'wrong';
  readonly error: CacheError;
}

/** Up to the end of the bytes or of the blob. @throws as `Uploads.resume`. */
export async function takeBytes(file: UploadFile, digest: Digest, { fromOffset, bytes }: SentBytes, options?: CallOptions): Promise<TakenBytes> {
  let passedOver = file.committedBytes - fromOffset;
  options?.onStep?.('receive');
  for await (const chunk of bytes) {
    if (options?.signal?.aborted) throw cancelled();
    const part = chunk.subarray(Math.min(passedOver, chunk.byteLength));
    passedOver -= chunk.byteLength - part.byteLength;
    if (part.byteLength > digest.sizeBytes - file.endOffset) return { kind: 'wrong', error: tooLong(digest) };
    if (part.byteLength > 0) await file.write(part);
  }
  if (file.endOffset < digest.sizeBytes) return { kind: 'part' };
  const hash = await file.finish();
  return hash === digest.hash ? { kind: 'whole' } : { kind: 'wrong', error: wrongHash(digest, hash) };
}

/** As `takeBytes`, of a blob that is small enough to be held in memory; what is not whole is forgotten. */
export async function takeInMemory({ upload: { digest }, bytes }: SentBytes, options?: CallOptions): Promise<TakenWhole> {
  const whole = Buffer.alloc(digest.sizeBytes);
  let endOffset = 0;
  options?.onStep?.('receive');
  for await (const chunk of bytes) {
    if (options?.signal?.aborted) throw cancelled();
    if (chunk.byteLength > digest.sizeBytes - endOffset) return { kind: 'wrong', error: tooLong(digest) };
    whole.set(chunk, endOffset);
    endOffset += chunk.byteLength;
  }
  if (endOffset < digest.sizeBytes) return { kind: 'part' };
  const hash = digest.function.hashHex(whole);
  return hash === digest.hash ? { kind: 'whole', bytes: whole } : { kind: 'wrong', error: wrongHash(digest, hash) };
}

function cancelled(): CacheError {
  return new CacheError('cancelled', 'the call was cancelled while its bytes were stored');
}

/** @throws CacheError `out_of_range`. */
export function refuseOffset(upload: UploadIdentity, fromOffset: number, committedBytes: number): void {
  if (fromOffset === committedBytes || fromOffset === 0) return;
  throw new CacheError('out_of_range', `upload ${nameOf(upload)} goes on at byte ${committedBytes}, not at ${fromOffset}; ask how much of it is committed and go on there, or begin anew at 0`);
}

export function hasWriter(upload: UploadIdentity): CacheError {
  return new CacheError('aborted', `upload ${nameOf(upload)} has another writer at the moment; wait for its end, or send the blob under another upload id`);
}

/** Of an upload id in a message: a UUID, and more than that. */
const shownIdLength = 100;

/** For people. */
function nameOf({ uploadId, digest }: UploadIdentity): string {
  return `${JSON.stringify(uploadId.slice(0, shownIdLength))} of ${digest.toString()}`;
}

