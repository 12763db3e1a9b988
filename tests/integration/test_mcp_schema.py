"""What the gateway writes is what the public schema of the revision in use allows: results it joins, errors of its own, messages
it edits, with one target and with several."""

from types import SimpleNamespace

import pytest

import manifests as m
from client import Connection
from mcp_schema import LEGACY, needed, validate, validate_error, validate_result
from mcp_upstream import McpClient, McpUpstream, events, messages_of
from ports import free_port

pytestmark = needed

PROMPT = {"messages": [{"role": "user", "content": {"type": "text", "text": "hi"}}]}
CAPABILITIES = {
    "tools": {"listChanged": True},
    "prompts": {"listChanged": True},
    "resources": {"subscribe": True, "listChanged": True},
    "logging": {},
    "completions": {},
}


def page_of(key, *items):
    """Two pages: a cursor is passed on as well."""

    def page(params):
        half = len(items) // 2
        return {key: list(items[half:])} if params.get("cursor") else {key: list(items[:half]), "nextCursor": "page-2"}

    return page


def upstream(name, **more):
    """A server that can do everything."""
    mine = McpUpstream(name, **more)
    schema = {"type": "object"}
    content = [{"type": "text", "text": "x"}, {"type": "resource", "resource": {"uri": "mem://a", "text": "y"}}]
    mine.methods |= {
        "initialize": lambda params: {
            "protocolVersion": params["protocolVersion"],
            "capabilities": CAPABILITIES,
            "serverInfo": {"name": name, "version": "1"},
            "instructions": f"about {name}",
        },
        "tools/list": page_of("tools", *({"name": f"{name}{n}", "inputSchema": schema} for n in range(4))),
        "tools/call": lambda params: {"content": content, "isError": False},
        "prompts/list": page_of("prompts", *({"name": f"{name}{n}"} for n in range(4))),
        "prompts/get": lambda params: PROMPT,
        "resources/list": page_of("resources", *({"uri": f"mem://{name}/{n}", "name": f"r{n}"} for n in range(4))),
        "resources/templates/list": page_of("resourceTemplates", *({"uriTemplate": f"mem://{{x}}/{n}", "name": "t"} for n in (1, 2))),
        "resources/read": lambda params: {"contents": [{"uri": params["uri"], "text": "x"}]},
        "resources/subscribe": lambda params: {},
        "resources/unsubscribe": lambda params: {},
        "logging/setLevel": lambda params: {},
        "completion/complete": lambda params: {"completion": {"values": ["a"], "total": 1, "hasMore": False}},
    }
    return mine


TOLD = [
    {"jsonrpc": "2.0", "method": "notifications/progress", "params": {"progressToken": "t", "progress": 1, "total": 2}},
    {"jsonrpc": "2.0", "method": "notifications/message", "params": {"level": "info", "data": "x"}},
    {"jsonrpc": "2.0", "method": "notifications/resources/updated", "params": {"uri": "mem://a"}},
    {"jsonrpc": "2.0", "method": "notifications/tools/list_changed"},
    {"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": 5, "reason": "late"}},
    {"jsonrpc": "2.0", "id": 5, "method": "roots/list"},
    {
        "jsonrpc": "2.0",
        "id": "x",
        "method": "sampling/createMessage",
        "params": {"messages": [{"role": "user", "content": {"type": "text", "text": "x"}}], "maxTokens": 1},
    },
]

# name: (fields of the backend, targets, prefix of names, prefix of URIs)
SETUPS = {
    "one": ({}, ["one"], "", ""),
    "one-always": ({"prefixMode": "Always"}, ["one"], "one_", "one+"),
    "two": ({}, ["one", "two"], "one_", "one+"),
    "two-never": ({"prefixMode": "Never"}, ["one", "two"], "", "one+"),
    "two-open": ({"failureMode": "FailOpen"}, ["one", "gone"], "one_", "one+"),
    "two-stateless": ({"sessionRouting": "Stateless"}, ["one", "two"], "one_", "one+"),
}


@pytest.fixture(scope="module", params=SETUPS)
def site(request, start_module_gateway):
    fields, names, prefix, uri_prefix = SETUPS[request.param]
    port = free_port()
    told = events(*TOLD)
    upstreams = {name: upstream(name, sse=name == "one", first=told if name == "one" else "") for name in names}
    targets = {name: mine.port for name, mine in upstreams.items()}
    if "gone" in upstreams:
        upstreams.pop("gone").close()
    backend = m.mcp_backend("tools", targets)
    backend["spec"]["mcp"].update(fields)
    start_module_gateway(m.gateway(port), backend, m.route("mcp", m.rule(m.agentgateway_ref("tools"))))
    yield SimpleNamespace(port=port, name=prefix, uri=uri_prefix, stateless=request.param == "two-stateless", bare=request.param == "two-never", alone=request.param == "one")
    for mine in upstreams.values():
        mine.close()


@pytest.fixture(params=LEGACY)
def client(request, site):
    with Connection(site.port) as connection:
        mine = McpClient(connection, version=request.param)
        mine.first = mine.post(
            {
                "jsonrpc": "2.0",
                "id": 0,
                "method": "initialize",
                "params": {"protocolVersion": mine.version, "capabilities": {}, "clientInfo": {"name": "t", "version": "1"}},
            }
        )
        mine.session = mine.first.get("mcp-session-id")
        yield mine


