"""MCP by the thousand: calls and lists over 1, 5 and 50 targets, sessions, idle streams and a large result, between a server
and clients in C that are quick enough to tell (bench/micro/mcp_server.c, mcp_load.c). Both share a CPU; the gateway's own has
room to spare, so calls a second and core are counted by the CPU time that the gateway took."""
import os
import resource
import subprocess
import time
from pathlib import Path

import yaml

import manifests as m
import peers
from ports import free_port

ROOM = peers.WS_PEER.parent
TARGETS = {"/one": 1, "/five": 5, "/fifty": 50}
CONNECTIONS = [1, 64, 1000]
STREAMS = 20000
SESSIONS = 10000
SPARE_FILES = 500  # of a process besides the streams

def objects(port, upstream):
    """A route and a backend for each number of targets; each target is a Service, for there may be more than 32."""
    made = [m.gateway(port)]
    for path, count in TARGETS.items():
        for i in range(count):
            service, endpoints = m.service(f"n{count}-{i}", upstream, app_protocol="agentgateway.dev/mcp")
            service["metadata"] |= {"labels": {"of": path[1:]}, "annotations": {"agentgateway.dev/mcp-target-name": f"t{i}"}}
            made += [service, endpoints]
        backend = m.mcp_backend(path[1:], {})
        backend["spec"]["mcp"]["targets"] = [{"name": "all", "selector": {"services": {"matchLabels": {"of": path[1:]}}}}]
        made += [backend, m.route(path[1:], m.rule(m.agentgateway_ref(path[1:]), matches=[m.prefix(path)]))]
    return made


def command(*args):
    return ["taskset", "-c", str(peers.LOAD_CPU), str(ROOM / "mcp_load"), *map(str, args)]


def figures(lines):
    return {name: float(value) for name, value in (line.split() for line in lines)}


class Bench:
    def __init__(self, work):
        folder = work / "many"
        folder.mkdir(exist_ok=True)
        self.upstream = free_port()
        self.server = peers.Process([str(ROOM / "mcp_server"), str(self.upstream)], work / "mcp_server.log", peers.LOAD_CPU)
        peers.wait_port(self.upstream)
        self.port = free_port()
        text = yaml.safe_dump_all(objects(self.port, self.upstream), sort_keys=False)
        self.gateway, _, _, _ = peers.agentgateway(folder, self.upstream, manifest=text.replace("{", "{{").replace("}", "}}"),
                                                   env={"UPSTREAM_MAX_CONNECTIONS": str(2 * STREAMS)})
        peers.wait_port(self.port)

    def stop(self):
        self.gateway.stop()
        self.server.stop()

    def run(self, path, connections, seconds, message, port=None):
        """What the clients saw, and the gateway's CPU time for each message."""
        with subprocess.Popen(command("run", port or self.port, path, connections, seconds, message),
                              stdout=subprocess.PIPE, text=True) as load:
            load.stdout.readline()
            before = self.gateway.cpu_us()
            seen = figures(load.stdout)
            spent = self.gateway.cpu_us() - before
        if load.returncode or seen["errors"]:
            raise RuntimeError(f"mcp_load {path} {message}: {seen}")
        return seen | {"cpu_us": spent / max(seen["messages"], 1)}

    def held(self, kind, path, count):
        """User memory of the gateway for each of |count| that are open."""
        before = self.gateway.memory("Anonymous")
        with subprocess.Popen(command(kind, self.port, path, count), stdin=subprocess.PIPE, stdout=subprocess.PIPE) as load:
            if load.stdout.readline() != b"open\n":
                raise RuntimeError(f"mcp_load {kind}: it failed")
            time.sleep(1)
            return max(self.gateway.memory("Anonymous") - before, 0) / count

    def large(self, path, tool="big"):
        """By how much the gateway's memory rose at most while 20 MiB passed."""
        proc = f"/proc/{self.gateway.child.pid}"
        Path(f"{proc}/clear_refs").write_text("5")  # the peak is now
        before = peak(proc)
        done = subprocess.run(command("once", self.port, path, tool), capture_output=True, text=True, check=True)
        return peak(proc) - before, figures(done.stdout.splitlines())["us"]

    def move(self, cpu):
        for thread in Path(f"/proc/{self.gateway.child.pid}/task").iterdir():
            os.sched_setaffinity(int(thread.name), {cpu})


def peak(proc):
    line = next(line for line in Path(f"{proc}/status").read_text().splitlines() if line.startswith("VmHWM:"))
    return int(line.split()[1])  # KiB


def streams_possible():
    """The gateway has two connections for each, and the limit of a process is the hard one."""
    limit = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    return min(STREAMS, (limit - SPARE_FILES) // 2)


def named(prefix, seen, *keys):
    return {f"{prefix}_{k}": seen[k] for k in keys}


def calls(bench, seconds):
    """tools/call and tools/list, direct and over 1, 5 and 50 targets."""
    out = {}
    for n in CONNECTIONS:
        out |= named(f"direct_{n}", bench.run("/mcp", n, seconds, "echo0", bench.upstream), "rps", "p50_us", "p99_us")
    out |= named("direct_list", bench.run("/mcp", 1, seconds, "modern-list", bench.upstream), "rps", "p50_us", "p99_us")
    for path, targets in TARGETS.items():
        for n in CONNECTIONS:
            seen = bench.run(path, n, seconds, "echo0" if targets == 1 else "t0_echo0")
            out |= named(f"call_{targets}_{n}", seen, "rps", "p50_us", "p99_us", "cpu_us")
        for name, message in (("kept", "modern-list"), ("asked", "list")):
            out |= named(f"{name}_list_{targets}", bench.run(path, 1, seconds, message), "rps", "p50_us", "p99_us", "cpu_us")
    return out


def added(bench, nginx, seconds):
    """One call at a time: beside nginx, which reads nothing of MCP; and with all on one CPU, where nobody waits for another
    one to wake."""
    out, ways = {}, {"call": ("/one", None), "nginx": ("/mcp", nginx), "direct": ("/mcp", bench.upstream)}
    for where, cpu in (("", peers.PROXY_CPU), ("one_cpu_", peers.LOAD_CPU)):
        bench.move(cpu)
        p50 = {name: bench.run(path, 1, seconds, "echo0", port)["p50_us"] for name, (path, port) in ways.items()}
        out[f"{where}call_added_p50_us"] = p50["call"] - p50["direct"]
        if not where:
            out["nginx_call_added_p50_us"] = p50["nginx"] - p50["direct"]
    bench.move(peers.PROXY_CPU)
    return out


def measure(work, seconds):
    bench, nginx = Bench(work), None
    try:
        nginx, port, _, _ = peers.nginx(work, bench.upstream)
        peers.wait_port(port)
        out = added(bench, port, seconds)
        out["large_result_kib"], out["large_result_us"] = bench.large("/one")
        out["large_edited_result_kib"], out["large_edited_result_us"] = bench.large("/five", "t1_big")
        out |= calls(bench, seconds)
        out["calls_per_core"] = 1e6 / out["call_1_64_cpu_us"]
        out["bytes_per_session"] = bench.held("join", "/one", SESSIONS)
        out["streams"] = streams_possible()
        out["kib_per_stream"] = bench.held("hold", "/one", out["streams"]) / 1024
    finally:
        bench.stop()
        if nginx:
            nginx.stop()
    return out
