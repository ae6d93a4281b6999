// The port of randomness.

/** Unpredictable bytes in the real world, seeded ones in a test. */
export interface Random {
  bytes(length: number): Uint8Array;
}
