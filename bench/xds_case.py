"""A gateway fed over xDS: how soon a change is served by every worker, what changes cost, and whether traffic notices.

The control plane is the one of the integration tests (Python, grpcio); what is timed was packed before. It, the backend and
the load share the second CPU; the gateway has the first, with two workers both."""
import contextlib
import itertools
import os
import random
import re
import socket
import statistics
import threading
import time
import urllib.request
from pathlib import Path

import controller_case
import load
import mcp_case
import peers
import xds_build
import xds_load
import xds_proto
from ports import free_port
from upstream import Upstream
from xds_control_plane import ControlPlane, pack_response
from xds_proto import RESOURCE_TYPE

ROOT = Path(__file__).parent.parent


SIZES = (100, 1000, 10000, 100000)
OWN_BACKENDS = 10000  # larger tables share this many
PROBES = 16  # connections to find one of each worker among
CHURN_SIZE, QUIET_SIZE = 5000, 10000
CHURN_SETTLE = 5  # seconds until what the load alone needed is given back
FLIPS, FLIP_PAUSE, FLIP_CONNECTIONS = 1000, 0.2, 64
HOSTS = 3000
PARTS = ("change", "churn", "quiet", "flip", "probe", "controller")


def percentiles(name, samples, unit):
    ordered = sorted(samples)
    return {f"{name}_p50_{unit}": statistics.median(ordered), f"{name}_p99_{unit}": ordered[len(ordered) * 99 // 100]}


@contextlib.contextmanager
def giving_way():
    """Threads made inside run only when nothing else wants their CPU: the control plane shares one with backend and load,
    and what it does there is not the gateway's. Needs root to come back from it; without, nothing is changed."""
    polite = os.geteuid() == 0
    if polite:
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), 19)
    try:
        yield
    finally:
        if polite:
            os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), 0)


class Site:
    """A control plane with |size| host routes and a gateway that has taken them."""

    def __init__(self, work, proto, size, backends, workers=1, cpus=None):
        """backends: ports of servers, which the routes' backends go round."""
        self.proto, self.build = proto, xds_build.Builder(proto)
        self.size, self.own, self.generation = size, min(size, OWN_BACKENDS), 0
        self.port, self.stats_port, ready, admin = (free_port() for _ in range(4))
        with giving_way():
            self.plane = ControlPlane(proto)
        b = self.build
        self.plane.put(b.bind(self.port), b.listener(self.port), push=False)
        self.plane.put([b.static(f"b{i}", backends[i % len(backends)]) for i in range(self.own)], push=False)
        self.plane.put([self.route(i, 0) for i in range(size)], push=False)
        env = {"XDS_ADDRESS": f"http://127.0.0.1:{self.plane.port}", "NAMESPACE": "test", "GATEWAY": "gw",
               "POD_NAME": "gw-0", "STATS_ADDR": f"127.0.0.1:{self.stats_port}", "READINESS_ADDR": f"127.0.0.1:{ready}",
               "ADMIN_ADDR": f"127.0.0.1:{admin}"}
        binary = os.environ.get("AGW_BIN") or str(ROOT / "build/bin/agentgateway")
        if cpus is None:
            cpus = peers.PROXY_CPU if workers == 1 else f"{peers.PROXY_CPU},{peers.LOAD_CPU}"
        args = [binary, "--workers", str(workers), "--access-log", "off"]
        self.process = peers.Process(args, work / "agentgateway.log", cpus, env)
        self.stream = self.plane.wait_stream()
        self.first = self.plane.wait(self._first_answer, 120)
        peers.wait_port(self.port, 60)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.stop()
        self.plane.kill()

    def _first_answer(self):
        return next((r for r in self.stream.received if r.nonce and r.type_url == RESOURCE_TYPE), None)

    def load_seconds(self):
        """From handing the first response's bytes to gRPC until its ACK, which comes when the config is in force."""
        return self.first.at - self.stream.sent_at[self.first.nonce]

    def host(self, i):
        return f"h{i}.test"

    def route(self, i, generation):
        header = xds_build.response_headers(x_generation=str(generation))
        return self.build.route(f"r{i}", xds_build.backend_ref(f"b{i % self.own}"), hosts=[self.host(i)], policies=[header])

    def pack(self, routes, generation):
        """(nonce, bytes) of a response with the next generation of these routes."""
        self.generation += 1
        packed = [(name, str(generation), message.SerializeToString())
                  for _, name, message in (self.route(i, generation) for i in routes)]
        nonce = f"g{generation}"
        data = pack_response(self.proto, RESOURCE_TYPE, packed)
        return nonce, data + self.proto.xds.DeltaDiscoveryResponse(nonce=nonce).SerializeToString()

    def pack_many(self, groups):
        first = self.generation + 1
        return [self.pack(routes, first + n) for n, routes in enumerate(groups)]

    def send(self, packed):
        self.stream.out.put(packed)

    def acked(self, nonce, seconds=30):
        return self.plane.wait(lambda: next((r for r in reversed(self.stream.received) if r.nonce == nonce), None), seconds)

    def apply(self):
        """(count, sum of seconds) of the gateway's own figure."""
        name = "agentgateway_xds_apply_seconds"
        return [mcp_case.metric(self.stats_port, f"{name}_{part}") for part in ("count", "sum")]

    def apply_buckets(self):
        text = urllib.request.urlopen(f"http://127.0.0.1:{self.stats_port}/metrics", timeout=5).read().decode()
        found = re.findall(r'^agentgateway_xds_apply_seconds_bucket\{le="([^"]+)"\} (\S+)', text, re.M)
        return {float(le.replace("+Inf", "inf")): float(n) for le, n in found}


