"""A2A agents behind /agents/*: the card's addresses are the gateway's, calls and streams pass."""

import json
from types import SimpleNamespace

import pytest

import manifests as m
from client import Connection, ask
from gateway import eventually
from ports import free_port
from servers import Server, run_script

CARD = "/.well-known/agent-card.json"


def agent_objects(port, agent_port, app_protocol="agentgateway.dev/a2a"):
    strip = {"type": "URLRewrite", "urlRewrite": {"path": {"type": "ReplacePrefixMatch", "replacePrefixMatch": "/"}}}
    return [
        m.gateway(port),
        m.service("agent", agent_port, app_protocol=app_protocol),
        m.route("agents", m.rule("agent", matches=[m.prefix("/agents/hello")], filters=[strip])),
    ]


@pytest.fixture(scope="module")
def agent(tmp_path_factory):
    server = Server("hello", tmp_path_factory.mktemp("agent"))
    yield server
    server.stop()


@pytest.fixture(scope="module")
def site(agent, start_module_gateway):
    port = free_port()
    gateway = start_module_gateway(agent_objects(port, agent.port))
    return SimpleNamespace(port=port, base=f"http://127.0.0.1:{port}/agents/hello", gateway=gateway)


@pytest.fixture(scope="module", params=["JSONRPC", "HTTP+JSON"])
def seen(request, site):
    return run_script("a2a.mjs", site.base + "/", request.param)


def test_sdk_gets_answers(seen):
    assert seen["answer"] == "Hello! You said: I am Ada"


def test_sdk_follows_a_task_as_it_streams(seen):
    assert seen["events"] == [
        "task",
        *["status TASK_STATE_WORKING"] * 3,
        "artifactUpdate",
        "status TASK_STATE_COMPLETED",
    ]
    assert (seen["task"], seen["artifact"]) == ("TASK_STATE_COMPLETED", "1 2 3")
    assert "TaskNotFound" in seen["missing"]


def test_calls_are_counted_and_logged_whatever_the_binding(seen, site):
    eventually(lambda: site.gateway.metric("agentgateway_a2a_requests_total", method="SendStreamingMessage") >= 1)
    eventually(lambda: site.gateway.metric("agentgateway_a2a_task_states_total", state="completed") >= 1)
    eventually(lambda: site.gateway.metric("agentgateway_a2a_requests_total", method="GetTask") >= 1)

    def logged():
        lines = [line for line in site.gateway.access_log.read_text().splitlines() if "SendStreamingMessage" in line]
        return lines and all("a2a_task=" in line and "a2a_state=completed" in line for line in lines)

    eventually(logged)


def test_an_agents_errors_are_counted(site):
    body = {"jsonrpc": "2.0", "id": 1, "method": "tasks/get", "params": {"id": "never-was"}}
    ask(site.port, "POST", "/agents/hello", {"Content-Type": "application/json"}, json.dumps(body).encode())
    eventually(lambda: site.gateway.metric("agentgateway_a2a_errors_total", code="-32001") >= 1)
    eventually(lambda: "a2a_task=never-was" in site.gateway.access_log.read_text())
    eventually(lambda: "a2a_error=-32001" in site.gateway.access_log.read_text())


def test_sdk_never_leaves_the_gateway(seen, site):
    assert seen["asked"] and all(url.startswith(site.base) for url in seen["asked"])


def test_card_names_the_address_that_the_client_used(site):
    with Connection(site.port) as connection:
        card = connection.ask(path="/agents/hello" + CARD, host="agents.example:8443").json()
    urls = [interface["url"] for interface in card["supportedInterfaces"]] + [card["url"]]
    assert urls and all(url.startswith("http://agents.example:8443/agents/hello") for url in urls), urls
    assert {url.rstrip("/").removeprefix("http://agents.example:8443") for url in urls} == {
        "/agents/hello",
        "/agents/hello/rest",
    }


def test_old_clients_are_served(site):
    message = {"kind": "message", "messageId": "m1", "role": "user", "parts": [{"kind": "text", "text": "Ada"}]}
    body = {"jsonrpc": "2.0", "id": 1, "method": "message/send", "params": {"message": message}}
    answer = ask(site.port, "POST", "/agents/hello", {"Content-Type": "application/json"}, json.dumps(body).encode())
    assert answer.json()["result"]["parts"][0]["text"] == "Hello! You said: Ada"
    counted = {"method": "message/send"}
    eventually(lambda: site.gateway.metric("agentgateway_a2a_requests_total", **counted) >= 1)
    eventually(lambda: "a2a_method=message/send" in site.gateway.access_log.read_text())


