"""Relayed connections: TCPRoute, and TLSRoute passed through or ended here."""

import signal
import socket
import ssl
import subprocess
import threading
import time
from collections import Counter

import pytest

import manifests as m
from certificates import Authority
from client import TIMEOUT, Connection, ask
from gateway import SANITIZED, eventually
from l4_peers import (
    OpensslServer,
    connect,
    digest,
    echo,
    hello_records,
    line,
    pattern,
    read_all,
    reset,
    say,
    talks,
    tls_connect,
    who,
)
from ports import free_port, free_ports
from xds_build import backend_ref

MIB = 1 << 20


@pytest.fixture
def relay(start_gateway, start_tcp):
    """relay(handler): a gateway with one TCP listener in front of a server; its port, and the server."""

    def start(handler=echo, **options):
        server, port = start_tcp(handler), free_port()
        gateway = start_gateway(
            m.gateway(listeners=[m.tcp_listener(port)]),
            m.service("up", server.port),
            m.l4_route("TCPRoute", "r", "up"),
            **options,
        )
        return gateway, port, server

    return start


# --- TCP ---


def test_bytes_go_both_ways_and_an_end_is_passed_on(relay):
    _, port, _ = relay()
    with connect(port) as sock:
        assert talks(sock)
        sock.sendall(b"last words")
        sock.shutdown(socket.SHUT_WR)
        assert read_all(sock) == b"last words"


def test_server_may_speak_first_and_end_first(relay):
    heard = []

    def handler(sock):
        sock.sendall(b"welcome")
        sock.shutdown(socket.SHUT_WR)
        heard.append(read_all(sock))

    _, port, _ = relay(handler)
    with connect(port) as sock:
        assert read_all(sock) == b"welcome"
        time.sleep(0.1)
        sock.sendall(b"still here")
        sock.shutdown(socket.SHUT_WR)
        eventually(lambda: heard == [b"still here"])


@pytest.mark.parametrize("size", [1, 16384, 65536, 65537, 32 * MIB])
def test_much_data_both_ways_at_once(relay, size):
    sent_up, sent_down, heard = pattern(size, 1), pattern(size, 2), []

    def handler(sock):
        writer = threading.Thread(target=lambda: (sock.sendall(sent_down), sock.shutdown(socket.SHUT_WR)))
        writer.start()
        heard.append(digest(read_all(sock)))
        writer.join()

    gateway, port, _ = relay(handler)
    with connect(port) as sock:
        writer = threading.Thread(target=lambda: (sock.sendall(sent_up), sock.shutdown(socket.SHUT_WR)))
        writer.start()
        assert digest(read_all(sock)) == digest(sent_down)
        writer.join()
    eventually(lambda: heard == [digest(sent_up)])
    labels = {"listener": "test/gw/tcp", "route": "test/r"}
    eventually(lambda: gateway.metric("agentgateway_tcp_received_bytes_total", **labels) == size)
    eventually(lambda: gateway.metric("agentgateway_tcp_sent_bytes_total", **labels) == size)


def test_slow_reader_stops_the_writer_and_costs_no_memory(relay):
    chunk, sent = pattern(MIB), []

    def handler(sock):
        for _ in range(128):
            sock.sendall(chunk)
            sent.append(len(chunk))

    gateway, port, _ = relay(handler)
    talks_before = gateway.memory("VmRSS")
    slow = []
    for _ in range(4):
        sock = socket.socket()
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)
        sock.settimeout(TIMEOUT)
        sock.connect(("127.0.0.1", port))
        slow.append(sock)
    eventually(lambda: len(sent) >= 4)

    def stalled():
        before = len(sent)
        time.sleep(0.5)
        return len(sent) == before

    eventually(stalled)
    assert len(sent) < 4 * 64, "the server was not stopped"
    if not SANITIZED:
        assert gateway.memory("VmRSS") - talks_before < 4 * MIB
    for sock in slow:
        with sock:
            assert digest(read_all(sock)) == digest(chunk * 128)


def test_reset_of_either_side_is_passed_on(relay):
    def handler(sock):
        word = sock.recv(100)
        if word == b"reset":
            reset(sock)
        else:
            sock.recv(100)

    gateway, port, server = relay(handler)
    with connect(port) as sock:
        sock.sendall(b"reset")
        with pytest.raises(ConnectionResetError):
            sock.recv(100)
    sock = connect(port)
    sock.sendall(b"wait")
    eventually(lambda: server.accepted == 2)
    time.sleep(0.1)
    reset(sock)
    eventually(lambda: any(isinstance(e, ConnectionResetError) for e in server.errors))
    eventually(lambda: gateway.metric("agentgateway_tcp_connections_total", result="reset") == 2)


