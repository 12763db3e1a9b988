"""What servers announce and log, and what clients cancel, over the border of 2026-07-28: the official clients of both eras,
and a server of each behind one /mcp."""

import json
import subprocess
from select import select

import pytest

import manifests as m
import mcp_schema
from client import Connection, ask
from gateway import eventually
from mcp_upstream import McpClient
from ports import free_port
from servers import NODE, SCRIPTS, run_script


@pytest.fixture(scope="module")
def port(tmp_path_factory, start_module_gateway):
    old, new, port = free_port(), free_port(), free_port()
    with open(tmp_path_factory.mktemp("live") / "servers.log", "wb") as log:
        command = [NODE, SCRIPTS / "live.mjs", "serve", str(old), str(new)]
        servers = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT)
    try:
        eventually(lambda: ask(old, path="/").status and ask(new, path="/").status)
        backend = m.mcp_backend("tools", {"old": old, "new": new})
        start_module_gateway(m.gateway(port), backend, m.route("mcp", m.rule(m.agentgateway_ref("tools"))))
        yield port
    finally:
        servers.terminate()
        servers.wait()


@pytest.fixture(scope="module")
def walks(port):
    return run_script("live.mjs", "walk", f"http://127.0.0.1:{port}/mcp")


CLIENTS, SERVERS = ("old", "sse", "modern"), ("old", "new")


@pytest.mark.parametrize("server", SERVERS)
@pytest.mark.parametrize("client", CLIENTS)
def test_changes_are_announced_once(walks, client, server):
    seen = walks[client][server]
    assert seen["updates"] == [f"{server}+memo:1"] and seen["tools"] == 1


@pytest.mark.parametrize("server", SERVERS)
@pytest.mark.parametrize("client", CLIENTS)
def test_log_messages_come_from_the_level_on(walks, client, server):
    assert walks[client][server]["logs"] == ["debug", "error"]


@pytest.mark.parametrize("server", SERVERS)
@pytest.mark.parametrize("client", CLIENTS)
def test_a_cancelled_call_is_cancelled_at_the_server(walks, client, server):
    assert walks[client][server]["stopped"] == 1


def test_what_is_announced_is_said(walks):
    assert walks["modern"]["honored"]["resourceSubscriptions"] == ["old+memo:1", "new+memo:1"]
    assert walks["modern"]["honored"]["toolsListChanged"]
    for client in CLIENTS:
        capabilities = walks[client]["capabilities"]
        assert capabilities["tools"]["listChanged"] and capabilities["resources"]["subscribe"]
        assert "logging" in capabilities


# --- on the wire ---

NEW, OLD = "2026-07-28", "2025-11-25"
META = {"io.modelcontextprotocol/protocolVersion": NEW, "io.modelcontextprotocol/clientCapabilities": {}}
BOTH = ["old+memo:1", "new+memo:1"]
KINDS = {
    "notifications/subscriptions/acknowledged": "SubscriptionsAcknowledgedNotification",
    "notifications/tools/list_changed": "ToolListChangedNotification",
    "notifications/resources/updated": "ResourceUpdatedNotification",
}


def next_messages(connection, version, count):
    """The next messages of an event stream, each of which must validate."""
    messages = []
    while len(messages) < count:
        line = connection.stream.readline()
        assert line, messages
        if line.startswith(b"data: {"):
            messages.append(json.loads(line[6:]))
            mcp_schema.validate(version, KINDS[messages[-1]["method"]], messages[-1])
    return messages


def names(messages):
    return sorted((message["method"].split("/", 1)[1], message.get("params", {}).get("uri", "")) for message in messages)


TOUCHED = sorted([("tools/list_changed", "")] * 2 + [("resources/updated", uri) for uri in BOTH])


@mcp_schema.needed
def test_what_is_announced_to_a_client_of_new_validates(port):
    filter = {"toolsListChanged": True, "resourceSubscriptions": [*BOTH, "nobody+memo:1"]}
    body = {"jsonrpc": "2.0", "id": "s", "method": "subscriptions/listen", "params": {"notifications": filter, "_meta": META}}
    head = {"Content-Type": "application/json", "Accept": "application/json, text/event-stream"}
    head |= {"MCP-Protocol-Version": NEW, "Mcp-Method": "subscriptions/listen"}
    with Connection(port) as stream, Connection(port) as calls:
        stream.request("POST", "/mcp", head, json.dumps(body).encode())
        assert stream.head().status == 200
        acknowledged = next_messages(stream, NEW, 1)[0]
        assert acknowledged["params"]["notifications"] == {"toolsListChanged": True, "resourceSubscriptions": BOTH}
        client = McpClient(calls, OLD)
        client.initialize()
        for server in SERVERS:
            client.result("tools/call", {"name": f"{server}_touch"})
        told = next_messages(stream, NEW, 4)
        assert names(told) == TOUCHED
        assert {m["params"]["_meta"]["io.modelcontextprotocol/subscriptionId"] for m in told} == {"s"}


@mcp_schema.needed
def test_what_is_announced_to_a_client_of_old_validates(port):
    with Connection(port) as stream, Connection(port) as calls:
        client = McpClient(calls, OLD)
        client.initialize()
        for uri in BOTH:
            assert client.result("resources/subscribe", {"uri": uri}) == {}
        head = {"Accept": "text/event-stream", "Mcp-Session-Id": client.session, "MCP-Protocol-Version": OLD}
        stream.request("GET", "/mcp", head)
        assert stream.head().status == 200
        # It is open once one target says so: the other one may still be asked.
        eventually(lambda: client.result("tools/call", {"name": "new_touch"}) and select([stream.socket], [], [], 0.2)[0])
        client.result("tools/call", {"name": "old_touch"})
        told = []
        while set(names(told)) != set(TOUCHED):
            told += next_messages(stream, OLD, 1)
            assert set(names(told)) <= set(TOUCHED)
