"""MCP 2026-07-28: the SDK's client and servers of that revision, with the gateway between them."""

import json
import socket
import subprocess
import time

import pytest

import manifests as m
import mcp_schema
from client import Connection, ask
from gateway import eventually
from mcp_upstream import McpClient, McpUpstream
from ports import free_port
from servers import NODE, SCRIPTS, run_script
from upstream import Upstream

VERSION = "2026-07-28"
META = {
    "io.modelcontextprotocol/protocolVersion": VERSION,
    "io.modelcontextprotocol/clientCapabilities": {},
}


def mcp_objects(port, targets, **fields):
    backend = m.mcp_backend("tools", targets)
    backend["spec"]["mcp"].update(fields)
    return [
        m.gateway(port),
        backend,
        m.route("mcp", m.rule(m.agentgateway_ref("tools"), matches=[m.prefix("/mcp")])),
    ]


@pytest.fixture(scope="module")
def servers(tmp_path_factory):
    room, running, ports = tmp_path_factory.mktemp("modern"), [], {}
    try:
        for name in ("a", "b"):
            ports[name] = free_port()
            with open(room / f"{name}.log", "wb") as log:
                command = [NODE, SCRIPTS / "modern_server.mjs", str(ports[name]), name]
                running.append(subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT))
            eventually(lambda: ask(ports[name], path="/").status)
        yield ports
    finally:
        for process in running:
            process.terminate()
            process.wait()


@pytest.fixture(scope="module")
def port(servers, start_module_gateway):
    port = free_port()
    start_module_gateway(*mcp_objects(port, servers))
    return port


@pytest.fixture(scope="module")
def seen(port):
    return run_script("modern.mjs", f"http://127.0.0.1:{port}/mcp")


def post(port, method, params=None, headers=(), version=VERSION, name=None):
    """The status and the JSON of the answer."""
    body = {"jsonrpc": "2.0", "id": 1, "method": method, "params": {**(params or {}), "_meta": META}}
    own = {"Content-Type": "application/json", "Accept": "application/json, text/event-stream"}
    own |= {"MCP-Protocol-Version": version, "Mcp-Method": method}
    if name:
        own["Mcp-Name"] = name
    answer = ask(port, "POST", "/mcp", own | dict(headers), json.dumps(body).encode())
    return answer.status, json.loads(answer.body)


# --- the official client and servers ---


def test_the_client_finds_the_revision_and_all_capabilities(seen):
    assert seen["version"] == VERSION
    assert seen["capabilities"] == {"tools": {"listChanged": True}, "resources": {"subscribe": True}}
    assert "[a]\nI am a." in seen["instructions"] and "[b]\nI am b." in seen["instructions"]


def test_lists_are_joined_and_the_strictest_hint_counts(seen):
    assert seen["tools"] == [f"{server}_{tool}" for server in "ab" for tool in ("echo", "region", "ask", "link", "touch")]
    assert seen["hints"]["cacheScope"] == "private"
    assert 2000 < seen["hints"]["ttlMs"] <= 5000  # it may be a kept one
    assert seen["resources"] == ["a+memo:1", "b+memo:1"]


def test_calls_reach_their_server(seen):
    assert seen["echo"]["ok"]["content"][0]["text"] == "b: Grüße"
    assert seen["region"]["ok"]["content"][0]["text"] == "b: Zürich"  # the server checks Mcp-Param-Region
    assert seen["unknown"]["code"] == -32602
    assert seen["read"]["ok"]["contents"] == [{"uri": "b+memo:1", "text": "memo of b"}]
    assert seen["link"]["ok"]["content"][0]["uri"] == "a+memo:1"


def test_a_server_asks_the_user_by_its_result(seen):
    assert seen["ask"]["ok"]["content"][0]["text"] == "a: me"


def test_one_subscription_over_both(seen):
    assert seen["honored"] == {"toolsListChanged": True, "resourceSubscriptions": ["b+memo:1"]}
    assert seen["told"] == ["tools", "tools", "b+memo:1"]
    assert seen["closed"] == "local"


# --- on the wire ---


@pytest.mark.parametrize(
    ("method", "changes", "status", "code"),
    [
        ("tools/list", {"version": "2025-11-25"}, 400, -32020),
        ("tools/list", {"headers": {"Mcp-Method": "tools/call"}}, 400, -32020),
        ("tools/call", {"params": {"name": "a_echo"}}, 400, -32020),
        ("tools/call", {"params": {"name": "a_echo"}, "name": "b_echo"}, 400, -32020),
        ("ping", {}, 404, -32601),
        ("no/such", {}, 404, -32601),
    ],
)
def test_what_does_not_fit_is_refused(port, method, changes, status, code):
    got, body = post(port, method, **changes)
    assert (got, body["error"]["code"], body["id"]) == (status, code, 1)


@mcp_schema.needed
@pytest.mark.parametrize(
    ("method", "name"),
    [
        ("server/discover", "DiscoverResult"),
        ("tools/list", "ListToolsResult"),
        ("resources/list", "ListResourcesResult"),
    ],
)
def test_what_the_gateway_joins_validates(port, method, name):
    status, body = post(port, method)
    assert status == 200
    mcp_schema.validate_result(VERSION, body, name)


