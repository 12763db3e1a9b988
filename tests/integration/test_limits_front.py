"""What clients may do and for how long: frontend policies and the environment."""

import os
import socket
import struct
import subprocess
import threading
import time

import pytest

import manifests as m
from certificates import Authority
from client import Closed, Connection, ask
from gateway import BINARY, eventually
from h2client import DATA, END_HEADERS, END_STREAM, GOAWAY, H2, HEADERS, PING, RST_STREAM, SETTINGS, WINDOW_UPDATE
from h2client import fields, frame
from ports import free_port

ROUTE = m.route("r", m.rule("v1"))
CANCEL = 8


def many(n):
    return {f"x-{i}": "v" for i in range(n)}


def codes(gateway, code):
    return gateway.metric("agentgateway_requests_total", code=code)


# --- sizes ---


def test_head_sizes_of_a_policy(serve):
    site = serve(ROUTE, m.front_policy(http={"http1MaxHeaders": 10, "http2MaxHeaderSize": "1Ki"}))
    assert ask(site.port, headers=many(9)).status == 200  # and Host
    answer = ask(site.port, headers=many(10))
    assert answer.status == 431 and answer.get("connection") == "close"
    with H2(site.port) as c:
        c.get(1, ("x", "v" * 700))
        assert c.status(1) == "200"
        c.get(3, ("x", "v" * 1100))
        assert c.status(3) == "431"
        c.get(5)  # a head that is too large costs its stream alone
        assert c.status(5) == "200"
    eventually(lambda: codes(site.gateway, "431") == 2)


@pytest.mark.parametrize("case", ["Preserve", "Lowercase"])
def test_the_case_of_header_names(case, serve):
    heads, listener = [], socket.create_server(("127.0.0.1", 0))

    def answer():
        peer = listener.accept()[0]
        heads.append(peer.recv(65536))
        peer.sendall(b"HTTP/1.1 200 OK\r\nX-Answer: 1\r\nContent-Length: 0\r\n\r\n")
        peer.close()

    thread = threading.Thread(target=answer)
    thread.start()
    raw = m.service("raw", listener.getsockname()[1])
    site = serve(m.route("r", m.rule("raw")), *raw, m.front_policy(http={"http1HeaderCase": case}))
    with socket.create_connection(("127.0.0.1", site.port)) as client:
        client.sendall(b"GET / HTTP/1.1\r\nHost: test\r\nX-Asked-For: 1\r\nACCEPT: a/b\r\n\r\n")
        got = client.recv(65536)
    thread.join()
    listener.close()
    kept = case == "Preserve"
    assert (b"\r\nX-Asked-For: 1\r\nACCEPT: a/b\r\n" in heads[0]) == kept
    assert (b"\r\nx-asked-for: 1\r\naccept: a/b\r\n" in heads[0]) != kept
    assert (b"\r\nX-Answer: 1\r\n" in got) == kept


def test_policy_of_a_port_wins_for_new_connections(serve):
    port = free_port()
    front = m.front_policy("all", http={"http1MaxHeaders": 4})
    site = serve(ROUTE, front, listeners=[m.listener(port)])
    assert ask(port, headers=many(15)).status == 431
    with Connection(port) as kept:
        assert kept.ask().status == 200
        own = m.front_policy("port", port, http={"http1MaxHeaders": 20})
        site.gateway.apply(*site.objects, own)
        eventually(lambda: ask(port, headers=many(15)).status == 200)
        assert kept.ask(headers=many(15)).status == 431  # as it began


def test_environment_bounds_heads_and_bodies(serve):
    env = {"DOWNSTREAM_MAX_HEAD_BYTES": "2000", "DOWNSTREAM_MAX_TARGET_BYTES": "500", "DOWNSTREAM_MAX_BODY_BYTES": "1000"}
    site = serve(ROUTE, env=env)
    assert ask(site.port, path="/" + "a" * 400, headers={"x": "v" * 1000}).status == 200
    assert ask(site.port, headers={"x": "v" * 2000}).status == 431
    assert ask(site.port, path="/" + "a" * 500).status == 414
    with H2(site.port) as c:
        c.get(1, path="/" + "a" * 500)
        assert c.status(1) == "414"
        c.get(3, ("x", "v" * 2000))
        assert c.status(3) == "431"
    for code, count in (("431", 2), ("414", 2)):
        eventually(lambda: codes(site.gateway, code) == count)


