"""A listener of protocol HBONE: peers of the mesh open tunnels to the other listeners of its Gateway."""

import socket
import time
from types import SimpleNamespace

import pytest

import client
import manifests as m
from certificates import Authority
from client import Connection
from gateway import eventually
from h2client import DATA, END_STREAM, H2
from hbone import HBONE_PORT, Mesh, TunnelClient, loopback_address, spiffe
from l4_peers import connect, digest, pattern, read_all
from ports import free_port
from xds_build import service_ref

MIB = 1 << 20


@pytest.fixture
def mesh(tmp_path):
    return Mesh(tmp_path)


@pytest.fixture
def start_client(mesh):
    started = []

    def start(*args, **options):
        started.append(TunnelClient(mesh, *args, **options))
        return started[-1]

    yield start
    for peer in started:
        peer.close()


@pytest.fixture
def site(mesh, start_gateway, start_upstream, start_client):
    """site(): a gateway with an HBONE listener beside an HTTP one, and a client that tunnels to the latter."""

    def start(*objects, listeners=(), authority="10.0.0.1", tunnel=True, address="127.0.0.1", env=None, **options):
        port, inner = (free_port() if address == "127.0.0.1" else HBONE_PORT), free_port()
        up = start_upstream("v1")
        own = m.gateway(listeners=[m.listener(port, "mesh", protocol="HBONE"), m.listener(inner), *listeners])
        own["spec"]["addresses"] = [{"type": "IPAddress", "value": address}]
        route = m.route("r", m.rule("v1"))
        env = mesh.gateway() if env is None else env
        gateway = start_gateway(own, m.service("v1", up.port), route, *objects, workers=1, env=env, **options)
        peer = start_client((address, port), f"{authority}:{inner}") if tunnel else None
        return SimpleNamespace(port=port, inner=inner, gateway=gateway, up=up, peer=peer, to=(address, port))

    return start


def test_requests_come_through_a_tunnel(site):
    s = site()
    with Connection(s.peer.port) as connection:
        for _ in range(3):
            assert connection.ask().json()["name"] == "v1"
        answer = connection.ask(method="POST", path="/x", body=b"hello")
        assert answer.json()["body"] == "hello"
    assert s.peer.heard("server") == [f"URI:{spiffe('gw')}"]
    assert s.peer.heard("status") == [200]


def test_the_access_log_says_who_it_was(site):
    s = site()
    client.ask(s.peer.port)
    client.ask(s.inner)
    eventually(lambda: s.gateway.access_log.read_text().count("\n") == 2)
    first, second = s.gateway.access_log.read_text().splitlines()
    assert f"client_identity={spiffe('client')}" in first
    assert "client_identity" not in second


def test_http2_inside(site):
    s = site()
    with H2(s.peer.port) as connection:
        connection.get(1, path="/h2", authority="test")
        seen = connection.read_until(lambda kind, flags, stream, payload: kind == DATA and flags & END_STREAM)
        assert seen[-1]
    assert s.up.seen("/h2")


def test_tls_inside(site, start_client, tmp_path):
    room = tmp_path / "tls"
    room.mkdir()
    authority = Authority(room)
    tls = free_port()
    secret = m.tls_secret("cert", *authority.issue("a.test"))
    s = site(secret, listeners=[m.listener(tls, "https", protocol="HTTPS", tls=["cert"])], tunnel=False)
    peer = start_client(s.to, f"10.0.0.1:{tls}")
    with Connection(peer.port, tls=str(authority.certificate), server_name="a.test") as connection:
        assert connection.ask(host="a.test").json()["name"] == "v1"


@pytest.mark.parametrize("authority", ["{}:{}", "[fd00::1]:{}", "gw.test:{}"])
def test_any_host_leads_to_the_port(site, start_client, authority):
    s = site(tunnel=False)
    peer = start_client(s.to, authority.replace("{}:{}", "10.1.2.3:{}").format(s.inner))
    assert client.ask(peer.port).status == 200


def refused_with(peer):
    with connect(peer.port) as sock:
        sock.settimeout(20)
        assert sock.recv(1) == b""
    return eventually(lambda: peer.heard("status"))[0]


def test_a_port_that_the_gateway_does_not_have(site, start_client):
    s = site(tunnel=False)
    assert refused_with(start_client(s.to, f"10.0.0.1:{free_port()}")) == 404


def test_a_tunnel_does_not_lead_to_tunnels(site, start_client):
    s = site(tunnel=False)
    assert refused_with(start_client(s.to, f"10.0.0.1:{s.port}")) == 404


def test_another_gateways_port_is_not_reached(site, start_client):
    port = free_port()
    s = site(m.gateway(port, name="other"), tunnel=False)
    assert refused_with(start_client(s.to, f"10.0.0.1:{port}")) == 404


