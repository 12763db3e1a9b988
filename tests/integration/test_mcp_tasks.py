"""Tasks of 2025-11-25 over several servers: an id leads to the one that made it, wherever it stands."""

import subprocess
from contextlib import closing

import pytest

import manifests as m
import mcp_schema
from client import Connection, ask
from gateway import eventually
from mcp_upstream import McpClient, McpUpstream, events
from ports import free_port
from servers import NODE, SCRIPTS, run_script

VERSION = "2025-11-25"
RELATED = "io.modelcontextprotocol/related-task"
TIMES = {"createdAt": "2026-01-01T00:00:00Z", "lastUpdatedAt": "2026-01-01T00:00:00Z", "ttl": None}


def task(id, status="working"):
    return {"taskId": id, "status": status, **TIMES}


def tasks_of(name, pages, capabilities, **more):
    def start(params):
        return {"protocolVersion": VERSION, "capabilities": capabilities, "serverInfo": {"name": name, "version": "1"}}

    def listed(params):
        page = int(params.get("cursor", 0))
        more_pages = {"nextCursor": str(page + 1)} if page + 1 < len(pages) else {}
        return {"tasks": [task(id) for id in pages[page]], **more_pages}

    own = {
        "initialize": start,
        "tools_call": lambda params: {"task": task("t1")},
        "tasks_get": lambda params: task(params["taskId"]),
        "tasks_cancel": lambda params: task(params["taskId"], "cancelled"),
        "tasks_result": lambda params: {"content": [], "_meta": {RELATED: {"taskId": params["taskId"]}}},
        "tasks_list": listed,
    }
    return McpUpstream(name, ["add"], **own, **more)


ALL = {"tools": {}, "tasks": {"list": {}, "cancel": {}, "requests": {"tools": {"call": {}}}}}
STATUS = {"jsonrpc": "2.0", "method": "notifications/tasks/status", "params": task("t1")}
QUESTION = {"jsonrpc": "2.0", "id": 5, "method": "elicitation/create", "params": {"message": "?", "_meta": {RELATED: {"taskId": "t1"}}}}


@pytest.fixture
def both(start_gateway):
    one = tasks_of("one", [["a"], ["b"]], ALL, sse=True, first=events(STATUS, QUESTION))
    two = tasks_of("two", [["a"]], {"tools": {}, "tasks": {"list": {}}})
    with closing(one), closing(two):
        port = free_port()
        targets = {"one": one.port, "two": two.port}
        start_gateway(m.gateway(port), m.mcp_backend("tools", targets), m.route("mcp", m.rule(m.agentgateway_ref("tools"))))
        with Connection(port) as connection:
            client = McpClient(connection, VERSION)
            yield client, client.initialize(), one, two


@mcp_schema.needed
def test_ids_of_tasks_lead_to_their_owner(both):
    client, initialized, one, two = both
    mcp_schema.validate(VERSION, "InitializeResult", initialized)
    assert initialized["capabilities"]["tasks"] == ALL["tasks"]
    status, question, created = client.call("tools/call", {"name": "one_add", "task": {"ttl": 5}})
    mcp_schema.validate(VERSION, "TaskStatusNotification", status)
    mcp_schema.validate_result(VERSION, created, "CreateTaskResult")
    assert status["params"]["taskId"] == "one+t1" and created["result"]["task"]["taskId"] == "one+t1"
    assert question["params"]["_meta"] == {RELATED: {"taskId": "one+t1"}}
    answer = {"jsonrpc": "2.0", "id": question["id"], "result": {"action": "cancel", "_meta": question["params"]["_meta"]}}
    assert client.post(answer).status == 202
    assert one.calls[-1] == answer | {"id": 5, "result": {"action": "cancel", "_meta": {RELATED: {"taskId": "t1"}}}}
    for target, name in ((one, "one"), (two, "two")):
        for method, result in (("get", "GetTaskResult"), ("cancel", "CancelTaskResult"), ("result", "GetTaskPayloadResult")):
            answer = client.call(f"tasks/{method}", {"taskId": f"{name}+x+y"})[-1]
            mcp_schema.validate_result(VERSION, answer, result)
            assert target.params(f"tasks/{method}")[-1] == {"taskId": "x+y"}
            told = answer["result"].get("taskId") or answer["result"]["_meta"][RELATED]["taskId"]
            assert told == f"{name}+x+y"
    assert one.count("tasks/get") == two.count("tasks/get") == 1


@mcp_schema.needed
def test_lists_of_tasks_are_joined_page_by_page(both):
    client, _, one, two = both
    first = client.call("tasks/list")[-1]
    mcp_schema.validate_result(VERSION, first, "ListTasksResult")
    second = client.result("tasks/list", {"cursor": first["result"]["nextCursor"]})
    assert [t["taskId"] for t in first["result"]["tasks"] + second["tasks"]] == ["one+a", "two+a", "one+b"]
    assert "nextCursor" not in second and two.count("tasks/list") == 1


def test_what_is_nobodys_task_reaches_nobody(both):
    client, _, one, two = both
    for id in ("t1", "three+t1", ""):
        error = client.call("tasks/get", {"taskId": id})[-1]["error"]
        assert error == {"code": -32602, "message": f"Unknown task: {id}"}
    assert client.call("tasks/get", {"taskId": 7})[-1]["error"]["message"] == "params.taskId must be one string"
    assert client.post(STATUS).status == 202  # of the client's own: no target may hear of another's
    assert one.count("tasks/get") == two.count("tasks/get") == 0
    assert one.count("notifications/tasks/status") == two.count("notifications/tasks/status") == 0


def test_the_official_client_and_servers_through_one_and_two_targets(start_gateway, tmp_path):
    one, two, alone, both = (free_port() for _ in range(4))
    with open(tmp_path / "servers.log", "wb") as log:
        command = [NODE, SCRIPTS / "tasks.mjs", "serve", "one", str(one), "two", str(two)]
        servers = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT)
    try:
        eventually(lambda: ask(one, path="/").status and ask(two, path="/").status)
        for port, targets in ((alone, {"one": one}), (both, {"one": one, "two": two})):
            start_gateway(m.gateway(port), m.mcp_backend("tools", targets), m.route("mcp", m.rule(m.agentgateway_ref("tools"))))
        walks = (f"http://127.0.0.1:{alone}/mcp=", f"http://127.0.0.1:{both}/mcp=one_,two_")
        bare, seen = run_script("tasks.mjs", "walk", *walks)
        assert bare["calls"][""]["text"] == "one: me" and bare["list"] == [bare["calls"][""]["id"]]
        assert seen["capabilities"] == ALL["tasks"]
        for name in ("one", "two"):
            call = seen["calls"][f"{name}_"]
            assert call["text"] == f"{name}: me" and call["status"] == "completed" and call["id"].startswith(f"{name}+")
        assert seen["list"] == [call["id"] for call in seen["calls"].values()]
    finally:
        servers.terminate()
        servers.wait()
