"""What the official Python client sees of our server through gateways is what it sees direct."""

import json
import subprocess
from pathlib import Path

HERE = Path(__file__).resolve().parent
PYTHON = HERE.parents[2] / "build/conformance/mcp/bin/python"
SECONDS = 60
MODES = {"legacy": "legacy", "modern": "auto"}


def walk(url, mode, *prefixes):
    """What python_client.py saw."""
    command = [PYTHON, "-W", "ignore", HERE / "python_client.py", url, mode, *prefixes]
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=SECONDS)
    return json.loads(done.stdout) if done.returncode == 0 else {"failed": done.stderr[-500:]}


def walks(era, server, one, two):
    """{way: what it saw}; the servers' ports: the fixture, and gateways with one and two targets."""
    mode = MODES[era]
    found = {
        "direct": walk(f"http://127.0.0.1:{server}/mcp", mode),
        "one": walk(f"http://127.0.0.1:{one}/mcp", mode),
        "two": walk(f"http://127.0.0.1:{two}/mcp", mode, "fixture_", "fixture+"),
    }
    if era == "legacy":
        found["sse"] = walk(f"http://127.0.0.1:{one}/sse", mode)
    return found


def differences(direct, got):
    return [f"{key}: {got.get(key)}, direct {value}" for key, value in direct.items() if got.get(key) != value] + [
        f"{key}: {got[key]}, direct nothing" for key in got if key not in direct
    ]


def compare(era, *ports):
    """(passed, failed), printed way by way."""
    found = walks(era, *ports)
    direct = found.pop("direct")
    if "failed" in direct:
        print(f"  python  direct  FAIL {direct['failed']}")
        return 0, 1
    failed = 0
    for way, got in found.items():
        wrong = differences(direct, got)
        failed += bool(wrong)
        print(f"  python  {way:6}  " + ("FAIL" if wrong else f"pass: {len(direct)} facts as direct"))
        for one in wrong:
            print(f"    {one[:300]}")
    return len(found) - failed, failed
