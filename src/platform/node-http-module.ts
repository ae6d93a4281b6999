// node:http without its clients of the web platform: to name the module in an import has Node load all that it exports, undici
// among that, which takes a tenth of a second of each start.
import type * as NodeHttp from 'node:http';

export const nodeHttp: typeof NodeHttp = process.getBuiltinModule('node:http');
