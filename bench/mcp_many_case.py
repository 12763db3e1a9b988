"""MCP by the thousand: calls and lists over 1, 5 and 50 targets, sessions, idle streams and a large result."""
import manifests as m
import peers
from rpc_bench import beside_nginx, named, streams_possible

TARGETS = {"/one": 1, "/five": 5, "/fifty": 50}
CONNECTIONS = [1, 64, 1000]
STREAMS = 20000
SESSIONS = 10000

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
    with beside_nginx(work, objects, STREAMS) as (bench, port):
        out = added(bench, port, seconds)
        out["large_result_kib"], out["large_result_us"] = bench.large("/one")
        out["large_edited_result_kib"], out["large_edited_result_us"] = bench.large("/five", "t1_big")
        out |= calls(bench, seconds)
        out["calls_per_core"] = 1e6 / out["call_1_64_cpu_us"]
        out["bytes_per_session"] = bench.held("join", "/one", SESSIONS)
        out["streams"] = streams_possible(STREAMS)
        out["kib_per_stream"] = bench.held("hold", "/one", out["streams"]) / 1024
    return out
