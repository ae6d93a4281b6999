#!/bin/sh
# Runs the tests: scripts/test.sh [check|unit|e2e|crash|attack|memory|ci ...] [-- part of a path ...]
# Without a suite it runs what needs nothing but git, Node and npm: check, unit, e2e. See scripts/run-tests.ts.
set -eu
cd "$(dirname "$0")/.."
PATH=$PWD/node_modules/.bin:$PATH # the bundled Node, tsc and oxlint, also when npm is not the caller
# Each test file is a process of its own that loads much of the same source; to load it as compiled before takes half the time.
NODE_COMPILE_CACHE=$PWD/node_modules/.cache/tests
export PATH NODE_COMPILE_CACHE
if ! command -v node >/dev/null || [ "$(node -p 'process.versions.node.split(".")[0]')" -lt 26 ]; then
  echo "The tests need Node 26. Run \"npm ci\": it brings one for Linux and for macOS on Intel; elsewhere install it." >&2
  exit 1
fi
exec node scripts/run-tests.ts "$@"
