// BLAKE3, native where a prebuilt addon fits this machine, otherwise in plain JavaScript with the same results.
// Native is some hundred times faster; the fallback is for platforms the addon was not built for.

export interface Blake3 {
  hex(bytes: Uint8Array): string;
  create(): { update(bytes: Uint8Array): void; hex(): string };
}

/** The implementation in plain JavaScript; loaded only where it is needed. */
export async function portableBlake3(): Promise<Blake3> {
  const { blake3 } = await import('@noble/hashes/blake3.js');
  return {
    hex: (bytes) => toHex(blake3(bytes)),
    create() {
      const state = blake3.create();
      return { update: (bytes) => void state.update(bytes), hex: () => toHex(state.digest()) };
    },
  };
}

/** The native implementation, or undefined where the addon does not load. */
export const nativeBlake3: Blake3 | undefined = await import('@napi-rs/blake-hash').then(
  ({ blake3, Blake3Hasher }): Blake3 => ({
    hex: (bytes) => blake3(asBuffer(bytes)).toString('hex'),
    create() {
      const state = new Blake3Hasher();
      return { update: (bytes) => void state.update(asBuffer(bytes)), hex: () => state.digest('hex') };
    },
  }),
  () => undefined,
);

const chosen = nativeBlake3 ?? (await portableBlake3());

/** Lower-case hex of the 32-byte BLAKE3 hash. */
export function blake3Hex(bytes: Uint8Array): string {
  return chosen.hex(bytes);
}

/** A streaming BLAKE3 hasher; `hex` ends it. */
export function createBlake3(): { update(bytes: Uint8Array): void; hex(): string } {
  return chosen.create();
}

function asBuffer(bytes: Uint8Array): Buffer {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

function toHex(bytes: Uint8Array): string {
  return asBuffer(bytes).toString('hex');
}
