"""Who may use an MCP backend, and for what."""

import json
import time
from types import SimpleNamespace

import pytest
import yaml

import manifests as m
from client import Connection
from gateway import run
from mcp_upstream import McpClient, McpUpstream, messages_of
from ports import free_port
from tokens import Issuer
from upstream import Upstream

# --- pages of strangers ---


@pytest.fixture(scope="module")
def pages(start_module_gateway):
    upstream = McpUpstream("one", ["add"])
    port = free_port()
    backend = m.mcp_backend("tools", {"one": upstream.port})
    backend["spec"]["mcp"]["allowedOrigins"] = ["https://app.example", "https://*.pages.example"]
    cors = {"type": "CORS", "cors": {"allowOrigins": ["https://cors.example"]}}
    start_module_gateway(
        [
            m.gateway(port),
            backend,
            m.route("any", m.rule(m.agentgateway_ref("tools"), matches=[m.prefix("/mcp")])),
            m.route("named", m.rule(m.agentgateway_ref("tools")), hostnames=["mcp.example"]),
            m.route("cors", m.rule(m.agentgateway_ref("tools"), matches=[m.prefix("/cors")], filters=[cors])),
        ]
    )
    yield SimpleNamespace(port=port, upstream=upstream)
    upstream.close()


ORIGINS = {
    "a program": ("/mcp", "rebound.example", None, True),
    "a page at an address": ("/mcp", "127.0.0.1:{port}", "http://127.0.0.1:{port}", True),
    "a page on this machine": ("/mcp", "localhost:{port}", "http://localhost:6274", True),
    "a stranger": ("/mcp", "localhost:{port}", "http://evil.example", False),
    "a rebound name": ("/mcp", "rebound.example", "http://rebound.example", False),
    "a name of the configuration": ("/mcp", "mcp.example", "https://mcp.example", True),
    "a stranger at that name": ("/mcp", "mcp.example", "http://evil.example", False),
    "no origin at all": ("/mcp", "localhost:{port}", "null", False),
    "one that is listed": ("/mcp", "mcp.example", "https://app.example", True),
    "one below a listed name": ("/mcp", "rebound.example", "https://a.pages.example", True),
    "one that cors allows": ("/cors", "rebound.example", "https://cors.example", True),
    "one that cors does not": ("/cors", "rebound.example", "https://evil.example", False),
}


@pytest.mark.parametrize("case", ORIGINS)
def test_pages_of_strangers_are_refused(pages, case):
    path, host, origin, taken = ORIGINS[case]
    headers = {"Origin": origin.format(port=pages.port)} if origin else {}
    before = len(pages.upstream.calls)
    with Connection(pages.port) as connection:
        client = McpClient(connection, path=path, host=host.format(port=pages.port))
        params = {"protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": {"name": "t", "version": "1"}}
        answer = client.post({"jsonrpc": "2.0", "id": 0, "method": "initialize", "params": params}, headers)
    if taken:
        assert answer.status == 200 and "result" in messages_of(answer)[0], answer
    else:
        error = messages_of(answer)[0]["error"]
        assert answer.status == 403 and error["code"] == -32000 and "Origin" in error["message"], answer
        assert len(pages.upstream.calls) == before


# --- rules about tools, prompts and resources ---


def authorization(action, *expressions):
    return {"mcp": {"authorization": {"action": action, "policy": {"matchExpressions": list(expressions)}}}}


def mcp_policy(name, target, backend):
    made = m.policy(name, targets=[target])
    made["spec"] = {"targetRefs": [target], "backend": backend}
    return made


TOOLS = {"group": "agentgateway.dev", "kind": "AgentgatewayBackend", "name": "tools"}


def of_everything(name):
    """A server that has a thing of each kind, one of them secret."""
    return McpUpstream(
        name,
        ["open", "secret"],
        server_discover=lambda params: {"supportedVersions": ["2026-07-28"], "capabilities": {"tools": {}}},
        prompts_list=lambda params: {"prompts": [{"name": "open"}, {"name": "secret"}]},
        prompts_get=lambda params: {"messages": []},
        resources_list=lambda params: {"resources": [{"name": n, "uri": f"memo:{n}"} for n in ("open", "secret")]},
        resources_read=lambda params: {"contents": []},
        resources_templates_list=lambda params: {
            "resourceTemplates": [{"name": n, "uriTemplate": "memo:%s/{x}" % n} for n in ("open", "secret")]
        },
        completion_complete=lambda params: {"completion": {"values": []}},
        resources_subscribe=lambda params: {},
    )