def test_strange_methods_do_not_fill_the_metrics(site):
    for n in range(3):
        body = json.dumps({"jsonrpc": "2.0", "id": 1, "method": f"odd/{n}"}).encode()
        ask(site.port, "POST", "/agents/hello", {"Content-Type": "application/json"}, body)
    eventually(lambda: site.gateway.metric("agentgateway_a2a_requests_total", method="other") == 3)


@pytest.mark.parametrize("protocol", ["kgateway.dev/a2a", "agentgateway.dev/a2a"])
@pytest.mark.parametrize("path", [CARD, "/.well-known/agent.json"])
def test_cards_of_a_scripted_agent(start_gateway, start_upstream, protocol, path):
    upstream = start_upstream()
    card = {
        "protocolVersion": "0.3.0",
        "name": "old",
        "url": f"http://127.0.0.1:{upstream.port}/rpc?x=1",
        "preferredTransport": "JSONRPC",
        "additionalInterfaces": [
            {"url": f"http://127.0.0.1:{upstream.port}/rpc", "transport": "JSONRPC"},
            {"url": f"http://127.0.0.1:{upstream.port}/v1", "transport": "HTTP+JSON"},
        ],
        "documentationUrl": "https://docs.example/old",
        "version": 1.50,
    }
    headers = [("Content-Type", "application/json"), ("ETag", '"abc"')]
    upstream.on(path, lambda request, stream: stream.respond(200, json.dumps(card), headers))
    port = free_port()
    start_gateway(agent_objects(port, upstream.port, protocol))
    answer = ask(port, path="/agents/hello" + path, host="gw.example")
    found = answer.json()
    assert found["url"] == "http://gw.example/agents/hello/rpc?x=1"
    assert [i["url"] for i in found["additionalInterfaces"]] == [
        "http://gw.example/agents/hello/rpc",
        "http://gw.example/agents/hello/v1",
    ]
    assert found["documentationUrl"] == "https://docs.example/old" and found["name"] == "old"
    assert int(answer.get("content-length") or len(answer.body)) == len(answer.body)
    tag = answer.get("etag")
    assert tag and tag != '"abc"' and answer.get("cache-control") == "no-cache"
    again = ask(port, path="/agents/hello" + path, host="gw.example", headers={"If-None-Match": f'"abc", W/{tag}'})
    assert (again.status, again.body, again.get("etag")) == (304, b"", tag)
    other = ask(port, path="/agents/hello" + path, host="other.example", headers={"If-None-Match": tag})
    assert other.status == 200 and other.json()["url"].startswith("http://other.example/") and other.get("etag") != tag


def test_signed_card_does_not_keep_a_signature_that_no_longer_holds(start_gateway, start_upstream):
    upstream = start_upstream()
    card = {"name": "s", "url": f"http://127.0.0.1:{upstream.port}/", "signatures": [{"protected": "e30", "signature": "x"}]}
    upstream.on(CARD, lambda request, stream: stream.respond(200, json.dumps(card), [("Content-Type", "application/json")]))
    port = free_port()
    start_gateway(agent_objects(port, upstream.port))
    found = ask(port, path="/agents/hello" + CARD).json()
    assert "/agents/hello" in found["url"] and not found.get("signatures")


@pytest.mark.parametrize("body", [b"{", b"[]", b'"text"', b"", b"{}"])
def test_broken_card_is_no_reason_to_fall_over(start_gateway, start_upstream, body):
    upstream = start_upstream()
    upstream.on(CARD, lambda request, stream: stream.respond(200, body, [("Content-Type", "application/json")]))
    port = free_port()
    start_gateway(agent_objects(port, upstream.port))
    assert ask(port, path="/agents/hello" + CARD).status in (200, 502)
    assert ask(port, path="/agents/hello/other").status == 200


def test_agent_that_is_marked_later(start_gateway, start_upstream):
    """A plain Service passes its card as it is; marked as an agent, the card is rewritten."""
    upstream = start_upstream()
    url = f"http://127.0.0.1:{upstream.port}/"
    upstream.on(CARD, lambda request, stream: stream.respond(200, json.dumps({"url": url})))
    port = free_port()
    gateway = start_gateway(agent_objects(port, upstream.port, None))
    assert ask(port, path="/agents/hello" + CARD).json()["url"] == url
    gateway.apply(agent_objects(port, upstream.port))
    eventually(lambda: "/agents/hello" in ask(port, path="/agents/hello" + CARD).json()["url"])


