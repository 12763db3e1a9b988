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
from servers import run_script
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


# --- the authorization server behind the gateway ---


class Behind:
    """/mcp is protected; its clients register at the gateway, which knows the issuer by its backend alone."""

    def __init__(self, start_gateway, upstream, issuers, tools):
        self.port, self.upstream = free_port(), upstream
        self.url = f"http://127.0.0.1:{self.port}/mcp"
        self.issuer = f"http://127.0.0.1:{upstream.port}/realms/a"
        self.document = {
            "issuer": self.issuer,
            "authorization_endpoint": f"{self.issuer}/auth",
            "token_endpoint": f"{self.issuer}/token",
            "registration_endpoint": f"{self.issuer}/clients?v=1",
            "response_types_supported": ["code"],
            "code_challenge_methods_supported": ["S256"],
        }
        upstream.on("/realms/a/.well-known/openid-configuration", lambda r, s: s.respond(200, json.dumps(self.document)))
        upstream.on("/realms/a/clients", self.register)
        backend = m.mcp_backend("tools", {"one": tools.port})
        keys = {"backendRef": m.agentgateway_ref("provider"), "jwksPath": JWKS}
        made = {"issuer": self.issuer, "audiences": ["tools"], "jwks": keys, "provider": "Keycloak"}
        backend["spec"]["policies"] = {"mcp": {"authentication": made}}
        paths = ["/mcp", "/.well-known"]
        start_gateway(
            m.gateway(self.port),
            m.backend("provider", {"static": {"host": "127.0.0.1", "port": upstream.port}}),
            backend,
            m.route("tools", m.rule(m.agentgateway_ref("tools"), matches=[m.prefix(path) for path in paths])),
            workers=1,
        )

    def register(self, request, stream):
        answer = json.loads(request.body) | {"client_id": "c1"}
        stream.respond(201, json.dumps(answer), [("Content-Type", "application/json")], reason="Created")

    def ask(self, method, path, headers=None, body=None):
        with Connection(self.port) as connection:
            return connection.ask(method, path, headers or {}, body, host=f"127.0.0.1:{self.port}")


@pytest.fixture
def behind(start_gateway, start_upstream, issuers):
    tools = McpUpstream("one", ["add"])
    yield Behind(start_gateway, start_upstream("issuer"), issuers, tools)
    tools.close()


WELL_KNOWN = "/.well-known/oauth-authorization-server/mcp"
REGISTER = WELL_KNOWN + "/client-registration"
JSON = {"content-type": "application/json"}


def test_the_issuers_metadata_leads_clients_to_the_gateway(behind):
    for path in (WELL_KNOWN, "/.well-known/openid-configuration/mcp"):
        answer = behind.ask("GET", path)
        assert answer.status == 200 and answer.get("access-control-allow-origin") == "*"
        registration = f"http://127.0.0.1:{behind.port}{path}/client-registration"
        assert json.loads(answer.body) == behind.document | {"registration_endpoint": registration}
    assert len(behind.upstream.requests) == 1  # it is kept
    resource = json.loads(behind.ask("GET", "/.well-known/oauth-protected-resource/mcp").body)
    assert resource["authorization_servers"] == [behind.url]
    assert behind.ask("OPTIONS", WELL_KNOWN).status == 204 and behind.ask("POST", WELL_KNOWN, JSON, b"{}").status == 405


def test_clients_are_registered_at_the_issuer(behind):
    headers = JSON | {"authorization": "Bearer initial", "cookie": "a=b"}
    answer = behind.ask("POST", REGISTER, headers, b'{"client_name":"x"}')
    assert answer.status == 201 and json.loads(answer.body) == {"client_name": "x", "client_id": "c1"}
    assert answer.get("access-control-allow-origin") == "*"
    [asked] = behind.upstream.seen("/realms/a/clients?v=1")
    assert asked.get("authorization") == "Bearer initial" and asked.get("cookie") is None
    assert asked.get("host") == f"127.0.0.1:{behind.upstream.port}"
    refused = {
        415: behind.ask("POST", REGISTER, {"content-type": "text/plain"}, b"{}"),
        411: behind.ask("POST", REGISTER, JSON | {"transfer-encoding": "chunked"}),
        413: behind.ask("POST", REGISTER, JSON, b" " * 65537),
        405: behind.ask("GET", REGISTER),
    }
    assert {status: answer.status for status, answer in refused.items()} == {status: status for status in refused}
    assert len(behind.upstream.seen("/realms/a/clients?v=1")) == 1


@pytest.mark.parametrize("case", ["elsewhere", "another issuer", "down"])
def test_an_issuer_that_cannot_be_trusted_is_a_bad_gateway(behind, start_upstream, case):
    other = start_upstream("evil")
    if case == "elsewhere":
        behind.document["registration_endpoint"] = f"http://127.0.0.1:{other.port}/clients"
    elif case == "another issuer":
        behind.document["issuer"] = "https://evil.example"
    else:
        behind.upstream.close()
    assert behind.ask("POST", REGISTER, JSON, b"{}").status == 502
    assert behind.ask("GET", WELL_KNOWN).status == (200 if case == "elsewhere" else 502)
    assert other.connections == 0 and not behind.upstream.seen("/realms/a/clients?v=1")


def test_the_official_client_discovers_and_registers(behind):
    seen = run_script("register.mjs", behind.url)
    assert seen["servers"] == [behind.url] and seen["token_endpoint"] == f"{behind.issuer}/token"
    assert seen["client"] == "c1" and seen["authorize"].startswith(f"{behind.issuer}/auth?")


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