def ask(client, method, params):
    headers = {} if client.session else {"MCP-Protocol-Version": client.version}
    answer = client.post({"jsonrpc": "2.0", "id": 7, "method": method, "params": params}, headers)
    return messages_of(answer)


def told_as_the_schema_says(client, messages):
    for message in messages:
        validate(client.version, "ServerRequest" if "id" in message else "ServerNotification", message)
        validate(client.version, "JSONRPCMessage", message)


def test_initialize(site, client):
    *told, answer = messages_of(client.first)
    told_as_the_schema_says(client, told)
    validate_result(client.version, answer, "InitializeResult")


RESULTS = [
    ("ping", {}, "EmptyResult"),
    ("tools/list", {}, "ListToolsResult"),
    ("tools/call", {"name": "{name}one1", "arguments": {}}, "CallToolResult"),
    ("prompts/list", {}, "ListPromptsResult"),
    ("prompts/get", {"name": "{name}one1"}, "GetPromptResult"),
    ("resources/list", {}, "ListResourcesResult"),
    ("resources/templates/list", {}, "ListResourceTemplatesResult"),
    ("resources/read", {"uri": "{uri}mem://one/1"}, "ReadResourceResult"),
    ("resources/subscribe", {"uri": "{uri}mem://one/1"}, "EmptyResult"),
    ("resources/unsubscribe", {"uri": "{uri}mem://one/1"}, "EmptyResult"),
    ("completion/complete", {"ref": {"type": "ref/prompt", "name": "{name}one1"}, "argument": {"name": "a", "value": ""}}, "CompleteResult"),
    ("logging/setLevel", {"level": "info"}, "EmptyResult"),
]


def filled(value, site):
    if isinstance(value, dict):
        return {key: filled(item, site) for key, item in value.items()}
    return value.replace("{name}", site.name).replace("{uri}", site.uri)


@pytest.mark.parametrize("method, params, name", RESULTS, ids=[row[0] for row in RESULTS])
def test_results(site, client, method, params, name):
    *told, answer = ask(client, method, filled(params, site))
    told_as_the_schema_says(client, told)
    validate_result(client.version, answer, name)


@pytest.mark.parametrize("key, method", [("tools", "tools/list"), ("resources", "resources/list")])
def test_next_pages(site, client, key, method):
    answer = ask(client, method, {})[-1]
    cursor = answer["result"].get("nextCursor")
    if site.bare and key == "tools":
        assert cursor is None and len(answer["result"][key]) == 8  # whose a name is takes all of them
        return
    *told, answer = ask(client, method, {"cursor": cursor})
    told_as_the_schema_says(client, told)
    validate_result(client.version, answer, "ListToolsResult" if key == "tools" else "ListResourcesResult")
    assert answer["result"][key] and "nextCursor" not in answer["result"]


ERRORS = [
    ("tools/call", {"name": "nobody_has_this"}),
    ("tools/call", {}),
    ("tools/call", {"name": 5}),
    ("prompts/get", {"name": "nobody_has_this"}),
    ("resources/read", {"uri": "nobody+mem://x"}),
    ("resources/read", {}),
    ("completion/complete", {"ref": {"type": "ref/prompt", "name": "nobody_has_this"}}),
    ("completion/complete", {}),
    ("tools/list", {"cursor": "no cursor of ours"}),
    ("no/such/method", {}),
]


@pytest.mark.parametrize("method, params", ERRORS, ids=[f"{method}-{n}" for n, (method, params) in enumerate(ERRORS)])
def test_errors(site, client, method, params):
    if site.alone:
        pytest.skip("the one target answers this itself")
    *told, answer = ask(client, method, params)
    told_as_the_schema_says(client, told)
    validate_error(client.version, answer)
    assert answer["id"] == 7


# (body or method, headers): what is refused before an id is known
REFUSED = [
    ("POST", b"{", {}),
    ("POST", b"[]", {}),
    ("POST", b'{"jsonrpc":"2.0"}', {}),
    ("POST", b'{"jsonrpc":"1.0","id":1,"method":"ping"}', {}),
    ("POST", b'{"jsonrpc":"2.0","id":1,"method":"ping"}', {"Accept": "text/html"}),
    ("POST", b'{"jsonrpc":"2.0","id":1,"method":"ping"}', {"Content-Type": "text/plain"}),
    ("POST", b'{"jsonrpc":"2.0","id":1,"method":"ping"}', {"MCP-Protocol-Version": "1999-01-01"}),
    ("POST", b'{"jsonrpc":"2.0","id":1,"method":"ping"}', {"Mcp-Session-Id": "unknown"}),
    ("POST", b'{"jsonrpc":"2.0","id":1,"result":{}}', {"Mcp-Session-Id": "unknown"}),
    ("GET", b"", {"Accept": "application/json"}),
    ("GET", b"", {"Mcp-Session-Id": "unknown", "Accept": "text/event-stream"}),
]


@pytest.mark.parametrize("method, body, headers", REFUSED, ids=range(len(REFUSED)))
def test_refusals(site, method, body, headers):
    usual = {"Accept": "application/json, text/event-stream", "Content-Type": "application/json"}
    with Connection(site.port) as connection:
        answer = connection.ask(method, "/mcp", usual | headers, body)
    if site.stateless and (method == "GET" or headers.get("Mcp-Session-Id")):
        assert answer.status in (200, 202, 405) or answer.status >= 400
        return
    assert 400 <= answer.status < 500, answer
    validate_error("2025-11-25", messages_of(answer)[-1])