def test_extended_cards(start_gateway, start_upstream):
    """On their own and as the result of a call, in the spellings of both versions."""
    upstream = start_upstream()
    here = f"http://127.0.0.1:{upstream.port}"
    card = {"name": "x", "supportedInterfaces": [{"url": f"{here}/rpc", "protocolBinding": "JSONRPC"}]}
    body = [("Content-Type", "application/json")]

    def call(request, stream):
        asked = json.loads(request.body)
        if asked["params"].get("none"):
            stream.respond(200, json.dumps({"jsonrpc": "2.0", "id": asked["id"], "error": {"code": -32007, "message": here}}), body)
        else:
            stream.respond(200, json.dumps({"jsonrpc": "2.0", "id": asked["id"], "result": card}), body)

    upstream.on("/rpc", call)
    for path in ("/extendedAgentCard", "/v1/card"):
        upstream.on(path, lambda request, stream: stream.respond(200, json.dumps(card), body))
    port = free_port()
    start_gateway(agent_objects(port, upstream.port))
    url = "http://gw.example/agents/hello/rpc"
    for path in ("/extendedAgentCard", "/v1/card"):
        answer = ask(port, path="/agents/hello" + path, host="gw.example")
        assert answer.json()["supportedInterfaces"][0]["url"] == url
        assert answer.get("cache-control") == "private, no-cache"
    for method in ("GetExtendedAgentCard", "agent/getAuthenticatedExtendedCard"):
        for params in ({}, {"none": True}):
            message = json.dumps({"jsonrpc": "2.0", "id": 7, "method": method, "params": params}).encode()
            headers = {"Content-Type": "application/json"}
            answer = ask(port, "POST", "/agents/hello/rpc", headers, message, host="gw.example").json()
            assert answer["id"] == 7
            assert params or answer["result"]["supportedInterfaces"][0]["url"] == url
            assert not params or answer["error"]["message"] == here


@pytest.mark.parametrize("trusted", ["private", "127.0.0.1", "10.0.0.0/8", "none"])
def test_only_proxies_of_ours_say_where_the_client_came_to(start_gateway, start_upstream, trusted):
    upstream = start_upstream()
    upstream.on(CARD, lambda request, stream: stream.respond(200, json.dumps({"url": f"http://127.0.0.1:{upstream.port}/"})))
    port = free_port()
    start_gateway(*agent_objects(port, upstream.port), args=("--trusted-proxies", trusted))
    headers = {"X-Forwarded-Proto": "https", "X-Forwarded-Host": "door.example, inner", "X-Forwarded-For": "192.0.2.7"}
    found = ask(port, path="/agents/hello" + CARD, headers=headers, host="gw.example").json()["url"]
    ask(port, path="/agents/hello/x", headers=headers, host="gw.example")
    seen = upstream.requests[-1].get
    if trusted in ("private", "127.0.0.1"):
        assert found == "https://door.example/agents/hello/"
        assert seen("x-forwarded-for") == "192.0.2.7, 127.0.0.1"
    else:
        assert found == "http://gw.example/agents/hello/"
        assert (seen("x-forwarded-for"), seen("x-forwarded-proto")) == ("127.0.0.1", "http")
        assert seen("x-forwarded-host") is None


def test_the_gateways_own_errors_are_the_bindings(start_gateway):
    port = free_port()
    gateway = start_gateway(agent_objects(port, free_port()))
    message = json.dumps({"jsonrpc": "2.0", "id": "a-7", "method": "SendMessage", "params": {}}).encode()
    answer = ask(port, "POST", "/agents/hello", {"Content-Type": "application/json"}, message)
    assert answer.status == 503 and answer.get("content-type") == "application/json"
    found = answer.json()
    assert (found["id"], found["error"]["code"], found["jsonrpc"]) == ("a-7", -32603, "2.0")
    assert found["error"]["message"] == "the backend refused the connection"
    answer = ask(port, path="/agents/hello/tasks/7")
    assert answer.status == 503
    assert (answer.json()["error"]["code"], answer.json()["error"]["status"]) == (503, "UNAVAILABLE")
    eventually(lambda: gateway.metric("agentgateway_a2a_requests_total", method="GetTask") == 1)
