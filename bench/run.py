#!/usr/bin/env python3
"""./dev bench: this gateway beside nginx, HAProxy and nghttpx in one run, in interleaved rounds; medians and ratios.

Two cores are assumed: the proxy has one, backend and load generator share the other. There the load generator is full
first, so CPU microseconds per request is the figure that tells; requests/s are for orientation."""
import argparse
import json
import resource
import statistics
import sys
import tempfile
from pathlib import Path

BENCH = Path(__file__).parent
sys.path[:0] = [str(BENCH), str(BENCH.parent / "tests/integration")]
import a2a_case
import cases
import filters_case
import mcp_case
import mcp_many_case
import peers
import reload_case
import xds_case

# HAProxy wants two descriptors for each connection it may have: 10,000 do not fit a common limit of 20,000.
CASE_PEERS = {"idle": ["agentgateway", "nginx", "nghttpx"], "grpc": ["agentgateway", "nginx"]}
BARS = [  # case, figure, against, at most this ratio; against nobody: at most this figure
    ("h1", "cpu_us_per_request", "nginx", 1.0),
    ("h1", "p99_us", "haproxy", 1.0),
    ("h2", "cpu_us_per_request", "nghttpx", 1.0),
    ("h2", "p99_us", "haproxy", 1.0),
    ("h1", "cpu_us_per_request", "envoy", 0.5),
    ("h2", "cpu_us_per_request", "envoy", 0.5),
    ("grpc", "cpu_us_per_request", "nginx", 0.67),
    # Handshakes and bytes that a core could do in a second; the load generator's own core is full before it is.
    ("tls-resume", "cpu_us_per_request", "nginx", 1.0),
    ("tls-large", "cpu_us_per_request", "nginx", 1.0),
    ("h1-512", "kib_per_pair", None, 40),
    ("mcp", "added_p50_us", None, 200),
    ("mcp", "one_cpu_call_added_p50_us", None, 100),
    ("mcp", "call_1_64_cpu_us", None, 40),  # 25,000 calls a second and core
    ("mcp", "kept_list_50_p50_us", None, 1000),
    ("mcp", "kib_per_stream", None, 12),
    ("mcp", "large_result_kib", None, 2048),
    ("mcp", "large_edited_result_kib", None, 2048),
    ("a2a", "one_cpu_send_added_p50_us", None, 100),
    ("a2a", "one_cpu_stream_added_p99_us", None, 1000),
    ("a2a", "stream_added_p99_us", None, 1000),
    ("a2a", "kib_per_stream", None, 12),
    ("a2a", "kib_per_sealed_stream", None, 12),
]


def mcp(work, options):
    """MCP direct and through the gateway: a real server, one call at a time; then many clients and up to 50 targets."""
    return mcp_case.measure(work, 200 * options.rounds) | mcp_many_case.measure(work, options.seconds)


def a2a(work, options):
    """A2A direct and through the gateway: calls and first events, tasks that are watched."""
    return a2a_case.measure(work, options.seconds)


def reload(work, _options):
    """A thousand reloads in a minute at full request rate."""
    return reload_case.measure(work)


def xds(work, options):
    """Fed over xDS: a change on every worker, churn, requests meanwhile."""
    return xds_case.measure(work, options)


def filters(work, options):
    """What each filter of a route costs."""
    return filters_case.measure(work, options)


SPECIAL = {"mcp": mcp, "a2a": a2a, "filters": filters, "reload": reload, "xds": xds}


def traffic(name, work, options):
    """Medians over the rounds of each figure, by peer."""
    names = options.peers or CASE_PEERS.get(name, list(peers.PEERS))
    rounds = 1 if name in cases.ONCE else options.rounds
    backend = peers.BACKENDS.get(name, peers.backend)(work)
    started, samples = [], {n: [] for n in names}
    try:
        for n in names:
            started.append(peers.Peer(n, work, backend.port))
        for r in range(rounds):
            for peer in started[r % len(started):] + started[:r % len(started)]:
                samples[peer.name].append(cases.TRAFFIC[name](peer, options.seconds))
    finally:
        for peer in started:
            peer.stop()
        backend.stop()
    return {n: {k: statistics.median(s[k] for s in v) for k in v[0]} for n, v in samples.items()}


