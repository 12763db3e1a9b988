"""MCP over many targets behind one /mcp: with the official client and real servers, and with scripted ones."""

import json
import queue
import threading
import time
from types import SimpleNamespace

import pytest

import manifests as m
from client import Connection, ask
from gateway import eventually
from mcp_upstream import McpClient, McpUpstream, events, messages_of
from ports import free_port
from servers import Server, run_script
from tokens import Issuer


def mcp_objects(port, targets):
    return [
        m.gateway(port),
        m.mcp_backend("tools", targets),
        m.route("mcp", m.rule(m.agentgateway_ref("tools"), matches=[m.prefix("/mcp")])),
    ]


# --- real servers, official client ---


@pytest.fixture(scope="module")
def real(tmp_path_factory):
    room = tmp_path_factory.mktemp("servers")
    servers = {}
    try:
        for name in ("everything", "memory"):
            servers[name] = Server(name, room)
        yield {name: server.port for name, server in servers.items()}
    finally:
        for server in servers.values():
            server.stop()


@pytest.fixture(scope="module")
def both(real, start_module_gateway):
    port = free_port()
    start_module_gateway(mcp_objects(port, real))
    return run_script("mcp.mjs", f"http://127.0.0.1:{port}/mcp", "everything_")


@pytest.fixture(scope="module")
def alone(real, start_module_gateway):
    port = free_port()
    start_module_gateway(mcp_objects(port, {"everything": real["everything"]}))
    return run_script("mcp.mjs", f"http://127.0.0.1:{port}/mcp")


@pytest.fixture(scope="module")
def direct(real):
    return run_script("mcp.mjs", f"http://127.0.0.1:{real['everything']}/mcp")


def test_sdk_sees_the_tools_of_all_servers(both, direct):
    mine = [name.removeprefix("everything_") for name in both["tools"] if name.startswith("everything_")]
    others = [name for name in both["tools"] if not name.startswith("everything_")]
    assert sorted(mine) == sorted(direct["tools"])
    assert "memory_read_graph" in others and all(name.startswith("memory_") for name in others)
    assert both["schema"] == direct["schema"]


def test_sdk_sees_a_session_and_merged_capabilities(both):
    assert both["session"]
    assert {"tools", "resources", "prompts"} <= both["capabilities"].keys()
    assert both["ping"] == {"ok": {}}


@pytest.mark.parametrize("fact", ["echo", "sum", "image", "bad_arguments", "parallel"])
def test_sdk_calls_give_what_the_server_gives(both, direct, fact):
    assert both[fact] == direct[fact]


def test_sdk_gets_progress_while_a_call_runs(both):
    assert both["progress"] == [1, 2, 3, 4]
    assert "completed" in both["long"]["ok"]["content"][0]["text"]


def test_sdk_is_told_of_an_unknown_tool(both):
    answer = both["no_such_tool"]
    assert answer.get("code") == -32602 or answer["ok"]["isError"]


def test_sdk_reads_resources_under_their_merged_names(both, direct):
    assert both["resources"] and all(uri.startswith(("everything+", "memory+")) for uri in both["resources"])
    assert {f"everything+{uri}" for uri in direct["resources"]} <= set(both["resources"])
    assert both["read"]["uri"] == both["resources"][0] and both["read"]["length"] == direct["read"]["length"]
    assert {f"everything+{uri}" for uri in direct["templates"]} <= set(both["templates"])
    assert both["no_such_resource"]["code"] in (-32602, -32002)


def test_sdk_gets_prompts(both, direct):
    assert {f"everything_{name}" for name in direct["prompts"]} <= set(both["prompts"])
    assert both["prompt"] == direct["prompt"]
    assert both["no_such_prompt"]["code"] == -32602


def test_sdk_ends_the_session(both):
    assert both["ended"] == {}
    assert both["after_end"]["code"] in (400, 404)


def test_one_target_looks_like_the_server_itself(alone, direct):
    same = ["tools", "schema", "echo", "sum", "image", "bad_arguments", "resources", "templates", "read", "prompts", "prompt"]
    assert {key: alone[key] for key in same} == {key: direct[key] for key in same}


