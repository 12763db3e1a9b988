"""curl and nghttp as they come: options that change what is on the wire, in front of upstreams of both versions."""

import json
import subprocess
from types import SimpleNamespace

import pytest

import manifests as m
from certificates import Authority
from curl import curl
from h2upstream import H2Upstream
from ports import free_ports

BODY = bytes(range(256)) * 1024


@pytest.fixture(scope="module")
def site(start_module_gateway, start_module_upstream, tmp_path_factory):
    room = tmp_path_factory.mktemp("interop")
    authority = Authority(room)
    one, two, (plain, secure) = start_module_upstream(), H2Upstream(), free_ports(2)
    one.on("/mirror", lambda request, stream: stream.respond(200, request.body))
    two.script = lambda peer, stream: peer.respond(stream, 200, str(len(peer.body(stream))).encode())
    listeners = [m.listener(plain), m.listener(secure, "https", protocol="HTTPS", tls=["cert"])]
    start_module_gateway(
        m.gateway(listeners=listeners),
        m.tls_secret("cert", *authority.issue("localhost")),
        m.service("one", one.port),
        m.service("two", two.port, app_protocol="kubernetes.io/h2c"),
        m.route("all", m.rule("two", matches=[m.prefix("/count")]), m.rule("one")),
    )
    (room / "body").write_bytes(BODY)
    ca, body = str(authority.certificate), str(room / "body")
    yield SimpleNamespace(plain=f"http://127.0.0.1:{plain}", secure=f"https://localhost:{secure}", ca=ca, body=body, one=one)
    two.close()


@pytest.mark.parametrize("options", [(), ("-H", "Transfer-Encoding: chunked"), ("--limit-rate", "2M"), ("--tcp-nodelay", "-N")])
@pytest.mark.parametrize("front", ["h1", "h2"])
def test_curl_uploads(site, front, options):
    if front == "h2" and "-H" in options:
        options = ("-H", "Content-Length:")  # a length that is not said
    saw = curl(front, site.plain + "/mirror", "--data-binary", f"@{site.body}", *options)
    assert (saw.code, saw.statuses[-1], saw.body) == (0, 200, BODY)


@pytest.mark.parametrize("front", ["h1", "h2"])
def test_curl_uploads_to_http2(site, front):
    saw = curl(front, site.plain + "/count", "-T", site.body)
    assert (saw.code, saw.statuses[-1], saw.body) == (0, 200, str(len(BODY)).encode())


@pytest.mark.parametrize("version, protocol", [("--http1.1", "1.1"), ("--http2", "2")])
def test_curl_over_tls(site, version, protocol):
    saw = curl("h1", site.secure + "/tls", version, "--cacert", site.ca, "-w", "\n%{http_version}")
    body, _, spoken = saw.body.decode().rpartition("\n")
    assert (saw.code, json.loads(body)["path"], spoken) == (0, "/tls", protocol)


def nghttp(*args):
    result = subprocess.run(["nghttp", *args], stdin=subprocess.DEVNULL, capture_output=True, timeout=60)
    assert result.returncode == 0, result.stderr
    return result.stdout


@pytest.mark.parametrize(
    "options",
    [(), ("--padding=64",), ("--continuation",), ("--window-bits=14", "--connection-window-bits=15"), ("--header-table-size=0",), ("--no-dep",)],
)
@pytest.mark.parametrize("scheme", ["plain", "secure"])
def test_nghttp_uploads_and_reads_back(site, scheme, options):
    assert nghttp(*options, "-d", site.body, getattr(site, scheme) + "/mirror") == BODY


def test_nghttp_trailers_reach_http1(site):
    """Where no length was said: a body of known length goes out without chunks, and has no place for them."""
    nghttp("--no-content-length", "-d", site.body, "--trailer=x-sum: 7", site.plain + "/mirror/trailers")
    assert site.one.seen("/mirror/trailers")[-1].trailers == [("x-sum", "7")]


def test_nghttp_many_uploads_at_once(site):
    out = nghttp("-nv", "--multiply=50", "-d", site.body, site.plain + "/count").decode()
    assert out.count(":status: 200") == 50
