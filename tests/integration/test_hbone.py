"""Workloads behind HBONE: requests and connections go to them through mTLS HTTP/2 CONNECT streams."""

import socket
import ssl
import time
from types import SimpleNamespace

import pytest

import client
from certificates import Authority
from client import Connection
from gateway import eventually
from hbone import Mesh, TunnelEnd, spiffe
from l4_peers import connect, digest, pattern, read_all, reset, talks, tls_connect
from ports import free_port
from upstream import Upstream
from xds_build import NAMESPACE, hostname, service_ref

SERVICE = {"service": {"namespace": NAMESPACE, "hostname": hostname("s")}}
HBONE = {"tunnel_protocol": "HBONE", "service_account": "app"}
MIB = 1 << 20


@pytest.fixture
def mesh(tmp_path):
    return Mesh(tmp_path)


@pytest.fixture
def start_end(mesh):
    """start_end(account): a workload's end of tunnels."""
    started = []

    def start(*args, **options):
        started.append(TunnelEnd(mesh, *args, **options))
        return started[-1]

    yield start
    for peer in started:
        peer.close()


@pytest.fixture
def site(plane, b, mesh, start_end, start_gateway, start_upstream):
    """site(*resources): a gateway of one worker in the mesh, and Service s with one workload behind HBONE."""

    def start(*resources, env=None, workload=None, **options):
        port, up, end = free_port(), start_upstream("v1"), start_end()
        own = b.workload("v1", up.port, ["s"], **{**HBONE, "address": end.address, **(workload or {})})
        plane.put(b.bind(port), b.listener(port), b.route("r", service_ref("s")), b.service("s"), own, *resources)
        env = mesh.gateway() if env is None else env
        gateway = start_gateway(xds=plane.port, workers=1, env=env, **options)
        return SimpleNamespace(port=port, gateway=gateway, up=up, end=end)

    return start


@pytest.fixture
def relay(plane, b, mesh, start_end, start_tcp, start_gateway):
    """relay(handler): a TCP listener in front of a server behind HBONE."""

    def start(handler=None, **options):
        port, end = free_port(), start_end()
        server = start_tcp(handler) if handler else start_tcp()
        plane.put(
            *(b.bind(port, "TCP"), b.listener(port, "tcp", protocol="TCP"), b.tcp_route("r", service_ref("s"))),
            *(b.service("s"), b.workload("v1", server.port, ["s"], address=end.address, **HBONE)),
        )
        gateway = start_gateway(xds=plane.port, workers=1, env=mesh.gateway(), **options)
        return SimpleNamespace(port=port, gateway=gateway, server=server, end=end)

    return start


# --- requests ---


def test_requests_go_through_tunnels_of_one_connection(site):
    s = site()
    connections = [Connection(s.port) for _ in range(8)]
    for connection in connections:
        connection.request()
    assert {connection.response().json()["name"] for connection in connections} == {"v1"}
    assert set(s.end.tunnels()) == {f"{s.end.address}:{s.up.port}"}
    assert s.end.heard("method") == ["CONNECT"] * len(s.end.tunnels())
    assert s.end.heard("peer") == [f"URI:{spiffe('gw')}"]  # one connection, by the gateway's certificate
    assert s.end.heard("alpn") == ["h2"]
    before = len(s.end.tunnels())
    for connection in connections:
        assert connection.ask(method="POST", body=b"x" * 1000).json()["body"] == "x" * 1000
    assert len(s.end.tunnels()) == before  # kept alive, as any connection


def test_the_workload_must_be_who_it_should_be(site):
    s = site(workload={"service_account": "somebody-else"})
    assert client.ask(s.port).status == 503
    assert not s.up.requests
    assert not s.end.tunnels()


def test_a_service_may_name_further_identities(site, b):
    s = site(b.service("s", subject_alt_names=[spiffe("app")]), workload={"service_account": "somebody-else"})
    assert client.ask(s.port).status == 200