def test_sdk_finds_its_way_to_a_protected_server_and_sees_what_it_may(real, start_gateway, tmp_path):
    port, issuer = free_port(), Issuer(tmp_path)
    url = f"http://127.0.0.1:{port}/mcp"
    backend = m.mcp_backend("tools", {"everything": real["everything"]})
    jwks = {"inline": issuer.jwks()}
    rules = {"policy": {"matchExpressions": ["mcp.tool.name == 'echo' && jwt.sub == 'ada'"]}}
    authentication = {"issuer": issuer.name, "audiences": [url], "jwks": jwks}
    backend["spec"]["policies"] = {"mcp": {"authentication": authentication, "authorization": rules}}
    matches = [m.prefix("/mcp"), m.prefix("/.well-known/oauth-protected-resource/mcp")]
    start_gateway([m.gateway(port), backend, m.route("mcp", m.rule(m.agentgateway_ref("tools"), matches=matches))])
    seen = run_script("secure.mjs", url, issuer.token(aud=url, sub="ada"))
    assert seen["status"] == 401 and seen["metadata"] == seen["found"] and seen["resource"] == url
    assert seen["metadata"]["authorization_servers"] == [issuer.name]
    assert "401" in seen["stranger"]["message"] or "token is required" in seen["stranger"]["message"], seen["stranger"]
    assert seen["tools"] == ["echo"] and "hello" in seen["echo"]["ok"]["content"][0]["text"]
    assert seen["hidden"]["code"] == -32602 and "Unknown tool: get-sum" in seen["hidden"]["message"]


# --- scripted servers ---


@pytest.fixture
def serve(start_gateway):
    """serve(one=McpUpstream, ...): a gateway with these targets; every upstream is closed at the end."""
    opened = []

    def start(**targets):
        port = free_port()
        opened.extend(targets.values())
        gateway = start_gateway(mcp_objects(port, {name: up.port for name, up in targets.items()}))
        return SimpleNamespace(port=port, gateway=gateway)

    yield start
    for upstream in opened:
        upstream.close()


@pytest.fixture
def pair(serve):
    one = McpUpstream("one", ["add", "with_underscore"])
    two = McpUpstream("two", ["add"], sse=True)
    site = serve(one=one, two=two)
    with Connection(site.port) as connection:
        yield SimpleNamespace(one=one, two=two, port=site.port, gateway=site.gateway, client=McpClient(connection))


@pytest.mark.parametrize("version", ["2024-11-05", "2025-03-26", "2025-06-18", "2025-11-25"])
def test_initialize_reaches_every_target(pair, version):
    pair.client.version = version
    result = pair.client.initialize()
    assert result["protocolVersion"] == version
    assert pair.client.session
    assert pair.one.count("initialize") == pair.two.count("initialize") == 1
    eventually(lambda: pair.one.count("notifications/initialized") == 1)
    eventually(lambda: pair.two.count("notifications/initialized") == 1)


def test_session_id_does_not_show_the_upstreams(pair):
    pair.client.initialize()
    assert "one-session" not in pair.client.session and "127.0.0.1" not in pair.client.session
    assert all(0x21 <= ord(letter) <= 0x7E for letter in pair.client.session)


def test_calls_go_to_the_named_target_alone_and_reuse_its_session(pair):
    pair.client.initialize()
    connections = pair.one.connections, pair.two.connections
    for _ in range(20):
        assert pair.client.result("tools/call", {"name": "one_add"})["content"][0]["text"] == "one:add"
        assert pair.client.result("tools/call", {"name": "two_add"})["content"][0]["text"] == "two:add"
    assert pair.client.result("tools/call", {"name": "one_with_underscore"})["content"][0]["text"] == "one:with_underscore"
    assert pair.one.count("tools/call") == 21 and pair.two.count("tools/call") == 20
    assert pair.one.count("initialize") == pair.two.count("initialize") == 1
    assert pair.one.connections - connections[0] <= 1 and pair.two.connections - connections[1] <= 1
    calls = [r for r in pair.one.requests if b"tools/call" in r.body]
    assert {r.get("mcp-session-id") for r in calls} == {"one-session"}


