"""The PROXY protocol in front of HTTP, TLS and TCP: who is in front tells the client's address."""

import socket
import struct
import time

import pytest

import manifests as m
from certificates import Authority
from client import Connection
from gateway import eventually
from l4_peers import Haproxy, connect, hello_records, line, read_all, say, talks, tls_connect
from ports import free_port, free_ports
from xds_build import backend_ref


@pytest.fixture(scope="module")
def authority(tmp_path_factory):
    return Authority(tmp_path_factory.mktemp("ca"))


CARRIED = ("203.0.113.7", 4711)
V2_MARK = b"\r\n\r\n\0\r\nQUIT\n"


def proxy_v1(src=CARRIED, family="TCP4", dst="192.0.2.1"):
    return f"PROXY {family} {src[0]} {dst} {src[1]} 443\r\n".encode()


def proxy_v2(src=CARRIED, command=1, tlv=b""):
    body = socket.inet_aton(src[0]) + socket.inet_aton("192.0.2.1") + struct.pack(">HH", src[1], 443) + tlv
    return V2_MARK + bytes([0x20 | command, 0x11]) + struct.pack(">H", len(body)) + body


REQUEST = b"GET / HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n"


def asked(port, head, step=None):
    """The answer to a request behind |head|; None when the connection is closed."""
    with connect(port) as sock:
        data = head + REQUEST
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        try:
            for i in range(0, len(data), step or len(data)):
                sock.sendall(data[i : i + (step or len(data))])
            return read_all(sock) or None
        except ConnectionError:
            return None


def test_proxy_header_tells_the_client(fed, b):
    site = fed(b.proxy_protocol("ALL"))
    for head in (proxy_v1(), proxy_v2(), proxy_v2(tlv=b"\x04\x00\x10" + b"n" * 16)):
        for step in (None, 1):
            assert b" 200 " in asked(site.port, head, step)
            assert site.ups["v1"].requests[-1].get("x-forwarded-for") == CARRIED[0]
    eventually(lambda: site.gateway.access_log.read_text().count(f"client={CARRIED[0]}:{CARRIED[1]}") == 6)
    assert b" 200 " in asked(site.port, b"PROXY UNKNOWN\r\n")
    assert site.ups["v1"].requests[-1].get("x-forwarded-for") == "127.0.0.1"
    assert b" 200 " in asked(site.port, proxy_v2(command=0))
    assert site.ups["v1"].requests[-1].get("x-forwarded-for") == "127.0.0.1"
    assert b" 200 " in asked(site.port, proxy_v1(("2001:db8::7", 9), "TCP6", "::1"))
    assert site.ups["v1"].requests[-1].get("x-forwarded-for") == "2001:db8::7"


def test_proxy_header_over_http2_by_prior_knowledge(fed, b):
    site = fed(b.proxy_protocol())
    with connect(site.port) as sock:
        sock.sendall(proxy_v2() + b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + b"\0\0\0\4\0\0\0\0\0")
        assert sock.recv(9)[3] == 4  # SETTINGS


@pytest.mark.parametrize("head", [b"", b"PROXY TCP4 1.2.3 4.5.6.7 1 2\r\n", proxy_v1(), V2_MARK + b"\x31\x11\0\0", V2_MARK + b"\x21\x11\0\4abcd"])
def test_strict_mode_refuses_what_has_no_good_header(fed, b, head):
    site = fed(b.proxy_protocol("V2"))
    assert asked(site.port, head) is None
    assert site.ups["v1"].requests == []
    assert b" 200 " in asked(site.port, proxy_v2())


def test_optional_mode_takes_both(fed, b):
    site = fed(b.proxy_protocol("ALL", "OPTIONAL"))
    assert b" 200 " in asked(site.port, b"")
    assert site.ups["v1"].requests[-1].get("x-forwarded-for") == "127.0.0.1"
    assert b" 200 " in asked(site.port, proxy_v1())
    assert site.ups["v1"].requests[-1].get("x-forwarded-for") == CARRIED[0]
    assert asked(site.port, b"PROXY TCP4 nonsense\r\n") is None


