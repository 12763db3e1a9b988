"""Virtual servers: a backend's own choice of its targets' tools, under its own names."""

import fnmatch
import json
import random
from types import SimpleNamespace

import pytest

import manifests as m
from client import Connection
from mcp_schema import needed, validate_result
from mcp_upstream import McpClient, McpUpstream
from ports import free_port
from servers import Server, run_script

MODERN = "2026-07-28"
TOOLS = {
    "one": ["add", "get_a", "get_b", "drop"],
    "two": ["add", "get_a", "put"],
}
CHOICE = [
    {"target": "one", "name": "add", "rename": "sum", "title": "Sum", "description": 'Adds "two" numbers.'},
    {"target": "one", "pattern": "get_*"},
    {"target": "two", "name": "add"},
    {"target": "two", "name": "put", "description": "Puts."},
]
DENY = {"mcp": {"authorization": {"action": "Deny", "policy": {"matchExpressions": ["mcp.tool.name == 'add' && mcp.tool.target == 'one'"]}}}}


def tools_of(name):
    """A definition with what a gateway must leave alone."""
    return [{"x-first": 1.50, "name": t, "description": f"{t} of {name}", "inputSchema": {"type": "object"}} for t in TOOLS[name]]


def server(name):
    return McpUpstream(name, tools_list=lambda params: {"tools": tools_of(name), "ttlMs": 60000, "cacheScope": "public"})


def virtual(name, upstreams, tools=CHOICE, mode="Conditional", **extra):
    backend = m.mcp_backend(name, {up.name: up.port for up in upstreams})
    backend["spec"]["mcp"] |= {"tools": tools, "prefixMode": mode, **extra}
    return backend


@pytest.fixture(scope="module")
def gateway(start_module_gateway):
    one, two = server("one"), server("two")
    port = free_port()
    denied = virtual("denied", [one, two])
    denied["spec"]["policies"] = DENY
    hidden = m.mcp_backend("hidden", {"one": one.port})
    hidden["spec"]["mcp"]["toolSearch"] = {}
    hidden["spec"]["policies"] = DENY
    backends = {
        "prefixed": virtual("prefixed", [one, two]),
        "bare": virtual("bare", [one, two], mode="Never"),
        "single": virtual("single", [one], CHOICE[:2]),
        "denied": denied,
        "searched": virtual("searched", [one, two], toolSearch={"pinned": ["sum", "two_put"], "maxResults": 3}),
        "bare-searched": virtual("bare-searched", [one, two], mode="Never", toolSearch={}),
        "hidden": hidden,
    }
    rules = [m.rule(m.agentgateway_ref(name), matches=[m.prefix(f"/{name}")]) for name in backends]
    start_module_gateway([m.gateway(port), *backends.values(), m.route("mcp", *rules)])
    yield SimpleNamespace(port=port, one=one, two=two)
    one.close()
    two.close()


def wanted(names, prefix):
    """The selection of the direct lists, with what the rules override."""
    found = []
    for target in names:
        for tool in tools_of(target):
            rule = next((r for r in CHOICE if r["target"] == target and fnmatch.fnmatchcase(tool["name"], r.get("name", r.get("pattern")))), None)
            if rule:
                shown = rule.get("rename", f"{target}_{tool['name']}" if prefix else tool["name"])
                found.append(tool | {key: rule[key] for key in ("title", "description") if key in rule} | {"name": shown})
    return found


LISTS = {"prefixed": (["one", "two"], True), "bare": (["one", "two"], False), "single": (["one"], False)}


def modern(connection, path, method, **params):
    """The answer to a client of 2026-07-28."""
    meta = {"io.modelcontextprotocol/protocolVersion": MODERN, "io.modelcontextprotocol/clientCapabilities": {}}
    headers = {"Content-Type": "application/json", "Accept": "application/json, text/event-stream"}
    headers |= {"MCP-Protocol-Version": MODERN, "Mcp-Method": method}
    headers |= {"Mcp-Name": params["name"]} if "name" in params else {}
    message = {"jsonrpc": "2.0", "id": 1, "method": method, "params": params | {"_meta": meta}}
    return json.loads(connection.ask("POST", path, headers, json.dumps(message).encode(), "test").body)


@needed
@pytest.mark.parametrize("name", LISTS)
def test_a_list_is_the_selection(gateway, name):
    with Connection(gateway.port) as connection:
        mine = McpClient(connection, version="2025-11-25", path=f"/{name}")
        mine.initialize()
        answer = mine.call("tools/list")[-1]
        validate_result("2025-11-25", answer, "ListToolsResult")
        assert answer["result"]["tools"] == wanted(*LISTS[name])
        assert [list(t) for t in answer["result"]["tools"]][-1] == list(wanted(*LISTS[name])[-1]), "keys keep their order"


