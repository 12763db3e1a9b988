"""Processes as MCP targets: real servers with the official client, and a scripted one for how they live and end."""

import os
import signal
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import pytest
import yaml

import manifests as m
from client import Connection
from controller import Controller
from gateway import eventually, run
from mcp_upstream import McpClient, McpUpstream
from ports import free_port
from servers import NODE, SERVERS, Server, run_script

SCRIPT = str(Path(__file__).parent / "stdio_server.py")
EVERYTHING = str(SERVERS / "node_modules/@modelcontextprotocol/server-everything/dist/index.js")


def mcp_objects(port, targets):
    return [
        m.gateway(port),
        m.mcp_backend("tools", targets),
        m.route("mcp", m.rule(m.agentgateway_ref("tools"), matches=[m.prefix("/mcp")])),
    ]


def python(*args, **fields):
    return {"stdio": {"cmd": sys.executable, "args": [SCRIPT, *args], **fields}}


def alive(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False


def exists(pid):
    return Path(f"/proc/{pid}").exists()


# --- a real server, the official client ---


@pytest.fixture(scope="module")
def direct(tmp_path_factory):
    server = Server("everything", tmp_path_factory.mktemp("servers"))
    try:
        yield run_script("mcp.mjs", f"http://127.0.0.1:{server.port}/mcp")
    finally:
        server.stop()


@pytest.fixture(scope="module")
def through(start_module_gateway):
    port = free_port()
    stdio = {"stdio": {"cmd": str(NODE), "args": [EVERYTHING, "stdio"]}}
    start_module_gateway(mcp_objects(port, {"everything": stdio}), workers=3)
    return run_script("mcp.mjs", f"http://127.0.0.1:{port}/mcp")


def test_a_real_server_is_what_it_is_over_http(through, direct):
    same = ["tools", "schema", "echo", "sum", "image", "bad_arguments", "parallel", "templates", "prompts", "prompt"]
    assert {key: through[key] for key in same} == {key: direct[key] for key in same}
    assert through["progress"][:3] == [1, 2, 3]
    assert through["after_end"]["code"] in (400, 404)


# --- a scripted one ---


@pytest.fixture
def serve(start_gateway):
    connections = []

    def start(target, others=None, workers=3, **options):
        port = free_port()
        gateway = start_gateway(mcp_objects(port, {"p": target, **(others or {})}), workers=workers, **options)
        connections.append(Connection(port))
        return SimpleNamespace(port=port, gateway=gateway, client=McpClient(connections[-1]))

    yield start
    for connection in connections:
        connection.close()


def tool(client, name, **arguments):
    return client.result("tools/call", {"name": name, "arguments": arguments})["structuredContent"]


def post(client, name, id=77, **arguments):
    call = {"jsonrpc": "2.0", "id": id, "method": "tools/call", "params": {"name": name, "arguments": arguments}}
    return client.post(call)


def test_a_process_has_its_own_group_its_pipes_and_no_key_of_ours(serve):
    site = serve(python("a b", "", "*", env={"GIVEN": "x=y z", "PATH": "/usr/bin:/bin"}), env={"SESSION_KEY": "ab" * 32, "KEPT": "1"})
    site.client.initialize()
    facts = tool(site.client, "facts")
    assert facts["fds"] == [0, 1, 2] and facts["group"] == facts["pid"] != os.getpgrp()
    assert facts["arguments"] == ["a b", "", "*"]
    environment = facts["environment"]
    assert environment["GIVEN"] == "x=y z" and environment["PATH"] == "/usr/bin:/bin" and environment["KEPT"] == "1"
    assert "SESSION_KEY" not in environment


def test_an_environment_of_its_own_alone(serve):
    site = serve(python(env={"ONLY": "this"}, clearEnv=True))
    site.client.initialize()
    environment = tool(site.client, "facts")["environment"]
    assert environment.pop("ONLY") == "this" and set(environment) <= {"LC_CTYPE"}


def test_one_process_a_session_reached_from_all_workers(serve):
    site = serve(python())
    site.client.initialize()
    pid = tool(site.client, "facts")["pid"]
    for n in range(24):
        with Connection(site.port) as connection:
            other = McpClient(connection)
            other.session = site.client.session
            other._id = 100 + n
            assert tool(other, "facts")["pid"] == pid
    with Connection(site.port) as connection:
        other = McpClient(connection)
        other.initialize()
        assert tool(other, "facts")["pid"] != pid


def test_the_end_of_a_session_is_the_end_of_its_process(serve):
    site = serve(python())
    site.client.initialize()
    pid = tool(site.client, "facts")["pid"]
    assert site.client.connection.ask("DELETE", "/mcp", {"Mcp-Session-Id": site.client.session}).status == 202
    eventually(lambda: not exists(pid))  # not a zombie either
    assert post(site.client, "facts").status == 404


def test_what_a_process_started_ends_with_it(serve):
    site = serve(python())
    site.client.initialize()
    child = tool(site.client, "spawn")["pid"]
    assert alive(child)
    site.client.connection.ask("DELETE", "/mcp", {"Mcp-Session-Id": site.client.session})
    eventually(lambda: not alive(child))


def test_who_does_not_want_to_end_is_ended(serve):
    site = serve(python("stubborn"))
    site.client.initialize()
    pid = tool(site.client, "facts")["pid"]
    site.client.connection.ask("DELETE", "/mcp", {"Mcp-Session-Id": site.client.session})
    eventually(lambda: not exists(pid), 10)


def test_all_end_with_the_gateway(serve):
    site = serve(python("stubborn"))
    pids = []
    for _ in range(3):
        with Connection(site.port) as connection:
            client = McpClient(connection)
            client.initialize()
            pids += [tool(client, "facts")["pid"], tool(client, "spawn")["pid"]]
    assert all(alive(pid) for pid in pids)
    site.client.connection.close()
    assert site.gateway.stop() == 0
    eventually(lambda: not any(alive(pid) for pid in pids))


def test_all_end_with_a_gateway_that_is_killed(serve):
    site = serve(python("stubborn"))
    site.client.initialize()
    pid = tool(site.client, "facts")["pid"]
    site.gateway.process.send_signal(signal.SIGKILL)
    site.gateway.process.wait()
    eventually(lambda: not alive(pid))
    site.gateway.process.returncode = 0  # as we wanted


def test_a_process_that_ends_ends_its_session_and_the_next_gets_a_new_one(serve):
    site = serve(python())
    site.client.initialize()
    assert post(site.client, "exit", code=4).status == 502
    assert post(site.client, "facts").status == 404
    eventually(lambda: "exited with 4" in site.gateway.log())
    site.client.session = None
    site.client.initialize()
    assert tool(site.client, "facts")["pid"]


def test_failures_delay_the_next_start(serve):
    site = serve(python("die"))
    times = []
    for n in range(4):
        began = time.monotonic()
        assert site.client.post(INITIALIZE).status in (502, 503)
        times.append(time.monotonic() - began)
        eventually(lambda: site.gateway.log().count("exited with 3") == n + 1)
    log = site.gateway.log()
    assert "no reason to live" in log and "exited with 3" in log and "starts again in" in log
    assert times[3] > 0.3


INITIALIZE = {
    "jsonrpc": "2.0",
    "id": 1,
    "method": "initialize",
    "params": {"protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": {"name": "t", "version": "1"}},
}


@pytest.mark.parametrize("cmd", ["no-such-program", "/no/such/program", "/etc/passwd"])
def test_programs_that_cannot_be_started(serve, cmd):
    site = serve({"stdio": {"cmd": cmd}})
    assert site.client.post(INITIALIZE).status in (502, 503)
    assert "cannot start" in site.gateway.log() and cmd in site.gateway.log()


def test_standard_error_goes_to_the_log_line_by_line(serve):
    site = serve(python())
    site.client.initialize()
    pid = tool(site.client, "facts")["pid"]
    tool(site.client, "say", text="one\n\x1b[31mtwo\n" + "y" * 5000 + "\nhalf")
    eventually(lambda: f"p[{pid}]: one" in site.gateway.log())
    eventually(lambda: f"p[{pid}]:  [31mtwo" in site.gateway.log())
    eventually(lambda: "y" * 900 in site.gateway.log())
    assert "y" * 901 not in site.gateway.log()
    site.client.connection.ask("DELETE", "/mcp", {"Mcp-Session-Id": site.client.session})
    eventually(lambda: f"p[{pid}]: half" in site.gateway.log())


def test_a_flood_of_lines_is_cut(serve):
    site = serve(python())
    site.client.initialize()
    tool(site.client, "say", text="line\n" * 5000)
    eventually(lambda: site.gateway.log().count(": line") == 200)
    tool(site.client, "echo")
    assert site.gateway.log().count(": line") == 200


def test_a_line_without_end_is_not_kept(serve):
    site = serve(python())
    site.client.initialize()
    pid = tool(site.client, "facts")["pid"]
    assert post(site.client, "flood", bytes=17 << 20).status == 502
    eventually(lambda: not exists(pid), 10)


def test_large_messages_go_both_ways(serve):
    site = serve(python())
    site.client.initialize()
    text = "x" * (3 << 20)
    assert tool(site.client, "echo", text=text) == {"text": text}


def test_a_message_over_several_lines_is_one_line(serve):
    site = serve(python())
    site.client.initialize()
    body = b'{\n"jsonrpc": "2.0",\r\n"id": 9,\n"method": "tools/call",\n"params": {"name": "echo", "arguments": {"a": "x\\ny"}}\n}'
    answer = site.client.post(body)
    assert answer.json()["result"]["structuredContent"] == {"a": "x\ny"}


def test_noise_is_left_out(serve):
    site = serve(python())
    site.client.initialize()
    assert tool(site.client, "noise") == {}


def test_progress_comes_with_the_call(serve):
    site = serve(python())
    site.client.initialize()
    params = {"name": "notify", "arguments": {"token": "t"}, "_meta": {"progressToken": "t"}}
    messages = site.client.call("tools/call", params)
    assert messages[0]["method"] == "notifications/progress" and "result" in messages[1]


def test_closed_output_is_the_end(serve):
    site = serve(python())
    site.client.initialize()
    pid = tool(site.client, "facts")["pid"]
    assert post(site.client, "close").status == 502
    eventually(lambda: not exists(pid), 10)


def test_beside_a_server_over_http(serve):
    up = McpUpstream("up", ["add"])
    site = serve(python(), {"h": up.port})
    site.client.initialize()
    assert tool(site.client, "p_echo", a=1) == {"a": 1}
    assert site.client.result("tools/call", {"name": "h_add"})["content"][0]["text"] == "up:add"
    up.close()


def test_no_descriptor_and_no_process_is_left_behind(serve):
    site = serve(python(), workers=1)
    fds = lambda: len(os.listdir(f"/proc/{site.gateway.process.pid}/fd"))  # noqa: E731
    before = None
    for _ in range(5):
        site.client.session = None
        site.client.initialize()
        pid = tool(site.client, "facts")["pid"]
        site.client.connection.ask("DELETE", "/mcp", {"Mcp-Session-Id": site.client.session})
        eventually(lambda: not exists(pid))
        eventually(lambda: before is None or fds() <= before)
        before = before or fds()


@pytest.mark.parametrize(
    "fields, reason",
    [
        ({"args": ["x"]}, "cmd"),
        ({"cmd": "x", "env": {"A=B": "c"}}, "must be named by letters"),
        ({"cmd": "x", "unknown": 1}, "unknown"),
    ],
)
def test_mistakes_are_named(tmp_path, fields, reason):
    (tmp_path / "objects.yaml").write_text(yaml.safe_dump_all(m.flat(mcp_objects(free_port(), {"p": {"stdio": fields}}))))
    result = run("-f", str(tmp_path), "--validate")
    assert result.returncode == 1 and reason in result.stdout + result.stderr


def test_a_controller_refuses_to_hand_processes_out(tmp_path):
    with pytest.raises(RuntimeError) as refused:
        Controller(tmp_path, {"objects.yaml": mcp_objects(free_port(), {"p": python()})})
    assert "spec.mcp.targets[0].stdio: starts a process" in str(refused.value)
