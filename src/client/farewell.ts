// What a server said when it ended a connection, in words for people.
import { peerText } from '../base/peer-text.ts';
import type { ConnectionEnd } from '../h2/client-connection.ts';
import { errorCode, errorCodeName } from '../h2/error-code.ts';

/** What a server says of itself is a word or a sentence. */
const lengthMax = 200;

/** Undefined when it ended none, or without any reason. */
export function farewellOf(ending: ConnectionEnd | undefined): string | undefined {
  if (ending?.byGoaway !== true || (ending.code === errorCode.noError && ending.reason === '')) return undefined;
  return `it said ${errorCodeName(ending.code)}${ending.reason === '' ? '' : ` (${peerText(ending.reason, lengthMax)})`}`;
}
