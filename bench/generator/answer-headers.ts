// Looks at the headers of answers: HTTP status 200, grpc-status 0. A block that was right before is right again, so
// decoding is not what limits the generator.
import { HeaderDecoder } from '../../src/h2/header-decoder.ts';

const headerListBytesMax = 64 * 1024;
/** Blocks that repeat: of answers, of trailers, and their variants (a server may date its answers). */
const rightBlocksMax = 16;

export class AnswerHeaders {
  readonly #decoder = new HeaderDecoder(headerListBytesMax);
  #generation = 0;
  /** Of blocks that begin an answer, and of those that end one. */
  #right: { readonly begin: Buffer[]; readonly end: Buffer[] } = { begin: [], end: [] };

  /** @throws Error unless the block says that all is well; `last` if nothing follows it. */
  check(block: Buffer, last: boolean): void {
    if (this.#generation === this.#decoder.generation && this.#known(last).some((known) => known.equals(block))) return;
    const fields = this.#decoder.decode(block, 0, block.length);
    const status = fields.get(':status');
    if (status !== undefined && status !== '200') throw new Error(`the answer has HTTP status ${status}`);
    if (last && fields.get('grpc-status') !== '0') throw new Error(`the answer has grpc-status ${fields.get('grpc-status')}: ${fields.get('grpc-message')}`);
    if (this.#generation !== this.#decoder.generation) this.#right = { begin: [], end: [] };
    this.#generation = this.#decoder.generation;
    if (this.#known(last).length < rightBlocksMax) this.#known(last).push(Buffer.from(block));
  }

  #known(last: boolean): Buffer[] {
    return last ? this.#right.end : this.#right.begin;
  }
}