def test_many_connections_at_once_on_plain_sockets(relay):
    """More than there are pipes kept idle; each checks its own bytes."""
    _, port, _ = relay()
    data, bad = pattern(MIB), []

    def run():
        with connect(port) as sock:
            writer = threading.Thread(target=lambda: (sock.sendall(data), sock.shutdown(socket.SHUT_WR)))
            writer.start()
            if read_all(sock) != data:
                bad.append("differs")
            writer.join()

    threads = [threading.Thread(target=run) for _ in range(80)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not bad


def test_metrics_and_access_log(relay):
    gateway, port, server = relay()
    with connect(port) as sock:
        client = sock.getsockname()
        assert talks(sock, b"12345")
        assert gateway.metric("agentgateway_downstream_connections", bind=f"{port}/test/gw") == 1
    labels = {"listener": "test/gw/tcp", "route": "test/r", "backend": "up.test.svc.cluster.local:80"}
    eventually(lambda: gateway.metric("agentgateway_tcp_connections_total", result="ok", **labels) == 1)
    record = eventually(lambda: gateway.access_log.read_text()).split()
    for field in (
        f"client={client[0]}:{client[1]}",
        "protocol=TCP",
        "bytes_in=5",
        "bytes_out=5",
        "listener=test/gw/tcp",
        "route=test/r",
        f"upstream=127.0.0.1:{server.port}",
    ):
        assert field in record, record


def services(start_tcp, *names, namespace=m.NAMESPACE):
    """A server and its Service for each name; a server says its name first."""
    return [m.service(name, start_tcp(say(name)).port, namespace=namespace) for name in names]


def test_rule_32_only_the_oldest_route_gets_traffic(start_gateway, start_tcp):
    port = free_port()
    common = [m.gateway(listeners=[m.tcp_listener(port)]), services(start_tcp, "old", "new")]
    new = m.l4_route("TCPRoute", "a", "new", created="2024-02-01T00:00:00Z")
    old = m.l4_route("TCPRoute", "b", "old", created="2024-01-01T00:00:00Z")
    gateway = start_gateway(common, new, old)
    assert Counter(who(port) for _ in range(20)) == {"old": 20}
    assert gateway.dump()  # both are there
    gateway.apply(common, new)
    eventually(lambda: who(port) == "new")


def test_rule_32_weights_are_per_connection(start_gateway, start_tcp):
    port = free_port()
    refs = [m.ref("a", weight=1), m.ref("b", weight=3), m.ref("none", weight=0)]
    start_gateway(
        m.gateway(listeners=[m.tcp_listener(port)]),
        services(start_tcp, "a", "b", "none"),
        m.l4_route("TCPRoute", "r", *refs),
    )
    seen = Counter(who(port) for _ in range(400))
    assert seen["none"] == 0 and seen[None] == 0
    assert 60 <= seen["a"] <= 140, seen


def test_rule_32_what_does_not_resolve_is_closed(start_gateway, start_tcp):
    ports = free_ports(4)
    names = ["missing", "kind", "empty", "half"]
    routes = [
        m.l4_route("TCPRoute", "missing", "nowhere", section="missing"),
        m.l4_route("TCPRoute", "kind", {"name": "up", "kind": "Widget", "group": "x.io", "port": 80}, section="kind"),
        m.l4_route("TCPRoute", "empty", section="empty"),
        m.l4_route("TCPRoute", "half", "up", "nowhere", section="half"),
    ]
    gateway = start_gateway(
        m.gateway(listeners=[m.tcp_listener(p, n) for p, n in zip(ports, names)]), services(start_tcp, "up"), routes
    )
    assert who(ports[0]) is None and who(ports[1]) is None and who(ports[2]) is None
    seen = Counter(who(ports[3]) for _ in range(60))
    assert seen["up"] > 10 and seen[None] > 10
    assert "BackendNotFound" in gateway.log() and "InvalidKind" in gateway.log()
    assert gateway.metric("agentgateway_tcp_connections_total", result="no_backend") == 3 + seen[None]


def test_listener_without_a_route_closes(start_gateway):
    port = free_port()
    gateway = start_gateway(m.gateway(listeners=[m.tcp_listener(port)]))
    assert who(port) is None
    eventually(lambda: 'error="no route"' in gateway.access_log.read_text())


def test_reference_to_another_namespace_needs_a_grant(start_gateway, start_tcp):
    port = free_port()
    common = [
        m.gateway(listeners=[m.tcp_listener(port)]),
        services(start_tcp, "far", namespace="other"),
        m.l4_route("TCPRoute", "r", m.ref("far", namespace="other")),
    ]
    gateway = start_gateway(common)
    assert who(port) is None
    gateway.apply(common, m.grant("other", m.NAMESPACE))  # for HTTPRoutes: it is not theirs
    time.sleep(0.5)
    assert who(port) is None
    gateway.apply(common, m.grant("other", m.NAMESPACE, from_kind="TCPRoute"))
    eventually(lambda: who(port) == "far")
    gateway.apply(common)
    eventually(lambda: who(port) is None)


def test_dead_endpoint_is_passed_by_and_dead_backend_closes(start_gateway, start_tcp):
    half, dead = free_ports(2)
    server = start_tcp(say("up"))
    gateway = start_gateway(
        m.gateway(listeners=[m.tcp_listener(half, "half"), m.tcp_listener(dead, "dead")]),
        m.service("half", server.port, addresses=("127.0.0.1", "127.0.0.77")),
        m.service("dead", free_port()),
        m.l4_route("TCPRoute", "half", "half", section="half"),
        m.l4_route("TCPRoute", "dead", "dead", section="dead"),
    )
    seen = Counter(who(half) for _ in range(40))
    assert seen["up"] > 30  # three tries: one in eight meets the dead one each time
    assert who(dead) is None
    assert gateway.metric("agentgateway_tcp_connections_total", result="connect_failure", route="test/dead") == 1
    eventually(lambda: "refused" in gateway.access_log.read_text())


def test_backends_by_name_and_by_unix_path(start_gateway, start_tcp, tmp_path):
    ports, path = free_ports(3), str(tmp_path / "s")
    names = ["name", "unix", "gone"]
    unix = socket.socket(socket.AF_UNIX)
    unix.bind(path)
    unix.listen()
    statics = [{"host": "localhost", "port": start_tcp(say("name")).port}, {"unixPath": path}, {"host": "gone.invalid", "port": 1}]
    gateway = start_gateway(
        m.gateway(listeners=[m.tcp_listener(p, n) for p, n in zip(ports, names)]),
        [m.backend(n, {"static": s}) for n, s in zip(names, statics)],
        [m.l4_route("TCPRoute", n, m.agentgateway_ref(n), section=n) for n in names],
    )
    assert who(ports[0]) == "name"
    with connect(ports[1]) as client:
        server, _ = unix.accept()
        with server:
            server.settimeout(TIMEOUT)
            data = pattern(MIB)
            writer = threading.Thread(target=lambda: (client.sendall(data), client.shutdown(socket.SHUT_WR)))
            writer.start()
            assert read_all(server) == data
            writer.join()
            server.sendall(b"bye")
        assert read_all(client) == b"bye"
    unix.close()
    assert who(ports[2]) is None
    eventually(lambda: "does not resolve" in gateway.access_log.read_text())


def test_http_route_does_not_attach_to_a_tcp_listener(start_gateway, start_tcp):
    port = free_port()
    gateway = start_gateway(
        m.gateway(listeners=[m.tcp_listener(port)]), services(start_tcp, "up"), m.route("r", m.rule("up"))
    )
    assert who(port) is None
    assert "NotAllowedByListeners" in gateway.log()


# --- change and end ---


def test_open_connections_outlive_changes_of_their_route(start_gateway, start_tcp):
    port = free_port()
    common = [m.gateway(listeners=[m.tcp_listener(port)]), services(start_tcp, "v1", "v2")]
    gateway = start_gateway(common, m.l4_route("TCPRoute", "r", "v1"))
    kept = [connect(port) for _ in range(20)]
    assert all(line(sock) == "v1" for sock in kept)
    gateway.apply(common, m.l4_route("TCPRoute", "r", "v2"))
    eventually(lambda: who(port) == "v2")
    assert all(talks(sock) for sock in kept)
    gateway.apply(common)
    eventually(lambda: who(port) is None)
    assert all(talks(sock, pattern(200_000)[:1000]) for sock in kept)
    for sock in kept:
        sock.close()


def test_listener_that_goes_lets_those_who_talk_finish(start_gateway, start_tcp):
    port, other = free_ports(2)
    common = [services(start_tcp, "v1"), m.l4_route("TCPRoute", "r", "v1")]
    gateway = start_gateway(m.gateway(listeners=[m.tcp_listener(port), m.tcp_listener(other, "b")]), common)
    busy, quiet = connect(port), connect(port)
    assert line(busy) == line(quiet) == "v1"
    gateway.apply(m.gateway(listeners=[m.tcp_listener(other, "b")]), common)

    def refused():
        try:
            connect(port).close()
        except ConnectionRefusedError:
            return True

    eventually(refused)
    for _ in range(16):
        assert talks(busy)
        time.sleep(0.5)
    assert quiet.recv(1) == b"", "5 s without a word"
    busy.close()


def test_shutdown_finishes_what_moves(relay):
    def handler(sock):
        for _ in range(20):
            sock.sendall(b"x" * 1000)
            time.sleep(0.1)

    gateway, port, _ = relay(handler)
    with connect(port) as sock:
        sock.recv(1)
        gateway.send_signal(signal.SIGTERM)
        assert len(read_all(sock)) == 19_999
    assert gateway.process.wait(10) == 0


# --- TLS ---


@pytest.fixture(scope="module")
def authority(tmp_path_factory):
    return Authority(tmp_path_factory.mktemp("ca"))


@pytest.fixture
def start_openssl(authority, tmp_path):
    started = []

    def start(name):
        started.append(OpensslServer(tmp_path, name, *authority.issue(name)))
        return started[-1]

    yield start
    for server in started:
        server.close()


def subject(authority, port, name):
    """The name in the certificate that the server shows; None when there is no handshake."""
    try:
        with tls_connect(authority, port, name) as sock:
            return sock.getpeercert()["subjectAltName"][0][1]
    except (ConnectionError, ssl.SSLError):
        return None


def test_rule_28_passthrough_by_server_name(start_gateway, start_openssl, authority):
    port = free_port()
    servers = {name: start_openssl(name) for name in ("exact.a.test", "wild.a.test", "rest.test")}
    service = {name: m.service(name.replace(".", "-"), server.port) for name, server in servers.items()}

    def route(name, hosts):
        return m.l4_route("TLSRoute", name.replace(".", "-"), name.replace(".", "-"), hostnames=hosts)

    gateway = start_gateway(
        m.gateway(listeners=[m.tls_listener(port, "tls")]),
        list(service.values()),
        route("exact.a.test", ["exact.a.test"]),
        route("wild.a.test", ["*.a.test"]),
        route("rest.test", ["rest.test"]),
    )
    assert subject(authority, port, "exact.a.test") == "exact.a.test"
    assert subject(authority, port, "EXACT.a.test") == "exact.a.test"
    assert subject(authority, port, "x.a.test") == "wild.a.test"
    assert subject(authority, port, "x.y.a.test") == "wild.a.test"
    assert subject(authority, port, "rest.test") == "rest.test"
    assert subject(authority, port, "a.test") is None
    assert subject(authority, port, "other.test") is None
    eventually(lambda: "host=x.y.a.test protocol=TLS" in gateway.access_log.read_text())
    page = subprocess.run(
        ["openssl", "s_client", "-connect", f"127.0.0.1:{port}", "-servername", "rest.test", "-quiet", "-tls1_3"],
        input=b"GET / HTTP/1.0\r\n\r\n",
        capture_output=True,
        timeout=60,
    )
    assert b"TLSv1.3" in page.stdout, page.stderr


def finish_handshake(sock, tls, incoming, outgoing):
    while True:
        try:
            tls.do_handshake()
            sock.sendall(outgoing.read())
            return tls.getpeercert()["subjectAltName"][0][1]
        except ssl.SSLWantReadError:
            sock.sendall(outgoing.read())
            data = sock.recv(1 << 16)
            assert data, "closed in the handshake"
            incoming.write(data)


@pytest.mark.parametrize("record, piece", [(16384, 1), (50, 1), (1, 6), (7, 1000), (200, 64)])
def test_rule_28_client_hello_in_pieces_and_over_records(start_gateway, start_openssl, authority, record, piece):
    port, server = free_port(), start_openssl("cut.test")
    start_gateway(
        m.gateway(listeners=[m.tls_listener(port, "tls")]),
        m.service("up", server.port),
        m.l4_route("TLSRoute", "r", "up", hostnames=["cut.test"]),
    )
    data, *state = hello_records(authority, "cut.test", record)
    with connect(port) as sock:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for i in range(0, len(data), piece):
            sock.sendall(data[i : i + piece])
        assert finish_handshake(sock, *state) == "cut.test"


@pytest.mark.parametrize("data", [b"GET / HTTP/1.1\r\n\r\n", b"\x16\x03\x01\x00\x05\x02\x00\x00\x01\x00", b"\x16\x03\x01\xff\xff" + b"x" * 70000])
def test_rule_28_what_is_no_client_hello_is_closed(start_gateway, start_tcp, data):
    port, server = free_port(), start_tcp()
    start_gateway(
        m.gateway(listeners=[m.tls_listener(port, "tls")]),
        m.service("up", server.port),
        m.l4_route("TLSRoute", "r", "up"),
    )
    with connect(port) as sock:
        try:
            sock.sendall(data)
            assert sock.recv(100) == b""
        except ConnectionError:
            pass
    assert server.accepted == 0


def test_rule_28_terminated_tls_is_plain_behind(start_gateway, start_tcp, authority):
    port, heard = free_port(), []
    data = pattern(4 * MIB)

    def handler(sock):
        sock.sendall(data)
        heard.append(digest(read_all(sock)))

    gateway = start_gateway(
        m.gateway(listeners=[m.tls_listener(port, "tls", "end.test", "cert")]),
        m.tls_secret("cert", *authority.issue("end.test")),
        m.service("up", start_tcp(handler).port),
        m.l4_route("TLSRoute", "r", "up", hostnames=["end.test"]),
    )
    with tls_connect(authority, port, "end.test", alpn=["mqtt"]) as sock:
        assert sock.selected_alpn_protocol() is None
        got = b""
        while len(got) < len(data):
            got += sock.recv(1 << 16)
        assert digest(got) == digest(data)
        sock.sendall(data)
        sock.unwrap()  # close_notify both ways: an end in order
    eventually(lambda: heard == [digest(data)])
    assert subject(authority, port, "other.test") is None
    eventually(lambda: gateway.metric("agentgateway_tcp_connections_total", result="ok") == 1)


def test_rule_28_https_terminated_and_passed_through_on_one_port(
    start_gateway, start_tcp, start_upstream, start_openssl, authority
):
    port = free_port()
    start_gateway(
        m.gateway(
            listeners=[
                m.listener(port, "https", "web.test", "HTTPS", ["web"]),
                m.tls_listener(port, "ended", "ended.test", "ended"),
                m.tls_listener(port, "through", "*.through.test"),
            ]
        ),
        m.tls_secret("web", *authority.issue("web.test")),
        m.tls_secret("ended", *authority.issue("ended.test")),
        m.service("web", start_upstream("web").port),
        m.service("tcp", start_tcp(say("tcp")).port),
        m.service("tls", start_openssl("x.through.test").port),
        m.route("web", m.rule("web"), parents=[{"name": "gw", "sectionName": "https"}]),
        m.l4_route("TLSRoute", "ended", "tcp", section="ended"),
        m.l4_route("TLSRoute", "through", "tls", section="through"),
    )
    ca = str(authority.certificate)
    assert ask(port, host="web.test", tls=ca, server_name="web.test").json()["name"] == "web"
    with Connection(port, tls=ca, server_name="web.test", alpn=["h2"]) as h2:
        assert h2.socket.selected_alpn_protocol() == "h2"
    with tls_connect(authority, port, "ended.test") as sock:
        assert line(sock) == "tcp" and talks(sock)
    assert subject(authority, port, "x.through.test") == "x.through.test"
    assert subject(authority, port, "nobody.test") is None


def test_backend_is_reached_by_tls(start_gateway, start_tcp, authority, tmp_path):
    """policies.tls of a backend: the gateway checks its certificate, and offers no HTTP by ALPN."""
    certificate, key = authority.issue("db.test")
    (tmp_path / "crt").write_text(certificate)
    (tmp_path / "key").write_text(key)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tmp_path / "crt", tmp_path / "key")
    context.set_alpn_protocols(["h2", "http/1.1"])
    chosen, data = [], pattern(2 * MIB)

    def handler(sock):
        with context.wrap_socket(sock, server_side=True) as tls:
            chosen.append(tls.selected_alpn_protocol())
            echo(tls)

    def backend(name, sni):
        policies = {"tls": {"sni": sni, "caCertificateRefs": [{"name": "ca"}]}}
        return m.backend(name, {"static": {"host": "127.0.0.1", "port": server.port}, "policies": policies})

    server, (good, bad) = start_tcp(handler), free_ports(2)
    authorities = {"ca.crt": authority.certificate.read_text()}
    start_gateway(
        m.gateway(listeners=[m.tcp_listener(good, "good"), m.tcp_listener(bad, "bad")]),
        {"apiVersion": "v1", "kind": "ConfigMap", "metadata": m.meta("ca"), "data": authorities},
        backend("good", "db.test"),
        backend("bad", "other.test"),
        m.l4_route("TCPRoute", "good", m.agentgateway_ref("good"), section="good"),
        m.l4_route("TCPRoute", "bad", m.agentgateway_ref("bad"), section="bad"),
    )
    with connect(good) as sock:
        writer = threading.Thread(target=sock.sendall, args=(data,))
        writer.start()
        got = b""
        while len(got) < len(data):
            got += sock.recv(1 << 16)
        writer.join()
        assert digest(got) == digest(data)
    assert chosen == [None]
    assert who(bad) is None