def bucket_p99(before, after):
    """The upper bound of the bucket that the 99th percentile of what came in between is in, in seconds."""
    grown = {le: n - before.get(le, 0) for le, n in after.items()}
    wanted = max(grown.values(), default=0) * 0.99
    return min((le for le, n in grown.items() if n >= wanted), default=0.0)


class Probe:
    """A kept connection that asks for one host."""

    def __init__(self, port):
        self.socket = socket.create_connection(("127.0.0.1", port))
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def ask(self, host):
        self.socket.sendall(b"GET / HTTP/1.1\r\nHost: " + host.encode() + b"\r\n\r\n")
        data = b""
        while b"\r\n\r\n" not in data:
            data += self._more()
        head, _, body = data.partition(b"\r\n\r\n")
        length = int(re.search(rb"(?i)content-length: *(\d+)", head).group(1))
        while len(body) < length:
            body += self._more()
        return head

    def _more(self):
        data = self.socket.recv(65536)
        if not data:
            raise RuntimeError("the gateway has closed a connection")
        return data

    def close(self):
        self.socket.close()


def busy_ns(pid):
    """{thread: nanoseconds on a CPU}"""
    return {task.name: int((task / "schedstat").read_text().split()[0]) for task in Path(f"/proc/{pid}/task").iterdir()}


def one_of_each_worker(site, workers):
    """Connections of different workers: the thread that works while a connection is asked is its worker."""
    pid = peers.tree(site.process.child.pid)[-1]
    found, spare = {}, []
    for _ in range(PROBES):
        probe, before = Probe(site.port), busy_ns(pid)
        for _ in range(30):
            probe.ask(site.host(0))
        after = busy_ns(pid)
        worker = max(after, key=lambda thread: after[thread] - before.get(thread, 0))
        if worker in found:
            spare.append(probe)
        found.setdefault(worker, probe)
    for probe in spare:
        probe.close()
    if len(found) < workers:
        raise RuntimeError(f"{len(found)} of {workers} workers took a connection")
    return list(found.values())


def until_served(probe, host, wanted):
    while wanted not in probe.ask(host):
        pass


