// What one peer may make the router hold. Every bound of the folder is here.

export interface GrpcLimits {
  /** Largest request message, counted after decompression. Above the largest batch that Capabilities announces. */
  readonly messageBytesMax: number;
  /** Messages of one request stream that wait for their handler; what comes beyond is kept unparsed. */
  readonly laneMessagesMax: number;
  /** Bytes of one response stream that wait for flow control before its handler is no longer asked for more. */
  readonly sendQueueBytesMax: number;
  /** What a client may still send after its call was answered before the stream is reset (REAPI BS-14). */
  readonly discardBytesMax: number;
  /** How long it may take it. */
  readonly discardMs: number;
}

/**
 * Fields of one request message, those of messages inside it too. An action result of 4 MiB has some 200,000; this
 * many take some 150 MiB when they are decoded.
 */
export const messageFieldsMax = 500_000;

export const defaultGrpcLimits: GrpcLimits = {
  // What gRPC servers take by default, so what its clients send at most; room for a batch of 3 MiB and its digests.
  messageBytesMax: 4 * 1024 * 1024,
  // Enough to keep a handler busy; a flood of tiny messages then costs its wire bytes, not an object each.
  laneMessagesMax: 64,
  // Four typical chunks of ByteStream.Read: the next is read while the last ones are on their way.
  sendQueueBytesMax: 256 * 1024,
  // A blob that turned out to be present while it was uploaded: let the client finish most of them in peace.
  discardBytesMax: 64 * 1024 * 1024,
  discardMs: 30_000,
};
