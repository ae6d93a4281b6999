// From what the program was started with to its configuration, or to everything that is wrong with it. Precedence:
// flag, environment, file, default.
import { resolve } from 'node:path';
import * as z from 'zod/mini';
import { CacheError } from '../base/cache-error.ts';
import { htpasswdBytesMax, readHtpasswd } from '../rights/htpasswd.ts';
import { readFlags } from './command-line.ts';
import type { ReadSource } from './command-line.ts';
import { contradictions, overwritesWithoutWrite, sharedTokens } from './contradictions.ts';
import { readEnvironment } from './environment.ts';
import type { Key } from './key.ts';
import { identitySchema } from './rights-schema.ts';
import { schemaMistakes } from './schema-mistakes.ts';
import { serveOptionsOf } from './serve-options.ts';
import type { IdentityOptions, ServeOptions } from './serve-options.ts';
import { serveKeys, serveSchema, startKeys, startSchema } from './serve-schema.ts';
import type { ServeValues } from './serve-schema.ts';
import { TreeBuilder, formatOrigin, valueAt } from './source.ts';
import type { Mistake, Origin, Source, TextTree } from './source.ts';
import type { StartContext } from './start-context.ts';
import { readTlsMaterial, tlsFileBytesMax } from './tls-files.ts';
import type { PemFile, TlsMaterial } from './tls-files.ts';

/**
 * Reads the file at an absolute path, or the beginning of one that is longer than `bytesMax`.
 * @throws CacheError for what a person can set right; first line what is wrong, second line what to do.
 */
export type ReadFile = (path: string, bytesMax: number) => Promise<Uint8Array>;

/** A checked configuration. */
export interface Configuration {
  readonly options: ServeOptions;
  /** The file it was read from, absolute. */
  readonly file: string | undefined;
  /** What was given for each key; keys with their default are absent. Paths are absolute. */
  readonly given: TextTree;
  /** By name of the key, as in `log.level`. */
  originOf(name: string): Origin;
}

export type ReadConfiguration = { readonly configuration: Configuration } | { readonly mistakes: readonly Mistake[] };

/** @param command as typed after `kiln`, for advice. */
export async function readConfiguration(command: string, context: StartContext, readFile: ReadFile): Promise<ReadConfiguration> {
  const started = [readFlags(command, startKeys, context), readEnvironment(startKeys, context)];
  const mistakes = started.flatMap((read) => mistakesIn(read, startSchema));
  const sources = started.map(({ source }) => source);
  const named = sources.find(({ tree }) => tree['config'] !== undefined);
  // A name that is wrong itself has been reported.
  const path = named === undefined || schemaMistakes(startSchema, named).some(({ problem }) => problem.startsWith(`${formatOrigin(named.origin(['config']))}: `)) ? undefined : named.tree['config'];
  const file = typeof path === 'string' ? resolve(context.workingDirectory, path) : undefined;
  if (file !== undefined && named !== undefined) {
    const read = await readYaml({ file, schema: serveSchema, readFile, origin: named.origin(['config']) });
    mistakes.push(...(Array.isArray(read) ? read : mistakesIn(read, serveSchema)));
    if (!Array.isArray(read)) sources.push(read.source);
  }
  if (mistakes.length > 0) return { mistakes };
  return assembled({ sources, file, context, readFile });
}

function mistakesIn({ source, mistakes }: ReadSource, schema: z.ZodMiniType): Mistake[] {
  return [...mistakes, ...schemaMistakes(schema, source)];
}

interface YamlFile {
  readonly file: string;
  readonly schema: z.ZodMiniType;
  readonly readFile: ReadFile;
  /** Who named the file. */
  readonly origin: Origin;
}

/** The file as a source, or why there is none. */
async function readYaml({ file, schema, readFile, origin }: YamlFile): Promise<ReadSource | Mistake[]> {
  // Most servers run without a file, and the parser takes longer to load than all the rest of the folder.
  const [{ readFileSource }, { configurationBytesMax }] = await Promise.all([import('./file-source.ts'), import('./yaml-tree.ts')]);
  try {
    return readFileSource(file, await readFile(file, configurationBytesMax + 1), schema);
  } catch (error) {
    return [unreadable(error, origin)];
  }
}

interface Parts {
  readonly sources: readonly Source[];
  readonly file: string | undefined;
  readonly context: StartContext;
  readonly readFile: ReadFile;
}

