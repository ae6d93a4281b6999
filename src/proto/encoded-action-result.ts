// An action result as bytes. The cache stores and serves it so; only who wants to change it has to decode it.
import { fromBinary, toBinary } from '@bufbuild/protobuf';
import { walkActionResult } from './action-result-walk.ts';
import type { ActionReferences } from './action-result-walk.ts';
import { ActionResultSchema } from './gen/build/bazel/remote/execution/v2/remote_execution_pb.ts';
import type { ActionResult } from './gen/build/bazel/remote/execution/v2/remote_execution_pb.ts';

/** Immutable: nobody writes to its bytes, nor to the fields of its message. */
export class EncodedActionResult {
  readonly bytes: Uint8Array;
  #message: ActionResult | undefined;
  #references: ActionReferences | undefined;

  private constructor(bytes: Uint8Array, message: ActionResult | undefined, references: ActionReferences | undefined) {
    this.bytes = bytes;
    this.#message = message;
    this.#references = references;
  }

  static of(message: ActionResult): EncodedActionResult {
    return new EncodedActionResult(toBinary(ActionResultSchema, message), message, undefined);
  }

  /** Keeps `bytes`. @throws WireError when they are no ActionResult, or one that would fill the memory. */
  static parse(bytes: Uint8Array): EncodedActionResult {
    return new EncodedActionResult(bytes, undefined, walkActionResult(bytes));
  }

  /** What it refers to. */
  get references(): ActionReferences {
    this.#references ??= walkActionResult(this.bytes);
    return this.#references;
  }

  /** Decoded when it is asked for first; unknown fields are kept. */
  get message(): ActionResult {
    this.#message ??= fromBinary(ActionResultSchema, this.bytes);
    return this.#message;
  }
}
