"""MCP servers behind the HTTP+SSE transport of 2024-11-05: real ones with the official client, and scripted ones."""

import json
import queue
import threading
import time
from types import SimpleNamespace

import pytest

import manifests as m
from client import Connection
from gateway import eventually
from mcp_upstream import McpClient, McpUpstream
from ports import free_port
from servers import Server, run_script
from upstream import Upstream


def mcp_objects(port, targets):
    return [
        m.gateway(port),
        m.mcp_backend("tools", targets),
        m.route("mcp", m.rule(m.agentgateway_ref("tools"), matches=[m.prefix("/mcp"), m.prefix("/sse")])),
    ]


# --- a real server, the official client ---


@pytest.fixture(scope="module")
def real(tmp_path_factory):
    room = tmp_path_factory.mktemp("servers")
    servers = {}
    try:
        for name in ("everything", "everything-sse", "memory"):
            servers[name] = Server(name, room)
        yield {name: server.port for name, server in servers.items()}
    finally:
        for server in servers.values():
            server.stop()


@pytest.fixture(scope="module")
def direct(real):
    return run_script("mcp.mjs", f"http://127.0.0.1:{real['everything']}/mcp")


@pytest.fixture(scope="module")
def alone(real, start_module_gateway):
    """Three workers: the client's connections land on any of them, the server's stream is on one."""
    port = free_port()
    start_module_gateway(mcp_objects(port, {"everything": m.sse(real["everything-sse"])}), workers=3)
    return run_script("mcp.mjs", f"http://127.0.0.1:{port}/mcp")


@pytest.fixture(scope="module")
def both(real, start_module_gateway):
    port = free_port()
    targets = {"everything": m.sse(real["everything-sse"]), "memory": real["memory"]}
    start_module_gateway(mcp_objects(port, targets), workers=3)
    return run_script("mcp.mjs", f"http://127.0.0.1:{port}/mcp", "everything_")


def test_over_sse_is_what_it_is_over_streamable_http(alone, direct):
    same = ["tools", "schema", "echo", "sum", "image", "bad_arguments", "parallel", "templates"]
    assert {key: alone[key] for key in same} == {key: direct[key] for key in same}
    assert alone["prompts"] == direct["prompts"] and alone["prompt"] == direct["prompt"]
    assert alone["progress"][:3] == [1, 2, 3]
    assert alone["session"] and alone["ping"] == {"ok": {}}


def test_sse_and_streamable_targets_side_by_side(both, direct):
    assert {f"everything_{tool}" for tool in direct["tools"]} <= set(both["tools"])
    assert "memory_read_graph" in both["tools"]
    assert both["echo"] == direct["echo"] and both["parallel"] == direct["parallel"]
    assert both["progress"][:3] == [1, 2, 3]


def test_the_end_of_a_session_is_the_end(alone):
    assert alone["ended"] == {"ok": None} or alone["ended"] == {}
    assert alone["after_end"]["code"] in (400, 404)


# --- the official client of HTTP+SSE ---


@pytest.fixture(scope="module")
def old_client(real, start_module_gateway):
    port = free_port()
    targets = {"everything": real["everything"], "memory": real["memory"]}
    start_module_gateway(mcp_objects(port, targets), workers=3)
    return run_script("mcp.mjs", f"http://127.0.0.1:{port}/sse", "everything_")


@pytest.fixture(scope="module")
def old_on_both_sides(real, start_module_gateway):
    port = free_port()
    start_module_gateway(mcp_objects(port, {"everything": m.sse(real["everything-sse"])}), workers=3)
    return run_script("mcp.mjs", f"http://127.0.0.1:{port}/sse")


def test_a_client_of_sse_sees_what_others_see(old_client, direct):
    assert {f"everything_{tool}" for tool in direct["tools"]} <= set(old_client["tools"])
    assert "memory_read_graph" in old_client["tools"]
    same = ["schema", "echo", "sum", "image", "bad_arguments", "parallel", "prompt"]
    assert {key: old_client[key] for key in same} == {key: direct[key] for key in same}
    assert old_client["progress"][:3] == [1, 2, 3]  # the SDK may drop one that comes in one read with the answer
    assert old_client["no_such_prompt"]["code"] == -32602


