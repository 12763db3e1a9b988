"""The official client of the second generation sees through the gateway what it sees direct, and what servers ask it comes to it."""

import pytest

import manifests as m
from ports import free_port
from servers import Server, run_script

# How this client speaks when it may choose the revision: test_mcp_eras.py


@pytest.fixture(scope="module")
def servers(tmp_path_factory):
    room = tmp_path_factory.mktemp("servers")
    running = []
    try:
        for name in ("everything", "memory"):
            running.append(Server(name, room))
        yield {name: server.port for name, server in zip(("everything", "memory"), running)}
    finally:
        for server in running:
            server.stop()


def seen_through(start, targets, mode, *prefixes):
    port = free_port()
    start(m.gateway(port), m.mcp_backend("tools", targets), m.route("mcp", m.rule(m.agentgateway_ref("tools"))))
    return run_script("mcp2.mjs", f"http://127.0.0.1:{port}/mcp", mode, *prefixes)


@pytest.fixture(scope="module")
def walks(servers, start_module_gateway):
    direct = run_script("mcp2.mjs", f"http://127.0.0.1:{servers['everything']}/mcp", "legacy")
    alone = seen_through(start_module_gateway, {"everything": servers["everything"]}, "legacy")
    both = seen_through(start_module_gateway, servers, "legacy", "everything_", "everything+")
    return direct, alone, both


def test_one_target_looks_like_the_server_itself(walks):
    direct, alone, _ = walks
    assert alone == direct
    assert direct["sampled"].startswith("LLM sampling result") and "decline" in direct["elicited"] and direct["roots"]


def test_of_several_the_one_is_found(walks):
    direct, _, both = walks
    mine = [name.removeprefix("everything_") for name in both["tools"] if name.startswith("everything_")]
    assert mine == direct["tools"] and "memory_read_graph" in both["tools"]
    assert both["resources"] >= direct["resources"]
    own = {"tools", "resources", "capabilities", "sampled", "no_such_tool"}
    assert {key: value for key, value in both.items() if key not in own} == {
        key: value for key, value in direct.items() if key not in own
    }
    assert set(direct["capabilities"]) - {"tasks", "experimental"} <= set(both["capabilities"])
    assert both["sampled"].startswith("LLM sampling result") and "from the model" in both["sampled"]
    assert both["asked"] == direct["asked"] and len(direct["asked"]) == 2
    assert both["no_such_tool"] in (-32602, direct["no_such_tool"])