def test_numbers_key_order_and_unknown_fields_pass_untouched(pair):
    pair.client.initialize()
    arguments = '{"z":1.0,"a":12345678901234567890.10,"e":1E400,"n":{"b":[],"a":-0},"u":"\\ud83d\\ude00\\/"}'
    body = '{"jsonrpc":"2.0","id":"x-1","extra":[1],"method":"tools/call","params":{"arguments":%s,"name":"one_add","_meta":{"k":1}}}'
    answer = pair.client.post((body % arguments).encode())
    assert messages_of(answer)[-1]["id"] == "x-1"
    sent = [r.body for r in pair.one.requests if b"tools/call" in r.body][-1].decode()
    assert arguments in sent
    assert '"extra":[1]' in sent and '"_meta":{"k":1}' in sent and '"name":"add"' in sent


@pytest.mark.parametrize("id", [0, 7, "a", "1", -5, 9007199254740993, ""])
def test_ids_come_back_as_they_were(pair, id):
    pair.client.initialize()
    assert pair.client.call("tools/call", {"name": "two_add"}, id=id)[-1]["id"] == id


def test_errors_of_a_target_are_passed_on(pair):
    pair.client.initialize()
    pair.one.methods["tools/call"] = lambda params: {"error": {"code": -32050, "message": "mine", "data": {"k": 1}}}
    response = pair.client.call("tools/call", {"name": "one_add"})[-1]
    assert response["error"] == {"code": -32050, "message": "mine", "data": {"k": 1}}


# --- batches, which 2025-03-26 has ---


def call_of(name, id):
    return {"jsonrpc": "2.0", "id": id, "method": "tools/call", "params": {"name": name}}


def test_each_message_of_a_batch_is_answered(pair):
    pair.client.version = "2025-03-26"
    pair.client.initialize()
    note = {"jsonrpc": "2.0", "method": "notifications/roots/list_changed"}
    ping = {"jsonrpc": "2.0", "id": 2, "method": "ping"}
    answer = pair.client.post([call_of("one_add", 1), ping, note, call_of("two_add", "x"), call_of("nope", 5)])
    assert answer.status == 200 and answer.get("content-type") == "text/event-stream"
    got = {message["id"]: message for message in messages_of(answer)}
    assert set(got) == {1, 2, "x", 5} and len(messages_of(answer)) == 4
    assert got[1]["result"]["content"][0]["text"] == "one:add" and got[2]["result"] == {}
    assert got["x"]["result"]["content"][0]["text"] == "two:add" and got[5]["error"]["code"] == -32602
    assert pair.one.count("tools/call") == pair.two.count("tools/call") == 1
    eventually(lambda: pair.one.count(note["method"]) == pair.two.count(note["method"]) == 1)
    silent = pair.client.post([note, note])
    assert silent.status == 202 and silent.body == b""


@pytest.mark.parametrize(
    "batch, why",
    [
        ([], "empty"),
        ([[call_of("one_add", 1)]], "must be an object"),
        ([call_of("one_add", 1), 7], "must be an object"),
        ([{"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": {}}], "initialize"),
        ([call_of("one_add", i) for i in range(65)], "too many"),
    ],
)
def test_what_is_no_batch_is_refused_whole(pair, batch, why):
    pair.client.version = "2025-03-26"
    pair.client.initialize()
    answer = pair.client.post(batch)
    assert answer.status == 400
    error = answer.json()["error"]
    assert error["code"] == -32600 and why in error["message"]
    assert pair.one.count("tools/call") == 0 and pair.one.count("initialize") == 1


@pytest.mark.parametrize("version", ["2024-11-05", "2025-06-18", "2026-07-28"])
def test_other_revisions_have_no_batches(pair, version):
    pair.client.version = "2025-06-18"
    pair.client.initialize()
    answer = pair.client.post([call_of("one_add", 1)], {"MCP-Protocol-Version": version})
    assert answer.status == 400 and "2025-03-26" in answer.json()["error"]["message"]


@pytest.mark.parametrize("sse", [False, True])
def test_a_targets_batch_is_taken_apart(pair, sse):
    note = {"jsonrpc": "2.0", "method": "notifications/message", "params": {"level": "info", "data": 1}}

    def answer(request, stream):
        message = json.loads(request.body)
        if message.get("method") != "tools/call":
            return pair.one._handle(request, stream)
        both = [note, {"jsonrpc": "2.0", "id": message["id"], "result": {"content": []}}]
        kind = "text/event-stream" if sse else "application/json"
        return stream.respond(200, events(both) if sse else json.dumps(both), [("Content-Type", kind)])

    pair.client.version = "2025-03-26"
    pair.client.initialize()
    pair.one.on("/mcp", answer)
    messages = pair.client.call("tools/call", {"name": "one_add"})
    assert messages[0] == note and messages[1]["result"] == {"content": []} and len(messages) == 2


