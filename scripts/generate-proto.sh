#!/bin/sh
# Generates the TypeScript messages from proto/ into src/proto/gen, or into the folder given, which must not
# exist yet. Uses only what `npm ci` installed; needs no network.
set -eu
root=$(cd "$(dirname "$0")/.." && pwd)
PATH="$root/node_modules/.bin:$PATH"
# Nothing is downloaded, but buf insists on a place for downloads; keep it out of the user's home.
export PATH BUF_CACHE_DIR="$root/node_modules/.cache/buf"

if [ $# -gt 1 ] || [ "${1:-}" = --help ]; then
  echo "usage: $0 [OUTPUT_FOLDER]" >&2
  exit 2
fi
if [ $# -eq 1 ]; then
  if [ -e "$1" ]; then
    echo "$0: $1 exists already; name a folder that does not" >&2
    exit 1
  fi
  mkdir -p "$1"
  out=$(cd "$1" && pwd)
  cd "$root/proto"
  exec buf generate --output "$out"
fi

# Into a folder of its own first: when the compiler fails, the present files stay, and files whose .proto went
# away do not.
fresh="$root/src/proto/gen.new"
rm -rf "$fresh"
trap 'rm -rf "$fresh"' EXIT
"$0" "$fresh"
rm -rf "$root/src/proto/gen"
mv "$fresh" "$root/src/proto/gen"
