"""MCP tools/call through the gateway against the same server direct, one call at a time, interleaved.

nginx in the same place, which reads no word of MCP, tells how much of what is added is any proxy's: the way over a second
CPU, whose waking takes a virtual machine hundreds of microseconds where a bare one needs a few. The client stays on the
CPU of load and backend, as in every case: else the direct call wakes another CPU or none, as the scheduler likes."""
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


def interleaved(sessions, calls):
    """p50 and p99 by session, in microseconds."""
    for _ in range(50):
        for s in sessions.values():
            s.echo()
    times = {name: [] for name in sessions}
    for _ in range(calls):
        for name, s in sessions.items():
            times[name].append(s.echo())
    return {name: (statistics.median(t), sorted(t)[len(t) * 99 // 100]) for name, t in times.items()}


def measure(work, calls):
    folder = work / "agentgateway"
    folder.mkdir(exist_ok=True)
    server = start_server(work)
    gateway, plain, _, _ = peers.agentgateway(folder, server.port, manifest=MANIFEST)
    nginx, other, _, _ = peers.nginx(work, server.port)
    cpus = os.sched_getaffinity(0)
    try:
        for port in plain, other:
            peers.wait_port(port)
        sessions = {"direct": Session(server.port), "through": Session(plain), "nginx": Session(other)}
        free = interleaved(sessions, calls // 2)
        os.sched_setaffinity(0, {peers.LOAD_CPU})
        time.sleep(1.5)
        before = metric(gateway.stats_port, "agentgateway_upstream_connects_total")
        result = interleaved(sessions, calls)
        time.sleep(1.5)
        connects = metric(gateway.stats_port, "agentgateway_upstream_connects_total") - before
    finally:
        os.sched_setaffinity(0, cpus)
        for p in (gateway, nginx, server):
            p.stop()
    return {"calls": calls, **{f"{name}_p50_us": p50 for name, (p50, _) in result.items()},
            **{f"{name}_p99_us": p99 for name, (_, p99) in result.items()},
            "added_p50_us": result["through"][0] - result["direct"][0],
            "nginx_added_p50_us": result["nginx"][0] - result["direct"][0],
            "added_free_client_p50_us": free["through"][0] - free["direct"][0],
            "nginx_added_free_client_p50_us": free["nginx"][0] - free["direct"][0],
            "new_upstream_connections": connects}
