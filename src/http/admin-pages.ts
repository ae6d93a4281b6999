// Pages for whoever runs the server: take a CPU profile or a heap snapshot, and see which there are. The files stay
// where the server writes them; their content is not sent, since it holds what others have sent to the server.
import { CacheError } from '../base/cache-error.ts';
import type { DiagnosticFile, DiagnosticKind, Diagnostics } from '../base/diagnostics.ts';
import type { HttpExchange } from '../base/http-exchange.ts';
import { jsonAnswer } from './answer.ts';
import type { HttpAnswer } from './answer.ts';
import type { Page } from './page.ts';

/** Longer than anybody waits for an answer, and some hundred MB of samples. */
const secondsMax = 300;

/** `GET` lists what is kept, newest first; `POST` takes one and answers when it is written. */
export function adminPages(diagnostics: Diagnostics, { defaultDurationMs }: { readonly defaultDurationMs: number }): readonly Page[] {
  return [
    pageOf('/admin/cpu-profile', 'cpu-profile', diagnostics, (exchange) => diagnostics.takeCpuProfile(durationMs(exchange, defaultDurationMs))),
    pageOf('/admin/heap-snapshot', 'heap-snapshot', diagnostics, () => diagnostics.takeHeapSnapshot()),
  ];
}

function pageOf(path: string, kind: DiagnosticKind, diagnostics: Diagnostics, take: (exchange: HttpExchange) => Promise<DiagnosticFile>): Page {
  return {
    path,
    access: 'admin',
    methods: ['GET', 'HEAD', 'POST'],
    linkable: false,
    async answer(exchange): Promise<HttpAnswer> {
      if (exchange.method === 'POST') return jsonAnswer({ ...(await whileThere(take(exchange), exchange.signal)) });
      return jsonAnswer({ files: await diagnostics.list(kind) });
    },
  };
}

/**
 * What `taken` gives. A client that goes away, or is cut off because the server stops, is not waited with: it is taken
 * to its end all the same, unless the server ends before, and kept.
 * @throws CacheError `cancelled`.
 */
async function whileThere<T>(taken: Promise<T>, signal: AbortSignal): Promise<T> {
  const { promise: gone, reject } = Promise.withResolvers<never>();
  const leave = (): void => reject(new CacheError('cancelled', 'the client did not wait for the end'));
  if (signal.aborted) leave();
  signal.addEventListener('abort', leave, { once: true });
  try {
    return await Promise.race([taken, gone]);
  } finally {
    signal.removeEventListener('abort', leave);
  }
}

/** @throws CacheError `invalid_argument`. */
function durationMs({ target }: HttpExchange, defaultMs: number): number {
  const query = new URLSearchParams(target.split('?')[1] ?? '');
  for (const name of query.keys()) {
    if (name !== 'seconds') throw new CacheError('invalid_argument', `${JSON.stringify(name.slice(0, 40))} is unknown here; ?seconds=N is the one parameter`);
  }
  const text = query.get('seconds');
  if (text === null) return defaultMs;
  const seconds = /^\d+(?:\.\d+)?$/.test(text) ? Number(text) : 0;
  if (seconds > 0 && seconds <= secondsMax) return Math.ceil(seconds * 1_000);
  throw new CacheError('invalid_argument', `seconds=${JSON.stringify(text.slice(0, 40))} is not a number above 0 and at most ${secondsMax}`);
}
