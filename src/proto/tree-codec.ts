// GetTreeResponse by hand: directories are sent as they are stored.
import { varintBytes, writeVarint } from './digest-writer.ts';
import type { MessageCodec } from './message-codec.ts';

/** A GetTreeResponse. */
export interface TreePage {
  /** Directory messages. They must not change any more. */
  readonly directories: readonly Uint8Array[];
  /** ASCII. Empty on the last page. */
  readonly nextPageToken: string;
}

/** Up to here a copy is cheaper than two slices more on the way to the socket. */
const copiedBytesMax = 2048;
const directoriesTag = 10;
const nextPageTokenTag = 18;

export const getTreeResponseCodec: MessageCodec<never, TreePage> = {
  keepsViews: false,
  decode() {
    throw new TypeError('Kiln does not receive GetTreeResponse');
  },
  encode({ directories, nextPageToken }, headroomBytes) {
    const token = Buffer.from(nextPageToken, 'latin1');
    let lengthMax = headroomBytes + fieldBytes(token);
    for (const bytes of directories) lengthMax += bytes.byteLength <= copiedBytesMax ? fieldBytes(bytes) : fieldBytes(bytes) - bytes.byteLength;
    const into = Buffer.allocUnsafe(lengthMax);
    const more: Uint8Array[] = [];
    let first: Uint8Array | undefined;
    let start = 0;
    let at = headroomBytes;
    const cut = (): void => {
      const slice = into.subarray(start, at);
      start = at;
      if (first === undefined) first = slice;
      else more.push(slice);
    };
    const write = (tag: number, bytes: Uint8Array): void => {
      into[at] = tag;
      at = writeVarint(into, at + 1, bytes.byteLength);
      if (bytes.byteLength > copiedBytesMax) {
        cut();
        more.push(bytes);
        return;
      }
      into.set(bytes, at);
      at += bytes.byteLength;
    };
    for (const bytes of directories) write(directoriesTag, bytes);
    if (token.byteLength > 0) write(nextPageTokenTag, token);
    if (at > start || first === undefined) cut();
    return [first ?? into, ...more];
  },
};

/** Of a length-delimited field, its tag and length included. */
function fieldBytes({ byteLength }: Uint8Array): number {
  return 1 + varintBytes(byteLength) + byteLength;
}
