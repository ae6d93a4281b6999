// One process owns a data directory. The kernel gives the lock back when the process dies, however it dies.
import { mkdir, readFile, realpath, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type * as Sqlite from 'node:sqlite';
import { CacheError } from '../base/cache-error.ts';

/** SQLITE_BUSY: somebody else holds the lock. */
const sqliteBusy = 5;
/** Never opened by anything but the lock: opening and closing a file drops every POSIX lock the process has on it. */
const lockName = 'lock';
const holderName = 'holder.json';

/**
 * Directories this process owns or is taking. POSIX locks belong to the process, so this belongs to the process
 * too: a second taker within it must not even open the file, or its closing would drop the first one's lock.
 */
const ownedHere = new Set<string>();

/** What a refused second process is told about the first. */
export interface LockHolder {
  readonly pid: number;
  /** ISO 8601. */
  readonly startedAt: string;
  /** "127.0.0.1:9092", as far as known. */
  readonly listen: string;
}

/** The lock as held. Disposing it twice does nothing. */
export interface DataDirectoryLock extends AsyncDisposable {
  /** Replaces what others are told, for instance once the port is known. */
  announce(holder: LockHolder): Promise<void>;
}

/**
 * Takes the lock of `directory`, which is created if need be.
 * Node has no flock; an exclusive SQLite transaction on an empty file is a POSIX lock that dies with the process.
 * @throws CacheError `failed_precondition` that names the holder (K1-15). System errors pass (EACCES, ENOTDIR, ...).
 */
export async function lockDataDirectory(directory: string, holder: LockHolder): Promise<DataDirectoryLock> {
  await mkdir(directory, { recursive: true });
  const owned = await realpath(directory);
  if (ownedHere.has(owned)) throw refusal(directory, await readHolder(owned));
  ownedHere.add(owned);
  let database: Sqlite.DatabaseSync | undefined;
  try {
    // SQLite tells no reason when it cannot open; the system tells why this file cannot be written.
    await writeFile(join(owned, probeName()), '');
    database = await openLocked(owned);
    await writeHolder(owned, holder);
  } catch (thrown) {
    await rm(join(owned, probeName()), { force: true }).catch(() => undefined);
    database?.close();
    ownedHere.delete(owned);
    throw thrown;
  }
  const held = database;
  return {
    announce: (next) => writeHolder(owned, next),
    async [Symbol.asyncDispose]() {
      if (!held.isOpen) return;
      await rm(join(owned, holderName), { force: true }).catch(() => undefined); // stale at worst, and then overwritten
      if (held.isOpen) held.close();
      ownedHere.delete(owned);
    },
  };
}

async function openLocked(directory: string): Promise<Sqlite.DatabaseSync> {
  const { DatabaseSync } = await importSqlite();
  const database = new DatabaseSync(join(directory, lockName), { timeout: 0 });
  try {
    // A journal on the disk would be a second file, and on a full disk the lock would fail with an error of SQLite's.
    database.exec('PRAGMA journal_mode = MEMORY; BEGIN EXCLUSIVE');
    return database;
  } catch (thrown) {
    database.close();
    if (thrown instanceof Error && 'errcode' in thrown && thrown.errcode === sqliteBusy) throw refusal(directory, await readHolder(directory));
    throw thrown;
  }
}

/** Some Node versions warn that SQLite is experimental. That is for us to judge, not for who starts a cache. */
async function importSqlite(): Promise<typeof Sqlite> {
  const emitWarning = process.emitWarning.bind(process);
  process.emitWarning = () => undefined;
  try {
    return await import('node:sqlite');
  } finally {
    process.emitWarning = emitWarning;
  }
}

function refusal(directory: string, holder: LockHolder | undefined): CacheError {
  const who = holder === undefined ? 'another process' : `process ${holder.pid} (started ${holder.startedAt}, listening on ${holder.listen})`;
  return new CacheError(
    'failed_precondition',
    `the data directory ${directory} is in use by ${who}; stop that process or choose another directory with --data`,
  );
}

/** Whole or not at all: whoever is refused may read at any time. */
async function writeHolder(directory: string, holder: LockHolder): Promise<void> {
  await writeFile(join(directory, probeName()), `${JSON.stringify(holder)}\n`);
  await rename(join(directory, probeName()), join(directory, holderName));
}

/** Ours alone, so that two processes that want the directory at once do not disturb each other. */
function probeName(): string {
  return `${holderName}.${process.pid}`;
}

async function readHolder(directory: string): Promise<LockHolder | undefined> {
  try {
    const { pid, startedAt, listen } = JSON.parse(await readFile(join(directory, holderName), 'utf8')) as Partial<LockHolder>;
    if (typeof pid !== 'number' || typeof startedAt !== 'string' || typeof listen !== 'string') return undefined;
    return { pid, startedAt, listen };
  } catch {
    return undefined; // just being taken, or removed by hand: the lock stands without the name
  }
}
