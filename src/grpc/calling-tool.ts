// Which build tool makes a call (REAPI RequestMetadata.tool_details, MD-1 to MD-3).
import { toolOfUserAgent, unknownTool } from '../base/tool-name.ts';
import type { HeaderBlock } from '../h2/stream.ts';
import { WireError, WireReader } from '../proto/wire-reader.ts';
import { decodeBinaryMetadata } from './metadata.ts';

const requestMetadataHeader = 'build.bazel.remote.execution.v2.requestmetadata-bin';

/** Real ones have some 300 characters. A longer one is not worth its decoding, which happens before any right is checked. */
const metadataCharsMax = 4_096;

const toolName = /^[a-z0-9][a-z0-9 ._+-]{0,39}$/;

/** By RequestMetadata, else by User-Agent, else `unknown`; what cannot be decoded never fails a call (MD-2). */
export function callingTool(headers: HeaderBlock): string {
  const metadata = headers.get(requestMetadataHeader);
  const named = metadata === undefined || metadata.length > metadataCharsMax ? undefined : namedTool(metadata);
  return named ?? toolOfUserAgent(headers.get('user-agent'));
}

/** `tool_details.tool_name`, if it is a name that may stand in a statistic. */
function namedTool(metadata: string): string | undefined {
  const bytes = decodeBinaryMetadata(metadata);
  if (bytes === undefined) return undefined;
  try {
    const name = readToolName(new WireReader(bytes)).toLowerCase();
    return toolName.test(name) && name !== unknownTool ? name : undefined;
  } catch (thrown) {
    if (thrown instanceof WireError) return undefined;
    throw thrown;
  }
}

/** Fields of messages, as tags: number times eight plus wire type. */
const toolDetailsTag = (1 << 3) | 2;
const toolNameTag = (1 << 3) | 2;

/** Empty when there is none. The last one counts, as protobuf has it. @throws WireError */
function readToolName(reader: WireReader): string {
  let name = '';
  for (let tag = reader.tag(); tag !== 0; tag = reader.tag()) {
    if (tag !== toolDetailsTag) {
      reader.skip(tag);
      continue;
    }
    const outer = reader.enter();
    for (let inner = reader.tag(); inner !== 0; inner = reader.tag()) {
      if (inner === toolNameTag) name = reader.string();
      else reader.skip(inner);
    }
    reader.leave(outer);
  }
  return name;
}