def test_ping_and_lists(pair):
    pair.client.initialize()
    assert pair.client.result("ping") == {}
    names = [tool["name"] for tool in pair.client.result("tools/list")["tools"]]
    assert names == ["one_add", "one_with_underscore", "two_add"]


def test_pages_of_a_target_are_not_lost(pair):
    pages = {None: (["a", "b"], "next-1"), "next-1": (["c"], "next-2"), "next-2": (["d"], None)}

    def paged(params):
        names, cursor = pages[params.get("cursor")]
        page = {"tools": [{"name": name, "inputSchema": {"type": "object"}} for name in names]}
        return page | ({"nextCursor": cursor} if cursor else {})

    pair.one.methods["tools/list"] = paged
    pair.client.initialize()
    names, cursor = [], None
    for _ in range(10):
        page = pair.client.result("tools/list", {"cursor": cursor} if cursor else {})
        names += [tool["name"] for tool in page["tools"]]
        cursor = page.get("nextCursor")
        if not cursor:
            break
    assert sorted(names) == ["one_a", "one_b", "one_c", "one_d", "two_add"]


def test_notifications_within_a_call_come_as_they_are_sent(pair):
    gate = threading.Event()

    def call(request, stream):
        message = json.loads(request.body)
        if message.get("method") != "tools/call":
            return pair.two._handle(request, stream)
        stream.send("HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n")
        progress = {"jsonrpc": "2.0", "method": "notifications/progress", "params": {"progressToken": 1, "progress": 1}}
        answer = {"jsonrpc": "2.0", "id": message["id"], "result": {"content": []}}
        for part in (progress, answer):
            data = events(part)
            stream.send(f"{len(data):x}\r\n{data}\r\n")
            gate.wait(10)
        stream.send("0\r\n\r\n")

    pair.client.initialize()
    pair.two.on("/mcp", call)
    body = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"name": "two_add", "_meta": {"progressToken": 1}}}
    with Connection(pair.port) as connection:
        headers = {
            "Content-Type": "application/json",
            "Accept": "application/json, text/event-stream",
            "Mcp-Session-Id": pair.client.session,
        }
        connection.request("POST", "/mcp", headers, json.dumps(body).encode())
        head = connection.head()
        assert head.get("content-type").startswith("text/event-stream")
        text = b""
        while b"notifications/progress" not in text:
            text += connection.stream.readline()
        gate.set()
        while b'"result"' not in text:
            text += connection.stream.readline()


@pytest.mark.parametrize(
    "first", ["id: 1\ndata: \n\n", "id: 1\ndata\n\n", ": hello\n\n", "retry: 10\n\n", "event: other\ndata: x\n\n", "\ufeff"]
)
def test_events_that_carry_no_message_are_passed_over(serve, first):
    """Servers of 2025-11-25 begin a stream with an event whose data is empty, so that it can be resumed."""
    one = McpUpstream("one", ["add"])
    two = McpUpstream("two", ["add"], sse=True, first=first)
    site = serve(one=one, two=two)
    with Connection(site.port) as connection:
        mine = McpClient(connection, "2025-11-25")
        mine.initialize()
        assert [tool["name"] for tool in mine.result("tools/list")["tools"]] == ["one_add", "two_add"]
        assert mine.result("tools/call", {"name": "two_add"})["content"][0]["text"] == "two:add"


class Announcing(McpUpstream):
    """Has a GET stream, and promises to say there when its tools change."""

    def __init__(self, name, tools):
        super().__init__(name, tools, tools_list=lambda params: {"tools": [{"name": t, "inputSchema": {}} for t in tools]})
        self.says = queue.Queue()

    def _initialize(self, params):
        return {**super()._initialize(params), "capabilities": {"tools": {"listChanged": True}}}

    def _handle(self, request, stream):
        if request.method != "GET":
            return super()._handle(request, stream)
        stream.send("HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n")
        while message := self.says.get():
            data = events(message)
            stream.send(f"{len(data):x}\r\n{data}\r\n")
        stream.send("0\r\n\r\n")


