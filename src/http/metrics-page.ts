// The page that Prometheus scrapes: /metrics.
import type { HttpExchange } from '../base/http-exchange.ts';
import { absentAnswer } from './answer.ts';
import type { HttpAnswer } from './answer.ts';

/** All metrics as text, in the format that the value of an Accept header asks for. */
export type Scrape = (accept: string | undefined) => { readonly contentType: string; readonly text: string };

/** `scrape` is undefined where metrics are switched off. Rights are checked by the caller: `read` somewhere. */
export function metricsPage(scrape: Scrape | undefined, exchange: HttpExchange): HttpAnswer {
  if (scrape === undefined) return absentAnswer('metrics are switched off here; metrics.enabled: true (--metrics-enabled) brings them back');
  const { contentType, text } = scrape(exchange.headers['accept']);
  const headers = { 'content-type': contentType, 'cache-control': 'no-store', 'x-content-type-options': 'nosniff' };
  return { status: 200, headers, body: Buffer.from(text) };
}
