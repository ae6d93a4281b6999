// Cuts a listing of directories into the pages of GetTree.
import { HeldBytes } from '../base/byte-budget.ts';
import type { ByteBudget } from '../base/byte-budget.ts';
import { CacheError } from '../base/cache-error.ts';
import type { WalkedDirectory } from '../actions/walk-directories.ts';
import type { TreePage } from '../proto/tree-codec.ts';
import type { ServiceLimits } from './limits.ts';

/** Tag and length of a Directory in the answer. */
const entryOverheadBytes = 8;
/** A token names the last directory of its page: that holds after a restart, and whatever pages are asked for next. */
const tokenForm = /^after\/([0-9a-f]+)$/;

/** How a listing is to be cut. */
export interface PageCut {
  /** Where the listing goes on; empty: at its beginning. */
  readonly pageToken: string;
  readonly directoriesMax: number;
  readonly limits: Pick<ServiceLimits, 'treePageBytesMax'>;
  /** A page is counted here until it is taken. */
  readonly budget: ByteBudget;
}

/**
 * Pages of at most `directoriesMax` directories and about `treePageBytesMax` bytes (GT-3); at least one page.
 * With a token the listing goes on behind the directory it names (GT-4): the walk starts over, since its order
 * follows from the directories alone.
 * @throws CacheError `invalid_argument` (a token that is not ours, or of another tree; GT-5), and what the walk throws.
 */
export async function* treePages(
  walk: AsyncIterable<WalkedDirectory | 'pass_on'>,
  { pageToken, directoriesMax, limits, budget }: PageCut,
): AsyncGenerator<TreePage, void, undefined> {
  using held = new HeldBytes(budget);
  let skipUntil = pageToken === '' ? undefined : hashOfToken(pageToken);
  let directories: Uint8Array[] = [];
  let last = '';
  const page = (): TreePage => {
    const cut = { directories, nextPageToken: `after/${last}` };
    directories = [];
    return cut;
  };
  for await (const walked of walk) {
    if (walked === 'pass_on') {
      if (directories.length > 0) yield page();
      held.set(0);
      continue;
    }
    const { digest, bytes: directory } = walked;
    if (skipUntil !== undefined) {
      if (digest.hash === skipUntil) skipUntil = undefined;
      continue;
    }
    const bytes = digest.sizeBytes + entryOverheadBytes;
    const full = directories.length >= directoriesMax || held.bytes + bytes > limits.treePageBytesMax;
    if (full && directories.length > 0) {
      yield page();
      held.set(0);
    }
    directories.push(directory);
    held.set(held.bytes + bytes);
    last = digest.hash;
  }
  if (skipUntil !== undefined) throw badToken(pageToken, 'its directory is not in this tree (any more)');
  yield { directories, nextPageToken: '' };
}

function hashOfToken(pageToken: string): string {
  const hash = tokenForm.exec(pageToken)?.[1];
  if (hash === undefined) throw badToken(pageToken, 'it was not given out here');
  return hash;
}

function badToken(pageToken: string, reason: string): CacheError {
  return new CacheError('invalid_argument', `page_token ${JSON.stringify(pageToken.slice(0, 200))} is of no use: ${reason}; start without one`);
}