def test_an_authority_without_port(site, start_client):
    s = site(tunnel=False)
    assert refused_with(start_client(s.to, "10.0.0.1")) == 400


def test_a_peer_without_a_certificate_of_the_mesh(site, mesh, start_client, tmp_path):
    s = site(tunnel=False, args=("--log-level", "debug"))
    room = tmp_path / "stranger"
    room.mkdir()
    stranger = Mesh(room)
    files = {**stranger.issue(spiffe("client")), "ca": str(mesh.authority.certificate)}
    start_client(s.to, f"10.0.0.1:{s.inner}", files=files)
    eventually(lambda: "client certificate refused" in s.gateway.log())


def test_a_peer_of_another_trust_domain(site, start_client):
    s = site(tunnel=False)
    peer = start_client(s.to, f"10.0.0.1:{s.inner}", identity=spiffe("client", domain="far.test"))
    eventually(lambda: peer.heard("failed") or peer.heard("closed"))
    assert not s.up.requests


def test_a_trust_domain_that_is_named(site, mesh, start_client):
    s = site(tunnel=False, env={**mesh.gateway(), "ADDITIONAL_TRUST_DOMAINS": "far.test,else.test"})
    peer = start_client(s.to, f"10.0.0.1:{s.inner}", identity=spiffe("client", domain="far.test"))
    assert client.ask(peer.port).status == 200


def test_without_a_certificate_nobody_comes_in(site, start_client):
    s = site(tunnel=False, env={})
    assert "handshakes are refused" in s.gateway.log()
    peer = start_client(s.to, f"10.0.0.1:{s.inner}")
    eventually(lambda: peer.heard("failed") or peer.heard("closed"))


def test_large_bodies_both_ways(site):
    s = site()
    s.up.on("/back", lambda request, stream: stream.respond(200, request.body))
    body = pattern(8 * MIB)
    answer = client.ask(s.peer.port, method="POST", path="/back", body=body)
    assert digest(answer.body) == digest(body)


def test_relayed_connections_come_through_a_tunnel(site, start_client, start_tcp):
    tcp = free_port()
    server = start_tcp(lambda sock: sock.sendall(digest(read_all(sock)).encode()))
    objects = [m.service("tcp", server.port), m.l4_route("TCPRoute", "t", "tcp")]
    s = site(*objects, listeners=[m.tcp_listener(tcp)], tunnel=False)
    peer = start_client(s.to, f"10.0.0.1:{tcp}")
    data = pattern(2 * MIB)
    with connect(peer.port) as sock:
        sock.sendall(data)
        sock.shutdown(socket.SHUT_WR)
        assert read_all(sock).decode() == digest(data)
    eventually(lambda: f"client_identity={spiffe('client')}" in s.gateway.access_log.read_text())


def test_it_drains(site):
    s = site()
    release = []

    def slow(request, stream):
        eventually(lambda: release)
        stream.respond(200, b"done")

    s.up.on("/slow", slow)
    with Connection(s.peer.port) as connection:
        connection.request(path="/slow")
        eventually(lambda: s.up.seen("/slow"))
        s.gateway.process.terminate()
        eventually(lambda: s.peer.heard("goaway") or "draining" in s.gateway.log())
        release.append(True)
        assert connection.response().body == b"done"
    s.gateway.process.wait(20)
    assert s.gateway.process.returncode == 0


def test_a_stop_with_tunnels_open(site):
    s = site()
    connections = [Connection(s.peer.port) for _ in range(5)]
    for connection in connections:
        assert connection.ask().status == 200
    s.up.on("/held", lambda request, stream: time.sleep(1))
    connections[0].request(path="/held")
    eventually(lambda: s.up.seen("/held"))
    s.gateway.process.terminate()
    time.sleep(0.2)
    s.gateway.process.terminate()
    s.gateway.process.wait(20)


def test_from_gateway_to_gateway(site, mesh, plane, b, start_gateway):
    """One gateway's client is another one's server."""
    address = loopback_address()
    s = site(tunnel=False, address=address)
    port = free_port()
    workload = b.workload("gw", s.inner, ["s"], address=address, tunnel_protocol="HBONE", service_account="gw")
    plane.put(b.bind(port), b.listener(port), b.route("r", service_ref("s")), b.service("s"), workload)
    front = start_gateway(xds=plane.port, workers=1, env=mesh.gateway(spiffe("front")))
    connections = [Connection(port) for _ in range(4)]
    for connection in connections:
        assert connection.ask(method="POST", body=b"x" * MIB).json()["name"] == "v1"
    eventually(lambda: f"client_identity={spiffe('front')}" in s.gateway.access_log.read_text())
    s.gateway.process.terminate()
    s.gateway.process.wait(20)
    assert client.ask(port).status in (502, 503)
    assert front.process.poll() is None
