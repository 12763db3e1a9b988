"""Our own controller and a gateway fed by it: from a changed manifest to the first request served by it, and what both cost."""
import os
import re
import statistics
import time
from pathlib import Path

import yaml

import manifests
import peers
from ports import free_port

ROOT = Path(__file__).parent.parent

ROUTES, CHANGES, PER_FILE = 1000, 50, 10
FILTER = {"type": "ResponseHeaderModifier", "responseHeaderModifier": {"set": [{"name": "x-generation", "value": "0"}]}}


def route(number, generation):
    header = {"name": "x-generation", "value": str(generation)}
    change = {**FILTER, "responseHeaderModifier": {"set": [header]}}
    return manifests.route(f"r{number}", manifests.rule(manifests.ref("s"), filters=[change]), hostnames=[f"h{number}.test"])


class Pair:
    """agentgateway-controller on a folder of manifests, agentgateway behind it, both on the gateway's CPU."""

    def __init__(self, work, backend):
        self.folder = work / "manifests"
        self.folder.mkdir()
        self.port, xds, self.stats_port, ready, admin = (free_port() for _ in range(5))
        self.write("gateway.yaml", [manifests.gateway(self.port), *manifests.service("s", backend.port)])
        for first in range(0, ROUTES, PER_FILE):
            self.routes(first, 0)
        binaries = Path(os.environ.get("AGW_BIN") or ROOT / "build/bin/agentgateway").parent
        self.controller = peers.Process(
            [str(binaries / "agentgateway-controller"), "--manifests", str(self.folder), "--xds-addr", f"127.0.0.1:{xds}"],
            work / "controller.log", peers.PROXY_CPU)
        peers.wait_port(xds, 30)
        env = {"XDS_ADDRESS": f"http://127.0.0.1:{xds}", "NAMESPACE": "test", "GATEWAY": "gw",
               "STATS_ADDR": f"127.0.0.1:{self.stats_port}", "READINESS_ADDR": f"127.0.0.1:{ready}", "ADMIN_ADDR": f"127.0.0.1:{admin}"}
        self.gateway = peers.Process([str(binaries / "agentgateway"), "--workers", "1", "--access-log", "off"],
                                     work / "agentgateway.log", peers.PROXY_CPU, env)
        peers.wait_port(self.port, 30)

    def write(self, name, objects):
        scratch = self.folder.parent / "next"
        scratch.write_text(yaml.safe_dump_all(objects, sort_keys=False))
        scratch.rename(self.folder / name)

    def routes(self, first, generation):
        """The file with these routes; the first of them in this generation."""
        rest = [route(i, 0) for i in range(first + 1, first + PER_FILE)]
        self.write(f"routes-{first}.yaml", [route(first, generation), *rest])

    def stop(self):
        self.gateway.stop()
        self.controller.stop()


def generation_of(answer):
    found = re.search(rb"(?i)x-generation: *(\d+)", answer)
    return int(found.group(1)) if found else -1


def measure(work, backend, probe_type):
    pair = Pair(work, backend)
    try:
        probe, taken = probe_type(pair.port), []
        before = [p.cpu_us() for p in (pair.controller, pair.gateway)]
        for generation in range(1, CHANGES + 1):
            first = generation * PER_FILE % ROUTES
            pair.routes(first, generation)
            begin = time.monotonic()
            while generation_of(probe.ask(f"h{first}.test")) != generation:
                time.sleep(0.0005)
            taken.append((time.monotonic() - begin) * 1e3)
            time.sleep(0.05)
        after = [p.cpu_us() for p in (pair.controller, pair.gateway)]
        probe.close()
        return {"controller_routes": ROUTES, "controller_served_p50_ms": statistics.median(taken),
                "controller_served_max_ms": max(taken), "controller_cpu_ms_per_change": (after[0] - before[0]) / CHANGES / 1e3,
                "controller_rss_mib": pair.controller.memory() / 2**20,
                "controller_gateway_cpu_ms_per_change": (after[1] - before[1]) / CHANGES / 1e3,
                "controller_gateway_rss_mib": pair.gateway.memory() / 2**20}
    finally:
        pair.stop()
