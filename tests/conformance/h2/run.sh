#!/bin/bash
# ./dev conformance h2: builds the public h2spec and runs all of it against a gateway in front of nginx.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../../.."
tool=$PWD/build/conformance/h2spec
mkdir -p build/conformance
if [ ! -x "$tool" ] || [ tests/conformance/h2/go.sum -nt "$tool" ]; then
  (cd tests/conformance/h2 && GO111MODULE=on go build -o "$tool" github.com/summerwind/h2spec/cmd/h2spec)
fi
exec /usr/bin/python3 tests/conformance/h2/run.py "$tool"