class ModernClient(McpClient):
    """Of 2026-07-28: no session, everything in each request."""

    def initialize(self):
        pass

    def call(self, method, params=None, id=None):
        meta = {
            "io.modelcontextprotocol/protocolVersion": "2026-07-28",
            "io.modelcontextprotocol/clientCapabilities": {},
        }
        params = {**(params or {}), "_meta": meta}
        headers = {"MCP-Protocol-Version": "2026-07-28", "Mcp-Method": method}
        name = params.get("name") or params.get("uri")
        if name and method in ("tools/call", "prompts/get", "resources/read"):
            headers["Mcp-Name"] = name
        answer = self.post({"jsonrpc": "2.0", "id": 1, "method": method, "params": params}, headers)
        assert answer.status == 200, answer
        return messages_of(answer)


CLIENTS = {"legacy": McpClient, "modern": ModernClient}


@pytest.fixture(scope="module")
def guarded(start_module_gateway):
    """Backends of one and of two targets that hide what is secret, and one whose header says who asks."""
    ups = {name: of_everything(name) for name in ("one", "two")}
    port = free_port()
    ports = {name: up.port for name, up in ups.items()}
    hide = ["mcp.%s.name.contains('secret')" % kind for kind in ("tool", "prompt", "resource")]
    objects = [m.gateway(port)]
    for name, targets, mode in (
        ("alone", {"one": ports["one"]}, None),
        ("tools", ports, None),
        ("bare", ports, "Never"),
        ("team", {"one": ports["one"]}, None),
    ):
        backend = m.mcp_backend(name, targets)
        if mode:
            backend["spec"]["mcp"]["prefixMode"] = mode
        if name != "tools":
            backend["spec"]["policies"] = authorization("Deny", *hide)
        objects += [backend, m.route(name, m.rule(m.agentgateway_ref(name), matches=[m.prefix(f"/{name}")]))]
    route = {"group": "gateway.networking.k8s.io", "kind": "HTTPRoute", "name": "team"}
    objects += [
        mcp_policy("hide", TOOLS, authorization("Deny", *hide)),
        mcp_policy("two-has-no-tools", TOOLS, authorization("Deny", "mcp.tool.target == 'two'")),
        mcp_policy("red", route, authorization("Require", "request.headers['x-team'] == 'red'")),
    ]
    start_module_gateway(objects)
    yield SimpleNamespace(port=port, **ups)
    for up in ups.values():
        up.close()


@pytest.fixture(params=CLIENTS)
def open_client(request, guarded):
    connections = []

    def make(path):
        connections.append(Connection(guarded.port))
        client = CLIENTS[request.param](connections[-1], path=path)
        client.initialize()
        return client

    yield make
    for connection in connections:
        connection.close()


def names_in(client, method, member, label):
    return [item[label] for item in client.result(method)[member]]


LISTS = [
    ("tools/list", "tools", "name", ["open"], ["one_open"]),
    ("prompts/list", "prompts", "name", ["open"], ["one_open", "two_open"]),
    ("resources/list", "resources", "uri", ["memo:open"], ["one+memo:open", "two+memo:open"]),
    (
        *("resources/templates/list", "resourceTemplates", "uriTemplate"),
        *(["memo:open/{x}"], ["one+memo:open/{x}", "two+memo:open/{x}"]),
    ),
]


def test_lists_have_only_what_the_client_may_use(open_client):
    alone, tools, bare = open_client("/alone"), open_client("/tools"), open_client("/bare")
    for method, member, label, of_one, of_two in LISTS:
        assert names_in(alone, method, member, label) == of_one
        assert names_in(tools, method, member, label) == of_two
    assert names_in(bare, "tools/list", "tools", "name") == []  # both have "open", and a call could not tell whose


def calls_of(prefix, plus, name):
    yield "tools/call", {"name": f"{prefix}{name}"}
    yield "prompts/get", {"name": f"{prefix}{name}"}
    yield "resources/read", {"uri": f"{plus}memo:{name}"}
    yield "completion/complete", {"ref": {"type": "ref/prompt", "name": f"{prefix}{name}"}, "argument": {}}
    yield "completion/complete", {"ref": {"type": "ref/resource", "uri": f"{plus}memo:{name}"}, "argument": {}}


@pytest.mark.parametrize("path, prefix, plus", [("/alone", "", ""), ("/tools", "one_", "one+")])
def test_calls_of_what_is_hidden_are_unknown(guarded, open_client, path, prefix, plus):
    client = open_client(path)
    for method, params in calls_of(prefix, plus, "open"):
        assert "result" in client.call(method, params)[-1], method
    before = guarded.one.count("tools/call"), len(guarded.one.calls)
    for method, params in calls_of(prefix, plus, "secret"):
        error = client.call(method, params)[-1]["error"]
        assert error["code"] == -32602 and error["message"].startswith("Unknown "), error
    assert (guarded.one.count("tools/call"), len(guarded.one.calls)) == before
    if path == "/tools":
        denied = client.call("tools/call", {"name": "one_secret"})[-1]["error"]
        missing = client.call("tools/call", {"name": "none_secret"})[-1]["error"]
        assert denied["message"].replace("one_", "none_") == missing["message"]


