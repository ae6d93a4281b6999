// What the names in `segments/` say. Nothing is opened here. docs/formats/segments.md
import { CacheError } from '../base/cache-error.ts';
import type { DirectoryEntry } from '../base/file-system.ts';
import { classifySegmentFile, segmentFileName } from './segment-format.ts';
import type { StreamName } from './segment-format.ts';

export interface ListedSegment {
  readonly id: number;
  readonly stream: StreamName;
  /** In `segments/`. */
  readonly name: string;
  readonly hasHint: boolean;
}

export interface SegmentListing {
  /** Of each stream by id; streams whose records say when something was used come last. */
  readonly segments: readonly ListedSegment[];
  /** Numbers of files that may become segments. */
  readonly free: readonly number[];
  /** Names of what a process left behind in the middle of something, and of hints whose segment is gone: nobody needs them. */
  readonly leftovers: readonly string[];
  /** There are hints of segments that are gone: somebody has removed those, or a power cut has brought the hints back. */
  readonly hasLoneHints: boolean;
  /** Names that are none of ours. */
  readonly foreign: readonly string[];
}

const streamRanks: Readonly<Record<StreamName, number>> = { blob: 0, value: 1, touch: 2 };

/** @throws CacheError `failed_precondition`: two segments have one id, so the directory was put together by hand. */
export function listSegments(entries: readonly DirectoryEntry[]): SegmentListing {
  const found = new Map<number, { readonly id: number; readonly stream: StreamName; readonly name: string }>();
  const hints = new Map<number, string>();
  const free: number[] = [];
  const leftovers: string[] = [];
  const foreign: string[] = [];
  for (const { name, kind } of entries) {
    const file = kind === 'file' ? classifySegmentFile(name) : { kind: 'foreign' as const };
    if (file.kind === 'segment') {
      const other = found.get(file.id);
      if (other !== undefined) throw sameId(segmentFileName(other.id, other.stream), name);
      found.set(file.id, { id: file.id, stream: file.stream, name });
    } else if (file.kind === 'hint') hints.set(file.id, name);
    else if (file.kind === 'free') free.push(file.number);
    else if (file.kind === 'foreign') foreign.push(name);
    else leftovers.push(name);
  }
  for (const [id, name] of hints) if (!found.has(id) || found.get(id)?.stream === 'touch') leftovers.push(name);
  const segments = [...found.values()]
    .map((segment) => ({ ...segment, hasHint: hints.has(segment.id) && segment.stream !== 'touch' }))
    .toSorted((a, b) => streamRanks[a.stream] - streamRanks[b.stream] || a.id - b.id);
  return { segments, free: free.toSorted((a, b) => a - b), leftovers, hasLoneHints: [...hints.keys()].some((id) => !found.has(id)), foreign: foreign.toSorted() };
}

function sameId(one: string, other: string): CacheError {
  return new CacheError(
    'failed_precondition',
    `segments/${one} and segments/${other} have the same id: this directory was put together from two; take one of them out, or begin with an empty directory (--data)`,
  );
}
