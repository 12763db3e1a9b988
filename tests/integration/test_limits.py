"""Memory stays bounded whatever a peer does: large bodies, slow readers, slow writers, many connections."""

import hashlib
import os
import re
import resource
import socket
import threading
import time
from types import SimpleNamespace

import pytest

import manifests as m
from client import Connection, ask
from gateway import SANITIZED, eventually
from ports import free_port

MIB = 1 << 20
GIB = 32 * MIB if SANITIZED else 1024 * MIB
BOUND = 64 * MIB
BLOCK = os.urandom(MIB)


@pytest.fixture
def site(start_gateway, start_upstream):
    upstream, port = start_upstream(), free_port()
    gateway = start_gateway(m.gateway(port), m.service("up", upstream.port), m.route("r", m.rule("up")))
    return SimpleNamespace(gateway=gateway, port=port, upstream=upstream)


def stays_small(gateway):
    if not SANITIZED:
        assert gateway.memory() < BOUND, f"{gateway.memory() / MIB:.0f} MiB at the peak"


def read_all(stream, size):
    """The digest of |size| bytes."""
    digest, buffer = hashlib.sha1(), memoryview(bytearray(MIB))
    while size:
        n = stream.readinto(buffer[: min(size, MIB)])
        assert n, f"{size} bytes are missing"
        digest.update(buffer[:n])
        size -= n
    return digest.hexdigest()


def digest_of_blocks(count):
    digest = hashlib.sha1()
    for _ in range(count):
        digest.update(BLOCK)
    return digest.hexdigest()


