// What an open engine is made of.
import type { HashPort } from '../base/log-files.ts';
import type { Log } from '../base/log.ts';
import type { DigestFunctionName } from '../digest/digest-function.ts';
import type { EntryUses } from './entry-uses.ts';
import type { EvictionJournal } from './eviction-journal.ts';
import type { Evictor } from './evictor.ts';
import type { HotRecords } from './hot-records.ts';
import type { LargeFiles } from './large-files.ts';
import type { LeaseBook } from './lease-book.ts';
import type { LiveEntries } from './live-entries.ts';
import type { LogWriter } from './log-writer.ts';
import type { Quarantine } from './quarantine.ts';
import type { RecordQuarantine } from './record-quarantine.ts';
import type { RecordReads } from './record-reads.ts';
import type { SegmentRecycler } from './segment-recycler.ts';
import type { SegmentStore } from './segment-store.ts';
import type { SegmentSupply } from './segment-supply.ts';
import type { SegmentTable } from './segment-table.ts';
import type { SmallPuts } from './small-puts.ts';
import type { SpaceLedger } from './space-ledger.ts';
import type { SteadyTime } from './steady-time.ts';
import type { StreamName } from './segment-format.ts';
import type { Semaphore } from '../base/semaphore.ts';
import type { Uploads } from './uploads.ts';
import type { ValuePuts } from './value-puts.ts';

export interface EngineParts {
  readonly smallBytesMax: number;
  /** Of the record of a value; a longer one is a blob that its record points to. */
  readonly valueRecordBytesMax: number;
  readonly leaseMs: number;
  /** A use within so long of the one before is not noticed. */
  readonly renewAfterMs: number;
  readonly ledger: SpaceLedger;
  readonly table: SegmentTable;
  readonly entries: LiveEntries;
  readonly uses: EntryUses;
  readonly leases: LeaseBook;
  readonly store: SegmentStore;
  readonly hot: HotRecords;
  readonly supply: SegmentSupply;
  readonly writers: Readonly<Record<StreamName, LogWriter>>;
  readonly smallPuts: SmallPuts;
  readonly valuePuts: ValuePuts;
  readonly reads: RecordReads;
  readonly files: LargeFiles;
  readonly uploads: Uploads;
  /** Files being written. */
  readonly writes: Semaphore;
  readonly quarantine: Quarantine;
  readonly recordQuarantine: RecordQuarantine;
  readonly corruptFiles: { count: number };
  /** Records of the log that the start has found to be lost. */
  readonly lostAtStart: number;
  readonly evictor: Evictor;
  readonly recycler: SegmentRecycler;
  readonly evictions: EvictionJournal;
  readonly hashes: HashPort<DigestFunctionName>;
  readonly time: SteadyTime;
  readonly nowS: () => number;
  readonly log: Log;
  /** Ends everything, in the right order. */
  readonly end: AsyncDisposableStack;
}
