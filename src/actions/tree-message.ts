// Reads a Tree message (REAPI Tree) as bytes: its directories must be told by the hash of the bytes that stand in
// it, and decoding and encoding them again could give others (DG-8).
import { WireError, WireReader } from '../proto/wire-reader.ts';

const rootTag = 10;
const childrenTag = 18;
const rootFieldNumber = 1;
const childrenFieldNumber = 2;

/**
 * The Directory messages of a Tree, one after the other, as views of the bytes that stand in it. Whether they are
 * Directory messages is for the caller to find out.
 */
export class TreeReader {
  readonly #reader: WireReader;
  #hasRoot = false;

  constructor(bytes: Uint8Array) {
    this.#reader = new WireReader(bytes);
  }

  /**
   * The next directory, undefined at the end. A Tree without a root has an empty one, which is not given here.
   * @throws WireError when the bytes are no Tree as far as its own fields go.
   */
  next(): { readonly isRoot: boolean; readonly bytes: Uint8Array } | undefined {
    for (let tag = this.#reader.tag(); tag !== 0; tag = this.#reader.tag()) {
      if (tag === childrenTag) return { isRoot: false, bytes: this.#reader.bytes() };
      if (tag === rootTag) {
        // A second root would be merged with the first by some readers and replace it for others.
        if (this.#hasRoot) throw new WireError('a Tree has one root');
        this.#hasRoot = true;
        return { isRoot: true, bytes: this.#reader.bytes() };
      }
      const number = tag >>> 3;
      if (number === rootFieldNumber || number === childrenFieldNumber) throw new WireError(`field ${number} has the wrong wire type ${tag & 7}`);
      this.#reader.skip(tag);
    }
    return undefined;
  }
}