def show(name, result):
    print(f"\n{name}: {cases.TRAFFIC[name].__doc__}")
    figures = [k for k in next(iter(result.values())) if k != "requests"]
    print("  " + "".ljust(14) + "".join(k.rjust(max(len(k) + 2, 12)) for k in figures))
    for peer, row in result.items():
        print("  " + peer.ljust(14) + "".join(f"{row[k]:.2f}".rjust(max(len(k) + 2, 12)) for k in figures))
    if "agentgateway" in result:
        ours = result["agentgateway"]
        key = "cpu_us_per_request" if "cpu_us_per_request" in ours else figures[0]
        ratios = [f"{ours[key] / row[key]:.2f} of {peer}" for peer, row in result.items()
                  if peer != "agentgateway" and row[key] > 0]
        print(f"  agentgateway {key}: " + ", ".join(ratios))


def check_bars(results):
    missed = 0
    for case, figure, against, most in BARS:
        rows = results.get(case, {})
        ours = rows.get("agentgateway", rows).get(figure)  # cases without peers have their figures at once
        if ours is not None and (not against or against in rows):
            shown = ours / rows[against][figure] if against else ours
            missed += shown > most
            beside = f" of {against}" if against else ""
            print(f"  {'ok  ' if shown <= most else 'MISS'} {case} {figure}: {shown:.2f}{beside}, bar {most}")
    return missed


def add_xds_options(group):
    def numbers(text):
        return [int(n) for n in text.split(",")]

    def parts(text):
        names = text.split(",")
        if unknown := set(names) - set(xds_case.PARTS):
            raise argparse.ArgumentTypeError(f"no part {', '.join(sorted(unknown))}; there are: {', '.join(xds_case.PARTS)}")
        return names

    group.add_argument("--sizes", type=numbers, default=xds_case.SIZES, help="host routes, comma-separated")
    group.add_argument("--parts", type=parts, default=xds_case.PARTS, help=f"of {','.join(xds_case.PARTS)}")
    group.add_argument("--changes", type=int, default=200, help="of one route, for each size")
    group.add_argument("--churn-seconds", type=int, default=60)
    group.add_argument("--flips", type=int, default=xds_case.FLIPS)
    group.add_argument("--hosts", type=int, default=xds_case.HOSTS, help="of the route probe")


def main():
    known = [*cases.TRAFFIC, *SPECIAL]
    p = argparse.ArgumentParser(prog="./dev bench", description=__doc__)
    p.add_argument("name", nargs="?", choices=known, help="one case; all without")
    p.add_argument("--json", metavar="FILE")
    p.add_argument("--rounds", type=int, default=5)
    p.add_argument("--seconds", type=int, default=4, help="of each measurement")
    p.add_argument("--peers", type=lambda s: s.split(","), help="only these, comma-separated")
    add_xds_options(p.add_argument_group("xds"))
    options = p.parse_args()
    results = {}
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    with tempfile.TemporaryDirectory(prefix="agw-bench-") as folder:
        Path(folder).chmod(0o755)  # nginx's worker reads there as another user
        for name in [options.name] if options.name else known:
            work = Path(folder) / name
            work.mkdir()
            if name in SPECIAL:
                results[name] = SPECIAL[name](work, options)
                print(f"\n{name}: {SPECIAL[name].__doc__}")
                for k, v in results[name].items():
                    print(f"  {k}: {v:.1f}")
            else:
                results[name] = traffic(name, work, options)
                show(name, results[name])
    print("\nbars:")
    check_bars(results)
    if options.json:
        Path(options.json).write_text(json.dumps(results, indent=2) + "\n")


if __name__ == "__main__":
    main()