def test_sse_on_both_sides(old_on_both_sides, direct):
    same = ["tools", "schema", "echo", "sum", "image", "bad_arguments", "parallel", "prompts", "prompt"]
    assert {key: old_on_both_sides[key] for key in same} == {key: direct[key] for key in same}


# --- scripted servers ---


class SseUpstream(Upstream):
    """A server of 2024-11-05. |endpoint|: what its first event says, {n} is the stream. say() is heard on the n-th stream."""

    def __init__(self, endpoint="/messages?session={n}"):
        super().__init__("old")
        self.endpoint = endpoint
        self.streams = []
        self.posts = []
        self.open_streams = 0
        self.queues = []
        self.reply = self._reply
        self.status = 202
        self.on("/sse", self._stream)
        self.on("/messages", self._post)
        self.on("/deep/messages", self._post)

    def _stream(self, request, stream):
        n, messages = len(self.streams), queue.Queue()
        self.queues.append(messages)
        self.streams.append(request)
        stream.send("HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n")
        stream.send(f"event: endpoint\ndata: {self.endpoint.format(n=n)}\n\n")
        self.open_streams += 1
        try:
            while (message := messages.get()) is not None:
                stream.send(f"event: message\ndata: {json.dumps(message)}\n\n")
        finally:
            self.open_streams -= 1
        return False

    def say(self, message, n=-1):
        self.queues[n].put(message)

    def _reply(self, call, n):
        results = {
            "initialize": {
                "protocolVersion": "2024-11-05",
                "capabilities": {"tools": {}},
                "serverInfo": {"name": "old", "version": "1"},
            },
            "tools/call": {"content": [{"type": "text", "text": "done"}]},
        }
        if call.get("method") in results:
            self.say({"jsonrpc": "2.0", "id": call["id"], "result": results[call["method"]]}, n)

    def _post(self, request, stream):
        call = json.loads(request.body)
        self.posts.append((request, call))
        stream.respond(self.status, "Accepted" if self.status == 202 else "")
        if self.status == 202 and "id" in call:
            self.reply(call, int(request.path.rpartition("=")[2]) if "=" in request.path else -1)

    def close(self):
        for messages in self.queues:
            messages.put(None)
        super().close()


@pytest.fixture
def site(start_gateway):
    up = SseUpstream()
    port = free_port()
    gateway = start_gateway(mcp_objects(port, {"old": m.sse(up.port)}), workers=3)
    with Connection(port) as connection:
        client = McpClient(connection, version="2024-11-05")
        yield SimpleNamespace(up=up, port=port, gateway=gateway, client=client)
    up.close()


def test_requests_of_many_connections_reach_the_one_stream(site):
    site.client.initialize()
    for n in range(24):  # over three workers
        with Connection(site.port) as connection:
            other = McpClient(connection, version="2024-11-05")
            other.session = site.client.session
            other._id = 100 + n
            assert other.result("tools/call", {"name": "x"})["content"][0]["text"] == "done"
    assert len(site.up.streams) == 1


def test_what_the_target_is_sent(site):
    site.client.initialize()
    request, call = site.up.posts[0]
    assert request.path == "/messages?session=0" and call["method"] == "initialize"
    assert request.get("mcp-session-id") is None and request.get("content-type") == "application/json"
    assert site.up.streams[0].get("accept") == "text/event-stream"
    assert [call["method"] for _, call in site.up.posts] == ["initialize", "notifications/initialized"]


def test_two_sessions_are_two_streams(site):
    site.client.initialize()
    with Connection(site.port) as connection:
        McpClient(connection, version="2024-11-05").initialize()
    assert len(site.up.streams) == 2


@pytest.mark.parametrize(
    "endpoint, path",
    [
        ("messages?x", "/messages?x"),
        ("/deep/../messages", "/messages"),
        ("http://127.0.0.1:{port}/messages?q", "/messages?q"),
    ],
)
def test_endpoints_of_the_same_origin(site, endpoint, path):
    site.up.endpoint = endpoint.format(port=site.up.port)
    site.client.initialize()
    assert site.up.posts[0][0].path == path


