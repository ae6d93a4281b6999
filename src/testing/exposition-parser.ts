// Reads metrics as a scraper does, and refuses whatever the text exposition format 0.0.4 or OpenMetrics 1.0.0 do not
// allow. Knows nothing of how the text was made.

export interface ParsedSample {
  readonly name: string;
  readonly labels: ReadonlyMap<string, string>;
  readonly value: number;
}

export interface ParsedFamily {
  readonly name: string;
  readonly type: string;
  readonly help: string;
  readonly samples: readonly ParsedSample[];
}

const sampleLine = /^([a-zA-Z_:][a-zA-Z0-9_:]*)(?:\{(.*)\})? (\S+)$/;
const number = /^(?:NaN|[+-]Inf|[+-]?\d+(?:\.\d+)?(?:e[+-]?\d+)?)$/;

/** The families by name. @throws Error that names the line. */
export function parseExposition(text: string, format: 'prometheus' | 'openmetrics'): ReadonlyMap<string, ParsedFamily> {
  if (!text.endsWith('\n')) throw new Error('the last line has no end');
  const lines = text.slice(0, -1).split('\n');
  if (format === 'openmetrics' && lines.pop() !== '# EOF') throw new Error('the last line is not # EOF');
  const families = new Map<string, ParsedFamily & { readonly samples: ParsedSample[] }>();
  const seen = new Set<string>();
  let current: (ParsedFamily & { readonly samples: ParsedSample[] }) | undefined;
  let help: { readonly name: string; readonly text: string } | undefined;
  for (const [index, line] of lines.entries()) {
    const fail = (why: string): never => {
      throw new Error(`line ${index + 1}, ${why}: ${line}`);
    };
    const [, keyword, name = '', rest = ''] = /^# (HELP|TYPE) (\S+) (.*)$/.exec(line) ?? [];
    if (keyword === 'HELP') {
      if (families.has(name)) fail('a family in two places');
      help = { name, text: rest };
    } else if (keyword === 'TYPE') {
      if (help?.name !== name) fail('a type without its help before');
      if (!['counter', 'gauge', 'histogram'].includes(rest)) fail('not a type we use');
      if (rest === 'counter' && name.endsWith('_total') !== (format === 'prometheus')) fail('_total belongs to the name of the samples');
      current = { name, type: rest, help: help?.text ?? '', samples: [] };
      families.set(name, current);
    } else {
      const sample = parseSample(line) ?? fail('no sample');
      if (current === undefined || !belongs(sample.name, current, format)) fail('a sample outside of its family');
      const key = `${sample.name} ${labelsKey(sample.labels)}`;
      if (seen.has(key)) fail('the same series twice');
      seen.add(key);
      current?.samples.push(sample);
    }
  }
  for (const family of families.values()) {
    if (family.samples.length === 0) throw new Error(`${family.name} has no samples`);
    if (family.type === 'histogram') checkHistogram(family);
    else if (family.type === 'counter') for (const { value } of family.samples) if (!(value >= 0)) throw new Error(`${family.name} is ${value}`);
  }
  return families;
}

/** The value of one series; undefined when there is none. */
export function sampleValue(families: ReadonlyMap<string, ParsedFamily>, name: string, labels: Readonly<Record<string, string>> = {}): number | undefined {
  for (const { samples } of families.values()) {
    for (const sample of samples) {
      const fits = sample.labels.size === Object.keys(labels).length && Object.entries(labels).every(([label, value]) => sample.labels.get(label) === value);
      if (sample.name === name && fits) return sample.value;
    }
  }
  return undefined;
}

function belongs(sample: string, family: ParsedFamily, format: 'prometheus' | 'openmetrics'): boolean {
  if (family.type === 'histogram') return ['_bucket', '_sum', '_count'].some((suffix) => sample === family.name + suffix);
  return sample === (family.type === 'counter' && format === 'openmetrics' ? `${family.name}_total` : family.name);
}

function parseSample(line: string): ParsedSample | undefined {
  const [, name, labels, value = ''] = sampleLine.exec(line) ?? [];
  if (name === undefined || !number.test(value)) return undefined;
  const parsed = parseLabels(labels ?? '');
  if (parsed === undefined || (labels !== undefined && parsed.size === 0)) return undefined;
  const unsigned = value.replace('Inf', 'Infinity');
  return { name, labels: parsed, value: Number(unsigned) };
}

function parseLabels(text: string): Map<string, string> | undefined {
  const labels = new Map<string, string>();
  // Inside of quotes: anything but a quote or a backslash, or one of three escapes. Line ends cannot occur.
  const label = /([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\]|\\[\\"n])*)"(,|$)/y;
  for (let comma = ','; label.lastIndex < text.length; ) {
    if (comma !== ',') return undefined;
    const [all, name = '', value = '', next = ''] = label.exec(text) ?? [];
    if (all === undefined || labels.has(name) || (next === ',' && label.lastIndex === text.length)) return undefined;
    labels.set(name, value.replace(/\\(.)/g, (_, escaped: string) => (escaped === 'n' ? '\n' : escaped)));
    comma = next;
    if (hasControls(value)) return undefined;
  }
  return labels;
}

/** The same for the same labels, whatever their order. */
function labelsKey(labels: ReadonlyMap<string, string>, without?: string): string {
  const texts = [...labels].filter(([label]) => label !== without).map((pair) => JSON.stringify(pair));
  return texts.sort().join();
}

/** Allowed by the formats, but not by us: a label may be shown on a terminal. */
function hasControls(text: string): boolean {
  return Array.from(text).some((character) => (character.codePointAt(0) ?? 0) < 0x20 || character === '\u007f');
}

/** Buckets rise in bound and count, end in +Inf, and agree with _count; each set of labels has one of each. */
function checkHistogram({ name, samples }: ParsedFamily): void {
  const groups = new Map<string, ParsedSample[]>();
  for (const sample of samples) {
    const key = labelsKey(sample.labels, 'le');
    groups.set(key, [...(groups.get(key) ?? []), sample]);
  }
  for (const [labels, group] of groups) {
    const fail = (why: string): never => {
      throw new Error(`${name} ${labels}: ${why}`);
    };
    const buckets = group.filter((sample) => sample.name === `${name}_bucket`);
    let [bound, count] = [-Infinity, 0];
    for (const bucket of buckets) {
      const le = Number((bucket.labels.get('le') ?? fail('a bucket without le')).replace('Inf', 'Infinity'));
      if (!(le > bound)) fail(`le ${le} after ${bound}`);
      if (!(bucket.value >= count)) fail(`${bucket.value} up to ${le}, and ${count} before`);
      [bound, count] = [le, bucket.value];
    }
    if (bound !== Infinity) fail('no bucket +Inf');
    const counts = group.filter((sample) => sample.name === `${name}_count`);
    const sums = group.filter((sample) => sample.name === `${name}_sum`);
    if (counts.length !== 1 || sums.length !== 1 || counts[0]?.value !== count) fail('_count and _sum are there once, and _count is that of +Inf');
  }
}