def test_body_size(serve):
    site = serve(ROUTE, env={"DOWNSTREAM_MAX_BODY_BYTES": "1000"})
    assert ask(site.port, "POST", body=b"b" * 1000).status == 200
    with Connection(site.port) as c:
        assert c.ask("POST", body=b"b" * 1001).status == 413
        assert c.at_end()
    with Connection(site.port) as c:
        c.send("POST / HTTP/1.1\r\nHost: t\r\nTransfer-Encoding: chunked\r\n\r\n3e8\r\n" + "b" * 1000 + "\r\n")
        time.sleep(0.2)
        c.send("1\r\nb\r\n")
        assert c.response().status == 413
        assert c.at_end()
    with H2(site.port) as c:
        c.send(frame(HEADERS, END_HEADERS, 1, fields(method="POST")) + frame(DATA, 0, 1, b"b" * 1001))
        assert c.status(1) == "413"
        c.get(3)
        assert c.status(3) == "200"
    eventually(lambda: codes(site.gateway, "413") == 3)


def test_buffered_body_size(serve, ups):
    """maxBufferSize is about what is held until it is whole; what streams has no limit."""
    route = m.route("tools", m.rule(m.agentgateway_ref("tools"), matches=[m.prefix("/mcp")]))
    tools = m.mcp_backend("tools", {"t": ups["v1"].port})
    site = serve(ROUTE, route, tools, m.front_policy(http={"maxBufferSize": "1Ki"}))
    assert ask(site.port, "POST", body=b"b" * 100_000).status == 200
    headers = {"Content-Type": "application/json", "Accept": "application/json, text/event-stream"}
    call = b'{"jsonrpc":"2.0","id":1,"method":"ping"' + b" " * 1000 + b"}"
    assert ask(site.port, "POST", "/mcp", headers, call).status == 413
    assert ask(site.port, "POST", "/mcp", headers, call[:900] + b"}").status != 413
    eventually(lambda: codes(site.gateway, "413") == 1)


# --- slow clients ---


def test_slow_body_gets_408(serve):
    site = serve(ROUTE, env={"DOWNSTREAM_BODY_TIMEOUT_SECONDS": "1", "DOWNSTREAM_MIN_BODY_RATE": "100"})
    with Connection(site.port) as c:
        c.send("POST / HTTP/1.1\r\nHost: t\r\nContent-Length: 10000\r\n\r\n")
        began = time.monotonic()
        c.socket.settimeout(0.05)
        answer = b""
        while not answer and time.monotonic() - began < 15:
            c.send("b")  # 20 bytes a second
            try:
                answer = c.socket.recv(4096)
            except TimeoutError:
                pass
        assert answer.startswith(b"HTTP/1.1 408 ") and b"connection: close" in answer
        assert 0.9 < time.monotonic() - began < 5
    eventually(lambda: codes(site.gateway, "408") == 1)
    eventually(lambda: "status=408" in site.gateway.access_log.read_text())


def test_body_at_the_rate_goes_through(serve):
    site = serve(ROUTE, env={"DOWNSTREAM_BODY_TIMEOUT_SECONDS": "1", "DOWNSTREAM_MIN_BODY_RATE": "100"})
    with Connection(site.port) as c:
        c.send("POST / HTTP/1.1\r\nHost: t\r\nContent-Length: 600\r\n\r\n")
        for _ in range(30):
            c.send("b" * 20)  # twice the rate
            time.sleep(0.1)
        assert c.response().status == 200


def test_slow_body_over_http2_is_reset_and_grpc_is_not(serve):
    site = serve(ROUTE, env={"DOWNSTREAM_BODY_TIMEOUT_SECONDS": "1", "DOWNSTREAM_MIN_BODY_RATE": "100"})
    with H2(site.port) as c:
        grpc = (("content-type", "application/grpc"), ("te", "trailers"))
        c.send(frame(HEADERS, END_HEADERS, 1, fields(method="POST")))
        c.send(frame(HEADERS, END_HEADERS, 3, fields(*grpc, method="POST")))
        seen = c.read_until(lambda kind, flags, stream, payload: kind == RST_STREAM)
        assert seen[-1][2] == 1 and struct.unpack(">I", seen[-1][3]) == (CANCEL,)
        time.sleep(1.5)
        c.get(5)
        seen = c.read_until(lambda kind, flags, stream, payload: kind == HEADERS)
        assert seen[-1][2] == 5 and all(f[0] != RST_STREAM for f in seen)
    eventually(lambda: codes(site.gateway, "408") == 1)