@pytest.mark.parametrize("endpoint", ["http://127.0.0.1:1/messages", "//evil.test/messages", "https://127.0.0.1/x", "/a b", ""])
def test_endpoints_elsewhere_are_refused(site, endpoint):
    site.up.endpoint = endpoint
    answer = site.client.post(INITIALIZE)
    assert answer.status == 502 and site.up.posts == []


INITIALIZE = {
    "jsonrpc": "2.0",
    "id": 1,
    "method": "initialize",
    "params": {"protocolVersion": "2024-11-05", "capabilities": {}, "clientInfo": {"name": "t", "version": "1"}},
}


def test_a_refused_post_is_an_answer(site):
    site.client.initialize()
    site.up.status = 403
    answer = site.client.post({"jsonrpc": "2.0", "id": 5, "method": "tools/call", "params": {"name": "x"}})
    assert answer.status == 403


def test_a_refused_stream_is_an_answer(site):
    site.up.on("/sse", lambda request, stream: stream.respond(401, "", [], "Unauthorized"))
    assert site.client.post(INITIALIZE).status == 401


def test_a_stream_that_ends_ends_the_session(site):
    site.client.initialize()
    site.up.reply = lambda call, n: call["method"] == "tools/call" and site.up.say(None)
    call = {"jsonrpc": "2.0", "id": 5, "method": "tools/call", "params": {"name": "x"}}
    assert site.client.post(call).status == 502
    assert site.client.post(call | {"id": 6}).status == 404
    site.up.reply = site.up._reply
    site.client.session = None
    site.client.initialize()
    assert site.client.result("tools/call", {"name": "x"})


def test_delete_closes_the_stream(site):
    site.client.initialize()
    session = {"Mcp-Session-Id": site.client.session}
    assert site.client.connection.ask("DELETE", "/mcp", session).status == 202
    assert site.client.post({"jsonrpc": "2.0", "id": 5, "method": "tools/call", "params": {"name": "x"}}).status == 404
    notice = {"jsonrpc": "2.0", "method": "notifications/message", "params": {"text": "x" * 65536}}
    streams = site.up.open_streams
    eventually(lambda: site.up.say(notice) or site.up.open_streams == streams - 1)


def open_stream(site, session):
    connection = Connection(site.port)
    connection.request("GET", "/mcp", {"Accept": "text/event-stream", "Mcp-Session-Id": session})
    head = connection.head()
    assert head.status == 200 and head.get("content-type") == "text/event-stream"
    return connection


def next_message(connection):
    while True:
        size = int(connection.stream.readline(), 16)
        text = connection.stream.read(size + 2)[:-2].decode()
        for line in text.splitlines():
            if line.startswith("data: "):
                return json.loads(line[6:])


def test_what_nobody_asked_for_goes_to_the_get_stream(site):
    site.client.initialize()
    changed = {"jsonrpc": "2.0", "method": "notifications/tools/list_changed"}
    site.up.say(changed | {"params": {"n": 1}})  # before anybody listens: kept
    eventually(lambda: site.up.queues[0].empty())
    connection = open_stream(site, site.client.session)
    site.up.say(changed | {"params": {"n": 2}})
    assert [next_message(connection)["params"]["n"] for _ in range(2)] == [1, 2]
    second = open_stream(site, site.client.session)  # takes over
    site.up.say(changed | {"params": {"n": 3}})
    assert next_message(second)["params"]["n"] == 3
    connection.close()
    second.close()


def test_progress_and_questions_come_with_the_call(site):
    site.client.initialize()

    def reply(call, n):
        if call.get("method") == "tools/call":
            site.up.say({"jsonrpc": "2.0", "method": "notifications/progress", "params": {"progressToken": "t", "progress": 1}})
            site.up.say({"jsonrpc": "2.0", "id": 9, "method": "sampling/createMessage", "params": {}})
            site.up.say({"jsonrpc": "2.0", "id": call["id"], "result": {"content": []}})

    site.up.reply = reply
    messages = site.client.call("tools/call", {"name": "x", "_meta": {"progressToken": "t"}})
    assert [message.get("method") for message in messages] == ["notifications/progress", "sampling/createMessage", None]


