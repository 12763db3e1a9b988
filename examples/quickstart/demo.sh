#!/bin/bash
# Checks the running quickstart as a newcomer would; each step prints the curl line that repeats it.
# demo.sh [BASE-URL]; exits 1 at the first answer that is not as expected.
set -euo pipefail
base=${1:-http://127.0.0.1:8080}
headers=$(mktemp)
trap 'rm -f "$headers"' EXIT
json="-H 'Content-Type: application/json'"
accept="-H 'Accept: application/json, text/event-stream'"

# step TITLE PYTHON COMMAND: shows and runs COMMAND, then prints what PYTHON makes of its JSON answer `r`.
step() {
  printf '\n\033[1m%s\033[0m\n$ %s\n' "$1" "$3"
  local answer
  answer=$(eval "$3") || { echo "curl failed" >&2; return 1; }
  printf '%s' "$answer" | sed 's/\r$//' | python3 -c '
import json, sys
text = sys.stdin.read()
lines = [line[5:] for line in text.splitlines() if line.startswith("data:")]
try:
    answers = [json.loads(line) for line in lines if line.strip()] or [json.loads(text)]
    r = answers[-1]
    exec(sys.argv[1])
except Exception as error:
    sys.exit(f"not the expected answer ({error!r}):\n{text}")
' "$2"
}

rpc() { # METHOD PARAMS [HEADER...]: the curl line of one JSON-RPC call to /mcp
  local method=$1 params=$2
  shift 2
  echo "curl -sS --max-time 20 $base/mcp $json $accept $* -d '{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"$method\",\"params\":$params}'"
}

client='{"protocolVersion":"2025-06-18","capabilities":{},"clientInfo":{"name":"curl","version":"1"}}'
step "1. Open an MCP session with the gateway" \
  'print("   server:", r["result"]["serverInfo"]["name"], "protocol:", r["result"]["protocolVersion"])' \
  "$(rpc initialize "$client" -D "$headers")"
id=$(sed -n 's/\r$//; s/^mcp-session-id: *//Ip' "$headers")
session="-H 'Mcp-Session-Id: $id' -H 'MCP-Protocol-Version: 2025-06-18'"
eval "curl -sS --max-time 20 -o /dev/null $base/mcp $json $accept $session -d '{\"jsonrpc\":\"2.0\",\"method\":\"notifications/initialized\"}'"

step "2. List the tools of all MCP servers" '
names = [tool["name"] for tool in r["result"]["tools"]]
for target in ("everything", "memory"):
    mine = [name for name in names if name.startswith(target + "_")]
    assert mine, f"no tool of {target} in {names}"
    print(f"   {target}: {len(mine)} tools:", ", ".join(mine[:4]), "...")' \
  "$(rpc tools/list '{}' "$session")"

step "3. Call a tool" 'print("  ", r["result"]["content"][0]["text"])' \
  "$(rpc tools/call '{"name":"everything_echo","arguments":{"message":"hello through the gateway"}}' "$session")"

step "4. Read the agent's card; its addresses are the gateway's" '
urls = [i["url"] for i in r["supportedInterfaces"]]
assert all("/agents/hello" in url for url in urls), urls
print("  ", r["name"], "at", ", ".join(sorted(set(urls))))' \
  "curl -sS --max-time 20 $base/agents/hello/.well-known/agent-card.json"

step "5. Send the agent a message" 'print("  ", r["result"]["message"]["parts"][0]["text"])' \
  "curl -sS --max-time 20 $base/agents/hello $json -H 'A2A-Version: 1.0' -d '{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"SendMessage\",\"params\":{\"message\":{\"messageId\":\"m1\",\"role\":\"ROLE_USER\",\"parts\":[{\"text\":\"I am Ada\"}]}}}'"

step "6. Have it count, streamed as it goes" '
states = [a["result"]["statusUpdate"]["status"] for a in answers if "statusUpdate" in a["result"]]
print("  ", " ".join(s["message"]["parts"][0]["text"] if "message" in s else s["state"] for s in states))' \
  "curl -sSN --max-time 20 $base/agents/hello $json -H 'A2A-Version: 1.0' -d '{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"SendStreamingMessage\",\"params\":{\"message\":{\"messageId\":\"m2\",\"role\":\"ROLE_USER\",\"parts\":[{\"text\":\"count 3\"}]}}}'"