def test_the_trust_domain_and_the_account_have_defaults(site, start_end, b, plane):
    s = site()
    other = start_end("default")
    plane.put(b.workload("v1", s.up.port, ["s"], address=other.address, tunnel_protocol="HBONE"))
    eventually(lambda: client.ask(s.port).status == 200 and other.tunnels())


def test_a_refused_connect_is_a_failed_connection(site):
    s = site()
    s.end.tell(refuse=403)
    assert client.ask(s.port).status == 503
    assert not s.up.requests
    s.end.tell(refuse=0)
    assert client.ask(s.port).status == 200


def test_another_endpoint_is_tried(site, b, start_end, start_upstream):
    up, end = start_upstream("v2"), start_end()
    s = site(b.workload("v2", up.port, ["s"], address=end.address, **HBONE))
    s.end.tell(refuse=503)
    connection = Connection(s.port)
    assert [connection.ask().status for _ in range(20)] == [200] * 20
    assert len(up.requests) == 20


def test_nobody_listens_for_tunnels(site):
    s = site()
    s.end.close()
    assert client.ask(s.port).status == 503


def test_more_streams_than_one_connection_may_have(site, start_end, b, plane):
    s = site()
    few = start_end(streams=4)
    plane.put(b.workload("v1", s.up.port, ["s"], address=few.address, **HBONE))
    eventually(lambda: client.ask(s.port).status == 200 and few.tunnels())
    release = []
    s.up.on("/held", lambda request, stream: eventually(lambda: release) and stream.respond(200))
    connections = [Connection(s.port) for _ in range(12)]
    for connection in connections:
        connection.request(path="/held")
    eventually(lambda: len(s.up.seen("/held")) == 12)
    release.append(True)
    assert [connection.response().status for connection in connections] == [200] * 12
    assert 3 <= len(few.heard("peer")) <= 6


def test_large_bodies_both_ways(site):
    s = site()
    body = pattern(8 * MIB)

    def back(request, stream):
        stream.respond(200, request.body)

    s.up.on("/back", back)
    answer = client.ask(s.port, method="POST", path="/back", body=body)
    assert answer.status == 200
    assert digest(answer.body) == digest(body)


def test_a_slow_reader_stops_the_workload(site):
    s = site()
    sent = []

    def flood(request, stream):
        stream.send(f"HTTP/1.1 200 OK\r\nContent-Length: {256 * MIB}\r\n\r\n")
        for _ in range(256):
            stream.send(b"x" * MIB)
            sent.append(MIB)

    s.up.on("/flood", flood)
    client.ask(s.port)
    before = s.gateway.memory("VmRSS")
    with Connection(s.port, receive_buffer=4096) as connection:
        connection.request(path="/flood")
        connection.head()
        time.sleep(1.5)
        at = len(sent)
        time.sleep(0.5)
        assert len(sent) == at < 64
        assert s.gateway.memory("VmRSS") - before < 8 * MIB


def test_an_upstream_that_closes_is_dialled_again(site):
    s = site()
    s.up.on("/close", lambda request, stream: stream.respond(200, headers=[("Connection", "close")]) or False)
    connection = Connection(s.port)
    for _ in range(3):
        assert connection.ask(path="/close").status == 200
        assert connection.ask().status == 200
    assert len(s.end.heard("peer")) == 1


def test_the_end_goes_away_and_comes_back(site, start_end):
    s = site()
    assert client.ask(s.port).status == 200
    address = s.end.address
    s.end.close()
    eventually(lambda: client.ask(s.port).status == 503)
    again = start_end(address=address)
    eventually(lambda: client.ask(s.port).status == 200)
    assert again.tunnels()


def test_tls_to_the_workload_runs_inside(site, b, plane, tmp_path):
    room = tmp_path / "tls"
    room.mkdir()
    authority = Authority(room)
    authority.issue("up.test")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(authority.file("up.test", "crt"), authority.file("up.test", "key"))
    up = Upstream("inside", tls=context)
    root = authority.certificate.read_bytes()
    s = site(b.policy("tls", SERVICE, backend={"backend_tls": {"root": root, "hostname": "up.test"}}))
    plane.put(b.workload("v1", up.port, ["s"], address=s.end.address, **HBONE))
    eventually(lambda: client.ask(s.port).status == 200)
    assert up.handshakes[-1][0] == "up.test"
    assert f"{s.end.address}:{up.port}" in s.end.tunnels()
    up.close()


