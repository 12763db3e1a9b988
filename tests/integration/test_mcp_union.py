"""A list of the gateway is the lists of its targets put together: nothing is lost, nothing comes twice, and only names change,
whatever the pages of the targets look like."""

import random
import subprocess
from contextlib import ExitStack

import pytest

import client
import manifests as m
from client import Connection
from gateway import eventually
from mcp_upstream import McpClient
from ports import free_port
from servers import NODE, SCRIPTS, Server

METHODS = {
    "tools/list": ("tools", "name"),
    "prompts/list": ("prompts", "name"),
    "resources/list": ("resources", "uri"),
    "resources/templates/list": ("resourceTemplates", "uriTemplate"),
}
WALKS = 4  # of each list: the pagers cut their pages anew each time
PAGES_MAX = 200


def pager(stack, room, name, seed):
    port = free_port()
    with open(room / f"{name}.log", "wb") as log:
        command = [NODE, SCRIPTS / "pager.mjs", str(port), name, str(seed)]
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT)
    stack.callback(process.wait)
    stack.callback(process.terminate)
    eventually(lambda: process.poll() is not None or client.ask(port, path="/").status)
    assert process.poll() is None, (room / f"{name}.log").read_text()
    return port


def everything(stack, room):
    server = Server("everything", room)
    stack.callback(server.stop)
    return server.port


@pytest.fixture(scope="module")
def targets(tmp_path_factory):
    seed = random.randrange(1 << 20)
    print("seed", seed)  # shown when a test fails
    room = tmp_path_factory.mktemp("pagers")
    with ExitStack() as stack:
        ports = {name: pager(stack, room, name, seed + n) for n, name in enumerate(("alpha", "beta", "gamma-2"))}
        yield {**ports, "everything": everything(stack, room)}


def walk(port, method, key):
    """All items of a list, and how many pages it had."""
    with Connection(port) as connection:
        mine = McpClient(connection, version="2025-11-25")
        mine.initialize()
        return walked(mine, method, key)


def walked(mine, method, key):
    items, cursor = [], None
    for pages in range(1, PAGES_MAX):
        page = mine.result(method, {} if cursor is None else {"cursor": cursor})
        items += page[key]
        cursor = page.get("nextCursor")
        if cursor is None:
            return items, pages
    raise AssertionError(f"{method} does not end")


def mapped(item, label, target, names, uris):
    """An item as the gateway is to call it."""
    text = item[label]
    if label == "name":
        return {**item, "name": f"{target}_{text}" if names else text}
    if not uris:
        return item
    return {**item, label: f"ui://{target}+{text[5:]}" if text.startswith("ui://") else f"{target}+{text}"}


def in_order(items):
    return sorted(items, key=repr)


# prefix mode: (how many targets, names are prefixed, URIs are prefixed)
MODES = {"Conditional": (4, True, True), "Never": (4, False, True), "Always": (1, True, True), "Conditional-one": (1, False, False)}


@pytest.mark.parametrize("mode", MODES)
def test_a_joined_list_is_the_union(targets, start_gateway, mode):
    count, names, uris = MODES[mode]
    chosen = dict(list(targets.items())[:count])
    port = free_port()
    backend = m.mcp_backend("tools", chosen)
    backend["spec"]["mcp"]["prefixMode"] = mode.split("-")[0]
    start_gateway(m.gateway(port), backend, m.route("mcp", m.rule(m.agentgateway_ref("tools"))))
    for method, (key, label) in METHODS.items():
        direct = {target: walk(at, method, key)[0] for target, at in chosen.items()}
        wanted = [mapped(item, label, target, names, uris) for target, items in direct.items() for item in items]
        for _ in range(WALKS):
            got, pages = walk(port, method, key)
            assert in_order(got) == in_order(wanted), (method, pages)
            for target, items in direct.items():  # a target's own order is kept
                own = [mapped(item, label, target, names, uris) for item in items]
                assert [item for item in got if item in own] == own


def test_walks_at_once_do_not_mix(targets, start_gateway):
    port = free_port()
    start_gateway(m.gateway(port), m.mcp_backend("tools", targets), m.route("mcp", m.rule(m.agentgateway_ref("tools"))))
    with ExitStack() as stack:
        clients = []
        for _ in range(4):
            mine = McpClient(stack.enter_context(Connection(port)), version="2025-11-25")
            mine.initialize()
            clients.append([mine, None, [], False])
        while not all(done for *_, done in clients):
            for row in clients:
                mine, cursor, items, done = row
                if done:
                    continue
                page = mine.result("resources/list", {} if cursor is None else {"cursor": cursor})
                row[1], row[2], row[3] = page.get("nextCursor"), items + page["resources"], "nextCursor" not in page
        first = in_order(clients[0][2])
        assert all(in_order(items) == first for _, _, items, _ in clients)
