// Lets Kiln run from its source when it is installed as a dependency. Node strips types from files anywhere but
// below node_modules; this hook does the same there, for Kiln's own files only. bin/kiln loads it in that case.
'use strict';
const { readFileSync } = require('node:fs');
const { registerHooks, stripTypeScriptTypes } = require('node:module');
const { join, sep } = require('node:path');
const { fileURLToPath } = require('node:url');

const sourceRoot = join(__dirname, '..', 'src') + sep;

// Only this one warning: the function is marked experimental, while stripping itself is not.
const emitWarning = process.emitWarning;
process.emitWarning = () => {};
stripTypeScriptTypes('');
process.emitWarning = emitWarning;

registerHooks({
  load(url, context, nextLoad) {
    if (url.startsWith('file:') && url.endsWith('.ts')) {
      const path = fileURLToPath(url);
      if (path.startsWith(sourceRoot)) {
        return { format: 'module', shortCircuit: true, source: stripTypeScriptTypes(readFileSync(path, 'utf8')) };
      }
    }
    return nextLoad(url, context);
  },
});
