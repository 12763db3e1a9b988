"""What servers announce and log, and what clients cancel, over the border of 2026-07-28: the official clients of both eras,
and a server of each behind one /mcp."""

import subprocess

import pytest

import manifests as m
from client import ask
from gateway import eventually
from ports import free_port
from servers import NODE, SCRIPTS, run_script


@pytest.fixture(scope="module")
def walks(tmp_path_factory, start_module_gateway):
    old, new, port = free_port(), free_port(), free_port()
    with open(tmp_path_factory.mktemp("live") / "servers.log", "wb") as log:
        command = [NODE, SCRIPTS / "live.mjs", "serve", str(old), str(new)]
        servers = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT)
    try:
        eventually(lambda: ask(old, path="/").status and ask(new, path="/").status)
        backend = m.mcp_backend("tools", {"old": old, "new": new})
        start_module_gateway(m.gateway(port), backend, m.route("mcp", m.rule(m.agentgateway_ref("tools"))))
        yield run_script("live.mjs", "walk", f"http://127.0.0.1:{port}/mcp")
    finally:
        servers.terminate()
        servers.wait()


CLIENTS, SERVERS = ("old", "modern"), ("old", "new")


@pytest.mark.parametrize("server", SERVERS)
@pytest.mark.parametrize("client", CLIENTS)
def test_changes_are_announced_once(walks, client, server):
    seen = walks[client][server]
    assert seen["updates"] == [f"{server}+memo:1"] and seen["tools"] == 1


@pytest.mark.parametrize("server", SERVERS)
@pytest.mark.parametrize("client", CLIENTS)
def test_log_messages_come_from_the_level_on(walks, client, server):
    assert walks[client][server]["logs"] == ["debug", "error"]


@pytest.mark.parametrize("server", SERVERS)
@pytest.mark.parametrize("client", CLIENTS)
def test_a_cancelled_call_is_cancelled_at_the_server(walks, client, server):
    assert walks[client][server]["stopped"] == 1


def test_what_is_announced_is_said(walks):
    assert walks["modern"]["honored"]["resourceSubscriptions"] == ["old+memo:1", "new+memo:1"]
    assert walks["modern"]["honored"]["toolsListChanged"]
    for client in CLIENTS:
        capabilities = walks[client]["capabilities"]
        assert capabilities["tools"]["listChanged"] and capabilities["resources"]["subscribe"]
        assert "logging" in capabilities
