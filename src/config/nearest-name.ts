// Which name somebody probably meant.

/** Longer texts are no slips of the keys, and would take long to compare. */
const givenCharsMax = 100;

/** The name with the fewest edits from `given`, or undefined when none is near enough to be a slip of the keys. */
export function nearestName(given: string, names: Iterable<string>): string | undefined {
  if (given.length > givenCharsMax) return undefined;
  let nearest: string | undefined;
  let fewest = Math.max(2, Math.floor(given.length / 3)) + 1;
  for (const name of names) {
    const edits = editDistance(given, name);
    if (edits < fewest) {
      fewest = edits;
      nearest = name;
    }
  }
  return nearest;
}

/** Insertions, deletions and replacements of one character that turn `from` into `to` (Levenshtein). */
function editDistance(from: string, to: string): number {
  let row = Array.from({ length: to.length + 1 }, (_, column) => column);
  for (let line = 1; line <= from.length; line += 1) {
    const next = [line];
    for (let column = 1; column <= to.length; column += 1) {
      const replaced = (row[column - 1] ?? 0) + (from[line - 1] === to[column - 1] ? 0 : 1);
      next.push(Math.min(replaced, (row[column] ?? 0) + 1, (next[column - 1] ?? 0) + 1));
    }
    row = next;
  }
  return row[to.length] ?? 0;
}

/** A piece of a name that short is in too many of them. */
const partCharsMin = 2;

/** Names of which `given` is the beginning or the last words, or which are the last words of `given`: `cert` for `certificate`, `private-key` for `key`. */
export function namesSharingPart(given: string, names: Iterable<string>): string[] {
  if (given.length < partCharsMin || given.length > givenCharsMax) return [];
  return [...names].filter((name) => (given.length > partCharsMin && name.startsWith(given)) || name.endsWith(`-${given}`) || given.endsWith(`-${name}`));
}