def test_slow_head_gets_408(serve):
    site = serve(ROUTE, env={"DOWNSTREAM_HEAD_TIMEOUT_SECONDS": "1"})
    with Connection(site.port) as c:
        assert c.ask().status == 200
        began = time.monotonic()
        c.send("GET / HT")
        time.sleep(0.7)
        c.send("TP/1.1\r\n")  # wins no time
        assert c.response().status == 408
        assert 0.9 < time.monotonic() - began < 1.6
        assert c.at_end()
    with Connection(site.port) as c:  # who says nothing gets nothing
        assert c.at_end()
    with H2(site.port) as c:
        c.send(frame(HEADERS, END_STREAM, 1, fields()))
        assert c.read_until(lambda *got: False)[-1] is None
    eventually(lambda: codes(site.gateway, "408") == 1)


# --- durations ---


def test_a_request_without_a_byte_from_either_side_ends(serve, ups):
    def silent(request, stream):
        stream.send(b"" if request.path == "/silent" else b"HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\n")
        for _ in range(4):
            time.sleep(0.4)
            stream.send(b"x" if request.path == "/flows" else b"")

    for path in ("/silent", "/begun", "/flows"):
        ups["v1"].on(path, silent)
    site = serve(ROUTE, env={"DOWNSTREAM_STREAM_IDLE_TIMEOUT_SECONDS": "1"})
    began = time.monotonic()
    assert ask(site.port, path="/silent").status == 504
    assert 0.9 < time.monotonic() - began < 5
    with pytest.raises((Closed, ConnectionResetError)):
        ask(site.port, path="/begun")
    assert ask(site.port, path="/flows").body == b"xxxx"


def test_idle_connections_of_a_policy(serve):
    site = serve(ROUTE, m.front_policy(http={"http1IdleTimeout": "1s"}))
    with Connection(site.port) as c:
        assert c.ask().status == 200
        began = time.monotonic()
        assert c.at_end()
        assert 0.9 < time.monotonic() - began < 2
    eventually(lambda: site.gateway.metric("agentgateway_downstream_connections") == 0)


def test_connections_end_after_their_time(serve):
    site = serve(ROUTE, m.front_policy(http={"maxConnectionDuration": "1s"}))
    with Connection(site.port) as busy, Connection(site.port) as idle, H2(site.port) as h2:
        assert busy.ask().get("connection") is None
        assert idle.ask().status == 200
        h2.get(1)
        assert h2.status(1) == "200"
        began = time.monotonic()
        last = busy.ask()
        while last.get("connection") is None and time.monotonic() - began < 10:
            time.sleep(0.02)
            try:
                last = busy.ask()
            except (OSError, Closed):  # it was idle at that moment
                break
        assert 0.5 < time.monotonic() - began < 3
        assert busy.at_end() and idle.at_end()
        seen = h2.read_until(lambda *got: False)
        assert seen[-1] is None and any(f and f[0] == GOAWAY for f in seen)
    eventually(lambda: site.gateway.metric("agentgateway_downstream_connections") == 0)


def test_answer_under_way_outlives_the_connection_duration(serve, ups):
    gate = threading.Event()
    ups["v1"].on("/slow", lambda request, stream: gate.wait(20) and stream.respond(200, "late"))
    site = serve(ROUTE, m.front_policy(http={"maxConnectionDuration": "1s"}))
    with Connection(site.port) as c, H2(site.port) as h2:
        c.request(path="/slow")
        h2.get(1, path="/slow")
        time.sleep(2)
        gate.set()
        answer = c.response()
        assert answer.status == 200 and answer.body == b"late" and answer.get("connection") == "close"
        seen = h2.read_until(lambda kind, flags, stream, payload: kind == DATA)
        assert seen[-1][3] == b"late" and any(f[0] == GOAWAY for f in seen)