def test_a_rule_about_a_target_and_one_about_names_add_up(open_client):
    client = open_client("/tools")
    assert "error" in client.call("tools/call", {"name": "two_open"})[-1]
    assert "result" in client.call("prompts/get", {"name": "two_open"})[-1]


def test_bare_names_of_what_is_hidden_are_unknown(open_client):
    client = open_client("/bare")
    error = client.call("tools/call", {"name": "secret"})[-1]["error"]
    assert error["message"] == client.call("tools/call", {"name": "nothing"})[-1]["error"]["message"].replace("nothing", "secret")


def test_a_rule_may_look_at_the_request(guarded):
    for team, seen in (("red", ["open"]), ("blue", []), (None, [])):
        with Connection(guarded.port) as connection:
            client = McpClient(connection, path="/team")
            if team:
                post = client.post
                client.post = lambda message, headers=None: post(message, {"X-Team": team} | (headers or {}))
            client.initialize()
            assert names_in(client, "tools/list", "tools", "name") == seen


def test_subscriptions_are_for_what_one_may_read(guarded):
    with Connection(guarded.port) as connection:
        client = McpClient(connection, path="/alone")
        client.initialize()
        assert "result" in client.call("resources/subscribe", {"uri": "memo:open"})[-1]
        assert client.call("resources/subscribe", {"uri": "memo:secret"})[-1]["error"]["code"] == -32602


def test_a_rule_that_cannot_be_read_is_refused_with_policy_field_and_reason(tmp_path):
    backend = m.mcp_backend("tools", {"one": 1})
    rule = mcp_policy("rules", TOOLS, authorization("Allow", "true", "mcp.tool.arguments.x == 1"))
    route = m.route("r", m.rule(m.agentgateway_ref("tools")))
    (tmp_path / "m.yaml").write_text(yaml.safe_dump_all(m.flat([m.gateway(free_port()), backend, route, rule])))
    result = run("-f", str(tmp_path), "--validate")
    assert result.returncode == 1
    said = result.stderr + result.stdout
    assert "rules" in said and "policy mcpAuthorization: allow[1]: at 9: only .name and .target" in said


# --- tokens ---


def authentication(issuer, mode="Strict", **more):
    made = {"issuer": issuer.name, "audiences": ["tools"], "jwks": {"inline": issuer.jwks()}, "mode": mode}
    return {"mcp": {"authentication": made | more}}


@pytest.fixture(scope="module")
def secured(start_module_gateway, tmp_path_factory):
    room = tmp_path_factory.mktemp("keys")
    issuer, other = Issuer(room), Issuer(room, kid="two")
    upstream = of_everything("one")
    plain = Upstream("plain")
    port = free_port()
    objects = [m.gateway(port)]
    for path, mode in (("strict", "Strict"), ("optional", "Optional"), ("permissive", "Permissive")):
        backend = m.mcp_backend(path, {"one": upstream.port})
        backend["spec"]["policies"] = authentication(issuer, mode, resourceMetadata={"scopes_supported": ["mcp"], "x": {"n": 1}})
        backend["spec"]["policies"]["mcp"] |= authorization(
            "Allow", "mcp.tool.name == 'open'", "jwt.sub == 'ada' && 'ops' in jwt.groups"
        )["mcp"]
        paths = [f"/{path}", f"/.well-known/oauth-protected-resource/{path}"]
        objects += [backend, m.route(path, m.rule(m.agentgateway_ref(path), matches=[m.prefix(p) for p in paths]))]
    jwt = {"providers": [{"issuer": issuer.name, "audiences": ["tools"], "jwks": {"inline": issuer.jwks()}}]}
    objects += [
        m.service("plain", plain.port),
        m.route("plain", m.rule(m.ref("plain"), matches=[m.prefix("/plain")])),
        m.policy("jwt", targets=[m.target("HTTPRoute", "plain")], traffic={"jwtAuthentication": jwt}),
    ]
    start_module_gateway(m.flat(objects))
    yield SimpleNamespace(port=port, issuer=issuer, other=other, upstream=upstream, plain=plain)
    upstream.close()
    plain.close()


