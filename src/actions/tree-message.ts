// Reads a Tree message (REAPI Tree) as bytes: its directories must be told by the hash of the bytes that stand in
// it, and decoding and encoding them again could give others (DG-8).
import { BinaryReader, WireType } from '@bufbuild/protobuf/wire';

/**
 * The Directory messages of a Tree, as the bytes that stand in it: views. Decoding them is for the caller, one at a
 * time, since all of them at once may take ten times the memory of the Tree.
 */
export interface TreeMessage {
  readonly root: Uint8Array;
  /** In the order of the message. */
  readonly children: readonly Uint8Array[];
}

const rootFieldNumber = 1;
const childrenFieldNumber = 2;
/** An absent root field means an empty root directory. */
const emptyBytes = new Uint8Array(0);

/** Undefined when the bytes are no Tree as far as its own fields go, or one with more than `directoriesMax` directories. */
export function parseTree(bytes: Uint8Array, directoriesMax: number): TreeMessage | undefined {
  try {
    const reader = new BinaryReader(bytes);
    const children: Uint8Array[] = [];
    let rootBytes: Uint8Array | undefined;
    while (reader.pos < reader.len) {
      const [fieldNumber, wireType] = reader.tag();
      if (fieldNumber !== rootFieldNumber && fieldNumber !== childrenFieldNumber) {
        reader.skip(wireType, fieldNumber);
        continue;
      }
      // A second root would be merged with the first by some readers and replace it for others.
      if (wireType !== WireType.LengthDelimited || (fieldNumber === rootFieldNumber && rootBytes !== undefined)) return undefined;
      const bytesOfDirectory = reader.bytes();
      if (fieldNumber === rootFieldNumber) {
        rootBytes = bytesOfDirectory;
        continue;
      }
      if (children.push(bytesOfDirectory) >= directoriesMax) return undefined;
    }
    return { root: rootBytes ?? emptyBytes, children };
  } catch {
    return undefined; // truncated or no protobuf at all
  }
}