@mcp_schema.needed
def test_what_the_gateway_refuses_with_validates(port):
    other = {"io.modelcontextprotocol/protocolVersion": "2099-01-01", "io.modelcontextprotocol/clientCapabilities": {}}
    request = {"jsonrpc": "2.0", "id": 1, "method": "tools/list", "params": {"_meta": other}}
    head = {"Content-Type": "application/json", "Accept": "application/json, text/event-stream"}
    answer = ask(port, "POST", "/mcp", head, json.dumps(request).encode())
    assert answer.status == 400
    mcp_schema.validate(VERSION, "UnsupportedProtocolVersionError", json.loads(answer.body))
    mcp_schema.validate(VERSION, "HeaderMismatchError", post(port, "tools/list", version="2025-11-25")[1])
    mcp_schema.validate(VERSION, "MethodNotFoundError", post(port, "no/such")[1]["error"])


def test_there_is_no_session_to_get_or_to_end(port):
    for method in ("GET", "DELETE"):
        assert ask(port, method, "/mcp", {"Accept": "text/event-stream", "MCP-Protocol-Version": VERSION}).status == 405


def test_a_dead_server_is_left_out_and_the_list_not_kept(servers, start_gateway):
    port = free_port()
    start_gateway(*mcp_objects(port, {"b": servers["b"], "dead": free_port()}, failureMode="FailOpen"))
    status, body = post(port, "tools/list")
    assert status == 200
    assert [tool["name"] for tool in body["result"]["tools"]][:1] == ["b_echo"]
    assert body["result"]["ttlMs"] == 0


# --- lists that are kept ---


def names(port, token="me"):
    status, body = post(port, "tools/list", headers={"Authorization": token})
    assert status == 200, body
    return [tool["name"] for tool in body["result"]["tools"]]


def test_lists_are_kept_as_their_servers_say(start_gateway):
    port, versions = free_port(), {"open": 1, "own": 1}

    def server(name, scope):
        def tools(_):
            return {"tools": [{"name": f"v{versions[name]}", "inputSchema": {}}], "ttlMs": 60000, "cacheScope": scope}

        return McpUpstream(name, tools_list=tools)

    with_all, own = server("open", "public"), server("own", "private")
    targets = {"open": with_all.port, "own": own.port}
    gateway = start_gateway(*mcp_objects(port, targets), workers=1)
    try:
        assert names(port) == ["open_v1", "own_v1"]
        versions.update(open=2, own=2)
        assert names(port) == ["open_v1", "own_v1"]
        assert names(port, "you") == ["open_v1", "own_v2"]
        assert (with_all.count("tools/list"), own.count("tools/list")) == (1, 2)
        assert gateway.metric("agentgateway_mcp_list_pages_total", result="kept") == 3
        gateway.apply(*mcp_objects(port, targets, prefixMode="Always"))
        assert eventually(lambda: names(port) == ["open_v2", "own_v2"])
    finally:
        with_all.close()
        own.close()


# --- targets that fail ---


@pytest.fixture(scope="module")
def bad():
    garbage = Upstream("garbage")
    garbage.on("/mcp", lambda request, stream: stream.respond(200, '{"nonsense', [("Content-Type", "application/json")]))
    with socket.create_server(("127.0.0.1", 0)) as slow:  # takes connections and says nothing
        yield {"dead": free_port(), "slow": slow.getsockname()[1], "garbage": garbage.port}
    garbage.close()


def test_lists_of_others_are_whole_whatever_a_target_does(bad, start_gateway):
    good, port = McpUpstream("good", ["x"]), free_port()
    env = {"MCP_TARGET_TIMEOUT": "100ms"}
    gateway = start_gateway(*mcp_objects(port, {"good": good.port, **bad}, failureMode="FailOpen"), env=env, workers=1)
    try:
        client = McpClient(Connection(port))
        assert "logging" in client.initialize()["capabilities"]
        *warnings, response = client.call("tools/list")
        assert [tool["name"] for tool in response["result"]["tools"]] == ["good_x"]
        assert {w["params"]["data"]["target"] for w in warnings} == set(bad)
        took = []
        for _ in range(6):
            begin = time.monotonic()
            assert names(port) == ["good_x"]
            took.append(time.monotonic() - begin)
        assert took[0] > 0.09 and min(took[4:]) < 0.08  # the slow one is not asked any more
        assert gateway.metric("agentgateway_mcp_targets_skipped_total", target="slow") >= 1
        assert client.result("tools/call", {"name": "good_x"})["content"][0]["text"] == "good:x"
        client.connection.close()
    finally:
        good.close()


@pytest.mark.parametrize(("fault", "status", "reason"), [("dead", 503, "refused"), ("slow", 504, "timed out"), ("garbage", 502, "protocol")])
def test_a_closed_backend_says_which_target_failed(bad, start_module_gateway, fault, status, reason):
    good, port = McpUpstream("good", ["x"]), free_port()
    start_module_gateway(*mcp_objects(port, {"good": good.port, fault: bad[fault]}), env={"MCP_TARGET_TIMEOUT": "100ms"})
    begin = time.monotonic()
    answered, body = post(port, "tools/list")
    assert time.monotonic() - begin < 5  # also what a target speaks is not waited for longer
    good.close()
    assert answered == status and f"target {fault}: " in body["error"]["message"] and reason in body["error"]["message"]