# --- fed by a control plane ---


def test_tcp_and_tls_routes_of_a_control_plane(fed, plane, b, start_tcp, start_openssl, authority):
    tcp, tls = free_ports(2)
    names = {name: start_tcp(say(name)).port for name in ("old", "new")}
    resources = [
        b.bind(tcp, "TCP"),
        b.listener(tcp, "tcp", protocol="TCP"),
        b.bind(tls, "TLS"),
        b.listener(tls, "through", "*.x.test", protocol="TLS"),
        b.listener(tls, "https", "web.test", protocol="HTTPS", certificate=authority.issue("web.test")),
        *(b.static(name, port) for name, port in names.items()),
        b.static("tls", start_openssl("a.x.test").port),
        b.route("web", backend_ref("v2"), listener="https"),
        b.tcp_route("z", backend_ref("old"), age=1_600_000_000),
        b.tcp_route("a", backend_ref("new"), age=1_700_000_000),
        b.tcp_route("t", backend_ref("tls"), hosts=["a.x.test"], listener="through"),
    ]
    site = fed(*resources)
    assert Counter(who(tcp) for _ in range(10)) == {"old": 10}
    assert subject(authority, tls, "a.x.test") == "a.x.test"
    assert subject(authority, tls, "b.x.test") is None
    assert ask(tls, host="web.test", tls=str(authority.certificate), server_name="web.test").json()["name"] == "v2"
    with connect(tcp) as kept:
        assert line(kept) == "old"
        plane.remove(b.tcp_route("z", backend_ref("old"), age=1_600_000_000))
        eventually(lambda: who(tcp) == "new")
        assert talks(kept)
        assert plane.ask(b.tcp_route("a", backend_ref("gone"))).error is None
        eventually(lambda: who(tcp) is None)
        assert talks(kept)
    assert site.served_by() == "v1"


