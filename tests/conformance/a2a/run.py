#!/usr/bin/env python3
"""A table of A2A calls by the specification (it is ours: the public a2a-tck is in no registry) at agents of the official Python
SDK. direct: the agent itself; through: the same agent behind the gateway; other: an agent that speaks 1.0 alone, behind the
gateway, for clients of 0.3. What the agent answers direct is what a client must get through the gateway."""

import json
import subprocess
import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parents[1] / "integration"))

import cases  # noqa: E402
import manifests as m  # noqa: E402
from calls import Grpc, HttpJson, JsonRpc, answers, gist  # noqa: E402
from client import ask  # noqa: E402
from gateway import Gateway, eventually  # noqa: E402
from ports import free_port, free_ports  # noqa: E402

STRIP = {"type": "URLRewrite", "urlRewrite": {"path": {"type": "ReplacePrefixMatch", "replacePrefixMatch": "/"}}}
CARD = "/.well-known/agent-card.json"
GRPC_SERVICES = ("lf.a2a.v1.A2AService", "a2a.v1.A2AService")
TABLE = {
    ("JSON-RPC", "1.0"): (JsonRpc, cases.json_rpc_1_0),
    ("JSON-RPC", "0.3"): (JsonRpc, cases.json_rpc_0_3),
    ("HTTP+JSON", "1.0"): (HttpJson, cases.http_json_1_0),
    ("HTTP+JSON", "0.3"): (HttpJson, cases.http_json_0_3),
    ("gRPC", "1.0"): (Grpc, cases.grpc_1_0),
    ("gRPC", "0.3"): (Grpc, cases.grpc_0_3),
}

# What is open: a difference that is not here fails the run, and so does one that is here and is none.
KNOWN = {
    ("JSON-RPC", "0.3", "other"): {"extended card": "the agent's, in the words of 1.0"},
    ("HTTP+JSON", "0.3", "other"): {"extended card": "not translated"},
}


class Agent:
    def __init__(self, stack, room, speaks):
        self.port, self.grpc_port = free_ports(2)
        self.log = room / f"agent-{speaks}.log"
        command = [sys.executable, HERE / "agent.py", str(self.port), str(self.grpc_port), speaks]
        with open(self.log, "wb") as log:
            process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT)
        stack.callback(process.wait)
        stack.callback(process.terminate)
        eventually(lambda: process.poll() is not None or ask(self.port, path=CARD).status)
        assert process.poll() is None, self.log.read_text()

    def asked(self):
        return self.log.read_text().count("asked ")


def gateway(stack, room, agents):
    """The port where /NAME leads to the agent of that name, and gRPC to the first one."""
    port = free_port()
    first = next(iter(agents.values()))
    services = [o for name, a in agents.items() for o in m.service(name, a.port, app_protocol="agentgateway.dev/a2a")]
    rules = [m.rule(name, matches=[m.prefix(f"/{name}")], filters=[STRIP]) for name in agents]
    objects = [
        *services,
        *m.service("grpc", first.grpc_port, app_protocol="agentgateway.dev/a2a"),
        m.gateway(port),
        m.route("agents", *rules, m.rule("grpc", matches=[m.prefix(f"/{name}") for name in GRPC_SERVICES])),
    ]
    (room / "gateway").mkdir()
    running = Gateway(room / "gateway", *objects).wait_ready()
    stack.callback(running.stop)
    return port


def places(binding, version, agents, port):
    """{place: (port, path, agent)}"""
    both, new = agents["both"], agents["new"]
    if binding == "gRPC":
        return {"direct": (both.grpc_port, "/", both), "through": (port, "/", both)}
    found = {"direct": (both.port, "/", both), "through": (port, "/both", both)}
    return found | ({"other": (port, "/new", new)} if version == "0.3" else {})


def interfaces_apart(content):
    """A card of 0.3 without the interfaces of 1.0 that the gateway adds: it names each binding in both versions."""
    added = isinstance(content, dict) and "additionalInterfaces" in content
    return {key: value for key, value in content.items() if key != "supportedInterfaces"} if added else content


def same(place, direct, got):
    """Of one agent all that is told counts; of another what both agree on, unless the first told nothing."""
    if place == "other":
        return direct[2] == [] or gist(direct) == gist(got)
    return [*direct[:2], interfaces_apart(direct[2])] == [*got[:2], interfaces_apart(got[2])]


def differences(place, direct, got):
    return [name for name in direct if not same(place, direct[name], got[name])]


def compared(binding, version, agents, port):
    """(the direct answers, {place: answers there})"""
    kind, table = TABLE[binding, version]
    found = {}
    for place, (at, path, agent) in places(binding, version, agents, port).items():
        bases = [f"http://127.0.0.1:{at}{path.rstrip('/')}", f"127.0.0.1:{agent.grpc_port}"]
        before = agent.asked()
        found[place] = answers(kind(version, at, path), table(), bases)
        assert binding == "gRPC" or agent.asked() > before, f"{place}: the agent was not asked"
    direct = found.pop("direct")
    return direct, found


def show(where, direct, found, wordy):
    """How many differences, or ends of them, nobody knew of."""
    failed = 0
    for place, got in found.items():
        wrong, known = differences(place, direct, got), KNOWN.get((*where, place), {})
        news = set(wrong) ^ set(known)
        failed += len(news)
        print(f"  {place:8} {len(direct) - len(wrong):3} of {len(direct)} as direct")
        for name in wrong:
            print(f"    {name}: {known.get(name, 'FAIL')}")
            if wordy:
                print(f"      direct: {json.dumps(direct[name])}\n      {place}: {json.dumps(got[name])}")
        for name in news - set(wrong):
            print(f"    {name}: passes now, and is still in the list of what does not")
    return failed


def main(*args):
    wordy, failed = "-v" in args, 0
    with ExitStack() as stack:
        room = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        agents = {speaks: Agent(stack, room, speaks) for speaks in ("both", "new")}
        port = gateway(stack, room, agents)
        for binding, version in TABLE:
            print(f"{binding} {version}")
            failed += show((binding, version), *compared(binding, version, agents, port), wordy)
    print(f"{failed} failed")
    return failed > 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
