// Metrics as text, in the two formats that Prometheus and its kin read: the text exposition format 0.0.4 and
// OpenMetrics 1.0.0.
import { bucketsPerDoubling } from './log-buckets.ts';
import type { CellHistogram } from './cells.ts';
import type { MetricFamily, Series } from './registry.ts';

export type ExpositionFormat = 'prometheus' | 'openmetrics';

export const expositionContentTypes: Readonly<Record<ExpositionFormat, string>> = {
  prometheus: 'text/plain; version=0.0.4; charset=utf-8',
  openmetrics: 'application/openmetrics-text; version=1.0.0; charset=utf-8',
};

/**
 * Buckets shown per doubling. Counted are more, for our own quantiles; a scrape with all of them would be four times
 * as large and tell an operator nothing new.
 */
const shownPerDoubling = 2;
const shownEvery = bucketsPerDoubling / shownPerDoubling;

/** All of `families`, complete with the end mark if the format has one. */
export function expositionText(families: Iterable<MetricFamily>, format: ExpositionFormat): string {
  const lines: string[] = [];
  for (const family of families) writeFamily(lines, family, format);
  if (format === 'openmetrics') lines.push('# EOF\n');
  return lines.join('');
}

/** The format that the value of an Accept header asks for: OpenMetrics where it is liked as much as plain text. */
export function expositionFormatFor(accept: string | undefined): ExpositionFormat {
  let openmetrics = 0;
  let text = 0;
  for (const range of (accept ?? '').toLowerCase().split(',')) {
    const [type = '', ...parameters] = range.split(';').map((part) => part.trim());
    const q = parameters.find((parameter) => parameter.startsWith('q='))?.slice(2);
    const quality = q === undefined ? 1 : Number(q) || 0;
    const version = parameters.find((parameter) => parameter.startsWith('version='))?.slice('version='.length);
    if (type === 'application/openmetrics-text' && (version === undefined || version === '1.0.0')) openmetrics = Math.max(openmetrics, quality);
    else if (type === 'text/plain') text = Math.max(text, quality);
  }
  return openmetrics > 0 && openmetrics >= text ? 'openmetrics' : 'prometheus';
}

function writeFamily(lines: string[], { name, help, kind, series }: MetricFamily, format: ExpositionFormat): void {
  const shown = Array.from(series);
  if (shown.length === 0) return;
  // OpenMetrics names the family of a counter without the suffix that its samples have.
  const family = format === 'openmetrics' && kind === 'counter' ? name.replace(/_total$/, '') : name;
  lines.push(`# HELP ${family} ${escapedHelp(help, format)}\n# TYPE ${family} ${kind}\n`);
  for (const one of shown) writeSeries(lines, name, one);
}

function writeSeries(lines: string[], name: string, { labels, source }: Series): void {
  const text = labels.map(([label, value]) => `${label}="${escapedValue(value)}"`).join(',');
  if ('read' in source) lines.push(`${name}${text === '' ? '' : `{${text}}`} ${numberText(source.read())}\n`);
  else writeHistogram(lines, name, { labels: text, histogram: source.histogram });
}

/** `le` is inclusive and our bounds are not: a value that is exactly a bound counts as above it. Nobody can tell. */
function writeHistogram(lines: string[], name: string, { labels, histogram }: { labels: string; histogram: CellHistogram }): void {
  const { buckets } = histogram;
  const before = labels === '' ? `${name}_bucket{le="` : `${name}_bucket{${labels},le="`;
  let below = 0;
  for (let index = 0; index < buckets.count; index += 1) {
    below += histogram.countIn(index);
    if (index % shownEvery === 0 && index < buckets.count - 1) lines.push(`${before}${boundText(buckets.upperBound(index))}"} ${below}\n`);
  }
  const braced = labels === '' ? '' : `{${labels}}`;
  lines.push(`${before}+Inf"} ${below}\n${name}_sum${braced} ${numberText(histogram.sum)}\n${name}_count${braced} ${below}\n`);
}

/** OpenMetrics wants bounds to look like floats, always the same way; Prometheus reads either. */
function boundText(bound: number): string {
  const text = String(Number(bound.toPrecision(12)));
  return /[.e]/.test(text) ? text : `${text}.0`;
}

function numberText(value: number): string {
  if (Number.isFinite(value)) return String(value);
  return Number.isNaN(value) ? 'NaN' : value > 0 ? '+Inf' : '-Inf';
}

function escapedHelp(text: string, format: ExpositionFormat): string {
  const escaped = text.replaceAll('\\', '\\\\').replaceAll('\n', '\\n');
  return format === 'openmetrics' ? escaped.replaceAll('"', '\\"') : escaped;
}

/** The formats escape three characters; other controls become visible, so that no terminal obeys a label. */
function escapedValue(text: string): string {
  if (/^[ !#-[\]-~]*$/.test(text)) return text;
  let escaped = '';
  for (const character of text.toWellFormed()) {
    const code = character.codePointAt(0) ?? 0;
    if (character === '\\') escaped += '\\\\';
    else if (character === '"') escaped += '\\"';
    else if (character === '\n') escaped += '\\n';
    else if (code < 0x20 || (code >= 0x7f && code < 0xa0)) escaped += `\\\\x${code.toString(16).padStart(2, '0')}`;
    else escaped += character;
  }
  return escaped;
}
