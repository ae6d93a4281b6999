// Reads a Tree message (REAPI Tree) as bytes: its directories must be told by the hash of the bytes that stand in
// it, and decoding and encoding them again could give others (DG-8).
import { BinaryReader, WireType } from '@bufbuild/protobuf/wire';
import type { Directory } from '../proto/gen/build/bazel/remote/execution/v2/remote_execution_pb.ts';
import { parseDirectory } from './walk-directories.ts';

/** One Directory inside a Tree. */
export interface TreeDirectory {
  /** The bytes of the message as they stand in the Tree; a view. */
  readonly bytes: Uint8Array;
  readonly directory: Directory;
}

export interface TreeMessage {
  readonly root: TreeDirectory;
  /** In the order of the message. */
  readonly children: readonly TreeDirectory[];
}

const rootFieldNumber = 1;
const childrenFieldNumber = 2;
/** An absent root field means an empty root directory. */
const emptyBytes = new Uint8Array(0);

/** Undefined when the bytes are no Tree, or one with more than `directoriesMax` directories. */
export function parseTree(bytes: Uint8Array, directoriesMax: number): TreeMessage | undefined {
  try {
    const reader = new BinaryReader(bytes);
    const children: TreeDirectory[] = [];
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
      const child = children.length + 1 < directoriesMax ? readDirectory(bytesOfDirectory) : undefined;
      if (child === undefined) return undefined;
      children.push(child);
    }
    const root = readDirectory(rootBytes ?? emptyBytes);
    return root && { root, children };
  } catch {
    return undefined; // truncated or no protobuf at all
  }
}

function readDirectory(bytes: Uint8Array): TreeDirectory | undefined {
  const directory = parseDirectory(bytes);
  return directory && { bytes, directory };
}
