#!/usr/bin/env python3
"""The public MCP suite against a server of our own: direct, and through gateways with one and with two targets. What passes
direct must pass through; what must pass by the revision must pass direct."""

import json
import re
import subprocess
import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parents[1] / "integration"))

import clients  # noqa: E402
import manifests as m  # noqa: E402
from client import ask  # noqa: E402
from gateway import Gateway, eventually  # noqa: E402
from ports import free_port  # noqa: E402

NODE = HERE / "node_modules/.bin/node"
SUITE = HERE / "node_modules/.bin/conformance"
REVISIONS = {"2025-11-25": "legacy", "2026-07-28": "modern"}
AT_LEAST = {"2025-11-25": 30, "2026-07-28": 37}  # scenarios that the revision requires: a run with fewer did not run all
SETUPS = ("direct", "one", "two", "bare")
LEGEND = "one: one target; two: two targets, prefixed names; bare: two targets, prefixMode Never"
SUITE_SECONDS = 600


def script(stack, room, name, *args):
    """Runs fixture/NAME on a free port until the stack ends; returns the port."""
    port = free_port()
    words = [str(port) if word == "PORT" else str(word) for word in args]
    with open(room / f"{name}-{port}.log", "wb") as log:
        process = subprocess.Popen(
            [NODE, HERE / "fixture" / name, *words], stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT
        )
    stack.callback(process.wait)
    stack.callback(process.terminate)
    eventually(lambda: process.poll() is not None or ask(port, path="/").status)
    assert process.poll() is None, (room / f"{name}-{port}.log").read_text()
    return port


def gateway(stack, room, name, targets, **fields):
    port = free_port()
    backend = m.mcp_backend("tools", targets)
    backend["spec"]["mcp"].update(fields)
    matches = [m.prefix("/mcp"), m.prefix("/sse")]
    objects = [m.gateway(port), backend, m.route("mcp", m.rule(m.agentgateway_ref("tools"), matches=matches))]
    (room / name).mkdir()
    running = Gateway(room / name, *objects).wait_ready()
    stack.callback(running.stop)
    return port


def start_one(stack, room, era):
    fixture = script(stack, room, "server.mjs", era, "PORT")
    return {"direct": fixture, "one": gateway(stack, room, "one", {"fixture": fixture})}


def start(stack, room, era):
    """What the Python client says, and {setup: port that the suite speaks to}"""
    ports = start_one(stack, room, era)
    fixture = ports["direct"]
    targets = {"fixture": fixture, "other": script(stack, room, "server.mjs", "other", "PORT")}
    two = gateway(stack, room, "two", targets)
    bare = gateway(stack, room, "bare", targets, prefixMode="Never")
    python = clients.compare(era, *ports.values(), two)
    return python, ports | {
        "two": script(stack, room, "names.mjs", "PORT", two, "fixture", "both"),
        "bare": script(stack, room, "names.mjs", "PORT", bare, "fixture", "uris"),
    }


def suite(room, revision, port):
    """{scenario: [checks]} of one run."""
    out = room / "results"
    command = [NODE, SUITE, "server", "--url", f"http://127.0.0.1:{port}/mcp", "--requirements", revision, "-o", out]
    subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, timeout=SUITE_SECONDS)
    found = {}
    for report in out.glob("*/checks.json"):
        scenario = re.sub(r"^server-(.*?)-\d{4}-\d\d-\d\dT[\d-]+Z$", r"\1", report.parent.name)
        found[scenario] = json.loads(report.read_text())
    return found


def statuses(checks):
    found = {}
    for check in checks:
        found.setdefault(check["id"], set()).add(check["status"])
    return found


def complaints(checks, direct=None):
    """What is wrong with a run of a scenario, by itself and beside the direct one."""
    wrong = [f"{check['id']}: {check.get('errorMessage', '')}" for check in checks if check["status"] == "FAILURE"]
    if wrong or direct is None:
        return wrong
    mine = statuses(checks)
    passed = [name for name, found in statuses(direct).items() if found == {"SUCCESS"}]
    return [f"{name}: {mine.get(name, 'missing')}" for name in passed if not mine.get(name, {"x"}) <= {"SUCCESS", "INFO"}]


def required(revision):
    """The scenarios that count, as the suite's own list has them."""
    text = (HERE / f"node_modules/@modelcontextprotocol/conformance/requirements/{revision}.yaml").read_text()
    section = text.split("\nserver:\n")[1].split("\nclient:\n")[0]
    return re.findall(r"^  - (\S+)$", section, re.MULTILINE)


class Table:
    """One revision's results, printed as they are judged."""

    def __init__(self, revision, results):
        self.results = results
        self.required = required(revision)
        self.passed, self.failed, self.apart, self.details = 0, 0, [], []
        self.width = max(map(len, results["direct"]), default=0)
        if len(self.required) < AT_LEAST[revision]:
            self.failed += 1
            self.details.append(f"the suite lists {len(self.required)} scenarios for {revision}, not {AT_LEAST[revision]}")

    def tell(self, scenario, setup, wrong):
        if wrong:
            more = f" (and {len(wrong) - 1} more)" if len(wrong) > 1 else ""
            self.details.append(f"{scenario}, {setup}: {wrong[0][:160]}{more}")
        self.failed += bool(wrong)

    @property
    def setups(self):
        return [setup for setup in SETUPS if setup in self.results]

    def cell(self, scenario, setup):
        run = self.results[setup].get(scenario)
        wrong = ["did not run"] if run is None else complaints(run, self.results["direct"].get(scenario))
        self.tell(scenario, setup, wrong)
        self.passed += not wrong
        return "FAIL" if wrong else "pass"

    def row(self, scenario):
        run = self.results["direct"].get(scenario)
        wrong = ["did not run"] if run is None else complaints(run)
        if scenario not in self.required and (wrong or all(check["status"] != "SUCCESS" for check in run)):
            self.apart.append(scenario)
            return
        self.tell(scenario, "direct", wrong)
        cells = ["FAIL" if wrong else "pass"] + [self.cell(scenario, setup) for setup in self.setups[1:]]
        print(f"  {scenario:{self.width}}  " + "  ".join(f"{cell:6}" for cell in cells).rstrip())

    def show(self):
        print(f"  {'':{self.width}}  " + "  ".join(f"{setup:6}" for setup in self.setups).rstrip())
        others = sorted(set(self.results["direct"]) - set(self.required))
        for scenario in [*self.required, *others]:
            self.row(scenario)
        for scenario in self.apart:
            print(f"  {scenario:{self.width}}  not required, and our server does not pass it direct")
        for detail in self.details:
            print(f"  {detail}")


def revision_results(revision, room, fast):
    with ExitStack() as stack:
        begin = (lambda *args: ((0, 0), start_one(*args))) if fast else start
        python, ports = begin(stack, room, REVISIONS[revision])
        results = {}
        for setup, port in ports.items():
            (room / f"run-{setup}").mkdir()
            results[setup] = suite(room / f"run-{setup}", revision, port)
        return python, results


def main(*words):
    """Revisions, all without; --fast: the suite direct and through one target, no more."""
    fast, revisions = "--fast" in words, [word for word in words if word != "--fast"]
    passed = failed = 0
    print(LEGEND)
    for revision in revisions or REVISIONS:
        print(f"\nMCP {revision}")
        with tempfile.TemporaryDirectory() as room:
            python, results = revision_results(revision, Path(room), fast)
        table = Table(revision, results)
        table.show()
        passed, failed = passed + table.passed + python[0], failed + table.failed + python[1]
    print(f"\n{passed} passed, {failed} failed")
    return failed > 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
