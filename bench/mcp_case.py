"""MCP tools/call through the gateway against the same server direct, one call at a time, interleaved."""
import http.client
import json
import os
import re
import statistics
import time
import urllib.request
from pathlib import Path

import peers
from ports import free_port

SERVERS = Path(__file__).parent.parent / "examples/quickstart/servers"

MANIFEST = """
apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: {{name: bench}}
spec:
  gatewayClassName: agentgateway
  addresses: [{{type: IPAddress, value: 127.0.0.1}}]
  listeners:
  - {{name: plain, port: {plain}, protocol: HTTP}}
---
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {{name: mcp}}
spec:
  parentRefs: [{{name: bench}}]
  rules:
  - matches: [{{path: {{value: /mcp}}}}]
    backendRefs: [{{group: agentgateway.dev, kind: AgentgatewayBackend, name: b}}]
---
apiVersion: agentgateway.dev/v1alpha1
kind: AgentgatewayBackend
metadata: {{name: b}}
spec:
  mcp:
    targets:
    - name: everything
      static: {{host: 127.0.0.1, port: {upstream}, path: /mcp}}
"""


class Session:
    """One MCP session on one kept-alive connection."""

    def __init__(self, port):
        self.conn = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
        self.id, self.next = None, 0
        self.call("initialize", {"protocolVersion": "2025-06-18", "capabilities": {},
                                 "clientInfo": {"name": "bench", "version": "1"}})
        self.post({"jsonrpc": "2.0", "method": "notifications/initialized"})

    def post(self, message):
        headers = {"Content-Type": "application/json", "Accept": "application/json, text/event-stream"}
        if self.id:
            headers |= {"Mcp-Session-Id": self.id, "MCP-Protocol-Version": "2025-06-18"}
        self.conn.request("POST", "/mcp", json.dumps(message), headers)
        answer = self.conn.getresponse()
        self.id = answer.headers.get("Mcp-Session-Id", self.id)
        return answer.status, answer.read().decode()

    def call(self, method, params):
        self.next += 1
        status, text = self.post({"jsonrpc": "2.0", "id": self.next, "method": method, "params": params})
        data = re.findall(r"^data: ?(.*)$", text, re.M) or [text]
        answer = next(m for m in map(json.loads, filter(None, data)) if m.get("id") == self.next)
        if status != 200 or "result" not in answer:
            raise RuntimeError(f"{method}: {status} {text}")
        return answer["result"]

    def echo(self):
        begin = time.perf_counter_ns()
        self.call("tools/call", {"name": "echo", "arguments": {"message": "hello"}})
        return (time.perf_counter_ns() - begin) / 1e3


def metric(port, name):
    text = urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=5).read().decode()
    return sum(float(line.rsplit(" ", 1)[1]) for line in text.splitlines() if line.startswith(name + " ")
               or line.startswith(name + "{"))


def start_server(work):
    port = free_port()
    bin_dir = SERVERS / "node_modules/.bin"
    env = {"PORT": str(port), "PATH": f"{bin_dir}:{os.environ['PATH']}"}
    p = peers.Process([str(bin_dir / "mcp-server-everything"), "streamableHttp"], work / "everything.log", peers.LOAD_CPU, env)
    peers.wait_port(port, 30)
    p.port = port
    return p


def measure(work, calls):
    server = start_server(work)
    folder = work / "agentgateway"
    folder.mkdir(exist_ok=True)
    gateway, plain, _, _ = peers.agentgateway(folder, server.port, manifest=MANIFEST)
    try:
        peers.wait_port(plain)
        direct, through = Session(server.port), Session(plain)
        for s in (direct, through) * 50:
            s.echo()
        time.sleep(1.5)
        before = metric(gateway.stats_port, "agentgateway_upstream_connects_total")
        times = {"direct": [], "through": []}
        for _ in range(calls):
            times["direct"].append(direct.echo())
            times["through"].append(through.echo())
        time.sleep(1.5)
        connects = metric(gateway.stats_port, "agentgateway_upstream_connects_total") - before
    finally:
        gateway.stop()
        server.stop()
    p50 = {k: statistics.median(v) for k, v in times.items()}
    p99 = {k: sorted(v)[len(v) * 99 // 100] for k, v in times.items()}
    return {"calls": calls, "direct_p50_us": p50["direct"], "through_p50_us": p50["through"],
            "added_p50_us": p50["through"] - p50["direct"], "direct_p99_us": p99["direct"], "through_p99_us": p99["through"],
            "new_upstream_connections": connects}