def test_answers_find_their_requests_whatever_their_order(site):
    site.client.initialize()
    held = []

    def reply(call, n):
        held.append(call)
        if len(held) == 3:
            for one in reversed(held):
                site.up.say({"jsonrpc": "2.0", "id": one["id"], "result": {"content": [], "was": one["id"]}})

    site.up.reply = reply
    results = {}

    def ask_one(id):
        with Connection(site.port) as connection:
            client = McpClient(connection, version="2024-11-05")
            client.session = site.client.session
            results[id] = client.call("tools/call", {"name": "x"}, id=id)[-1]["result"]["was"]

    threads = [threading.Thread(target=ask_one, args=(id,)) for id in (1, "1", 2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert results == {1: 1, "1": "1", 2: 2}


def test_an_id_that_is_in_use_is_refused(site):
    site.client.initialize()
    site.up.reply = lambda call, n: None
    with Connection(site.port) as connection:
        other = McpClient(connection, version="2024-11-05")
        other.session = site.client.session
        call = {"jsonrpc": "2.0", "id": 7, "method": "tools/call", "params": {"name": "x"}}
        connection.request("POST", "/mcp", post_headers(other), json.dumps(call).encode())
        eventually(lambda: len(site.up.posts) == 3)
        assert site.client.post(call).status == 503
        site.up.say({"jsonrpc": "2.0", "id": 7, "result": {"content": []}})
        assert connection.response().json()["id"] == 7


def post_headers(client):
    return {
        "Content-Type": "application/json",
        "Accept": "application/json, text/event-stream",
        "Mcp-Session-Id": client.session,
        "MCP-Protocol-Version": client.version,
    }


def test_a_session_of_another_process_is_unknown(site, start_gateway):
    site.client.initialize()
    port = free_port()
    start_gateway(mcp_objects(port, {"old": m.sse(site.up.port)}))
    with Connection(port) as connection:
        other = McpClient(connection, version="2024-11-05")
        other.session = site.client.session
        assert other.post({"jsonrpc": "2.0", "id": 5, "method": "tools/call", "params": {"name": "x"}}).status == 404


def test_large_messages_come_whole(site):
    site.client.initialize()
    text = "x" * (3 << 20)
    site.up.reply = lambda call, n: site.up.say({"jsonrpc": "2.0", "id": call["id"], "result": {"content": [{"type": "text", "text": text}]}})
    assert site.client.result("tools/call", {"name": "x"})["content"][0]["text"] == text


def test_the_gateway_ends_with_sessions_open(start_gateway):
    up = SseUpstream()
    port = free_port()
    gateway = start_gateway(mcp_objects(port, {"old": m.sse(up.port)}), workers=2)
    for _ in range(4):
        with Connection(port) as connection:
            McpClient(connection, version="2024-11-05").initialize()
    gateway.stop()
    up.close()


# --- scripted clients ---


class OldClient:
    """A client of 2024-11-05: a stream, and posts over connections of their own."""

    def __init__(self, port):
        self.port = port
        self.connection = Connection(port)
        self.connection.request("GET", "/sse", {"Accept": "text/event-stream"})
        head = self.connection.head()
        assert head.status == 200 and head.get("content-type") == "text/event-stream"
        self.url = "/sse" + next_event(self.connection)[1]

    def post(self, message, url=None):
        with Connection(self.port) as connection:
            body = message if isinstance(message, bytes) else json.dumps(message).encode()
            return connection.ask("POST", url or self.url, {"Content-Type": "application/json"}, body)

    def next(self):
        kind, data = next_event(self.connection)
        assert kind == "message"
        return json.loads(data)

    def initialize(self):
        assert self.post(INITIALIZE).status == 202
        answer = self.next()
        assert self.post({"jsonrpc": "2.0", "method": "notifications/initialized"}).status == 202
        return answer["result"]


def next_event(connection):
    while True:
        size = int(connection.stream.readline(), 16)
        assert size
        fields = dict(line.split(": ", 1) for line in connection.stream.read(size + 2).decode().splitlines() if ": " in line)
        if "data" in fields:
            return fields.get("event", "message"), fields["data"]


@pytest.fixture
def old(start_gateway):
    up = McpUpstream("up", ["add"])
    port = free_port()
    gateway = start_gateway(mcp_objects(port, {"up": up.port}), workers=3)
    client = OldClient(port)
    yield SimpleNamespace(up=up, port=port, gateway=gateway, client=client)
    client.connection.close()
    up.close()


CALL = {"jsonrpc": "2.0", "id": 2, "method": "tools/call", "params": {"name": "add"}}


def test_answers_come_on_the_stream_whichever_worker_took_the_post(old):
    assert old.client.initialize()["protocolVersion"] == "2024-11-05"
    for n in range(24):
        answer = old.client.post(CALL | {"id": n})
        assert answer.status == 202 and answer.body == b""
        assert old.client.next() == {"jsonrpc": "2.0", "id": n, "result": {"content": [{"type": "text", "text": "up:add"}]}}
    assert old.up.count("initialize") == 1


def test_the_stream_ends_and_with_it_the_session_of_the_target(old):
    old.client.initialize()
    old.client.connection.close()
    eventually(lambda: old.up.ended == ["up-session"])
    eventually(lambda: old.client.post(CALL).status == 404)


@pytest.mark.parametrize("query", ["", "?sessionId=", "?other=1"])
def test_posts_without_a_session_are_refused(old, query):
    assert old.client.post(INITIALIZE, f"/sse{query}").status == 400  # what clients take as a hint to GET


def test_ids_that_are_not_ours_find_nothing(old):
    assert old.client.post(INITIALIZE, "/sse?sessionId=abc").status == 404
    forged = old.client.url[:-2] + ("AA" if not old.client.url.endswith("AA") else "BB")
    assert old.client.post(INITIALIZE, forged).status == 404


def test_bad_posts_are_told_at_once(old):
    assert old.client.post(b"{").status == 400
    with Connection(old.port) as connection:
        assert connection.ask("POST", old.client.url, {"Content-Type": "text/plain"}, b"{}").status == 415
        assert connection.ask("PUT", old.client.url, {}, b"").status == 405
        assert connection.ask("GET", "/sse", {"Accept": "application/json"}).status == 406


def test_errors_of_a_target_become_messages(old):
    old.client.initialize()
    old.up.on("/mcp", lambda request, stream: stream.respond(403, '{"why":"no"}', [("Content-Type", "application/json")]))
    assert old.client.post(CALL).status == 202
    answer = old.client.next()
    assert answer["id"] == 2 and answer["error"]["code"] == -32603 and "403" in answer["error"]["message"]


def test_a_session_that_the_target_forgot_ends_the_stream(old):
    old.client.initialize()
    eventually(lambda: any(request.method == "GET" for request in old.up.requests))
    eventually(lambda: old.up.count("notifications/initialized"))  # its own 404 would end the stream first
    # The stream that is opened again now and then is left unanswered: it must not end before the call does.
    old.up.on("/mcp", lambda request, stream: stream.respond(404) if request.method == "POST" else time.sleep(3))
    assert old.client.post(CALL).status == 202
    assert old.client.next()["error"]["code"] == -32603
    assert int(old.client.connection.stream.readline(), 16) == 0


def test_what_a_target_says_unasked_comes_on_the_stream(start_gateway):
    up = SseUpstream()
    port = free_port()
    start_gateway(mcp_objects(port, {"old": m.sse(up.port)}), workers=2)
    client = OldClient(port)
    client.initialize()
    up.say({"jsonrpc": "2.0", "method": "notifications/tools/list_changed"})
    assert client.next()["method"] == "notifications/tools/list_changed"
    up.say({"jsonrpc": "2.0", "id": 1, "method": "roots/list"})
    assert client.next()["method"] == "roots/list"
    assert client.post({"jsonrpc": "2.0", "id": 1, "result": {"roots": []}}).status == 202
    eventually(lambda: up.posts[-1][1] == {"jsonrpc": "2.0", "id": 1, "result": {"roots": []}})
    client.connection.close()
    up.close()


def test_the_gateway_ends_with_streams_open(start_gateway):
    up = McpUpstream("up", ["add"])
    port = free_port()
    gateway = start_gateway(mcp_objects(port, {"up": up.port}), workers=2)
    clients = [OldClient(port) for _ in range(4)]
    for client in clients:
        client.initialize()
    gateway.stop()
    for client in clients:
        client.connection.close()
    up.close()
