"""A2A: one call at a time beside nginx, which reads nothing of it; calls a core; first events and open streams.

/one passes calls on as they come, /sealed seals the ids of tasks and contexts (a Service may have replicas), and 1.0 is
translated for the agent, which speaks 0.3."""
import manifests as m
import peers
from rpc_bench import Bench, beside_nginx, named, streams_possible

STREAMS = 10000
CONNECTIONS = 64
CALLS = {"send": ("/one", "send"), "sealed": ("/sealed", "send"), "translated": ("/one", "send-1.0")}


def objects(port, upstream):
    agent = {"apiVersion": "agentgateway.dev/v1alpha1", "kind": "AgentgatewayBackend", "metadata": m.meta("one"),
             "spec": {"a2a": {"host": "127.0.0.1", "port": upstream}}}
    service, slices = m.service("sealed", upstream, app_protocol="agentgateway.dev/a2a")
    return [m.gateway(port), agent, service, slices,
            m.route("agents", m.rule(m.agentgateway_ref("one"), matches=[m.prefix("/one")]),
                    m.rule("sealed", matches=[m.prefix("/sealed")]))]


def added(bench, nginx, seconds):
    """One call at a time; and with all on one CPU, where nobody waits for another one to wake."""
    out = {}
    ways = {name: (path, message, None) for name, (path, message) in CALLS.items()}
    ways |= {"nginx": ("/", "send", nginx), "stream": ("/one", "stream", None), "nginx_stream": ("/", "stream", nginx)}
    for where, cpu in (("", peers.PROXY_CPU), ("one_cpu_", peers.LOAD_CPU)):
        bench.move(cpu)
        direct = {message: bench.run("/", 1, seconds, message, bench.upstream) for message in ("send", "stream")}
        for name, (path, message, port) in ways.items():
            if where and port:
                continue  # nginx stays where it is
            seen, base = bench.run(path, 1, seconds, message, port), direct["stream" if message == "stream" else "send"]
            out |= {f"{where}{name}_added_{k}": seen[k] - base[k] for k in ("p50_us", "p99_us")}
    bench.move(peers.PROXY_CPU)
    return out


def watched(work):
    """Memory of open streams; each kind in a gateway that has not had others."""
    out = {"streams": streams_possible(STREAMS)}
    for name, path in (("kib_per_stream", "/one"), ("kib_per_sealed_stream", "/sealed")):
        bench = Bench(work, objects, STREAMS)
        try:
            out[name] = bench.held("watch", path, out["streams"]) / 1024
        finally:
            bench.stop()
    return out


def measure(work, seconds):
    with beside_nginx(work, objects, STREAMS) as (bench, port):
        out = added(bench, port, seconds)
        for name, (path, message) in (CALLS | {"stream": ("/one", "stream")}).items():
            out |= named(name, bench.run(path, CONNECTIONS, seconds, message), "rps", "p50_us", "p99_us", "cpu_us")
    return out | watched(work)
