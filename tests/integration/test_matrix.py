"""HTTP/1.1 and HTTP/2, plain and over TLS, on both sides: what a message may have comes through in all sixteen ways.

The back sides by HTTP/2 are listeners of the same gateway, which pass on to the scripted upstream by HTTP/1.1."""

import ssl
import subprocess
from types import SimpleNamespace

import pytest

import manifests as m
from certificates import Authority
from client import Connection, request_bytes
from curl import curl
from gateway import eventually
from ports import free_ports

SIDES = "h1", "h2", "h1s", "h2s"  # s: over TLS
BODY = bytes(range(256)) * 1200
HINT = "link", "</style.css>; rel=preload"


def tls_context(authority):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(authority.file("localhost", "crt"), authority.file("localhost", "key"))
    return context


@pytest.fixture(scope="module")
def site(start_module_gateway, start_module_upstream, tmp_path_factory):
    room = tmp_path_factory.mktemp("matrix")
    authority = Authority(room)
    secret = m.tls_secret("cert", *authority.issue("localhost"))
    plain, secure = start_module_upstream(), start_module_upstream(tls=tls_context(authority))
    outer, inner = free_ports(2), free_ports(2)
    targets = {"h1": plain.port, "h1s": secure.port, "h2": inner[0], "h2s": inner[1]}

    def gateway(name, ports):
        listeners = [m.listener(ports[0]), m.listener(ports[1], "https", protocol="HTTPS", tls=["cert"])]
        return m.gateway(listeners=listeners, name=name)

    def parents(name):
        return [{"name": name, "namespace": m.NAMESPACE}]

    started = start_module_gateway(
        [gateway("gw", outer), gateway("gw2", inner), secret],
        m.config_map("ca", ca_crt=authority.certificate.read_text()),
        m.backend_tls_policy("tls", ["h1s", "h2s"], hostname="localhost", caCertificateRefs=[m.core_ref("ca")]),
        [m.service(name, port, app_protocol="kubernetes.io/h2c" if name == "h2" else None) for name, port in targets.items()],
        m.route("outer", *(m.rule(name, matches=[m.prefix(f"/{name}")]) for name in SIDES), parents=parents("gw")),
        m.route("inner", m.rule("h1"), parents=parents("gw2")),
    )
    (room / "body").write_bytes(BODY)
    ups = {name: secure if name == "h1s" else plain for name in SIDES}
    return SimpleNamespace(gateway=started, ports=outer, ups=ups, ca=str(authority.certificate), room=room)


class Way:
    """From a front side to a back side."""

    def __init__(self, site, front, back, name):
        self.site, self.front, self.back = site, front, back
        self.path = f"/{back}/{front}/{name}"
        self.up = site.ups[back]
        self.port = site.ports[1 if front.endswith("s") else 0]
        self.url = f"http{'s' if front.endswith('s') else ''}://localhost:{self.port}{self.path}"

    def on(self, handler, **options):
        self.up.on(self.path, handler, **options)

    def curl(self, *args):
        return curl(self.front[:2], self.url, "-4", "--cacert", self.site.ca, *args)

    def connect(self):
        tls = {"tls": self.site.ca, "server_name": "localhost"} if self.front.endswith("s") else {}
        return Connection(self.port, **tls)

    def request(self):
        return self.up.seen(self.path)[-1]


@pytest.fixture(params=[(front, back) for front in SIDES for back in SIDES], ids=lambda way: f"{way[0]}-{way[1]}")
def way(site, request):
    way = Way(site, *request.param, request.function.__name__)
    yield way
    assert not way.up.errors


def test_bodies_both_ways_by_the_versions_asked_for(way):
    way.on(lambda request, stream: stream.respond(200, request.body))
    saw = way.curl("--data-binary", f"@{way.site.room}/body")
    assert (saw.code, saw.statuses[-1], saw.body) == (0, 200, BODY)
    spoken = ["HTTP/2" if way.front.startswith("h2") else "HTTP/1.1", *(["HTTP/2"] if way.back.startswith("h2") else [])]

    def logged():
        lines = [line for line in way.site.gateway.access_log.read_text().splitlines() if f"path={way.path} " in line]
        return len(lines) == len(spoken) and sorted(line.split("protocol=")[1].split()[0] for line in lines)

    assert eventually(logged) == sorted(spoken)


def test_trailers_of_the_answer(way, tmp_path):
    head = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: X-Sum\r\n\r\n"
    way.on(lambda request, stream: stream.send(head + "2\r\nhi\r\n0\r\nX-Sum: 2\r\n\r\n"))
    way.curl("-D", str(tmp_path / "fields"))
    fields = (tmp_path / "fields").read_text().lower().splitlines()
    assert "x-sum: 2" in fields[fields.index("") :], "behind the head"


def test_trailers_of_the_request(way):
    if way.front.startswith("h1"):
        with way.connect() as connection:
            head = request_bytes("POST", way.path, {"Transfer-Encoding": "chunked"})
            connection.send(head + b"2\r\nhi\r\n0\r\nX-Sum: 7\r\n\r\n")
            assert connection.response().status == 200
    else:
        command = ["nghttp", "--no-content-length", "-d", way.site.room / "body", "--trailer=x-sum: 7", way.url]
        subprocess.run(command, check=True, stdin=subprocess.DEVNULL, capture_output=True, timeout=60)
    assert way.request().trailers == [("x-sum", "7")]


def test_early_hints_and_other_interim_answers(way):
    def handler(request, stream):
        stream.send(f"HTTP/1.1 103 Early Hints\r\n{HINT[0]}: {HINT[1]}\r\n\r\nHTTP/1.1 102 Processing\r\n\r\n")
        stream.respond(200, b"final")

    way.on(handler)
    saw = way.curl()
    assert (saw.code, saw.statuses, saw.body) == (0, [103, 102, 200], b"final")
    assert saw.heads[0][1][HINT[0]] == HINT[1] and HINT[0] not in saw.heads[2][1]


def test_expectation_and_its_answer(way):
    def handler(request, stream):
        stream.send("HTTP/1.1 100 Continue\r\n\r\n")
        stream.respond(200, stream.read_body(request).body)

    way.on(handler, read_body=False)
    saw = way.curl("-H", "Expect: 100-continue", "--expect100-timeout", "20", "-d", "body")
    assert (saw.code, saw.statuses, saw.body) == (0, [100, 200], b"body")


def test_head_has_the_length_and_no_body(way):
    way.on(lambda request, stream: stream.send("HTTP/1.1 200 OK\r\nContent-Length: 1234\r\n\r\n"))
    saw = way.curl("--head")
    assert (saw.code, saw.statuses, saw.body) == (0, [200], b"")
    assert saw.heads[0][1]["content-length"] == "1234" and way.request().method == "HEAD"


@pytest.mark.parametrize("status, body", [(204, b""), (304, b""), (206, b"part"), (404, b"no"), (500, b"oh")])
def test_statuses(way, status, body):
    length = "" if status in (204, 304) else f"Content-Length: {len(body)}\r\n"
    way.on(lambda request, stream: stream.send(f"HTTP/1.1 {status} X\r\nETag: \"1\"\r\n{length}\r\n".encode() + body))
    saw = way.curl()
    assert (saw.code, saw.statuses, saw.body) == (0, [status], body)
    assert saw.heads[0][1]["etag"] == '"1"'