def initialize(secured, path, token):
    params = {"protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": {"name": "t", "version": "1"}}
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    with Connection(secured.port) as connection:
        message = {"jsonrpc": "2.0", "id": 0, "method": "initialize", "params": params}
        return McpClient(connection, path=path).post(message, headers)


def tokens_of(secured):
    one = secured.issuer
    good = one.token()
    return {
        "good": (good, None),
        "none": (None, ""),
        "expired": (one.token(life=-100), "the token has expired"),
        "early": (one.token(nbf=int(time.time()) + 100), "the token is not valid yet"),
        "of another audience": (one.token(aud="mail"), "the token is for another audience"),
        "of another issuer": (one.token(iss="https://evil.example"), "the token is of another issuer"),
        "of another key": (secured.other.token(), "the token is signed by an unknown key"),
        "unsigned": (one.token(alg="none").rsplit(".", 1)[0] + ".", "the token is signed by an unknown key"),
        "by a secret": (one.token(alg="HS256"), "the token is signed by an unknown key"),
        "changed": (good[:-8] + "AAAAAAAA", "the token's signature is wrong"),
        "nonsense": ("x", "the token is malformed"),
    }


def test_tokens_are_checked_as_the_mode_says(secured):
    for name, (token, why) in tokens_of(secured).items():
        strict, optional = initialize(secured, "/strict", token), initialize(secured, "/optional", token)
        assert strict.status == (200 if why is None else 401), name
        assert optional.status == (401 if why else 200), name
        assert initialize(secured, "/permissive", token).status == 200, name
        if why is not None:
            said = strict.get("www-authenticate")
            url = "http://test/.well-known/oauth-protected-resource/strict"
            assert said.startswith("Bearer ") and f'resource_metadata="{url}"' in said
            assert (f'error_description="{why}"' in said) == bool(why) and ("invalid_token" in said) == bool(why)
            assert json.loads(strict.body)["error"] == "unauthorized"


def test_what_a_client_needs_to_know_is_public(secured):
    path = "/.well-known/oauth-protected-resource/strict"
    with Connection(secured.port) as connection:
        answer = connection.ask("GET", path, host="mcp.example")
        assert answer.status == 200 and answer.get("access-control-allow-origin") == "*"
        assert json.loads(answer.body) == {
            "resource": "http://mcp.example/strict",
            "authorization_servers": [secured.issuer.name],
            "bearer_methods_supported": ["header"],
            "scopes_supported": ["mcp"],
            "x": {"n": 1},
        }
        assert connection.ask("OPTIONS", path).status == 204


def test_rules_may_look_at_the_token_and_targets_never_see_it(secured):
    cases = ((None, ["open"]), ({"sub": "ada", "groups": ["ops"]}, ["open", "secret"]), ({"sub": "eve"}, ["open"]))
    for claims, seen in cases:
        token = secured.issuer.token(**claims) if claims else None
        with Connection(secured.port) as connection:
            client = McpClient(connection, path="/optional")
            post = client.post
            headers = {"Authorization": f"Bearer {token}"} if token else {}
            client.post = lambda message, more=None: post(message, headers | (more or {}))
            client.initialize()
            assert names_in(client, "tools/list", "tools", "name") == seen
    assert not any(r.get("authorization") for r in secured.upstream.requests if b"tools/list" in r.body)


def test_a_list_that_is_kept_for_all_is_filtered_for_each(secured):
    listed = secured.upstream.methods["tools/list"]
    secured.upstream.methods["tools/list"] = lambda params: listed(params) | {"ttlMs": 60000, "cacheScope": "public"}
    with Connection(secured.port) as connection:
        for claims, seen in (({"sub": "ada", "groups": ["ops"]}, ["open", "secret"]), ({"sub": "eve"}, ["open"])) * 2:
            client = ModernClient(connection, path="/optional")
            post, token = client.post, secured.issuer.token(**claims)
            client.post = lambda message, more: post(message, {"Authorization": f"Bearer {token}"} | more)
            answer = client.result("tools/list")
            assert [tool["name"] for tool in answer["tools"]] == seen and answer["cacheScope"] == "private"
    secured.upstream.methods["tools/list"] = listed


def test_a_route_checks_tokens_too(secured):
    with Connection(secured.port) as connection:
        refused = connection.ask("GET", "/plain")
        assert refused.status == 401 and refused.get("www-authenticate") == "Bearer"
        taken = connection.ask("GET", "/plain", {"authorization": f"bearer {secured.issuer.token()}"})
        assert taken.status == 200
    assert len(secured.plain.requests) == 1 and not secured.plain.requests[0].get("authorization")


