// The life of one stream (RFC 9113 §5.1), as far as a server without push sees it. Idle streams have no object: they
// are the ids above the highest one seen.
//
//                    HEADERS
//                       │
//                       ▼
//        END_STREAM   open   END_STREAM
//         received      │       sent
//            ┌──────────┼──────────┐
//            ▼          │          ▼
//       half-closed     │     half-closed
//        (remote)       │       (local)
//            │    RST_STREAM       │
//            │     either way      │
//            └─────────▶▼◀─────────┘
//         END_STREAM  closed  END_STREAM
//            sent              received

export type StreamState = 'open' | 'half-closed (remote)' | 'half-closed (local)' | 'closed';

/** The peer has sent END_STREAM. */
export function afterRemoteEnd(state: StreamState): StreamState {
  return state === 'open' ? 'half-closed (remote)' : 'closed';
}

/** We have sent END_STREAM. */
export function afterLocalEnd(state: StreamState): StreamState {
  return state === 'open' ? 'half-closed (local)' : 'closed';
}

/** May the peer still send a body or trailers? */
export function receives(state: StreamState): boolean {
  return state === 'open' || state === 'half-closed (local)';
}

/** May we still send? */
export function sends(state: StreamState): boolean {
  return state === 'open' || state === 'half-closed (remote)';
}