async function assembled({ sources, file, context, readFile }: Parts): Promise<ReadConfiguration> {
  const given = merged(sources);
  const values = z.parse(serveSchema, given);
  const originOf = (name: string) => {
    const path = name.split('.');
    return sourceOf(sources, path)?.originOfName(path) ?? ({ kind: 'default' } as const);
  };
  const tokensFile = values.rights['tokens-file'];
  const fromTokensFile = tokensFile === undefined ? [] : await readTokensFile(tokensFile, readFile, originOf('rights.tokens-file'));
  const identities = [...values.rights.identities, ...('mistakes' in fromTokensFile ? [] : fromTokensFile)];
  const originOfIdentities = originOf(tokensFile === undefined ? 'rights.identities' : 'rights.tokens-file');
  const htpasswdFile = values.rights['htpasswd-file'];
  const tls = await readTls(values.tls, readFile, originOf);
  const mistakes = [
    ...('mistakes' in tls ? tls.mistakes : []),
    ...('mistakes' in fromTokensFile ? fromTokensFile.mistakes : []),
    ...sharedTokens(identities, originOfIdentities),
    ...overwritesWithoutWrite(identities, originOfIdentities),
    ...(htpasswdFile === undefined ? [] : await htpasswdMistakes(htpasswdFile, readFile, originOf('rights.htpasswd-file'))),
    ...contradictions(values, originOf),
  ];
  if (mistakes.length > 0 || 'mistakes' in fromTokensFile || 'mistakes' in tls) return { mistakes };
  const options = serveOptionsOf(values, context, { listenIsDefault: valueAt(given, ['listen']) === undefined, material: tls.material });
  const rights = { ...options.rights, identities };
  return { configuration: { options: { ...options, rights }, file, given, originOf } };
}

const tokensSchema = z.array(identitySchema);

async function readTokensFile(file: string, readFile: ReadFile, origin: Origin): Promise<readonly IdentityOptions[] | { readonly mistakes: readonly Mistake[] }> {
  const read = await readYaml({ file, schema: tokensSchema, readFile, origin });
  const mistakes = Array.isArray(read) ? read : mistakesIn(read, tokensSchema);
  return mistakes.length > 0 || Array.isArray(read) ? { mistakes } : z.parse(tokensSchema, read.source.tree);
}

/** What the files of TLS hold; undefined when no certificate is named, or another rule says what is missing. */
async function readTls(tls: ServeValues['tls'], readFile: ReadFile, originOf: (name: string) => Origin): Promise<{ readonly material: TlsMaterial | undefined } | { readonly mistakes: readonly Mistake[] }> {
  if (tls.certificate === undefined || tls.key === undefined) return { material: undefined };
  const mistakes: Mistake[] = [];
  const read = async (path: string, file: keyof typeof tlsKeys): Promise<PemFile> => {
    try {
      return { path, text: Buffer.from(await readFile(path, tlsFileBytesMax + 1)).toString('latin1') };
    } catch (error) {
      mistakes.push(unreadable(error, originOf(tlsKeys[file])));
      return { path, text: '' };
    }
  };
  const certificate = await read(tls.certificate, 'certificate');
  const key = await read(tls.key, 'key');
  const clientCa = tls['client-ca'] === undefined ? undefined : await read(tls['client-ca'], 'clientCa');
  if (mistakes.length > 0) return { mistakes };
  const outcome = readTlsMaterial({ certificate, key, clientCa });
  return 'material' in outcome ? outcome : { mistakes: outcome.mistakes.map(({ file, error }) => unreadable(error, originOf(tlsKeys[file]))) };
}

/** Which key names which file. */
const tlsKeys = { certificate: 'tls.certificate', key: 'tls.key', clientCa: 'tls.client-ca' } as const;

/** Whoever checks passwords reads the file by itself; here its mistakes are found before a server is started with it. */
async function htpasswdMistakes(file: string, readFile: ReadFile, origin: Origin): Promise<Mistake[]> {
  let bytes: Uint8Array;
  try {
    bytes = await readFile(file, htpasswdBytesMax + 1);
  } catch (error) {
    return [unreadable(error, origin)];
  }
  try {
    readHtpasswd(bytes, file);
    return [];
  } catch (error) {
    // The text names file and line.
    return [mistakeFrom(error, origin)];
  }
}

/** @throws `error` when it is nothing that a person can set right. */
function mistakeFrom(error: unknown, origin: Origin): Mistake {
  if (!(error instanceof CacheError) || error.code === 'internal') throw error;
  const [problem = '', advice = ''] = error.message.split('\n');
  return { origin, problem, advice };
}

function unreadable(error: unknown, origin: Origin): Mistake {
  const mistake = mistakeFrom(error, origin);
  return { ...mistake, problem: `${formatOrigin(origin)}: ${mistake.problem}` };
}

/** For every key the text of the strongest source that has one; paths are absolute. */
function merged(sources: readonly Source[]): TextTree {
  const builder = new TreeBuilder();
  for (const { path, resolve: resolved, member } of serveKeys) {
    const source = sourceOf(sources, path);
    if (source === undefined) continue;
    const value = valueAt(source.tree, path);
    const absolute = (text: unknown): unknown => {
      if (member !== undefined && typeof text === 'object' && text !== null) return { ...text, [member]: absolute(valueAt(text, [member])) };
      return typeof text === 'string' && resolved !== undefined ? resolved(text, source.directory) : text;
    };
    builder.set(path, Array.isArray(value) ? value.map(absolute) : absolute(value));
  }
  return builder.tree;
}

function sourceOf(sources: readonly Source[], path: Key['path']): Source | undefined {
  return sources.find(({ tree }) => valueAt(tree, path) !== undefined);
}
