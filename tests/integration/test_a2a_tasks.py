"""Several agents, or replicas of one, on one route: what a client says of a task reaches the one that owns it.

The agents are the quickstart's, which keep their tasks in their own memory: whoever asks another one gets TaskNotFound."""

import json
import re
from types import SimpleNamespace

import pytest

import manifests as m
from client import ask
from gateway import eventually
from ports import free_port
from servers import Server, run_script

STRIP = {"type": "URLRewrite", "urlRewrite": {"path": {"type": "ReplacePrefixMatch", "replacePrefixMatch": "/"}}}
KEY = {"SESSION_KEY": "ab" * 32}
JSON = {"Content-Type": "application/json", "A2A-Version": "1.0"}
A2A = "agentgateway.dev/a2a"


def replicas(name, ports):
    """A service with an endpoint at each port."""
    service, first = m.service(name, ports[0], app_protocol=A2A)
    slices = [first]
    for i, port in enumerate(ports[1:], 2):
        more = json.loads(json.dumps(first))
        more["metadata"]["name"] = f"{name}-{i}"
        more["ports"][0]["port"] = port
        slices.append(more)
    return [service, *slices]


@pytest.fixture(scope="module")
def agents(tmp_path_factory):
    servers = [Server("hello", tmp_path_factory.mktemp("agent")) for _ in range(3)]
    yield servers
    for server in servers:
        server.stop()


def objects(port, agents):
    """/replicas: three of one agent. /several: three agents."""
    ports = [agent.port for agent in agents]
    refs = [f"agent-{i}" for i in range(len(ports))]
    return [
        m.gateway(port),
        *replicas("one", ports),
        *[o for name, p in zip(refs, ports) for o in m.service(name, p, app_protocol=A2A)],
        m.route(
            "agents",
            m.rule("one", matches=[m.prefix("/replicas")], filters=[STRIP]),
            m.rule(*refs, matches=[m.prefix("/several")], filters=[STRIP]),
        ),
    ]


@pytest.fixture(scope="module")
def site(agents, start_module_gateway):
    ports = [free_port(), free_port()]
    gateways = [start_module_gateway(*objects(port, agents), env=KEY, args=("--workers", "2")) for port in ports]
    return SimpleNamespace(ports=ports, gateways=gateways, agents=agents)


def call(port, path, method, params):
    message = {"jsonrpc": "2.0", "id": 1, "method": method, "params": params}
    return ask(port, "POST", path, JSON, json.dumps(message).encode())


def text(words, **more):
    return {"message": {"messageId": "m", "role": "ROLE_USER", "parts": [{"text": words}], **more}}


def events(answer):
    return [json.loads(data) for data in re.findall(r"^data: ?(.*)$", answer.body.decode(), re.M)]


def begun(port, path):
    """A task of some agent, ended: its id and its context's, as its stream told them."""
    answer = call(port, path, "SendStreamingMessage", text("count 2"))
    assert answer.status == 200 and answer.get("content-type").startswith("text/event-stream")
    told = [e["result"] for e in events(answer)]
    ids = {t["task"]["id"] if "task" in t else next(iter(t.values()))["taskId"] for t in told}
    assert len(ids) == 1, "one task has one id"
    return ids.pop(), told[0]["task"]["contextId"]


@pytest.mark.parametrize("path", ["/replicas", "/several"])
@pytest.mark.parametrize("transport", ["JSONRPC", "HTTP+JSON"])
def test_sdk_finds_its_task_again(site, path, transport):
    for _ in range(3):
        seen = run_script("a2a.mjs", f"http://127.0.0.1:{site.ports[0]}{path}/", transport)
        assert seen["task"] == "TASK_STATE_COMPLETED" and seen["artifact"] == "1 2 3"
        assert "TaskNotFound" in seen["missing"]


@pytest.mark.parametrize("path", ["/replicas", "/several"])
def test_every_gateway_and_worker_knows_the_owner(site, path):
    tasks = [begun(site.ports[0], path) for _ in range(6)]
    for port in site.ports:
        for _ in range(3):  # each on a connection of its own: either worker
            for task, context in tasks:
                found = call(port, path, "GetTask", {"id": task}).json()["result"]
                assert (found["id"], found["contextId"]) == (task, context)
                assert found["status"]["state"] == "TASK_STATE_COMPLETED"
                found = ask(port, path=f"{path}/rest/tasks/{task}", headers=JSON).json()
                assert found["id"] == task


