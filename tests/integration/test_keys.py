"""Keys of issuers that the gateway fetches: new ones, none, broken ones, slow ones."""

import json
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

import manifests as m
from client import Connection
from gateway import eventually, run
from mcp_upstream import McpClient, McpUpstream
from ports import free_port
from tokens import Issuer

JWKS = "/jwks?tenant=a"


class Provider:
    """An issuer's server: |handler| answers, with the keys that were published last unless a test says more."""

    def __init__(self, upstream, issuers):
        self.upstream, self.issuers = upstream, issuers
        self.handler = self.answer
        self.publish(0)
        upstream.on("/jwks", lambda request, stream: self.handler(request, stream))

    def publish(self, *which):
        self.keys = json.dumps({"keys": [json.loads(self.issuers[i].jwks())["keys"][0] for i in which]})

    def answer(self, request, stream):
        stream.respond(200, self.keys, [("Content-Type", "application/json")])

    def fetches(self):
        return len(self.upstream.seen(JWKS))


class Gateway:
    """One worker. /route is checked by jwtAuthentication with keys from a Service, /mcp by mcp.authentication with
    keys from an AgentgatewayBackend: two sources."""

    def __init__(self, start_gateway, provider, plain, tools):
        self.port, self.provider = free_port(), provider
        name, times = provider.issuers[0].name, {"jwksPath": JWKS, "cacheDuration": "5m"}
        remote = {"backendRef": m.ref("issuer"), **times}
        jwt = {"providers": [{"issuer": name, "audiences": ["tools"], "jwks": {"remote": remote}}]}
        backend = m.mcp_backend("tools", {"one": tools.port})
        keys = {"backendRef": m.agentgateway_ref("provider"), **times}
        backend["spec"]["policies"] = {"mcp": {"authentication": {"issuer": name, "audiences": ["tools"], "jwks": keys}}}
        self.gateway = start_gateway(
            m.gateway(self.port),
            m.service("issuer", provider.upstream.port),
            m.backend("provider", {"static": {"host": "127.0.0.1", "port": provider.upstream.port}}),
            m.service("plain", plain.port),
            m.route("plain", m.rule(m.ref("plain"), matches=[m.prefix("/route")])),
            m.policy("jwt", targets=[m.target("HTTPRoute", "plain")], traffic={"jwtAuthentication": jwt}),
            backend,
            m.route("tools", m.rule(m.agentgateway_ref("tools"), matches=[m.prefix("/mcp")])),
            workers=1,
        )

    def ask(self, which=0, path="/route"):
        headers = {"authorization": f"Bearer {self.provider.issuers[which].token()}"}
        with Connection(self.port) as connection:
            if path == "/route":
                return connection.ask("POST", path, headers, b"body")
            params = {"protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": {"name": "t", "version": "1"}}
            message = {"jsonrpc": "2.0", "id": 0, "method": "initialize", "params": params}
            return McpClient(connection, path=path).post(message, headers)


@pytest.fixture(scope="module")
def issuers(tmp_path_factory):
    return [Issuer(tmp_path_factory.mktemp("keys"), kid=kid) for kid in ("one", "two", "three")]


@pytest.fixture
def provider(start_upstream, issuers):
    return Provider(start_upstream("issuer"), issuers)


@pytest.fixture
def served(start_gateway, start_upstream, provider):
    tools = McpUpstream("one", ["add"])
    yield Gateway(start_gateway, provider, start_upstream("plain"), tools)
    tools.close()


def test_tokens_wait_for_the_first_keys_and_one_fetch_serves_them_all(served, provider):
    go = threading.Event()

    def slowly(request, stream):
        go.wait(5)
        provider.answer(request, stream)

    provider.handler = slowly
    with ThreadPoolExecutor(8) as pool:
        waiting = [pool.submit(served.ask, 0, path) for path in ("/route", "/mcp") * 3]
        eventually(lambda: provider.fetches() == 2)
        assert not any(one.done() for one in waiting)
        go.set()
        assert [one.result().status for one in waiting] == [200] * 6
    assert served.ask().status == 200 and provider.fetches() == 2
    first = provider.upstream.seen(JWKS)[0]
    assert first.method == "GET" and first.get("authorization") is None


def test_a_new_key_is_found_and_strangers_cannot_make_fetches(served, provider):
    for path in ("/route", "/mcp"):
        provider.publish(0)
        assert served.ask(0, path).status == 200
        provider.publish(1)
        fetched = provider.fetches()
        assert served.ask(1, path).status == 200
        refused = [served.ask(which, path).status for which in (0, 2, 2, 2)]
        assert refused == [401] * 4 and served.ask(1, path).status == 200
        assert provider.fetches() == fetched + 1


def redirect(request, stream):
    stream.respond(302, b"", [("Location", "/elsewhere")])


ANSWERS = {
    "garbage": (lambda request, stream: stream.respond(200, b"{]"), "jwks"),
    "no keys": (lambda request, stream: stream.respond(200, b'{"keys":[]}'), "key"),
    "too large": (lambda request, stream: stream.respond(200, b" " * 65537), "limit exceeded"),
    "an error": (lambda request, stream: stream.respond(500, b"oh"), "status 500"),
    "a redirect": (redirect, "status 302"),
    "nothing": (lambda request, stream: False, ""),
}


@pytest.mark.parametrize("case", ANSWERS)
def test_without_keys_tokens_are_answered_503(served, provider, case):
    provider.handler, why = ANSWERS[case]
    for path in ("/route", "/mcp"):
        answer = served.ask(0, path)
        assert (answer.status, answer.get("retry-after")) == (503, "3"), path
    assert served.ask().status == 503 and provider.fetches() >= 2
    assert not provider.upstream.seen("/elsewhere")
    assert "cannot be fetched" in served.gateway.log() and why in served.gateway.log()
    eventually(lambda: served.gateway.metric("agentgateway_key_fetch_failures_total") >= 2)
    with Connection(served.port) as connection:
        assert connection.ask("GET", "/route").status == 401


def test_good_keys_serve_on_while_the_issuer_is_broken(served, provider):
    assert served.ask().status == 200
    provider.handler = ANSWERS["garbage"][0]
    assert served.ask(1).status == 401
    assert served.ask().status == 200
    assert provider.fetches() == 2


MISTAKES = {
    "both": ({"inline": "{}", "remote": {"backendRef": m.ref("x"), "jwksPath": "/k"}}, "needs exactly one of inline and remote"),
    "no port": ({"remote": {"backendRef": {"name": "x"}, "jwksPath": "/k"}}, "is required for a Service"),
    "short": (
        {"remote": {"backendRef": m.ref("x"), "jwksPath": "/k", "cacheDuration": "10s"}},
        "a duration of 5m or more",
    ),
    "a path with spaces": ({"remote": {"backendRef": m.ref("x"), "jwksPath": "/k HTTP/1.1"}}, "must be the path of a URL"),
}


@pytest.mark.parametrize("case", MISTAKES)
def test_mistakes_are_named(tmp_path, case):
    jwks, why = MISTAKES[case]
    jwt = {"providers": [{"issuer": "https://i.example", "jwks": jwks}]}
    text = m.policy("mistaken", targets=[m.target("Gateway", "gw")], traffic={"jwtAuthentication": jwt})
    (tmp_path / "a.yaml").write_text(json.dumps(text))
    result = run("-f", str(tmp_path), "--validate")
    said = result.stderr + result.stdout
    assert result.returncode == 1 and "mistaken" in said and "jwks" in said and why in said
