"""TLS in front: certificates by SNI, ALPN, reload of a certificate, and what is not TLS."""

import json
import socket
import ssl
import subprocess
from types import SimpleNamespace

import pytest

import manifests as m
from certificates import Authority
from client import Connection, ask
from gateway import eventually
from ports import free_port


@pytest.fixture(scope="module")
def authority(tmp_path_factory):
    return Authority(tmp_path_factory.mktemp("ca"))


def https(port, name, hostname, secret):
    return m.listener(port, name, hostname, "HTTPS", [secret])


@pytest.fixture(scope="module")
def site(authority, start_module_gateway, start_module_upstream):
    upstream = start_module_upstream()
    port = free_port()
    one, wild, rest = authority.issue("one.test"), authority.issue("*.wild.test"), authority.issue("rest.test")
    objects = [
        m.gateway(
            listeners=[
                https(port, "one", "one.test", "one"),
                https(port, "wild", "*.wild.test", "wild"),
                https(port, "rest", None, "rest"),
            ]
        ),
        m.tls_secret("one", *one),
        m.tls_secret("wild", *wild),
        m.tls_secret("rest", *rest),
        m.service("up", upstream.port),
        m.route("one", m.rule("up", matches=[m.prefix("/one")]), hostnames=["one.test"]),
        m.route("wild", m.rule("up"), hostnames=["*.wild.test"]),
        m.route("rest", m.rule("up", matches=[m.prefix("/rest")]), parents=[{"name": "gw", "sectionName": "rest"}]),
    ]
    gateway = start_module_gateway(objects)
    return SimpleNamespace(port=port, ca=str(authority.certificate), gateway=gateway, objects=objects, upstream=upstream)


def connect(site, name, **options):
    return Connection(site.port, tls=site.ca, server_name=name, **options)


@pytest.mark.parametrize("name, path", [("one.test", "/one"), ("a.wild.test", "/"), ("rest.test", "/rest")])
def test_certificate_is_chosen_by_server_name(site, name, path):
    with connect(site, name) as connection:
        assert connection.ask(path=path, host=name).json()["path"] == path
        assert connection.ask(path=path, host=f"{name}:{site.port}").status == 200
        assert connection.socket.version() in ("TLSv1.2", "TLSv1.3")


def test_client_without_a_name_gets_the_listener_without_a_hostname(site):
    with Connection(site.port, tls=site.ca) as connection:
        names = connection.socket.getpeercert()["subjectAltName"]
        assert ("DNS", "rest.test") in names
        assert connection.ask(path="/rest", host="whatever.test").status == 200


def test_request_for_another_listener_is_misdirected(site):
    with connect(site, "one.test") as connection:
        assert connection.ask(path="/one", host="a.wild.test").status == 421
        assert connection.ask(path="/one", host="one.test").status == 200
        assert connection.ask(path="/other", host="one.test").status == 404


@pytest.mark.parametrize("offer, chosen", [
    (["h2", "http/1.1"], "h2"), (["http/1.1"], "http/1.1"), (["h2"], "h2"), (["http/1.0"], "http/1.0"), (["http/1.0", "http/1.1"], "http/1.1"),
])
def test_alpn(site, offer, chosen):
    with connect(site, "one.test", alpn=offer) as connection:
        assert connection.socket.selected_alpn_protocol() == chosen


def curl(site, name, path, *args):
    target = ["--resolve", f"{name}:{site.port}:127.0.0.1", "--cacert", site.ca, f"https://{name}:{site.port}{path}"]
    result = subprocess.run(["curl", "-sS", "--max-time", "30", *args, *target], capture_output=True, stdin=subprocess.DEVNULL)
    assert result.returncode == 0, result.stderr
    return result.stdout


@pytest.mark.parametrize("option, version", [("--http1.0", "1.0"), ("--http1.1", "1.1"), ("--http2", "2"), ("--no-alpn", "1.1")])
def test_every_version_that_curl_asks_for_over_tls(site, option, version):
    """curl offers http/1.0 alone by ALPN where it is told to speak HTTP/1.0. The answer's version is the gateway's."""
    out = curl(site, "one.test", "/one", option, "-w", "\n%{http_version}").decode()
    body, _, spoken = out.rpartition("\n")
    assert json.loads(body)["path"] == "/one" and spoken == version.replace("1.0", "1.1")


def test_http2_over_tls(site, tmp_path):
    out = curl(site, "one.test", "/one", "-w", "\n%{http_version}")
    body, version = out.decode().rsplit("\n", 1)
    assert version == "2" and json.loads(body)["path"] == "/one"
    (tmp_path / "body").write_bytes(b"b" * 3_000_000)
    echo = json.loads(curl(site, "one.test", "/one/x", "--data-binary", f"@{tmp_path}/body"))
    assert len(echo["body"]) == 3_000_000