# --- certificates ---


def test_without_a_certificate_of_its_own_the_gateway_goes_plainly(site):
    s = site(env={}, workload={"address": "127.0.0.1"})
    assert client.ask(s.port).status == 200
    assert not s.end.heard("session")
    assert "HBONE is not used" in s.gateway.log()


def test_never_plainly_while_the_certificate_is_missing(site, mesh):
    env = mesh.gateway()
    issued = open(env["SVID_FILE"]).read()
    open(env["SVID_FILE"], "w").write("")
    s = site(env=env)
    assert client.ask(s.port).status == 503
    assert "serves on" in s.gateway.log()
    open(env["SVID_FILE"], "w").write(issued)
    eventually(lambda: client.ask(s.port).status == 200)


def test_certificates_change_under_way(site, mesh, start_end, plane, b):
    s = site()
    stream_seen = []

    def slow(request, stream):
        stream.send("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhello")
        eventually(lambda: stream_seen)
        stream.send("world")

    s.up.on("/slow", slow)
    first = mesh.serial(spiffe("gw"))
    held = Connection(s.port)
    held.request(path="/slow")
    eventually(lambda: s.up.seen("/slow"))
    assert s.end.heard("serial") == [first]
    mesh.issue(spiffe("gw"))
    assert mesh.serial(spiffe("gw")) != first
    eventually(lambda: s.gateway.log().count("certificate is in use") == 2)
    other = start_end()
    plane.put(b.workload("v1", s.up.port, ["s"], address=other.address, **HBONE))
    eventually(lambda: client.ask(s.port).status == 200 and other.heard("serial"))
    assert set(other.heard("serial")) == {mesh.serial(spiffe("gw"))}
    stream_seen.append(True)
    assert held.response().body == b"helloworld"


def test_a_bad_renewal_leaves_the_last_good_certificate(site, mesh):
    s = site()
    with open(mesh.files(spiffe("gw"))["cert"], "w") as out:
        out.write("-----BEGIN CERTIFICATE-----\nnonsense\n")
    eventually(lambda: "serves on" in s.gateway.log())
    assert client.ask(s.port).status == 200


# --- relayed connections ---


def test_a_relayed_connection_goes_through_a_tunnel(relay):
    r = relay()
    with connect(r.port) as sock:
        assert talks(sock)
        sock.shutdown(socket.SHUT_WR)
        assert read_all(sock) == b""
    assert r.end.tunnels() == [f"{r.end.address}:{r.server.port}"]


def test_a_half_close_passes_a_tunnel(relay):
    def sums(sock):
        sock.sendall(digest(read_all(sock)).encode())

    r = relay(sums)
    data = pattern(4 * MIB)
    with connect(r.port) as sock:
        sock.sendall(data)
        sock.shutdown(socket.SHUT_WR)
        assert read_all(sock).decode() == digest(data)


def test_resets_pass_a_tunnel(relay):
    def handler(sock):
        if sock.recv(5) == b"reset":
            reset(sock)
        else:
            while sock.recv(100):
                pass

    r = relay(handler)
    with connect(r.port) as sock:
        sock.sendall(b"reset")
        with pytest.raises(ConnectionResetError):
            sock.recv(1)
    sock = connect(r.port)
    sock.sendall(b"stays")
    eventually(lambda: r.server.accepted == 2)
    reset(sock)
    eventually(lambda: r.server.errors)


def test_many_relayed_connections_share_a_tunnel_connection(relay):
    r = relay()
    socks = [connect(r.port) for _ in range(50)]
    assert all(talks(sock) for sock in socks)
    assert len(r.end.heard("peer")) == 1
    for sock in socks:
        sock.close()
    eventually(lambda: r.gateway.metric("agentgateway_tcp_connections_total", result="ok") == 50)
