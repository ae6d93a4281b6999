// The seam between gRPC and the encoding of one message type, so that a hot message can have a codec of its own
// beside the generated one without any handler noticing.

/** Translates one message type. `In` is what decoding gives, `Out` what may be encoded (an init shape). */
export interface MessageCodec<In, Out> {
  /**
   * Whether a decoded message may hold views of the bytes it came from. If not, they may be the transport's own,
   * which it writes to again, and are spared a copy.
   */
  readonly keepsViews: boolean;
  /**
   * How long views may be used, before their bytes are written to again: of a stream of messages each until the next one is asked
   * for; of the only message of a unary call until its handler has answered. Who throws, or was cancelled, may have left somebody
   * who uses them, and they stay as they are. The answer has none of them. Default: for ever.
   */
  readonly lendsViews?: boolean;
  /** For small and frequent messages: how to encode them where they leave from. */
  readonly placed?: PlacedEncoder<Out>;
  /** For messages that are mostly one field of bytes: how to hand them on before they are complete. */
  readonly parts?: PartsCodec<In>;
  /** @throws Error of any kind when `bytes` are not an encoding of the message. */
  decode(bytes: Uint8Array): In;
  /**
   * The encoded message in slices, in order, behind `headroomBytes` free bytes at the start of the first one:
   * the caller writes its prefix there, so that a small answer is one piece without a copy. Large `bytes` fields
   * may be slices of their own that are not copied: they must not change any more.
   */
  encode(message: Out, headroomBytes: number): readonly [Uint8Array, ...Uint8Array[]];
}

/** Encodes into memory of the caller's. */
export interface PlacedEncoder<Out> {
  /** The encoding of `message` is no longer. */
  bytesMax(message: Out): number;
  /** Writes to `into` from `at`, where there is room for `bytesMax`, and returns where it ended; -1 for what only `encode` can do. */
  write(message: Out, into: Buffer, at: number): number;
}

/** Cuts a message that ends with a field of bytes into several messages that mean the same. */
export interface PartsCodec<In> {
  /**
   * `beginning` is what came of a message of `messageBytes`. Undefined when it cannot be told from it that the message
   * can be cut: then all of it is needed. Never throws; what is wrong with a message is for `decode` to say.
   */
  begin(beginning: Uint8Array, messageBytes: number): MessageInParts<In> | undefined;
}

/** One message, given as parts in order. */
export interface MessageInParts<In> {
  /** Where in the message its bytes begin, which go on to its end. */
  readonly contentAt: number;
  /** The part with the next bytes, of which it is a view. @throws Error as `MessageCodec.decode`. */
  part(content: Uint8Array, isLast: boolean): In;
}
