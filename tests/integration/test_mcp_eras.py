"""MCP over the border of 2026-07-28: clients of each era and servers of the other, and both servers behind one /mcp."""

import json
import subprocess

import pytest

import manifests as m
import mcp_schema
from client import Connection, ask
from gateway import eventually
from mcp_upstream import McpClient, McpUpstream
from ports import free_port
from servers import NODE, SCRIPTS, Server, run_script

NEW, OLD = "2026-07-28", "2025-11-25"
META = {"io.modelcontextprotocol/protocolVersion": NEW, "io.modelcontextprotocol/clientCapabilities": {}}


def mcp_objects(port, targets):
    return [m.gateway(port), m.mcp_backend("tools", targets), m.route("mcp", m.rule(m.agentgateway_ref("tools")))]


@pytest.fixture(scope="module")
def servers(tmp_path_factory):
    room, running = tmp_path_factory.mktemp("eras"), []
    try:
        new = free_port()
        with open(room / "new.log", "wb") as log:
            command = [NODE, SCRIPTS / "modern_server.mjs", str(new), "new"]
            running.append(subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT))
        everything = Server("everything", room)
        running.append(everything.process)
        eventually(lambda: ask(new, path="/").status)
        yield {"old": everything.port, "new": new}
    finally:
        for process in running:
            process.terminate()
            process.wait()


@pytest.fixture(scope="module")
def ports(servers, start_module_gateway):
    ports = {}
    for kind, targets in {"old": ["old"], "new": ["new"], "both": ["old", "new"]}.items():
        ports[kind] = free_port()
        start_module_gateway(*mcp_objects(ports[kind], {name: servers[name] for name in targets}))
    return ports


@pytest.fixture(scope="module")
def walks(ports):
    return run_script("eras.mjs", *(f"{kind}=http://127.0.0.1:{port}/mcp" for kind, port in ports.items()))


def post(port, method, params=None, name=None, capabilities=None):
    meta = META | {"io.modelcontextprotocol/clientCapabilities": capabilities or {}}
    body = {"jsonrpc": "2.0", "id": 1, "method": method, "params": {**(params or {}), "_meta": meta}}
    head = {"Content-Type": "application/json", "Accept": "application/json, text/event-stream"}
    head |= {"MCP-Protocol-Version": NEW, "Mcp-Method": method} | ({"Mcp-Name": name} if name else {})
    answer = ask(port, "POST", "/mcp", head, json.dumps(body).encode())
    assert answer.status == 200, answer
    return json.loads(answer.body)


# --- the official clients and servers ---


@pytest.mark.parametrize("kind", ["old", "both"])
@pytest.mark.parametrize("client", ["modern", "old"])
def test_a_server_of_old_is_the_same_to_both_clients(walks, kind, client):
    seen = walks[kind][client]
    assert seen["sum"] == "The sum of 2 and 40 is 42."
    assert seen["long"].startswith("Long running operation completed") and seen["progress"] == [1, 2]
    assert seen["prompt"] == 1 and seen["read"] == [True]
    assert seen["parallel"] == [f"Echo: {n}" for n in range(10)]
    assert "from the model" in seen["sampled"] and "decline" in seen["elicited"]
    assert seen["unknown"]["code"] == -32602
    assert seen["tools"] == walks[kind]["old"]["tools"] and seen["resources"] == walks[kind]["old"]["resources"]
    assert "Everything Server" in seen["instructions"]


@pytest.mark.parametrize("kind", ["new", "both"])
@pytest.mark.parametrize("client", ["modern", "old"])
def test_a_server_of_new_is_the_same_to_both_clients(walks, kind, client):
    seen = walks[kind][client]
    assert seen["echo"] == "new: Grüße" and seen["memo"] == "memo of new"
    assert "I am new." in seen["instructions"]
    assert {"tools", "resources"} <= set(seen["capabilities"])
    if client == "modern":
        assert seen["ask"] == "new: me"
    else:
        assert seen["ask"] == "new: me"


def test_each_client_speaks_its_own_revision(walks):
    for seen in walks.values():
        assert (seen["modern"]["version"], seen["old"]["version"]) == (NEW, OLD)
        assert seen["old"]["ping"] == {"ok": {}}
    assert walks["new"]["old"]["server"] == {"name": "new", "version": "1.0.0"}


# --- on the wire ---


@mcp_schema.needed
@pytest.mark.parametrize("kind", ["old", "both"])
def test_what_crosses_to_a_client_of_new_validates(ports, kind):
    prefix = "old_" if kind == "both" else ""
    call = {"name": f"{prefix}echo", "arguments": {"message": "m"}}
    for method, params, name in [
        ("server/discover", None, "DiscoverResult"),
        ("tools/list", None, "ListToolsResult"),
        ("prompts/list", None, "ListPromptsResult"),
        ("resources/templates/list", None, "ListResourceTemplatesResult"),
        ("tools/call", call, "CallToolResult"),
    ]:
        mcp_schema.validate_result(NEW, post(ports[kind], method, params, params and params["name"]), name)
    ask_user = {"name": f"{prefix}trigger-elicitation-request"}
    asked = post(ports[kind], "tools/call", ask_user, ask_user["name"], {"elicitation": {}})
    mcp_schema.validate_result(NEW, asked, "InputRequiredResult")
    prompt = {"name": f"{prefix}no-such"}
    mcp_schema.validate_error(NEW, post(ports[kind], "prompts/get", prompt, prompt["name"]))


@mcp_schema.needed
@pytest.mark.parametrize("kind", ["new", "both"])
def test_what_crosses_to_a_client_of_old_validates(ports, kind):
    prefix = "new_" if kind == "both" else ""
    with Connection(ports[kind]) as connection:
        client = McpClient(connection, OLD)
        mcp_schema.validate(OLD, "InitializeResult", client.initialize())
        for method, params, name in [
            ("tools/list", None, "ListToolsResult"),
            ("resources/list", None, "ListResourcesResult"),
            ("tools/call", {"name": f"{prefix}echo", "arguments": {"words": "w"}}, "CallToolResult"),
        ]:
            mcp_schema.validate_result(OLD, client.call(method, params)[-1], name)
        mcp_schema.validate_error(OLD, client.call("no/such")[-1])


def test_a_session_is_opened_once_and_again_when_it_is_lost(start_gateway):
    old = McpUpstream("old", ["add"])
    try:
        port = free_port()
        start_gateway(*mcp_objects(port, {"old": old.port}), workers=1)
        for _ in range(3):
            assert post(port, "tools/call", {"name": "add"}, "add")["result"]["resultType"] == "complete"
        assert [old.count(method) for method in ("server/discover", "initialize", "tools/call")] == [1, 1, 3]
        old.forget()
        assert post(port, "tools/call", {"name": "add"}, "add")["result"]["content"][0]["text"] == "old:add"
        assert old.count("initialize") == 2
    finally:
        old.close()


def test_a_client_of_old_does_not_notice_a_lost_session(start_gateway):
    old = McpUpstream("old", ["add"])
    try:
        port = free_port()
        start_gateway(*mcp_objects(port, {"old": old.port}))
        with Connection(port) as connection:
            client = McpClient(connection)
            client.initialize()
            old.forget()
            for _ in range(2):
                assert client.result("tools/call", {"name": "add"})["content"][0]["text"] == "old:add"
            assert old.count("initialize") == 2 and old.count("tools/call") == 2
            assert old.params("initialize")[1]["clientInfo"] == {"name": "t", "version": "1"}
    finally:
        old.close()