# path, name -> who answers, with its own name for it; None: nobody
CALLS = {
    "prefixed": {"sum": "one:add", "one_get_b": "one:get_b", "two_add": "two:add", "one_add": None, "one_drop": None, "two_get_a": None},
    "bare": {"sum": "one:add", "add": "two:add", "get_a": "one:get_a", "drop": None, "put": "two:put"},
    "single": {"sum": "one:add", "get_a": "one:get_a", "add": None, "drop": None},
    "denied": {"sum": None, "two_add": "two:add", "never": None},
}


@pytest.mark.parametrize("name", CALLS)
def test_calls_go_by_the_names_that_are_shown(gateway, name):
    with Connection(gateway.port) as connection:
        mine = McpClient(connection, version="2025-11-25", path=f"/{name}")
        mine.initialize()
        if name == "denied":
            assert "sum" not in [t["name"] for t in mine.result("tools/list")["tools"]]
        for tool, owner in CALLS[name].items():
            answer = mine.call("tools/call", {"name": tool, "arguments": {}})[-1]
            if owner:
                assert answer["result"]["content"][0]["text"] == owner
            else:
                assert answer["error"] == {"code": -32602, "message": f"Unknown tool: {tool}"}


def paged(name, seed):
    """A server whose 40 tools are cut into pages at random, some of them empty."""
    chance = random.Random(seed)
    names = [f"{chance.choice(['get', 'put', 'del'])}_{n}" for n in range(40)]
    cuts = sorted(chance.choices(range(41), k=6))

    def page(params):
        at = int(params.get("cursor", 0))
        first, last = ([0, *cuts][at], [*cuts, 40][at])
        return {"tools": [{"name": n, "n": 1.0, "inputSchema": {"type": "object"}} for n in names[first:last]]} | ({"nextCursor": str(at + 1)} if at < 6 else {})

    return McpUpstream(name, tools_list=page), names


def chosen_at_random(chance, servers):
    """A list for mcp.tools, and what clients must see, as {target: {name: shown}}."""
    rules, seen = [], {target: {} for target in servers}
    for target, names in servers.items():
        word = chance.choice(["get", "put", "del"])
        rules.append({"target": target, "pattern": f"{word}_*"})
        seen[target] = {n: f"{target}_{n}" for n in names if n.startswith(word)}
        for number, n in enumerate(chance.sample(names, 8)):
            rules.append({"target": target, "name": n, "rename": f"{target}-{number}"})
            seen[target][n] = f"{target}-{number}"
    chance.shuffle(rules)
    return rules, seen


def test_any_choice_of_any_pages(start_gateway):
    seed = random.randrange(1 << 20)
    print("seed", seed)  # shown when a test fails
    (one, names), (two, others) = paged("one", seed), paged("two", seed + 1)
    rules, seen = chosen_at_random(random.Random(seed), {"one": names, "two": others})
    port = free_port()
    try:
        start_gateway(m.gateway(port), virtual("v", [one, two], rules), m.route("mcp", m.rule(m.agentgateway_ref("v"))))
        with Connection(port) as connection:
            mine = McpClient(connection, version="2025-11-25")
            mine.initialize()
            page = mine.result("tools/list")
            tools = page["tools"]
            while "nextCursor" in page:
                page = mine.result("tools/list", {"cursor": page["nextCursor"]})
                tools += page["tools"]
        for target, order in (("one", names), ("two", others)):
            wanted_of = [{"name": seen[target][n], "n": 1.0, "inputSchema": {"type": "object"}} for n in order if n in seen[target]]
            assert [t for t in tools if t["name"].startswith(target)] == wanted_of
        assert len(tools) == sum(map(len, seen.values()))
    finally:
        one.close()
        two.close()


# --- tools that are found, not listed ---


def names_of(tools):
    return [tool["name"] for tool in tools]