def test_lists_of_a_session_that_listens_are_kept_on_every_worker(serve):
    tools = ["a"]
    one, two = Announcing("one", tools), Announcing("two", ["b"])
    site = serve(one=one, two=two)

    def listed(session):  # each on a connection of its own: they meet both workers
        with Connection(site.port) as connection:
            client = McpClient(connection)
            client.session = session
            return [tool["name"] for tool in client.result("tools/list")["tools"]]

    with Connection(site.port) as first, Connection(site.port) as stream:
        client = McpClient(first)
        client.initialize()
        stream.request("GET", "/mcp", {"Accept": "text/event-stream", "Mcp-Session-Id": client.session})
        assert stream.head().status == 200
        eventually(lambda: listed(client.session) and listed(client.session) and one.count("tools/list") > 0)
        for upstream in one, two:
            upstream.calls.clear()
        assert all(listed(client.session) == ["one_a", "two_b"] for _ in range(16))
        assert one.count("tools/list") <= 2 and two.count("tools/list") <= 2
        tools.append("c")
        one.says.put({"jsonrpc": "2.0", "method": "notifications/tools/list_changed"})
        while b"list_changed" not in stream.stream.readline():
            pass
        assert all(listed(client.session) == ["one_a", "one_c", "two_b"] for _ in range(8))
        one.says.put(None)
        one.calls.clear()
        eventually(lambda: listed(client.session) and one.count("tools/list") > 2)  # nobody would hear of a change
        two.says.put(None)


def test_session_ends_at_every_target(pair):
    pair.client.initialize()
    session = {"Mcp-Session-Id": pair.client.session}
    answer = pair.client.connection.ask("DELETE", "/mcp", session)
    assert answer.status in (200, 202, 204)
    eventually(lambda: pair.one.ended == ["one-session"] and pair.two.ended == ["two-session"])


def test_sessions_outlive_a_change_of_keys(start_gateway):
    upstream, (old, new) = McpUpstream("one", ["add"]), ("ab" * 32, "cd" * 32)
    ports = [free_port(), free_port()]
    for port, keys in zip(ports, (old, f"{new}, {old}")):
        start_gateway(mcp_objects(port, {"one": upstream.port}), env={"SESSION_KEY": keys}, workers=1)
    with Connection(ports[0]) as first, Connection(ports[1]) as second:
        client, other = McpClient(first), McpClient(second)
        client.initialize()
        other.session = client.session
        assert [tool["name"] for tool in other.result("tools/list")["tools"]] == ["add"]
        other.initialize()
        client.session = other.session  # the first does not know the new key
        assert client.post({"jsonrpc": "2.0", "id": 1, "method": "tools/list"}).status == 404
    upstream.close()


def test_session_works_on_every_connection_and_worker(pair):
    pair.client.initialize()
    for _ in range(20):
        with Connection(pair.port) as connection:
            other = McpClient(connection)
            other.session = pair.client.session
            assert other.result("tools/call", {"name": "one_add"})["content"][0]["text"] == "one:add"
    assert pair.one.count("initialize") == 1


JSON = {"Content-Type": "application/json", "Accept": "application/json, text/event-stream"}
PING = b'{"jsonrpc":"2.0","id":1,"method":"ping"}'


@pytest.mark.parametrize(
    "headers, body, status",
    [
        (JSON, PING, 400),  # no session
        (JSON | {"Mcp-Session-Id": "made-up"}, PING, 404),
        (JSON | {"Mcp-Session-Id": "A" * 400}, PING, 404),
        (JSON | {"Content-Type": "text/plain"}, PING, 415),
        (JSON | {"Accept": "text/html"}, PING, 406),
        (JSON, b"{", 400),
        (JSON, b"", 400),
        (JSON, b"[]", 400),
        (JSON, b'{"jsonrpc":"1.0","id":1,"method":"ping"}', 400),
        (JSON, b"[" * 100_000, 400),
        (JSON, b'{"jsonrpc":"2.0","id":1,"method":"\xff"}', 400),
        (JSON, b'{"jsonrpc":"2.0","id":1,"id":2,"method":"ping"}', 400),
    ],
)
def test_bad_requests_are_refused(pair, headers, body, status):
    answer = pair.client.connection.ask("POST", "/mcp", headers, body)
    assert answer.status == status, answer
    assert pair.client.initialize()["serverInfo"], "the connection and the gateway go on"