@pytest.mark.parametrize("path", ["/replicas", "/several"])
def test_old_names_of_methods_find_it_too(site, path):
    for _ in range(4):
        message = {"kind": "message", "messageId": "m", "role": "user", "parts": [{"kind": "text", "text": "count 1"}]}
        headers = {"Content-Type": "application/json"}
        body = {"jsonrpc": "2.0", "id": 1, "method": "message/stream", "params": {"message": message}}
        answer = ask(site.ports[0], "POST", path, headers, json.dumps(body).encode())
        task = events(answer)[0]["result"]["id"]
        body = {"jsonrpc": "2.0", "id": 1, "method": "tasks/get", "params": {"id": task}}
        found = ask(site.ports[1], "POST", path, headers, json.dumps(body).encode()).json()
        assert found["result"]["id"] == task


def test_messages_of_one_context_go_to_one_agent(site):
    gateway, port = site.gateways[0], site.ports[0]
    used = set()
    for _ in range(4):
        _, context = begun(port, "/several")
        before = gateway.access_log.read_text().count("\n")
        for _ in range(4):
            answer = call(port, "/several", "SendMessage", text("hi", contextId=context)).json()
            assert answer["result"]["message"]["contextId"] == context
        eventually(lambda: gateway.access_log.read_text().count("\n") >= before + 4)
        lines = gateway.access_log.read_text().splitlines()[before : before + 4]
        backends = {re.search(r"backend=(\S+)", line).group(1) for line in lines}
        assert len(backends) == 1
        used |= backends
    assert used


def test_an_id_of_nobodys_is_not_found(site):
    for unknown in ("never-was", "agw.AAAA", "agw."):
        found = call(site.ports[0], "/several", "GetTask", {"id": unknown}).json()
        assert found["error"]["code"] == -32001


def backend_of_last_call(gateway, method):
    lines = [line for line in gateway.access_log.read_text().splitlines() if f"a2a_method={method}" in line]
    return re.search(r"backend=(\S+)", lines[-1]).group(1)


def test_a_task_of_an_agent_that_is_gone(start_gateway, agents):
    """The route does not lead there any more: the task is unknown, and no other agent is asked for it."""
    port = free_port()
    all_of_it = objects(port, agents)
    gateway = start_gateway(*all_of_it, env=KEY)
    owned = {}
    for n in range(1, 40):
        task, _ = begun(port, "/several")
        eventually(lambda n=n: gateway.metric("agentgateway_a2a_requests_total", method="SendStreamingMessage") == n)
        eventually(lambda: gateway.access_log.read_text().count("SendStreamingMessage") == n)
        owned[backend_of_last_call(gateway, "SendStreamingMessage")] = task
        if len(owned) == 3:
            break
    assert len(owned) == 3
    rule = all_of_it[-1]["spec"]["rules"][1]
    rule["backendRefs"] = rule["backendRefs"][:2]
    gateway.apply(*all_of_it)
    gone = owned.pop(next(backend for backend in owned if "agent-2" in backend))
    eventually(lambda: call(port, "/several", "GetTask", {"id": gone}).json().get("error", {}).get("code") == -32001)
    assert call(port, "/several", "GetTask", {"id": gone}).status == 404
    for task in owned.values():
        assert call(port, "/several", "GetTask", {"id": task}).json()["result"]["id"] == task


def test_a_task_survives_the_gateways_restart(start_gateway, agents):
    port = free_port()
    first = start_gateway(*objects(port, agents), env=KEY)
    task, _ = begun(port, "/replicas")
    first.stop()
    port = free_port()
    start_gateway(*objects(port, agents), env=KEY)
    for _ in range(6):
        assert call(port, "/replicas", "GetTask", {"id": task}).json()["result"]["id"] == task


def test_message_that_is_too_large_to_be_routed(site):
    answer = call(site.ports[0], "/several", "SendMessage", text("x" * (5 << 20)))
    assert answer.status == 413 and answer.json()["error"]["message"] == "the message is too large to be routed"
    assert call(site.ports[0], "/several", "SendMessage", text("hi")).status == 200