def one_change_at_a_time(site, workers, changes):
    """From the bytes' handing over to gRPC to the first answer of the new generation on every worker."""
    probes = one_of_each_worker(site, workers)
    choose = random.Random(site.size)
    chosen = [choose.randrange(site.size) for _ in range(changes)]
    packed = site.pack_many([[i] for i in chosen])
    before, buckets = site.apply(), site.apply_buckets()
    served, acks = [], []
    for i, (nonce, data) in zip(chosen, packed):
        wanted = f"x-generation: {nonce[1:]}\r\n".encode()
        for probe in probes:
            probe.ask(site.host(i))  # so that the backend's connection is there
        site.send((nonce, data))
        for probe in probes:
            until_served(probe, site.host(i), wanted[:-2])
        done = time.monotonic()
        served.append((done - site.stream.sent_at[nonce]) * 1e3)
        acks.append((site.acked(nonce).at - site.stream.sent_at[nonce]) * 1e3)
    after = site.apply()
    for probe in probes:
        probe.close()
    return {**percentiles("served", served, "ms"), **percentiles("ack", acks, "ms"),
            "apply_mean_us": (after[1] - before[1]) / max(after[0] - before[0], 1) * 1e6,
            "apply_p99_below_us": bucket_p99(buckets, site.apply_buckets()) * 1e6}


def change(work, proto, backend, options):
    result = {}
    for size in options.sizes:
        for workers in (1, 2):
            with Site(work, proto, size, [backend.port], workers) as site:
                name = f"{size}_routes_{workers}_worker{'s' * (workers > 1)}"
                result[f"{name}_load_s"] = site.load_seconds()
                result[f"{name}_rss_mib"] = site.process.memory() / 2**20
                figures = one_change_at_a_time(site, workers, options.changes)
                result |= {f"{name}_{key}": value for key, value in figures.items()}
                print(f"  {name}: {figures}", flush=True)
    return result


def pace(site, packed, per_second, stop=None, each=None):
    """Sends these so many times a second; returns when the last is acknowledged. each() is called after every one."""
    with giving_way():
        return pace_here(site, packed, per_second, stop, each)


def pace_here(site, packed, per_second, stop, each):
    begin = time.monotonic()
    nonce = None
    for n, one in enumerate(packed):
        if stop and stop.is_set():
            break
        time.sleep(max(0, begin + n / per_second - time.monotonic()))
        site.send(one)
        nonce = one[0]
        if each:
            each()
    return site.acked(nonce) if nonce else None


def churn(work, proto, backend, options):
    """1% of the routes change each second, in ten responses."""
    with Site(work, proto, CHURN_SIZE, [backend.port]) as site:
        loaded, few, rss = site.process.memory() / 2**20, CHURN_SIZE // 1000, []
        order = itertools.cycle(random.Random(1).sample(range(CHURN_SIZE), CHURN_SIZE))
        packed = site.pack_many([[next(order) for _ in range(few)] for _ in range(10 * options.churn_seconds)])
        cpu, begin = site.process.cpu_us(), time.monotonic()
        pace(site, packed, 10, each=lambda: rss.append(site.process.memory() / 2**20))
        spent = (site.process.cpu_us() - cpu) / (time.monotonic() - begin) / 1e4
        return {"churn_routes": CHURN_SIZE, "churn_seconds": options.churn_seconds, "churn_cpu_percent": spent,
                "churn_rss_mib_loaded": loaded, "churn_rss_mib_most": max(rss[CHURN_SETTLE * 10 :]), "churn_rss_mib_after": rss[-1],
                "churn_nacks": len(site.plane.nacks())}


def quiet(work, proto, backend, options):
    """A request's p99 with 100 changes a second, without, and while they go to another gateway, in seconds of one run in turn.

    The control plane shares a CPU with backend and load: what it costs there is in the third, and is not the gateway's."""
    folders = [work / name for name in ("gateway", "other")]
    for folder in folders:
        folder.mkdir()
    with contextlib.ExitStack() as stack:
        site = stack.enter_context(Site(folders[0], proto, QUIET_SIZE, [backend.port]))
        with giving_way():
            other = stack.enter_context(Site(folders[1], proto, QUIET_SIZE, [backend.port], cpus=peers.LOAD_CPU))
        samples = {"silent": [], "other": [], "busy": []}
        for number in range(options.rounds):
            for kind in samples:
                told = {"silent": None, "other": other, "busy": site}[kind]
                samples[kind].append(under_load(site, told, number, options))
        p99 = {kind: statistics.median(s["p99_us"] for s in rounds) for kind, rounds in samples.items()}
        errors = sum(s["errors"] for rounds in samples.values() for s in rounds)
        return {"silent_p99_us": p99["silent"], "updates_to_other_p99_us": p99["other"], "updates_p99_us": p99["busy"],
                "updates_p99_ratio_to_other": p99["busy"] / p99["other"],
                "updates_p99_ratio_to_silent": p99["busy"] / p99["silent"], "updates_errors": errors}


