#!/bin/bash
# The suite, the Node.js that it wants and the SDKs of our server, from npm; nothing to do if they are here.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"
cmp -s package-lock.json node_modules/.lock-installed && exit
npm ci --no-audit --no-fund --loglevel=error </dev/null
cp package-lock.json node_modules/.lock-installed