# --- HTTP/2 settings ---


def test_http2_settings_of_a_policy(serve):
    own = {"http2WindowSize": 131072, "http2ConnectionWindowSize": "2Mi", "http2FrameSize": 32768, "http2MaxHeaderSize": 8192}
    site = serve(ROUTE, m.front_policy(http=own))
    with H2(site.port) as c:
        seen = c.read_until(lambda kind, flags, stream, payload: kind == WINDOW_UPDATE)
        told = next(f[3] for f in seen if f[0] == SETTINGS and not f[1])
        values = {struct.unpack(">HI", told[i : i + 6])[0]: struct.unpack(">HI", told[i : i + 6])[1] for i in range(0, len(told), 6)}
        assert values[4] == 131072 and values[5] == 32768 and values[6] == 8192
        assert struct.unpack(">I", seen[-1][3])[0] == 2 * 1024 * 1024 - 65535
        c.send(frame(HEADERS, END_HEADERS, 1, fields(method="POST")) + frame(DATA, END_STREAM, 1, b"b" * 30000))
        assert c.status(1) == "200"


def test_silent_http2_client_is_asked_for_life(serve):
    site = serve(ROUTE, m.front_policy(http={"http2KeepaliveInterval": "1s", "http2KeepaliveTimeout": "1s"}))
    with H2(site.port) as c:
        c.get(1)
        assert c.status(1) == "200"
        seen = c.read_until(lambda kind, flags, stream, payload: kind == PING and not flags)
        c.send(frame(PING, 1, 0, seen[-1][3]))
        seen = c.read_until(lambda kind, flags, stream, payload: kind == PING and not flags)
        assert seen[-1] is not None
        assert c.read_until(lambda *got: False)[-1] is None  # the second one is not answered


# --- TCP and TLS ---


def test_tcp_keepalive_of_a_policy(serve):
    site = serve(ROUTE, m.front_policy(tcp={"keepalive": {"time": "7s", "interval": "3s", "retries": 2}}))
    with Connection(site.port) as c:
        assert c.ask().status == 200
        rows = open("/proc/net/tcp").read().splitlines()
        local, peer = f":{site.port:04X}", f":{c.socket.getsockname()[1]:04X}"
        row = next(r.split() for r in rows if r.split()[1].endswith(local) and r.split()[2].endswith(peer))
        timer, when = row[5].split(":")
        assert timer == "02" and 0 < int(when, 16) <= 700  # the keep-alive timer, in hundredths of a second


def test_tls_of_a_policy(serve, tmp_path):
    authority = Authority(tmp_path)
    secret, port = m.tls_secret("cert", *authority.issue("a.test")), free_port()
    listeners = [m.listener(port, "https", None, "HTTPS", ["cert"])]
    own = {"alpnProtocols": ["http/1.1"], "maxProtocolVersion": "1.2", "handshakeTimeout": "1s"}
    serve(ROUTE, secret, m.front_policy(tls=own), listeners=listeners)
    with Connection(port, tls=authority.certificate, server_name="a.test", alpn=["h2", "http/1.1"]) as c:
        assert c.socket.selected_alpn_protocol() == "http/1.1" and c.socket.version() == "TLSv1.2"
        assert c.ask().status == 200
    with socket.create_connection(("127.0.0.1", port), timeout=10) as silent:
        began = time.monotonic()
        assert silent.recv(1) == b""
        assert 0.9 < time.monotonic() - began < 2


@pytest.mark.parametrize(
    "name, value",
    [
        ("DOWNSTREAM_HEAD_TIMEOUT_SECONDS", "0"),
        ("DOWNSTREAM_MAX_HEAD_BYTES", "10"),
        ("DOWNSTREAM_MAX_HEAD_BYTES", "1000000"),
        ("DOWNSTREAM_MIN_BODY_RATE", "fast"),
    ],
)
def test_bad_environment_is_refused(name, value):
    ended = subprocess.run([BINARY, "-f", "/"], env={**os.environ, name: value}, capture_output=True, timeout=20)
    assert ended.returncode == 2 and name.encode() in ended.stderr