@needed
def test_few_are_listed_and_the_rest_is_found(gateway):
    with Connection(gateway.port) as connection:
        mine = McpClient(connection, version="2025-11-25", path="/searched")
        mine.initialize()
        answer = mine.call("tools/list")[-1]
        validate_result("2025-11-25", answer, "ListToolsResult")
        assert names_of(answer["result"]["tools"]) == ["search_tools", "call_tool", "sum", "two_put"]
        found = mine.call("tools/call", {"name": "search_tools", "arguments": {"query": "get", "limit": 9}})[-1]
        validate_result("2025-11-25", found, "CallToolResult")
        tools = found["result"]["structuredContent"]["tools"]
        assert tools == json.loads(found["result"]["content"][0]["text"])
        assert tools == [tool for tool in wanted(["one", "two"], True) if "_get_" in tool["name"]]
        for name, arguments in (("one_get_a", {}), ("call_tool", {"name": "one_get_a", "arguments": {"n": 1}})):
            result = mine.result("tools/call", {"name": name, "arguments": arguments})
            assert result["content"][0]["text"] == "one:get_a"
        assert gateway.one.params("tools/call")[-1] == {"name": "get_a", "arguments": {"n": 1}}


# arguments of search_tools -> the names that are found
SEARCHES = {
    "searched": {"adds numbers": ["sum", "two_add"], "puts": ["two_put"], "drop": []},
    "bare-searched": {"get": ["get_a", "get_b"], "add": ["add", "sum"]},
    "hidden": {"get": ["get_a", "get_b"], "add": []},
}


@pytest.mark.parametrize("name", SEARCHES)
def test_searches_find_what_may_be_used(gateway, name):
    with Connection(gateway.port) as connection:
        mine = McpClient(connection, version="2025-11-25", path=f"/{name}")
        mine.initialize()
        for query, expected in SEARCHES[name].items():
            result = mine.result("tools/call", {"name": "search_tools", "arguments": {"query": query}})
            assert sorted(names_of(result["structuredContent"]["tools"])) == expected, query


def test_calls_that_stand_for_nothing(gateway):
    with Connection(gateway.port) as connection:
        mine = McpClient(connection, version="2025-11-25", path="/searched")
        mine.initialize()
        before = gateway.one.count("tools/call")
        for tool, arguments in (("search_tools", {}), ("call_tool", {}), ("call_tool", {"name": "call_tool"}), ("call_tool", {"name": "sum", "arguments": 1})):
            result = mine.result("tools/call", {"name": tool, "arguments": arguments})
            assert result["isError"] and "must be" in result["content"][0]["text"]
        for tool in ("one_drop", "never"):
            answer = mine.call("tools/call", {"name": "call_tool", "arguments": {"name": tool}})[-1]
            assert answer["error"] == {"code": -32602, "message": f"Unknown tool: {tool}"}
        assert gateway.one.count("tools/call") == before


@pytest.fixture(scope="module")
def everything(start_module_gateway, tmp_path_factory):
    server = Server("everything", tmp_path_factory.mktemp("servers"))
    port = free_port()
    backend = m.mcp_backend("tools", {"everything": server.port})
    backend["spec"]["mcp"] |= {
        "tools": [{"target": "everything", "name": "echo", "rename": "say", "description": "Says it back."}, {"target": "everything", "pattern": "get-*"}],
        "toolSearch": {"pinned": ["say"]},
    }
    start_module_gateway(m.gateway(port), backend, m.route("mcp", m.rule(m.agentgateway_ref("tools"))))
    yield port
    server.stop()


@pytest.mark.parametrize("mode, version", [("legacy", "2025-11-25"), ("auto", MODERN)])
def test_official_clients_find_and_call(everything, mode, version):
    seen = run_script("virtual.mjs", f"http://127.0.0.1:{everything}/mcp", mode)
    assert seen["version"] == version
    assert seen["listed"] == ["search_tools", "call_tool", "say"]
    assert seen["said"] == "Echo: hello"
    assert names_of(seen["found"]) == ["get-sum"] and "inputSchema" in seen["found"][0]
    assert "3" in seen["direct"] and "7" in seen["called"]
    assert seen["unknown"] == -32602


@needed
def test_clients_of_2026_see_the_same(gateway):
    with Connection(gateway.port) as connection:
        listed = modern(connection, "/searched", "tools/list")
        validate_result(MODERN, listed, "ListToolsResult")
        assert names_of(listed["result"]["tools"]) == ["search_tools", "call_tool", "sum", "two_put"]
        found = modern(connection, "/searched", "tools/call", name="search_tools", arguments={"query": "put"})
        validate_result(MODERN, found, "CallToolResult")
        assert names_of(found["result"]["structuredContent"]["tools"]) == ["two_put"]
        called = modern(connection, "/searched", "tools/call", name="call_tool", arguments={"name": "sum"})
        assert called["result"]["content"][0]["text"] == "one:add"
        refused = modern(connection, "/searched", "tools/call", name="call_tool", arguments={})
        validate_result(MODERN, refused, "CallToolResult")
        assert refused["result"]["isError"]
