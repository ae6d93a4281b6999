// What a HashPool and its threads say to each other.

/** What hashes one body. */
export interface RunningHash {
  update(bytes: Uint8Array): void;
  hex(): string;
}

/** What is asked of a thread. Everything of one body comes in order; `end` or `drop` is the last. */
export type ToHashThread =
  | { readonly kind: 'begin'; readonly id: number; readonly functionName: string; readonly ring: SharedArrayBuffer }
  | { readonly kind: 'piece'; readonly id: number; readonly offset: number; readonly sizeBytes: number }
  | { readonly kind: 'end' | 'drop'; readonly id: number };

/** What it answers: `read` for each piece, `ended` for the last message, without a hash after `drop`. */
export type FromHashThread =
  | { readonly kind: 'read'; readonly id: number }
  | { readonly kind: 'ended'; readonly id: number; readonly hex: string | undefined };
