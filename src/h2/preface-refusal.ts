// The last words of an HTTP/2 server to a peer that did not begin with the client preface (RFC 9113 §3.4), for
// whoever tells protocols apart by their first bytes and never makes a connection for such a peer.
import { errorCode } from './error-code.ts';
import { FrameWriter } from './frame-writer.ts';
import { OutputBatch } from './output-batch.ts';

/** Readable in a terminal: the text stands in the frame as it is. */
const reason = 'these bytes begin neither HTTP/2 with prior knowledge nor an HTTP/1.1 request\n';

/** SETTINGS and GOAWAY with PROTOCOL_ERROR. To be sent once, before the connection is closed. */
export function prefaceRefusal(): Uint8Array {
  return lastWords(errorCode.protocolError, reason);
}

/** The same with INADEQUATE_SECURITY, for a peer without the TLS, or the certificate, that is asked for. `text` is of one line. */
export function insecureRefusal(text: string): Uint8Array {
  return lastWords(errorCode.inadequateSecurity, text);
}

function lastWords(code: number, text: string): Uint8Array {
  const out = new OutputBatch();
  const frames = new FrameWriter(out);
  frames.settings([]);
  frames.goaway(0, code, text);
  return Buffer.concat(out.take());
}
