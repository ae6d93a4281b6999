// What a load benchmark consists of: what servers hold, the call that is checked, and the loads that are measured.
import type { Contender, Protocol } from '../contenders/contender.ts';
import type { ActionResult } from '../../src/proto/gen/build/bazel/remote/execution/v2/remote_execution_pb.ts';
import type { BlobDigest } from '../traffic/calls.ts';
import type { Concurrency, Traffic } from '../traffic/traffic.ts';

export interface Workload {
  readonly name: string;
  /** One line: the operation, and what state the server is in. */
  readonly title: string;
  readonly protocol: Protocol;
  readonly fixture: Fixture;
  readonly shapes: readonly Shape[];
  /** Over TLS, with HTTP/2 agreed on by ALPN; only for gRPC. Default: plaintext. */
  readonly overTls?: boolean;
  /** Servers with nothing behind their transport; see Contender. Default: whole ones. */
  readonly transportOnly?: boolean;
  /** Fillings that cannot give this answer, such as one prepared answer where each differs. */
  readonly without?: readonly Contender['filling'][];
}

export interface Fixture {
  /** What the server holds before it is asked. */
  readonly blobs: readonly Uint8Array[];
  readonly actions: readonly { readonly action: BlobDigest; readonly result: ActionResult }[];
  /** One call of the kind that is measured. For HTTP the path of a GET, without a body. */
  readonly path: string;
  readonly request: Uint8Array;
  /** DATA of its answer as we encode it. */
  readonly answer: Buffer;
  /** What an answer says, however it is encoded. @throws when it cannot be decoded. */
  meaning(answer: Buffer): string;
  /** Blobs that must be there after that call. */
  readonly storedAfterwards?: readonly BlobDigest[];
}

export interface Shape {
  readonly label: string;
  readonly traffic: Traffic;
  readonly concurrency: Concurrency;
  /** Content moved by one operation, where MB/s is worth a column. */
  readonly contentBytes?: number;
  /** More in a round would take too much memory or disk. */
  readonly operationsMax: number;
  /** Goes beside the table. */
  readonly notes?: readonly string[];
}

/** As many as a round of a second may need. */
export const unlimited = 1_000_000;
/** What h2load and gRPC libraries in C++ open by default, so that flow control is never in the way. */
export const wideWindowBits = 30;
/** 16 MiB less one: what clients set that care about large answers. */
export const largeWindowBits = 24;
/** The default of HTTP/2, and of many clients: 64 KiB less one. */
export const narrowWindowBits = 16;
