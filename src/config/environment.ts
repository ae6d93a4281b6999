// Values given as environment variables. An empty variable counts as unset.
import { alsoCalled } from './also-called.ts';
import type { ReadSource } from './command-line.ts';
import type { Key } from './key.ts';
import { nearestName } from './nearest-name.ts';
import { TreeBuilder } from './source.ts';
import type { Mistake, Place } from './source.ts';
import type { StartContext } from './start-context.ts';

/** Environment variables with this beginning belong to the test programs. */
const testEnvironmentPrefix = 'KILN_TEST_';
/** Where clients keep their token; a server may well be started beside them. */
const clientVariable = 'KILN_TOKEN';

/** Every variable that begins with `KILN_` must be known: a misspelt limit would otherwise run with the default. */
export function readEnvironment(keys: readonly Key[], context: Pick<StartContext, 'environment' | 'workingDirectory'>): ReadSource {
  const builder = new TreeBuilder();
  const mistakes: Mistake[] = [];
  for (const [variable, text = ''] of Object.entries(context.environment)) {
    if (!variable.startsWith('KILN_') || variable.startsWith(testEnvironmentPrefix) || variable === clientVariable || text === '') continue;
    const key = keys.find(({ environment }) => environment === variable);
    if (key === undefined) mistakes.push(isOfKubernetes(variable, text) ? variableOfKubernetes(variable) : unknownVariable(variable, keys));
    else builder.set(key.path, valueOf(key, text));
  }
  return {
    source: {
      tree: builder.tree,
      directory: context.workingDirectory,
      origin: (place) => ({ kind: 'environment', variable: variableAt(keys, place) }),
      originOfName: (place) => ({ kind: 'environment', variable: variableAt(keys, place) }),
      example: (place, { example }) => `${variableAt(keys, place)}=${example}`,
    },
    mistakes,
  };
}

function valueOf({ shape }: Key, text: string): unknown {
  if (shape === 'list') return text.split(',').map((part) => part.trim());
  if (shape !== 'pairs') return text;
  return Object.fromEntries(text.split(',').map((pair) => {
    const equals = pair.indexOf('=');
    return equals === -1 ? [pair.trim(), ''] : [pair.slice(0, equals).trim(), pair.slice(equals + 1)];
  }));
}

/** The variable that `place` came from: the place may be one of several values in it. */
function variableAt(keys: readonly Key[], place: Place): string {
  return keys.find(({ path }) => path.every((name, index) => place[index] === name))?.environment ?? '';
}

/** What a Service named `kiln`, or `kiln-` and more, puts into every pod of its namespace (Kubernetes, "Service", environment variables). */
function isOfKubernetes(variable: string, text: string): boolean {
  return /_(?:SERVICE_HOST|SERVICE_PORT(?:_[A-Z\d_]+)?|PORT_\d+_[A-Z]+(?:_[A-Z]+)?)$/.test(variable) || (variable.endsWith('_PORT') && /^[a-z]+:\/\//.test(text));
}

function variableOfKubernetes(variable: string): Mistake {
  return {
    origin: { kind: 'environment', variable },
    problem: `unknown environment variable ${variable}`,
    advice: 'Kubernetes sets it for a Service of that name: write enableServiceLinks: false into the specification of the pod',
  };
}

function unknownVariable(variable: string, keys: readonly Key[]): Mistake {
  const inFile = keys.find(({ environment, path }) => environment === undefined && variable === `KILN_${path.join('_').replaceAll('-', '_').toUpperCase()}`);
  const problem = `unknown environment variable ${variable}`;
  const origin = { kind: 'environment', variable } as const;
  if (inFile !== undefined) return { origin, problem, advice: `${inFile.name} is given in the file only: --config FILE` };
  const nearest = nearestName(variable, keys.flatMap(({ environment }) => environment ?? []));
  // KILN_TOKENS_FILE for KILN_RIGHTS_TOKENS_FILE: people remember the last words.
  const end = variable.slice('KILN'.length);
  const meant = alsoCalled.get(end.slice(1).toLowerCase().replaceAll('_', '-'));
  const key = keys.find(({ environment, name }) => (nearest === undefined ? environment?.endsWith(end) === true || name === meant : environment === nearest));
  return {
    origin,
    problem,
    advice:
      key?.environment === undefined
        ? 'unset it; "kiln help serve" lists the variables Kiln reads'
        : `did you mean ${key.environment}? example: ${key.environment}=${key.example}`,
  };
}
