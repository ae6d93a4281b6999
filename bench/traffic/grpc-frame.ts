// Length-prefixed gRPC messages, made and taken apart.

/** Flag byte and length. */
export const prefixBytes = 5;

/** A message with its prefix: flag byte, length, bytes. */
export function framed(message: Uint8Array): Buffer {
  const frame = Buffer.allocUnsafe(prefixBytes + message.byteLength);
  frame[0] = 0;
  frame.writeUInt32BE(message.byteLength, 1);
  frame.set(message, prefixBytes);
  return frame;
}

/** The messages in complete DATA. @throws Error when the last one is cut off or one is compressed. */
export function messagesIn(data: Buffer): Buffer[] {
  const messages: Buffer[] = [];
  let at = 0;
  while (at < data.length) {
    if (data[at] !== 0) throw new Error('a compressed message, which was not asked for');
    const end = at + prefixBytes + (at + prefixBytes <= data.length ? data.readUInt32BE(at + 1) : Infinity);
    if (end > data.length) throw new Error('the last message is cut off');
    messages.push(data.subarray(at + prefixBytes, end));
    at = end;
  }
  return messages;
}
