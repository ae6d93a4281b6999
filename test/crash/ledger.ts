// What servers have told their clients, over all their lives: what each of them has to know, and what may be gone.
import type { Digest } from '../../src/digest/digest.ts';
import type { SeededRandom } from '../../src/testing/seeded-random.ts';

/** Of a value that one writer puts again and again: the last version acknowledged or shown, and the last one sent. */
export interface Versions {
  acknowledged: number;
  sent: number;
  /** When the acknowledged one was sent. */
  usedAtMs: number;
}

export interface KnownBlob {
  readonly digest: Digest;
  /** When it was sent: no lease of it begins before. */
  readonly sentAtMs: number;
}

/** What a store that evicts has to keep nevertheless. */
export interface LeaseTerms {
  readonly leaseMs: number;
  /** As long as no more than this is used within a lease, it is kept for all of it. */
  readonly leasedBytesMax: number;
}

/** A store knows times of use by 16 seconds: what was used within those counts as used at their end. */
const useStepMs = 16_000;
/** A blob takes at most so much more than its bytes: a block of the file system, the head of a record. */
const overheadBytes = 4_608;

/** Keys by when they were used last, as a store sees it. */
class UseWindow {
  readonly #terms: LeaseTerms;
  /** The oldest first. */
  readonly #uses = new Map<string, { readonly atMs: number; readonly bytes: number }>();
  #bytes = 0;

  constructor(terms: LeaseTerms) {
    this.#terms = terms;
  }

  use(key: string, sizeBytes: number): void {
    const bytes = sizeBytes + overheadBytes;
    this.#bytes += bytes - (this.#uses.get(key)?.bytes ?? 0);
    this.#uses.delete(key);
    this.#uses.set(key, { atMs: Date.now(), bytes });
  }

  get roomBytes(): number {
    this.#forget();
    return this.#terms.leasedBytesMax - this.#bytes;
  }

  /** What was sent at that time or later has to be there. */
  get floorMs(): number {
    this.#forget();
    let bytes = this.#bytes;
    let floorMs = Date.now() - this.#terms.leaseMs;
    for (const use of this.#uses.values()) {
      if (bytes <= this.#terms.leasedBytesMax) break;
      bytes -= use.bytes;
      floorMs = Math.max(floorMs, use.atMs + useStepMs + 1);
    }
    return floorMs;
  }

  #forget(): void {
    const fromMs = Date.now() - this.#terms.leaseMs - useStepMs;
    for (const [key, { atMs, bytes }] of this.#uses) {
      if (atMs >= fromMs) return;
      this.#uses.delete(key);
      this.#bytes -= bytes;
    }
  }
}

export class Ledger {
  /** Those that are there, as far as anybody was told, by hash. */
  readonly blobs = new Map<string, KnownBlob>();
  /** Sent and not acknowledged yet, by hash. */
  readonly sent = new Map<string, Digest>();
  /** Action results and opaque values, by hash. */
  readonly results = new Map<string, Versions>();
  readonly opaque = new Map<string, Versions>();
  /** Those to be looked at after the next start. */
  fresh: Digest[] = [];
  /** All of `blobs`, to pick from. */
  readonly #all: KnownBlob[] = [];
  readonly #window: UseWindow | undefined;
  keptBytes = 0;

  /** Without `terms` there is room for everything: nothing may ever be gone. */
  constructor(terms?: LeaseTerms) {
    this.#window = terms && new UseWindow(terms);
  }

  begin(digest: Digest): number {
    this.sent.set(digest.hash, digest);
    this.#window?.use(digest.hash, digest.sizeBytes); // it takes its room from now on
    return Date.now();
  }

  /** As `begin`, of a value. */
  beginValue(hash: string, sizeBytes: number): number {
    this.#window?.use(hash, sizeBytes);
    return Date.now();
  }

  /** It was acknowledged, or shown to somebody. */
  keep(digest: Digest, sentAtMs: number): void {
    const known: KnownBlob = { digest, sentAtMs };
    this.sent.delete(digest.hash);
    if (!this.blobs.has(digest.hash)) {
      this.#all.push(known);
      this.fresh.push(digest);
      this.keptBytes += digest.sizeBytes;
    }
    this.blobs.set(digest.hash, known);
  }

  /** Whoever looks at a blob, by name or by content, renews its lease. */
  use({ hash, sizeBytes }: Digest): void {
    this.#window?.use(hash, sizeBytes);
  }

  /** Whether nobody may be told now that it is gone. */
  mustBeThere(hash: string): boolean {
    const known = this.blobs.get(hash);
    return known !== undefined && known.sentAtMs >= this.#floorMs;
  }

  mustHaveValue({ acknowledged, usedAtMs }: Versions): boolean {
    return acknowledged > 0 && usedAtMs >= this.#floorMs;
  }

  /** Of all that are known. */
  some(count: number, random: SeededRandom): readonly Digest[] {
    const chosen = this.#all.length <= count ? this.#all : Array.from({ length: count }, () => random.pick(this.#all));
    return chosen.map(({ digest }) => digest);
  }

  /** Bytes that may be written before leases have to be shortened. */
  get roomBytes(): number {
    return this.#window?.roomBytes ?? Infinity;
  }

  /** Keeps the last ones only: of a client that goes on for hours. */
  forgetBefore(count: number): void {
    for (const { digest } of this.#all.splice(0, Math.max(0, this.#all.length - count))) this.blobs.delete(digest.hash);
    this.fresh = [];
  }

  get #floorMs(): number {
    return this.#window?.floorMs ?? -Infinity;
  }
}