@pytest.mark.parametrize("method, status", [("PUT", 405), ("PATCH", 405), ("GET", 400), ("DELETE", 400)])
def test_other_methods(pair, method, status):
    answer = pair.client.connection.ask(method, "/mcp", {"Accept": "text/event-stream"})
    assert answer.status in (status, 405), answer


def test_unknown_names_are_told_apart_from_failures(pair):
    pair.client.initialize()
    for name in ("three_add", "add", "_add", "", "one_"):
        answer = pair.client.post({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"name": name}})
        response = messages_of(answer)[-1]
        assert answer.status in (200, 400) and ("error" in response or name == "one_"), (name, response)
    assert pair.one.count("tools/call") <= 1 and pair.two.count("tools/call") == 0


def test_target_that_is_down_fails_the_session_with_a_reason(serve):
    one = McpUpstream("one", ["add"])
    gone = McpUpstream("two", ["add"])
    site = serve(one=one, two=gone)
    gone.close()
    with Connection(site.port) as connection:
        params = {"protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": {"name": "t", "version": "1"}}
        answer = McpClient(connection).post({"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": params})
        assert answer.status >= 500 or "error" in messages_of(answer)[-1], answer


def test_call_of_a_target_that_dies_is_an_error_and_others_go_on(pair):
    pair.client.initialize()
    pair.one.on("/mcp", lambda request, stream: False)
    answer = pair.client.post({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"name": "one_add"}})
    assert answer.status >= 500 or "error" in messages_of(answer)[-1], answer
    assert pair.client.result("tools/call", {"name": "two_add"})["content"][0]["text"] == "two:add"


def test_large_call_and_answer(pair):
    text = "x" * 3_000_000
    pair.one.methods["tools/call"] = lambda params: {"content": [{"type": "text", "text": params["arguments"]["t"]}]}
    pair.client.initialize()
    result = pair.client.result("tools/call", {"name": "one_add", "arguments": {"t": text}})
    assert result["content"][0]["text"] == text


def test_answers_too_large_to_be_held_pass_with_the_clients_uris(pair):
    text, link = "x" * (17 << 20), {"type": "resource_link", "uri": "memo:1", "name": "m"}
    pair.one.methods["tools/call"] = lambda params: {"content": [{"type": "text", "text": text}, link]}
    pair.client.initialize()
    content = pair.client.result("tools/call", {"name": "one_add"})["content"]
    assert content[0]["text"] == text and content[1]["uri"] == "one+memo:1"


def test_many_clients_at_once(pair):
    failures = []

    def work():
        try:
            with Connection(pair.port) as connection:
                mine = McpClient(connection)
                mine.initialize()
                for _ in range(20):
                    assert mine.result("tools/call", {"name": "two_add"})["content"][0]["text"] == "two:add"
        except Exception as error:
            failures.append(error)

    threads = [threading.Thread(target=work) for _ in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert not failures


def test_service_with_the_mcp_protocol_is_a_target(start_gateway):
    upstream = McpUpstream("one", ["add"])
    for protocol in ("agentgateway.dev/mcp", "kgateway.dev/mcp"):
        port = free_port()
        start_gateway(
            m.gateway(port),
            m.service("svc", upstream.port, app_protocol=protocol),
            m.route("mcp", m.rule("svc", matches=[m.prefix("/mcp")])),
        )
        with Connection(port) as connection:
            mine = McpClient(connection)
            mine.initialize()
            assert [tool["name"] for tool in mine.result("tools/list")["tools"]] == ["add"]
    upstream.close()


def test_reload_keeps_sessions(pair):
    pair.client.initialize()
    more = McpUpstream("three", ["x"])
    targets = {"one": pair.one.port, "two": pair.two.port}
    pair.gateway.apply(mcp_objects(pair.port, targets), m.service("unrelated", more.port))
    time.sleep(0.5)
    assert pair.client.result("tools/call", {"name": "one_add"})["content"][0]["text"] == "one:add"
    more.close()
    assert ask(pair.port, path="/elsewhere").status == 404
