// Turns the events of node:test into what a person reads: failures with their place and reason, skips with theirs,
// and honest totals. Knows nothing of how tests are chosen or started.
import { relative } from 'node:path';
import { inspect } from 'node:util';

/** Counts of one suite. A cancelled test counts as failed: nobody knows what it would have said. */
export interface Totals {
  readonly passed: number;
  readonly failed: number;
  readonly skipped: number;
}

/** Lines of a failure's text and of a file's output that are shown; more hides the failure before it. */
const messageLinesMax = 40;
const outputLinesMax = 60;
const framesMax = 4;

interface TestEvent {
  readonly name: string;
  readonly nesting: number;
  readonly file?: string;
  /** The file that was started, where `file` may be one it imports. */
  readonly entryFile?: string;
  readonly line?: number;
  readonly skip?: string | boolean;
  readonly todo?: string | boolean;
  readonly details?: { readonly error?: Error & { readonly failureType?: string }; readonly duration_ms?: number };
}

/** Prints as events arrive; resolves to the totals once the run has ended. */
export async function report(events: AsyncIterable<{ readonly type: string; readonly data: unknown }>, print: (line: string) => void): Promise<Totals> {
  const path: string[] = []; // names of the tests around the current one, outermost first
  const output = new Map<string, string[]>();
  const startedFiles = new Set<string>();
  const endedFiles = new Set<string>();
  const failedFiles = new Set<string>();
  let totals: Totals | undefined;
  for await (const { type, data } of events) {
    const event = data as TestEvent & { readonly message?: string; readonly counts?: Record<string, number> };
    const entryFile = event.entryFile ?? event.file;
    if (entryFile !== undefined) startedFiles.add(entryFile);
    switch (type) {
      case 'test:start':
        path.length = event.nesting;
        path[event.nesting] = event.name;
        break;
      case 'test:stdout':
      case 'test:stderr':
        keepOutput(output, entryFile ?? '', event.message ?? '');
        break;
      case 'test:diagnostic':
        if (event.file !== undefined) print(`  note: ${event.message ?? ''}`);
        break;
      case 'test:pass':
        if (typeof event.skip === 'string' || event.skip === true) print(`  skipped: ${titleOf(path, event)}: ${event.skip === true ? 'no reason given' : event.skip}`);
        break;
      case 'test:fail':
        if (event.details?.error?.failureType === 'subtestsFailed') break; // its parts were reported
        failedFiles.add(entryFile ?? event.name);
        for (const line of failureLines(path, event)) print(line);
        break;
      case 'test:summary':
        if (entryFile !== undefined) endedFiles.add(entryFile);
        else if (event.counts !== undefined) totals = totalsOf(event.counts);
        break;
      default:
    }
  }
  const broken = [...startedFiles].filter((file) => !endedFiles.has(file) && !failedFiles.has(file));
  for (const file of broken) {
    failedFiles.add(file);
    print(`FAILED ${relative('', file)}: the process ended before its tests did`);
  }
  for (const [file, lines] of output) {
    if (!failedFiles.has(file)) continue;
    print(`  output of ${relative('', file)}:`);
    for (const line of lines.slice(-outputLinesMax)) print(`    | ${line}`);
  }
  const { passed, failed, skipped } = totals ?? { passed: 0, failed: 1, skipped: 0 }; // no summary: the run itself broke
  return { passed, failed: failed + broken.length, skipped };
}

function totalsOf(counts: Record<string, number>): Totals {
  const { passed = 0, failed = 0, cancelled = 0, skipped = 0, todo = 0 } = counts;
  return { passed, failed: failed + cancelled, skipped: skipped + todo };
}

function keepOutput(output: Map<string, string[]>, file: string, text: string): void {
  const lines = output.get(file) ?? [];
  output.set(file, lines);
  lines.push(...text.trimEnd().split('\n'));
  lines.splice(0, lines.length - outputLinesMax);
}

function titleOf(path: readonly string[], { name, nesting }: TestEvent): string {
  return [...path.slice(0, nesting), name].join(' > ');
}

function failureLines(path: readonly string[], event: TestEvent): string[] {
  const place = event.file === undefined ? '' : `${relative('', event.file)}:${event.line ?? 1} `;
  const lines = [`FAILED ${place}${titleOf(path, event)}`];
  const seen = new Set<unknown>();
  // node:test wraps what was thrown in an error of its own; a cause may have causes.
  let error: unknown = event.details?.error?.cause ?? event.details?.error;
  for (let label = ''; error !== undefined && !seen.has(error); label = 'caused by ') {
    seen.add(error);
    const text = error instanceof Error ? `${error.name}: ${error.message}` : inspect(error);
    lines.push(...text.split('\n').slice(0, messageLinesMax).map((line, index) => `    ${index === 0 ? label : ''}${line}`));
    if (!(error instanceof Error)) break;
    lines.push(...framesOf(error).map((frame) => `      ${frame}`));
    error = error.cause;
  }
  return lines;
}

function framesOf(error: Error): string[] {
  const frames = (error.stack ?? '').split('\n').filter((line) => /^\s+at /.test(line) && !line.includes('node:internal') && !line.includes('(node:'));
  return frames.slice(0, framesMax).map((frame) => frame.trim().replace(`file://${process.cwd()}/`, ''));
}