def test_bind_changes_its_protocol_without_closing_the_port(fed, plane, b, start_tcp):
    site = fed(b.static("tcp", start_tcp(say("tcp")).port), b.tcp_route("t", backend_ref("tcp")))
    kept = Connection(site.port)
    assert kept.ask().status == 200
    refused, stop = [], threading.Event()

    def knock():
        while not stop.wait(0.005):
            try:
                connect(site.port).close()
            except ConnectionRefusedError as error:
                refused.append(error)
            except ConnectionResetError:
                pass

    knocking = threading.Thread(target=knock)
    knocking.start()
    plane.put(b.bind(site.port, "TCP"), b.listener(site.port, "tcp", protocol="TCP"))
    eventually(lambda: who(site.port) == "tcp")
    assert kept.stream.read() == b""
    plane.put(b.bind(site.port))
    plane.remove(b.listener(site.port, "tcp", protocol="TCP"))
    eventually(lambda: site.served_by() == "v1")
    stop.set()
    knocking.join()
    assert not refused


def test_a_route_of_the_wrong_sort_is_warned_of(fed, plane, b):
    tcp = free_port()
    fed(b.bind(tcp, "TCP"), b.listener(tcp, "tcp", protocol="TCP"))
    report = plane.ask(b.tcp_route("t", backend_ref("v1"), listener="http"), b.route("h", backend_ref("v1"), listener="tcp")).report()
    assert len(report) == 2 and all("has no effect" in item["warn"] for item in report.values())
    report = plane.ask(b.listener(tcp, "bad", protocol="TCP", certificate=("x", "y"))).report()
    assert [item["error"] for item in report.values()] == ["protocol TCP cannot have tls"]
