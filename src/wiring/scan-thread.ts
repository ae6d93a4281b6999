// The entry of the thread that reads segments for their hints.
import { hintOf } from '../engine/hint-scan.ts';
import type { HintRequest } from '../engine/hint-scan.ts';
import { serveScans } from '../platform/scan-worker.ts';

serveScans((read, request) => hintOf(read, request as HintRequest)); // as scans.ts sends it