@pytest.mark.timeout(600)
def test_large_request_body_under_64_mib(site):
    def handler(request, stream):
        stream.respond(200, read_all(stream.file, int(request.get("content-length"))))

    site.upstream.on("/upload", handler, read_body=False)
    with Connection(site.port) as connection:
        connection.send(f"POST /upload HTTP/1.1\r\nHost: t\r\nContent-Length: {GIB}\r\n\r\n")
        for _ in range(GIB // MIB):
            connection.send(BLOCK)
        assert connection.response().body.decode() == digest_of_blocks(GIB // MIB)
    stays_small(site.gateway)


@pytest.mark.timeout(600)
def test_large_answer_under_64_mib(site):
    def handler(request, stream):
        stream.send(f"HTTP/1.1 200 OK\r\nContent-Length: {GIB}\r\n\r\n")
        for _ in range(GIB // MIB):
            stream.send(BLOCK)

    site.upstream.on("/download", handler)
    with Connection(site.port) as connection:
        connection.request(path="/download")
        assert connection.head().get("content-length") == str(GIB)
        assert read_all(connection.stream, GIB) == digest_of_blocks(GIB // MIB)
    stays_small(site.gateway)


def test_slow_reader_stops_the_upstream(site):
    sent = [0]

    def handler(request, stream):
        stream.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        for _ in range(128):
            stream.send(b"100000\r\n" + BLOCK + b"\r\n")
            sent[0] += 1
        stream.send("0\r\n\r\n")

    site.upstream.on("/fast", handler)
    with Connection(site.port, receive_buffer=16384) as connection:
        connection.request(path="/fast")
        assert connection.head().status == 200
        time.sleep(1.5)
        held = sent[0]
        assert held < 32, f"{held} MiB were taken for a client that reads nothing"
        time.sleep(0.5)
        assert sent[0] == held
        rest = connection.stream.read(8)
        assert rest
    stays_small(site.gateway)
    assert ask(site.port).status == 200


def test_slow_upstream_stops_the_client(site):
    gate = threading.Event()
    site.upstream.on("/lazy", lambda request, stream: gate.wait(20) and False, read_body=False)
    with Connection(site.port) as connection:
        connection.socket.settimeout(1.5)
        connection.send(f"POST /lazy HTTP/1.1\r\nHost: t\r\nContent-Length: {GIB}\r\n\r\n")
        sent = 0
        with pytest.raises(TimeoutError):
            for _ in range(32):
                sent += connection.socket.send(BLOCK)
        assert sent < 32 * MIB
    gate.set()
    stays_small(site.gateway)


def test_client_that_leaves_frees_the_upstream(site):
    left = threading.Event()

    def handler(request, stream):
        stream.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        try:
            while True:
                stream.send(b"100000\r\n" + BLOCK + b"\r\n")
        except OSError:
            left.set()
        return False

    site.upstream.on("/endless", handler)
    with Connection(site.port) as connection:
        connection.request(path="/endless")
        connection.head()
    assert left.wait(15)


def test_many_slow_readers_stay_bounded(site):
    """50 clients that read nothing: what each of them holds is bounded."""

    def handler(request, stream):
        stream.send(f"HTTP/1.1 200 OK\r\nContent-Length: {8 * MIB}\r\n\r\n")
        for _ in range(8):
            stream.send(BLOCK)

    site.upstream.on("/held", handler)
    connections = [Connection(site.port, receive_buffer=8192) for _ in range(50)]
    for connection in connections:
        connection.request(path="/held")
    time.sleep(2)
    stays_small(site.gateway)
    for connection in connections:
        connection.close()
    eventually(lambda: site.gateway.metric("agentgateway_downstream_connections") == 0)


def test_slow_senders_do_not_hold_others_up(site):
    """Half a request on many connections, while others are served."""
    slow = [Connection(site.port) for _ in range(200)]
    for n, connection in enumerate(slow):
        connection.send("GET / HTTP/1.1\r\nHost: t\r\nX-Long: "[: 5 + n % 30])
    for _ in range(20):
        assert ask(site.port).status == 200
    for connection in slow:
        connection.close()
    stays_small(site.gateway)


def test_header_bombs_stay_bounded(site):
    """Heads that never end, on many connections at once: each is cut off at a limit."""
    statuses = []

    def bomb():
        with Connection(site.port) as connection:
            try:
                connection.send("GET / HTTP/1.1\r\nHost: t\r\n")
                for n in range(400):
                    connection.send(f"X-{n}: {'v' * 8000}\r\n")
                statuses.append(connection.response().status)
            except (OSError, ValueError):
                statuses.append(0)  # closed on us while we were sending

    threads = [threading.Thread(target=bomb) for _ in range(30)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert len(statuses) == 30 and set(statuses) <= {0, 431, 400}
    stays_small(site.gateway)
    assert ask(site.port).status == 200


@pytest.mark.skipif(SANITIZED, reason="memory of a sanitizer build says nothing")
def test_idle_connections_are_cheap(site):
    """10,000 idle keep-alive connections cost under 4 KiB each; the idle process is under 12 MiB."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    count = 10_000 if hard >= 11_000 else 500
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, count + 1000), hard))
    idle = site.gateway.memory("VmRSS")
    assert idle < 12 * MIB, f"{idle / MIB:.1f} MiB"
    connections = []
    try:
        for _ in range(count):
            sock = socket.create_connection(("127.0.0.1", site.port), timeout=20)
            sock.sendall(b"GET / HTTP/1.1\r\nHost: t\r\n\r\n")
            sock.recv(65536)
            connections.append(sock)
        time.sleep(0.5)
        each = (site.gateway.memory("VmRSS") - idle) / count
        assert each < 4096, f"{each:.0f} bytes a connection"
    finally:
        for sock in connections:
            sock.close()


def anonymous(gateway):
    status = open(f"/proc/{gateway.process.pid}/status").read()
    return int(re.search(r"RssAnon:\s+(\d+) kB", status).group(1)) // 1024


@pytest.mark.skipif(SANITIZED, reason="memory of a sanitizer build says nothing")
def test_load_is_shed_near_the_memory_limit(serve):
    """Requests get 503 when memory is short, what runs goes on, and service comes back with the memory."""
    limit = anonymous(serve().gateway) + 16
    site = serve(m.route("r", m.rule("v1")), args=("--memory-limit", str(limit)))
    kept = Connection(site.port)
    assert kept.ask().status == 200
    held = [Connection(site.port) for _ in range(800)]
    for connection in held:  # each a head of 60 KiB that does not end
        connection.send("GET / HTTP/1.1\r\nHost: test\r\n" + "X-A: " + "a" * 30000 + "\r\nX-B: " + "b" * 30000)
    eventually(lambda: kept.ask().status == 503)
    eventually(lambda: "memory is short" in site.gateway.access_log.read_text())
    assert "new requests get 503, new connections are closed" in site.gateway.log()
    with Connection(site.port) as late:
        assert late.at_end()
    assert site.gateway.is_ready()
    for connection in held:
        connection.close()
    eventually(lambda: kept.ask().status == 200)
    eventually(lambda: ask(site.port).status == 200)
    assert "requests are served again" in site.gateway.log()


def test_more_connections_than_allowed_are_closed(serve):
    site = serve(m.route("r", m.rule("v1")), args=("--max-connections", "4"), workers=1)
    held = [Connection(site.port) for _ in range(4)]
    assert all(connection.ask().status == 200 for connection in held)
    with Connection(site.port) as fifth:
        assert fifth.at_end()
    eventually(lambda: refused(site.gateway, "connections") == 1)
    held[0].close()
    eventually(lambda: ask(site.port).status == 200)


def refused(gateway, reason):
    return gateway.metric("agentgateway_downstream_connections_refused_total", reason=reason)


def test_more_connections_of_a_source_than_allowed_are_closed(serve):
    site = serve(m.route("r", m.rule("v1")), args=("--max-connections-per-source", "3"), workers=1)
    held = [Connection(site.port) for _ in range(3)]
    assert all(connection.ask().status == 200 for connection in held)
    with Connection(site.port) as fourth:
        assert fourth.at_end()
    with socket.create_connection(("127.0.0.1", site.port), source_address=("127.0.0.2", 0), timeout=20) as other:
        other.sendall(b"GET / HTTP/1.1\r\nHost: t\r\n\r\n")
        assert other.recv(100).startswith(b"HTTP/1.1 200 ")
    eventually(lambda: refused(site.gateway, "source") == 1)
    held[0].close()
    eventually(lambda: ask(site.port).status == 200)
    assert all(connection.ask().status == 200 for connection in held[1:])


def test_a_source_behind_a_proxy_is_who_the_header_says(serve):
    site = serve(m.route("r", m.rule("v1")), m.proxy_policy("V1"), args=("--max-connections-per-source", "2"), workers=1)

    def connect(ip):
        connection = Connection(site.port)
        connection.send(f"PROXY TCP4 {ip} 192.0.2.1 4711 443\r\n")
        connection.request()
        return connection

    held = [connect("203.0.113.7") for _ in range(2)]
    assert all(connection.response().status == 200 for connection in held)
    with connect("203.0.113.7") as third, connect("203.0.113.8") as other:
        assert third.at_end()
        assert other.response().status == 200
    eventually(lambda: refused(site.gateway, "source") == 1)
