#!/bin/bash
# Runs one server of the quickstart in the foreground, on 127.0.0.1: server.sh everything|everything-sse|memory|hello PORT
set -euo pipefail
cd "$(dirname "$0")"
export PORT=$2
published=node_modules/@modelcontextprotocol

run() {
  exec node_modules/.bin/node --import ./loopback.mjs "$@"
}

case $1 in
everything) run $published/server-everything/dist/index.js streamableHttp ;;
everything-sse) run $published/server-everything/dist/index.js sse ;;
memory)
  export MEMORY_FILE_PATH=${MEMORY_FILE_PATH:-$(mktemp --tmpdir memory-XXXXXX.jsonl)}
  run stdio-bridge.mjs $published/server-memory/dist/index.js
  ;;
hello) run hello-agent.mjs ;;
*)
  echo "server.sh: no server '$1'" >&2
  exit 2
  ;;
esac
