"""An agent that speaks one version of A2A serves clients of the other, over JSON-RPC and HTTP+JSON: the gateway translates."""

import json
import re

import pytest

import manifests as m
from client import ask
from ports import free_port
from servers import Server, run_script

STRIP = {"type": "URLRewrite", "urlRewrite": {"path": {"type": "ReplacePrefixMatch", "replacePrefixMatch": "/"}}}
JSON = {"Content-Type": "application/json"}
CARD = "/.well-known/agent-card.json"
VERSIONS = {"old": "0.3", "new": "1.0"}


@pytest.fixture(scope="module")
def agents(tmp_path_factory):
    servers = {name: Server("hello", tmp_path_factory.mktemp(name), SPEAKS=speaks) for name, speaks in VERSIONS.items()}
    yield servers
    for server in servers.values():
        server.stop()


@pytest.fixture(scope="module")
def port(agents, start_module_gateway):
    """/old and /new lead to an agent each, /mixed to either."""
    port = free_port()
    services = [o for name, a in agents.items() for o in m.service(name, a.port, app_protocol="agentgateway.dev/a2a")]
    rules = [m.rule(name, matches=[m.prefix(f"/{name}")], filters=[STRIP]) for name in agents]
    rules.append(m.rule(*agents, matches=[m.prefix("/mixed")], filters=[STRIP]))
    start_module_gateway([m.gateway(port), *services, m.route("agents", *rules)])
    return port


def old_call(port, path, method, params):
    body = {"jsonrpc": "2.0", "id": "q", "method": method, "params": params}
    return ask(port, "POST", path, JSON, json.dumps(body).encode())


def old_message(text):
    return {"message": {"kind": "message", "messageId": "m", "role": "user", "parts": [{"kind": "text", "text": text}]}}


@pytest.mark.parametrize("binding", ["JSONRPC", "HTTP+JSON"])
@pytest.mark.parametrize("path", ["/old", "/new", "/mixed"])
def test_sdk_of_1_0(port, path, binding):
    seen = run_script("a2a.mjs", f"http://127.0.0.1:{port}{path}/", binding)
    assert seen["answer"] == "Hello! You said: I am Ada"
    assert seen["events"] == ["task", *["status TASK_STATE_WORKING"] * 3, "artifactUpdate", "status TASK_STATE_COMPLETED"]
    assert (seen["task"], seen["artifact"]) == ("TASK_STATE_COMPLETED", "1 2 3")
    assert "TaskNotFound" in seen["missing"]
    assert all(url.startswith(f"http://127.0.0.1:{port}{path}") for url in seen["asked"])


@pytest.mark.parametrize("path", ["/old", "/new", "/mixed"])
def test_clients_of_0_3(port, path):
    result = old_call(port, path, "message/send", old_message("Ada")).json()["result"]
    assert (result["kind"], result["role"]) == ("message", "agent")
    assert result["parts"][0] | {"kind": "text", "text": "Hello! You said: Ada"} == result["parts"][0]

    stream = old_call(port, path, "message/stream", old_message("count 2"))
    told = [json.loads(data) for data in re.findall(r"^data: ?(.*)$", stream.body.decode(), re.M)]
    events = [t["result"] for t in told]
    assert all(t["id"] == "q" for t in told)
    assert [e["kind"] for e in events] == ["task", "status-update", "status-update", "artifact-update", "status-update"]
    assert [e["status"]["state"] for e in events if "status" in e] == ["submitted", "working", "working", "completed"]
    assert [e["final"] for e in events if e["kind"] == "status-update"] == [False, False, True]

    task = old_call(port, path, "tasks/get", {"id": events[0]["id"]}).json()["result"]
    assert (task["kind"], task["status"]["state"]) == ("task", "completed")
    assert task["artifacts"][0]["parts"][0]["kind"] == "text"
    assert old_call(port, path, "tasks/get", {"id": "no-such-task"}).json()["error"]["code"] == -32001


@pytest.mark.parametrize("path", ["/old", "/new", "/mixed"])
def test_clients_of_0_3_over_http_json(port, path):
    def call(method, tail, body=None):
        text = json.dumps(body).encode() if body else None
        return ask(port, method, f"{path}/rest/v1/{tail}", JSON if body else {}, text)

    def message(text):
        return {"message": {"messageId": "m", "role": "ROLE_USER", "content": [{"text": text}]}}

    answer = call("POST", "message:send", message("Ada"))
    said = answer.json()["message"]
    assert answer.get("content-type").startswith("application/json")
    assert (said["role"], said["content"][0]["text"]) == ("ROLE_AGENT", "Hello! You said: Ada")

    stream = call("POST", "message:stream", message("count 2"))
    events = [json.loads(data) for data in re.findall(r"^data: ?(.*)$", stream.body.decode(), re.M)]
    assert [next(iter(e)) for e in events] == ["task", "statusUpdate", "statusUpdate", "artifactUpdate", "statusUpdate"]
    assert [bool(e["statusUpdate"].get("final")) for e in events if "statusUpdate" in e] == [False, False, True]

    task = call("GET", f"tasks/{events[0]['task']['id']}?historyLength=1").json()
    assert task["status"]["state"] == "TASK_STATE_COMPLETED" and task["history"][0]["content"][0]["text"]
    missing = call("GET", "tasks/no-such-task")
    assert missing.status == 404 and missing.json()["code"] == -32001


def test_without_the_gateway_they_do_not_meet(agents):
    sent = json.dumps({"message": {"messageId": "m", "role": "ROLE_USER", "content": [{"text": "Ada"}]}}).encode()
    assert ask(agents["new"].port, "POST", "/rest/v1/message:send", JSON, sent).status >= 400
    assert ask(agents["old"].port, "POST", "/rest/message:send", JSON | {"A2A-Version": "1.0"}, sent).status == 404
    assert "result" not in old_call(agents["new"].port, "/", "message/send", old_message("Ada")).json()
    body = {"jsonrpc": "2.0", "id": 1, "method": "GetTask", "params": {"id": "t"}}
    assert ask(agents["old"].port, "POST", "/", {**JSON, "A2A-Version": "1.0"}, json.dumps(body).encode()).status == 400


def test_what_0_3_has_not_is_refused(port):
    assert ask(port, "GET", "/old/rest/tasks", {"A2A-Version": "1.0"}).status == 400
    body = {"jsonrpc": "2.0", "id": 1, "method": "ListTasks", "params": {}}
    answer = ask(port, "POST", "/old", {**JSON, "A2A-Version": "1.0"}, json.dumps(body).encode())
    assert answer.status == 400 and answer.json()["error"]["code"] == -32004


@pytest.mark.parametrize("path", ["/old", "/new"])
def test_cards_name_both(port, path):
    card = ask(port, path=path + CARD).json()
    for binding in "JSONRPC", "HTTP+JSON":
        assert {i["protocolVersion"][:3] for i in card["supportedInterfaces"] if i["protocolBinding"] == binding} == {"0.3", "1.0"}
    assert card["url"].rstrip("/") == f"http://test{path}"
