#!/bin/bash
# ./dev conformance mcp: the public MCP suite against our server, direct and through gateways with one and two targets.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"
if ! cmp -s package-lock.json node_modules/.lock-installed; then
  npm ci --no-audit --no-fund --loglevel=error </dev/null
  cp package-lock.json node_modules/.lock-installed
fi
exec /usr/bin/python3 run.py "$@"
