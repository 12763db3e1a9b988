#!/bin/bash
# ./dev conformance a2a: our table of A2A calls at an agent of the official Python SDK, direct and through the gateway.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"
room=../../../build/conformance/a2a
if ! cmp -s requirements.txt "$room/installed"; then
  rm -rf "$room"
  /usr/bin/python3 -m venv "$room"
  "$room/bin/pip" install -q --disable-pip-version-check -r requirements.txt </dev/null
  cp requirements.txt "$room/installed"
fi
PYTHONDONTWRITEBYTECODE=1 exec "$room/bin/python" run.py "$@"
