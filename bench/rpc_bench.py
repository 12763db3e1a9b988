"""A gateway between a server and clients in C that are quick enough to tell (bench/micro/rpc_server.c, rpc_load.c). Both
share a CPU; the gateway's own has room to spare, so messages a second and core are counted by the CPU time that it took."""
import os
import resource
import subprocess
import time
from contextlib import contextmanager
from pathlib import Path

import yaml

import peers
from ports import free_port

ROOM = peers.WS_PEER.parent
SPARE_FILES = 500  # of a process besides the streams


def command(*args):
    return ["taskset", "-c", str(peers.LOAD_CPU), str(ROOM / "rpc_load"), *map(str, args)]


def figures(lines):
    return {name: float(value) for name, value in (line.split() for line in lines)}


class Bench:
    def __init__(self, work, objects, streams):
        """objects(port, upstream): the gateway's configuration. |streams|: connections that it may have to a backend."""
        folder = work / "many"
        folder.mkdir(exist_ok=True)
        self.upstream = free_port()
        self.server = peers.Process([str(ROOM / "rpc_server"), str(self.upstream)], work / "rpc_server.log", peers.LOAD_CPU)
        peers.wait_port(self.upstream)
        self.port = free_port()
        text = yaml.safe_dump_all(objects(self.port, self.upstream), sort_keys=False)
        self.gateway, _, _, _ = peers.agentgateway(folder, self.upstream, manifest=text.replace("{", "{{").replace("}", "}}"),
                                                   env={"UPSTREAM_MAX_CONNECTIONS": str(2 * streams)})
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
            raise RuntimeError(f"rpc_load {path} {message}: {seen}")
        return seen | {"cpu_us": spent / max(seen["messages"], 1)}

    def held(self, kind, path, count):
        """User memory of the gateway for each of |count| that are open."""
        before = self.gateway.memory("Anonymous")
        with subprocess.Popen(command(kind, self.port, path, count), stdin=subprocess.PIPE, stdout=subprocess.PIPE) as load:
            if load.stdout.readline() != b"open\n":
                raise RuntimeError(f"rpc_load {kind}: it failed")
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


def streams_possible(wanted):
    """The gateway has two connections for each, and the limit of a process is the hard one."""
    limit = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    return min(wanted, (limit - SPARE_FILES) // 2)


def named(prefix, seen, *keys):
    return {f"{prefix}_{k}": seen[k] for k in keys}


@contextmanager
def beside_nginx(work, objects, streams):
    """(Bench, the port of an nginx in front of the same server)"""
    bench, nginx = Bench(work, objects, streams), None
    try:
        nginx, port, _, _ = peers.nginx(work, bench.upstream)
        peers.wait_port(port)
        yield bench, port
    finally:
        bench.stop()
        if nginx:
            nginx.stop()
