#!/bin/bash
# ./dev conformance mcp: the public MCP suite against our server, direct and through gateways with one and two targets;
# and the official Python client.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"
./install.sh
room=../../../build/conformance/mcp # the Python client's
if ! cmp -s requirements.txt "$room/installed"; then
  rm -rf "$room"
  /usr/bin/python3 -m venv "$room"
  "$room/bin/pip" install -q --disable-pip-version-check -r requirements.txt </dev/null
  cp requirements.txt "$room/installed"
fi
PYTHONDONTWRITEBYTECODE=1 exec /usr/bin/python3 run.py "$@"