def test_policy_of_the_port_wins_and_bind_says_it_too(fed, plane, b):
    site = fed(b.proxy_protocol("V1"))
    assert asked(site.port, proxy_v2()) is None
    assert plane.ask(b.proxy_protocol("V2", port=site.port)).error is None
    eventually(lambda: asked(site.port, proxy_v2()) is not None)
    assert asked(site.port, proxy_v1()) is None
    plane.remove(b.proxy_protocol("V2", port=site.port), b.proxy_protocol("V1"))
    eventually(lambda: asked(site.port, b"") is not None)
    plane.put(b.bind(site.port, tunnel_protocol="PROXY"))
    eventually(lambda: asked(site.port, b"") is None)
    assert b" 200 " in asked(site.port, proxy_v1()) and b" 200 " in asked(site.port, proxy_v2())


def test_agentgateway_policy_asks_for_the_header(start_gateway, start_upstream):
    port, other = free_ports(2)
    up = start_upstream("v1")
    objects = [
        m.gateway(listeners=[m.listener(port, "a"), m.listener(other, "b")]),
        m.service("v1", up.port),
        m.route("r", m.rule("v1")),
    ]
    gateway = start_gateway(objects, m.proxy_policy(port=port))
    assert asked(port, b"") is None and asked(port, proxy_v1()) is None
    assert b" 200 " in asked(port, proxy_v2())
    assert up.requests[-1].get("x-forwarded-for") == CARRIED[0]
    assert b" 200 " in asked(other, b"")
    gateway.apply(objects, m.proxy_policy("All", "Optional"))
    eventually(lambda: asked(port, b"") is not None)
    assert b" 200 " in asked(other, proxy_v1())
    gateway.apply(objects)
    eventually(lambda: asked(port, proxy_v1()) is None)  # a line that is no HTTP
    assert b" 200 " in asked(port, b"")


@pytest.mark.parametrize("option", ["send-proxy", "send-proxy-v2", "send-proxy-v2-ssl"])
def test_haproxy_in_front_of_http_tcp_and_tls(fed, b, start_tcp, authority, tmp_path, option):
    tcp, tls = free_ports(2)
    server = start_tcp(say("tcp"))
    site = fed(
        b.proxy_protocol("ALL"),
        b.static("tcp", server.port),
        b.bind(tcp, "TCP"),
        b.listener(tcp, "tcp", protocol="TCP"),
        b.tcp_route("tcp", backend_ref("tcp")),
        b.bind(tls, "TLS"),
        b.listener(tls, "https", protocol="HTTPS", certificate=authority.issue("p.test")),
        b.route("https", backend_ref("v1"), listener="https"),
        b.listener(tls, "ended", "ended.test", protocol="TLS", certificate=authority.issue("ended.test")),
        b.tcp_route("ended", backend_ref("tcp"), hosts=["ended.test"], listener="ended"),
    )
    fronts = [Haproxy(tmp_path / str(i), port, option) for i, port in enumerate((site.port, tcp, tls)) if (tmp_path / str(i)).mkdir() is None]
    try:
        with Connection(fronts[0].port) as connection:
            own = "{}:{}".format(*connection.socket.getsockname())
            assert connection.ask().json()["name"] == "v1"
        eventually(lambda: f"client={own} " in site.gateway.access_log.read_text())
        with connect(fronts[1].port) as sock:
            own = "{}:{}".format(*sock.getsockname())
            assert line(sock) == "tcp" and talks(sock)
        eventually(lambda: f"client={own} " in site.gateway.access_log.read_text())
        ca = str(authority.certificate)
        with Connection(fronts[2].port, tls=ca, server_name="p.test") as connection:
            own = "{}:{}".format(*connection.socket.getsockname())
            assert connection.ask().json()["name"] == "v1"
        eventually(lambda: f"client={own} " in site.gateway.access_log.read_text())
        with tls_connect(authority, fronts[2].port, "ended.test") as sock:
            assert line(sock) == "tcp"
    finally:
        for front in fronts:
            front.close()


def test_who_says_too_little_is_closed_in_time(fed, b, authority):
    """The handshake's 15 s are for a PROXY header and a ClientHello, too."""
    tls = free_port()
    site = fed(
        b.proxy_protocol("V1"),
        b.bind(tls, "TLS"),
        b.listener(tls, "through", protocol="TLS"),
        b.tcp_route("t", backend_ref("v1"), listener="through"),
    )
    started, hello = time.monotonic(), hello_records(authority, "x.test", 16384)[0]
    waiting = []
    for port, said in ((site.port, b"PROXY"), (tls, b""), (tls, proxy_v1() + hello[:-1])):
        waiting.append(connect(port))
        waiting[-1].sendall(said)
    for sock in waiting:
        with sock:
            assert sock.recv(1) == b""
            assert 14 < time.monotonic() - started < 19
