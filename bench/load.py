"""Load generators and what they print, as numbers."""
import re
import subprocess

from peers import LOAD_CPU, WS_PEER

UNITS = {"us": 1, "ms": 1e3, "s": 1e6, "m": 60e6}


def micros(text):
    number, unit = re.fullmatch(r"([\d.]+)(us|ms|s|m)", text).groups()
    return float(number) * UNITS[unit]


def run(args):
    done = subprocess.run(["taskset", "-c", str(LOAD_CPU), *args], capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(f"{args[0]}: {done.stdout}{done.stderr}")
    return done.stdout


def wrk(url, seconds, connections=64, headers=()):
    more = [x for h in headers for x in ("-H", h)]
    out = run(["wrk", "-t1", f"-c{connections}", f"-d{seconds}", "--latency", *more, url])
    errors = re.search(r"Socket errors: connect (\d+), read (\d+), write (\d+), timeout (\d+)", out)
    bad = sum(int(x) for x in errors.groups()) if errors else 0
    non2xx = re.search(r"Non-2xx or 3xx responses: (\d+)", out)
    return {
        "requests": int(re.search(r"(\d+) requests in", out).group(1)),
        "rps": float(re.search(r"Requests/sec:\s+([\d.]+)", out).group(1)),
        "p50_us": micros(re.search(r"^\s+50%\s+(\S+)", out, re.M).group(1)),
        "p99_us": micros(re.search(r"^\s+99%\s+(\S+)", out, re.M).group(1)),
        "errors": bad + (int(non2xx.group(1)) if non2xx else 0),
    }


def h2load(url, seconds, clients=16, streams=32, more=()):
    """h2load has no percentiles of its own: they come from its log of every request."""
    import tempfile
    with tempfile.NamedTemporaryFile(prefix="h2load") as log:
        out = run(["h2load", f"-c{clients}", f"-m{streams}", f"-D{seconds}", "-t1", f"--log-file={log.name}", *more, url])
        times = sorted(int(line.split(b"\t")[2]) for line in log.read().splitlines() if line)
    status = re.search(r"requests: (\d+) total, .* (\d+) succeeded, (\d+) failed, (\d+) errored", out)
    rps = re.search(r"finished in [\d.]+\w+, ([\d.]+) req/s", out)
    return {
        "requests": int(status.group(2)),
        "rps": float(rps.group(1)),
        "p50_us": times[len(times) // 2] if times else 0,
        "p99_us": times[len(times) * 99 // 100] if times else 0,
        "errors": int(status.group(3)),
    }


def websocket(port, seconds, connections=256):
    """bench/micro/ws_peer.c: a message under way on each connection, all the time."""
    out = run([str(WS_PEER), "load", str(port), str(connections), str(seconds)])
    figures = {name: float(value) for name, value in (line.split() for line in out.splitlines())}
    return {"requests": int(figures.pop("messages")), **figures}


S_TIMES = 4  # at once, for each has one connection at a time
# openssl writes "GET <path> HTTP/1.0": what would be left of its line becomes a header's.
S_TIME_PATH = "/ HTTP/1.1\r\nHost: bench.test\r\nConnection: close\r\nX-Rest:"


def s_time(port, seconds):
    """openssl s_time: connections one after the other, each shown as r if it resumed a session and * if not."""
    command = ["taskset", "-c", str(LOAD_CPU), "openssl", "s_time", "-reuse", "-tls1_3", "-www", S_TIME_PATH]
    command += ["-time", str(seconds), "-connect", f"127.0.0.1:{port}"]
    pipes = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True}
    started = [subprocess.Popen(command, **pipes) for _ in range(S_TIMES)]
    outs = [process.communicate()[0] for process in started]
    if any(process.returncode for process in started):
        raise RuntimeError(f"openssl s_time: {outs[0][-500:]}")
    shown = "".join(re.search(r"^starting\n([r*]*)", out, re.M).group(1) for out in outs)
    return {"requests": shown.count("r"), "rps": shown.count("r") / seconds, "errors": shown.count("*")}
