#!/bin/bash
# Starts the quickstart's servers and the gateway, shows that they work and stays until Ctrl-C:
# run.sh AGENTGATEWAY [--xds CONTROLLER]: the gateway reads the manifests itself, or gets them from CONTROLLER by xDS
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
gateway=$(realpath "$1")
controller=
if [ "${2:-}" = --xds ]; then
  controller=$(realpath "$3")
fi
logs=$(mktemp -d)
children=()

stop() {
  trap - EXIT
  trap '' INT TERM
  if [ ${#children[@]} -gt 0 ]; then
    kill "${children[@]}" 2>/dev/null || true
    wait "${children[@]}" 2>/dev/null || true
  fi
  rm -rf "$logs"
}
trap stop EXIT
trap 'exit 0' INT TERM

start() { # NAME COMMAND...: in the background, its output in a log that is shown if it fails
  local name=$1
  shift
  "$@" </dev/null >"$logs/$name" 2>&1 &
  children+=($!)
}

wait_for() { # NAME URL: until something answers there
  local tries=100
  until curl -s -o /dev/null --max-time 2 ${3:-} "$2"; do
    if [ $((tries -= 1)) -eq 0 ] || ! kill -0 "${children[-1]}" 2>/dev/null; then
      echo "$1 did not start:" >&2
      cat "$logs/$1" >&2
      exit 1
    fi
    sleep 0.1
  done
}

MEMORY_FILE_PATH=$logs/memory.jsonl
export MEMORY_FILE_PATH
for server in everything:3101 memory:3102 hello:3201; do
  start "${server%:*}" "$here/servers/server.sh" "${server%:*}" "${server#*:}"
  wait_for "${server%:*}" "http://127.0.0.1:${server#*:}/"
  echo "${server%:*} listens on 127.0.0.1:${server#*:}"
done
export TERMINATION_GRACE_PERIOD_SECONDS=2 # Ctrl-C is not to wait for clients that stay
if [ -n "$controller" ]; then
  xds=127.0.0.1:9978
  start agentgateway-controller "$controller" --manifests "$here" --xds-addr "$xds"
  wait_for agentgateway-controller "http://$xds/" --http2-prior-knowledge
  echo "agentgateway-controller listens on $xds"
  XDS_ADDRESS=http://$xds NAMESPACE=gateway-system GATEWAY=quickstart start agentgateway "$gateway"
else
  start agentgateway "$gateway" -f "$here"
fi
wait_for agentgateway http://127.0.0.1:15021/healthz/ready --fail
echo "agentgateway listens on 127.0.0.1:8080"

"$here/demo.sh" http://127.0.0.1:8080
printf '\nThe gateway runs on http://127.0.0.1:8080; Ctrl-C stops it and the servers.\n'
wait -n || true
echo "a server ended by itself; the last lines of each:" >&2
tail -n 5 "$logs"/* >&2
exit 1