def test_forwarded_scheme_is_https(site):
    site.upstream.clear()
    curl(site, "one.test", "/one/redirects")
    # Where the gateway tells the upstream about the scheme, it tells the truth.
    assert site.upstream.requests[-1].get("x-forwarded-proto") in (None, "https")


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_old_protocol_versions_are_refused(site):
    context = ssl.create_default_context(cafile=site.ca)
    context.minimum_version = ssl.TLSVersion.TLSv1
    context.maximum_version = ssl.TLSVersion.TLSv1_1
    context.set_ciphers("ALL:@SECLEVEL=0")
    with socket.create_connection(("127.0.0.1", site.port), timeout=20) as sock:
        with pytest.raises((ssl.SSLError, ConnectionError)):
            context.wrap_socket(sock, server_hostname="one.test")


@pytest.mark.parametrize("data", [b"GET / HTTP/1.1\r\nHost: one.test\r\n\r\n", b"\x16\x03\x01\xff\xff" + b"x" * 200, b"\0" * 64])
def test_what_is_not_tls_ends_the_connection(site, data):
    with Connection(site.port) as connection:
        connection.send(data)
        try:
            rest = connection.stream.read()
        except ConnectionResetError:
            rest = b""
        assert b" 200 " not in rest
    with connect(site, "one.test") as connection:
        assert connection.ask(path="/one", host="one.test").status == 200


def test_session_resumption(site):
    context = ssl.create_default_context(cafile=site.ca)
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    def handshake(session=None):
        sock = socket.create_connection(("127.0.0.1", site.port), timeout=20)
        with context.wrap_socket(sock, server_hostname="one.test", session=session) as tls:
            return tls.session, tls.session_reused

    session, reused = handshake()
    assert not reused
    assert handshake(session)[1]


def test_the_end_is_said_by_close_notify(site):
    """RFC 8446 section 6.1: a client that is told the end by FIN alone cannot tell it from a cut, nor resume later."""
    context = ssl.create_default_context(cafile=site.ca)
    with socket.create_connection(("127.0.0.1", site.port), timeout=20) as sock:
        with context.wrap_socket(sock, server_hostname="one.test", suppress_ragged_eofs=False) as tls:
            tls.sendall(b"GET /one HTTP/1.1\r\nHost: one.test\r\nConnection: close\r\n\r\n")
            answer = b""
            while data := tls.recv(65536):
                answer += data
    assert answer.startswith(b"HTTP/1.1 200 ")


def test_bad_certificate_spoils_only_its_listener(authority, start_gateway, start_upstream):
    port, upstream = free_port(), start_upstream()
    certificate, key = authority.issue("good.test")
    start_gateway(
        m.gateway(listeners=[https(port, "good", "good.test", "good"), https(port, "bad", "bad.test", "missing")]),
        m.tls_secret("good", certificate, key),
        m.service("up", upstream.port),
        m.route("r", m.rule("up")),
    )
    ca = str(authority.certificate)
    assert ask(port, host="good.test", tls=ca, server_name="good.test").status == 200
    with pytest.raises((ssl.SSLError, ConnectionError)):
        ask(port, host="bad.test", tls=ca, server_name="bad.test")


def test_new_certificate_is_served_after_a_reload(authority, start_gateway, start_upstream):
    port, upstream = free_port(), start_upstream()

    def objects(secret):
        return [
            m.gateway(listeners=[https(port, "https", None, "cert")]),
            m.tls_secret("cert", *secret),
            m.service("up", upstream.port),
            m.route("r", m.rule("up")),
        ]

    gateway = start_gateway(objects(authority.issue("before.test")))
    ca = str(authority.certificate)
    with Connection(port, tls=ca, server_name="before.test") as kept:
        assert kept.ask().status == 200
        gateway.apply(objects(authority.issue("after.test")))

        def served():
            with Connection(port, tls=ca) as connection:
                return ("DNS", "after.test") in connection.socket.getpeercert()["subjectAltName"]

        eventually(served)
        assert kept.ask().status == 200


def test_certificate_of_another_namespace_needs_a_grant(authority, start_gateway, start_upstream):
    port, upstream = free_port(), start_upstream()
    listener = m.listener(port, "https", None, "HTTPS", ["cert"])
    listener["tls"]["certificateRefs"][0]["namespace"] = "vault"
    secret = m.tls_secret("cert", *authority.issue("far.test"), namespace="vault")
    grant = m.grant("vault", m.NAMESPACE, kind="Secret")
    grant["spec"]["from"][0]["kind"] = "Gateway"
    common = [m.gateway(listeners=[listener]), secret, m.service("up", upstream.port), m.route("r", m.rule("up"))]
    gateway = start_gateway(common)
    ca = str(authority.certificate)
    with pytest.raises((ssl.SSLError, OSError)):
        ask(port, tls=ca, server_name="far.test")
    gateway.apply(common, grant)
    eventually(lambda: ask(port, tls=ca, server_name="far.test").status == 200)
