// The messages of the ActionCache service by hand. A result is sent as it is stored and stored as it came: with the
// generated code, decoding the stored one and encoding the answer was most of a GetActionResult (bench/action-result).
import { EncodedActionResult } from './encoded-action-result.ts';
import { UpdateActionResultRequestSchema } from './gen/build/bazel/remote/execution/v2/remote_execution_pb.ts';
import type { MessageCodec } from './message-codec.ts';
import { readDigest } from './packed-digests.ts';
import type { ReceivedDigest } from './packed-digests.ts';
import { WireCheck } from './wire-check.ts';
import { WireError, WireReader, fieldSet, skipUnknown } from './wire-reader.ts';

/** A GetActionResultRequest. */
export interface GetActionResultQuery {
  readonly instanceName: string;
  readonly actionDigest: ReceivedDigest | undefined;
  readonly inlineStdout: boolean;
  readonly inlineStderr: boolean;
  readonly inlineOutputFiles: readonly string[];
  /** `DigestFunction.Value`, any number. */
  readonly digestFunction: number;
}

/** An UpdateActionResultRequest, but for its policy, which is not looked at. */
export interface UpdateActionResultQuery {
  readonly instanceName: string;
  readonly actionDigest: ReceivedDigest | undefined;
  /** Its bytes are a view of the message, mostly. */
  readonly actionResult: EncodedActionResult | undefined;
  /** `DigestFunction.Value`, any number. */
  readonly digestFunction: number;
}

/** Well above the outputs of any result that can be stored. */
const inlineFilesMax = 250_000;
const getFields = fieldSet(1, 2, 3, 4, 5, 6);
const updateCheck = new WireCheck(UpdateActionResultRequestSchema, 1000);

/** Up to here one copy is cheaper than a slice of its own on the way to the socket. */
const copiedBytesMax = 4096;

/** Decodes as the generated code does, except that fields this version does not know are not kept. */
export const getActionResultRequestCodec: MessageCodec<GetActionResultQuery, never> = {
  keepsViews: false,
  decode(bytes) {
    const reader = new WireReader(bytes);
    const inlineOutputFiles: string[] = [];
    let instanceName = '';
    let actionDigest: ReceivedDigest | undefined;
    let inlineStdout = false;
    let inlineStderr = false;
    let digestFunction = 0;
    for (let tag = reader.tag(); tag !== 0; tag = reader.tag()) {
      if (tag === 10) instanceName = reader.string();
      else if (tag === 18) actionDigest = readDigest(reader, actionDigest);
      else if (tag === 24) inlineStdout = reader.bool();
      else if (tag === 32) inlineStderr = reader.bool();
      else if (tag === 42) {
        if (inlineOutputFiles.push(reader.string()) > inlineFilesMax) throw new WireError(`it has more than ${inlineFilesMax} inline_output_files`);
      } else if (tag === 48) digestFunction = reader.int32();
      else skipUnknown(reader, tag, getFields);
    }
    return { instanceName, actionDigest, inlineStdout, inlineStderr, inlineOutputFiles, digestFunction };
  },
  encode() {
    throw new TypeError('Kiln does not send GetActionResultRequest');
  },
};

/** Decodes as the generated code does, except that unknown fields are kept in the result only. */
export const updateActionResultRequestCodec: MessageCodec<UpdateActionResultQuery, never> = {
  keepsViews: true,
  decode(bytes) {
    const reader = new WireReader(bytes);
    const others = updateCheck.begin();
    let instanceName = '';
    let actionDigest: ReceivedDigest | undefined;
    const parts: Uint8Array[] = [];
    let digestFunction = 0;
    for (let tag = reader.tag(); tag !== 0; tag = reader.tag()) {
      if (tag === 10) instanceName = reader.string();
      else if (tag === 18) actionDigest = readDigest(reader, actionDigest);
      else if (tag === 26) {
        others.count();
        parts.push(reader.bytes());
      } else if (tag === 40) digestFunction = reader.int32();
      else others.pass(reader, tag);
    }
    return { instanceName, actionDigest, actionResult: resultOf(parts), digestFunction };
  },
  encode() {
    throw new TypeError('Kiln does not send UpdateActionResultRequest');
  },
};

/** One after the other is the encoding of all merged, which is what a message is that comes more than once. */
function resultOf(parts: readonly Uint8Array[]): EncodedActionResult | undefined {
  const [only] = parts;
  if (only === undefined) return undefined;
  return EncodedActionResult.parse(parts.length === 1 ? only : new Uint8Array(Buffer.concat(parts)));
}

export const actionResultCodec: MessageCodec<never, EncodedActionResult> = {
  keepsViews: false,
  decode() {
    throw new TypeError('Kiln does not receive ActionResult but in other messages');
  },
  encode({ bytes }, headroomBytes) {
    if (bytes.byteLength > copiedBytesMax) return [new Uint8Array(headroomBytes), bytes];
    const whole = Buffer.allocUnsafe(headroomBytes + bytes.byteLength);
    whole.set(bytes, headroomBytes);
    return [whole];
  },
};