def under_load(site, told, seed, options):
    """Figures of |site| for some seconds, while |told| (None: nobody) is told 100 changes a second."""
    stop, thread = threading.Event(), None
    if told:
        choose = random.Random(seed)
        packed = told.pack_many([[choose.randrange(1, QUIET_SIZE)] for _ in range(100 * (options.seconds + 2))])
        thread = threading.Thread(target=pace, args=(told, packed, 100, stop))
        thread.start()
    figures = load.wrk(f"http://127.0.0.1:{site.port}/", options.seconds, connections=16, headers=[f"Host: {site.host(0)}"])
    stop.set()
    if thread:
        thread.join()
    return figures


def flip(work, proto, backend, options):
    """One route's backend and header change every 200 ms under kept connections and an event stream."""
    ups = {name: Upstream(name) for name in ("b0", "b1")}
    for up in ups.values():
        up.on("/events", xds_load.send_events)
    try:
        with Site(work, proto, 2, [up.port for up in ups.values()]) as site:
            def everything(number):
                name = f"b{number % 2}"
                return site.build.route("all", xds_build.backend_ref(name),
                                        policies=[xds_build.response_headers(x_backend=name)])

            site.plane.ask(everything(0))
            loads = [xds_load.KeepAlive(site.port, pause=0.02) for _ in range(FLIP_CONNECTIONS)]
            loads += [xds_load.Streams(site.port, pause=0.02) for _ in range(FLIP_CONNECTIONS)]
            loads.append(xds_load.Events(site.port))
            time.sleep(1)
            for number in range(1, options.flips + 1):
                site.plane.put(everything(number))
                time.sleep(FLIP_PAUSE)
            for one in loads:
                one.stop()
            bad = [wrong for one in loads for wrong in one.bad]
            print("".join(f"  {wrong}\n" for wrong in bad[:5]), end="")
            return {"flips": options.flips, "flip_good": sum(one.good for one in loads), "flip_bad": len(bad),
                    "flip_events": loads[-1].good, "flip_nacks": len(site.plane.nacks())}
    finally:
        for up in ups.values():
            up.close()


def probe(work, proto, backend, options):
    """Hosts come one after another, their resources in any order, each asked for from before it exists."""
    with Site(work, proto, 1, [backend.port]) as site:
        b, choose, odd = site.build, random.Random(3), 0
        asker = Probe(site.port)
        for i in range(options.hosts):
            name, host = f"p{i}", f"p{i}.test"
            resources = [b.service(name), b.workload(name, backend.port, [name]), b.static(name, backend.port),
                         b.route(name, xds_build.service_ref(name), hosts=[host]),
                         b.route(f"{name}-b", xds_build.backend_ref(name), hosts=[f"b.{host}"])]
            choose.shuffle(resources)
            seen = {h: [status(asker, h)] for h in (host, f"b.{host}")}
            for resource in resources:
                site.plane.put(resource)
                for h, statuses in seen.items():
                    statuses.append(status(asker, h))
            end = time.monotonic() + 10
            while any(statuses[-1] != 200 for statuses in seen.values()) and time.monotonic() < end:
                for h, statuses in seen.items():
                    statuses.append(status(asker, h))
            odd += sum([one for one, _ in itertools.groupby(statuses)] != [404, 200] for statuses in seen.values())
        asker.close()
        return {"probe_hosts": 2 * options.hosts, "probe_other_than_404_then_200": odd}


def controller(work, proto, backend, options):
    """agentgateway-controller instead: manifests in, one file changed at a time."""
    return controller_case.measure(work, backend, Probe)


def status(asker, host):
    return int(asker.ask(host).split(b" ", 2)[1])


def measure(work, options):
    proto = xds_proto.load(work / "proto")
    backend = peers.backend(work)
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {peers.LOAD_CPU})
    result = {}
    try:
        for part in options.parts:
            folder = work / part
            folder.mkdir()
            result |= globals()[part](folder, proto, backend, options)
        return result
    finally:
        os.sched_setaffinity(0, before)
        backend.stop()