def test_keys_that_cannot_be_read_are_refused_with_the_reason(tmp_path):
    backend = m.mcp_backend("tools", {"one": 1})
    bad = {"issuer": "https://i.example", "jwks": {"inline": '{"keys":[{"kty":"RSA","n":"AQAB","e":"AQAB"}]}'}}
    backend["spec"]["policies"] = {"mcp": {"authentication": bad}}
    route = m.route("r", m.rule(m.agentgateway_ref("tools")))
    (tmp_path / "m.yaml").write_text(yaml.safe_dump_all([m.gateway(free_port()), backend, route]))
    result = run("-f", str(tmp_path), "--validate")
    assert result.returncode == 1
    want = "policy mcpAuthentication: jwks: keys[0]: an RSA key of less than 2048 bits"
    assert want in result.stderr + result.stdout, result.stderr + result.stdout


# --- credentials of the client and of targets ---


def test_credentials_reach_whom_they_are_for(start_gateway, tmp_path):
    issuer = Issuer(tmp_path)
    ups = {name: McpUpstream(name, ["add"]) for name in ("keyed", "secret", "other")}
    plain = Upstream("plain")
    port = free_port()
    targets = {name: m.streamable(up.port) for name, up in ups.items()}
    targets["keyed"]["static"]["policies"] = {"auth": {"key": "k1", "location": {"header": {"name": "X-Api-Key"}}}}
    targets["secret"]["static"]["policies"] = {"auth": {"secretRef": {"name": "token"}}}
    secret = {"apiVersion": "v1", "kind": "Secret", "metadata": m.meta("token"), "stringData": {"Authorization": "Bearer k2"}}
    objects = [m.gateway(port), secret, m.service("plain", plain.port), m.route("plain", m.rule(m.ref("plain")))]
    for path, policies in (
        ("none", {}),
        ("through", {"auth": {"passthrough": {}}}),
        ("checked", {"auth": {"passthrough": {}}} | authentication(issuer)),
    ):
        backend = m.mcp_backend(path, targets)
        backend["spec"]["policies"] = policies
        objects += [backend, m.route(path, m.rule(m.agentgateway_ref(path), matches=[m.prefix(f"/{path}")]))]
    route = m.target("HTTPRoute", "plain")
    objects.append(mcp_policy("key", route, {"auth": {"key": "k3"}}))
    start_gateway(m.flat(objects))
    mine = "Bearer " + issuer.token()
    for path, others in (("/none", None), ("/through", mine), ("/checked", mine)):
        with Connection(port) as connection:
            client = McpClient(connection, path=path)
            post = client.post
            own = {"Authorization": mine, "Cookie": "a=b", "X-Api-Key": "mine"}
            client.post = lambda message, headers=None: post(message, own | (headers or {}))
            client.initialize()
            for name in ups:
                assert client.result("tools/call", {"name": f"{name}_add"})
        seen = {name: up.requests[-1] for name, up in ups.items()}
        assert [seen[n].get("authorization") for n in ("secret", "other")] == ["Bearer k2", others], path
        assert seen["keyed"].get("x-api-key") == "k1" and seen["keyed"].get("authorization") is None
        assert seen["other"].get("x-api-key") == "mine"
        assert not any(r.get("cookie") for up in ups.values() for r in up.requests)
    with Connection(port) as connection:
        connection.ask("GET", "/", {"Authorization": mine})
    assert plain.requests[0].get("authorization") == "Bearer k3"
    for up in (*ups.values(), plain):
        up.close()


def test_a_list_for_one_user_is_not_kept_for_another(start_gateway, tmp_path):
    """The token is taken off the request and given to the target: who asks is not in the fields alone."""
    issuer, up, port = Issuer(tmp_path), McpUpstream("own"), free_port()
    up.methods["tools/list"] = lambda params: {
        "tools": [{"name": up.requests[-1].get("authorization")[-8:], "inputSchema": {"type": "object"}}],
        "ttlMs": 60000,
        "cacheScope": "private",
    }
    backend = m.mcp_backend("own", {"own": up.port})
    backend["spec"]["policies"] = {"auth": {"passthrough": {}}} | authentication(issuer)
    start_gateway([m.gateway(port), backend, m.route("own", m.rule(m.agentgateway_ref("own")))])
    with Connection(port) as connection:
        for token in [issuer.token(sub="ada"), issuer.token(sub="eve")] * 2:
            client = ModernClient(connection)
            post = client.post
            client.post = lambda message, more, post=post, token=token: post(message, {"Authorization": f"Bearer {token}"} | more)
            assert [tool["name"] for tool in client.result("tools/list")["tools"]] == [token[-8:]]
    assert up.count("tools/list") == 2
    up.close()
