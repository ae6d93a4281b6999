// What a generator is told to do: plain data, so that it can be handed to another process.

/** How much is under way at the same time, and how far a server may run ahead. */
export interface Concurrency {
  readonly connections: number;
  /** Calls under way on each connection. */
  readonly streams: number;
  /** Receive window of connection and stream: 2 to this power, less one. Servers send no more than that unasked. */
  readonly windowBits: number;
}

/** The calls of one run. Numbers and seeds decide the content, so that two runs never send the same "unique" blob. */
export type Traffic =
  /** One call over and over: the request is in the files of the run. */
  | { readonly kind: 'same' }
  /** The same at a steady rate, whatever the server does. */
  | { readonly kind: 'steady'; readonly ratePerSecond: number }
  /** FindMissingBlobs of random numbered blobs, half of them among the `present` first ones. */
  | { readonly kind: 'lookups'; readonly digestsPerCall: number; readonly present: number }
  /** BatchReadBlobs of numbered blobs below `among` that are there: neighbours, or far from each other. */
  | { readonly kind: 'batch-reads'; readonly blobsPerCall: number; readonly among: number; readonly scattered: boolean }
  /** BatchUpdateBlobs of such blobs, neighbours. */
  | { readonly kind: 'known-batches'; readonly blobsPerCall: number; readonly among: number }
  /** BatchUpdateBlobs of blobs that nobody has yet. */
  | { readonly kind: 'unique-batches'; readonly blobsPerCall: number; readonly blobBytes: number }
  /** ByteStream.Write of a blob that nobody has yet. */
  | { readonly kind: 'unique-uploads'; readonly blobBytes: number; readonly chunkBytes: number };

/** One run of the generator. */
export interface GeneratorJob {
  readonly host: string;
  readonly port: number;
  readonly path: string;
  readonly traffic: Traffic;
  readonly concurrency: Concurrency;
  readonly operations: number;
  /** Different in every run against a server. */
  readonly seed: number;
  /** DATA of the request, for `same` and `steady`. */
  readonly requestFile: string;
  /** DATA of the right answer, for `same` and `steady`. */
  readonly answerFile: string;
  /** Whether answers are compared byte by byte, or by length where a server may encode them in another way. */
  readonly compare: 'bytes' | 'length';
}

/** What came of a run in which every answer was right. */
export interface RunOutcome {
  readonly operations: number;
  /** From the first request to the last answer. */
  readonly seconds: number;
  /** CPU the generator took in that time, in cores: near 1 it is the limit, not the server. */
  readonly generatorCores: number;
  /** For `steady` only. */
  readonly latency?: LatencyOutcome;
}

/** Microseconds. Latency runs from when a call was due, so that calls a slow server held up count in full. */
export interface LatencyOutcome {
  readonly p50: number;
  readonly p90: number;
  readonly p99: number;
  readonly p999: number;
  readonly worst: number;
  /** How late the generator itself was with sending (99th percentile): what is below it cannot be told apart. */
  readonly sendLagP99: number;
}
