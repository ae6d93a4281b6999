// What can be measured: Kiln, references of ours, and other servers found on the machine.
import type { ServerProcess } from '../harness/processes.ts';
import type { TlsFiles } from '../harness/tls-files.ts';

/** What a workload asks of a server. `cas`, `action-cache` and `byte-stream` are gRPC, `http` is GET and PUT of /cas/HASH over HTTP/1.1. */
export type Protocol = 'cas' | 'action-cache' | 'byte-stream' | 'http';

/**
 * How a server comes to have what a workload reads: through its own API, as files it serves by path, or as the one
 * answer that it gives to everything.
 */
export type Filling = 'api' | 'files' | 'answer';

export interface Contender {
  readonly name: string;
  /** For people, in `--list` and beside the table. */
  readonly about: string;
  readonly filling: Filling;
  readonly protocols: readonly Protocol[];
  /** Why it cannot be had here; undefined when it can. */
  readonly lacking: string | undefined;
  /** Answers are encoded as ours are, so they can be compared byte by byte even where they differ from call to call. */
  readonly canonical: boolean;
  /** Keeps what is written through a power cut, or says so. */
  readonly durable: boolean;
  /** Can be started with `tls`. */
  readonly speaksTls: boolean;
  readonly start: (at: StartPlace) => Promise<ServerProcess>;
  /**
   * The same transport with nothing behind it: uploads are taken and thrown away, and what is read is `answer`, from
   * memory. Absent where there is only the one or only the other.
   */
  readonly startTransport?: (at: StartPlace) => Promise<ServerProcess>;
}

/** Where and with what a server is to start. */
export interface StartPlace {
  /** Its own, empty; it is removed afterwards. */
  readonly directory: string;
  readonly core: number | undefined;
  /** How many of the numbered blobs a server in memory is to have from the start. */
  readonly numbered: number;
  /** For filling `files`: content by URL path. For `answer`: the answer. */
  readonly files: ReadonlyMap<string, Uint8Array>;
  readonly answer: Uint8Array;
  readonly protocol: Protocol;
  /** Absent: plaintext. */
  readonly tls?: TlsFiles | undefined;
}

export const grpcProtocols: readonly Protocol[] = ['cas', 'action-cache', 'byte-stream'];
