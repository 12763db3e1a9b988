"""gRPC through the gateway with grpcio on both sides: calls of the four kinds, GRPCRoute, errors, deadlines, ends."""

import json
import re
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from types import SimpleNamespace

import grpc
import pytest

import manifests as m
from certificates import Authority
from gateway import SANITIZED, eventually
from grpc_server import OPTIONS, SERVICE
from ports import free_port

CODE = grpc.StatusCode
MIB = 1 << 20


class Server:
    """grpc_server.py in a process of its own, which a test may kill."""

    def __init__(self, name="up", port=None):
        self.port = port or free_port()
        command = [sys.executable, Path(__file__).parent / "grpc_server.py", str(self.port), name]
        self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE)
        assert self.process.stdout.readline() == b"ready\n"

    def kill(self):
        self.process.kill()
        self.process.wait()
        self.process.stdout.close()


@pytest.fixture(scope="module")
def start_server():
    servers = []

    def start(*args):
        servers.append(Server(*args))
        return servers[-1]

    yield start
    for server in servers:
        if server.process.poll() is None:
            server.kill()


class Calls:
    """A channel to the gateway; calls are bytes in and out."""

    def __init__(self, port, authority="test", credentials=None, **options):
        own = [("grpc.default_authority", authority), ("grpc.use_local_subchannel_pool", 1), *OPTIONS, *options.items()]
        target = f"127.0.0.1:{port}"
        self.channel = (
            grpc.secure_channel(target, credentials, own) if credentials else grpc.insecure_channel(target, own)
        )

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.channel.close()

    def unary(self, method="Unary", request=b"hello", service=SERVICE, timeout=20, metadata=()):
        call = self.channel.unary_unary(f"/{service}/{method}")
        return call.with_call(request, timeout=timeout, metadata=metadata)

    def error(self, *args, **options):
        with pytest.raises(grpc.RpcError) as raised:
            self.unary(*args, **options)
        return raised.value

    def down(self, timeout=20, **asked):
        return self.channel.unary_stream(f"/{SERVICE}/Down")(json.dumps(asked).encode(), timeout=timeout)

    def server_name(self, **options):
        _, call = self.unary(**options)
        return dict(call.initial_metadata())["x-server"]


@pytest.fixture(scope="module")
def server(start_server):
    return start_server()


@pytest.fixture(scope="module")
def site(server, start_module_gateway):
    port = free_port()
    gateway = start_module_gateway(
        m.gateway(port), m.service("up", server.port, app_protocol="kubernetes.io/h2c"), m.grpc_route("r", m.rule("up"))
    )
    return SimpleNamespace(port=port, gateway=gateway)


@pytest.fixture
def calls(site):
    with Calls(site.port) as calls:
        yield calls


def last_record(gateway, path):
    lines = [line for line in gateway.access_log.read_text().splitlines() if f"path={path}" in line]
    return lines[-1] if lines else ""


# --- calls ---


def test_unary_with_metadata_both_ways(calls):
    sent = [("x-text", "a, b"), ("x-raw-bin", b"\x00\xff\x80")]
    answer, call = calls.unary(request=b"hello", metadata=sent)
    assert answer == b"hello"
    initial, trailing = dict(call.initial_metadata()), dict(call.trailing_metadata())
    assert initial["x-server"] == "up" and initial["x-text"] == "a, b" and initial["x-raw-bin"] == b"\x00\xff\x80"
    assert trailing == {"x-trailer": "last", "x-trailer-bin": bytes(range(256))}


@pytest.mark.parametrize("size", [0, 1, 16383, 70000, 8 * MIB])
def test_messages_of_any_size(calls, size):
    request = bytes(range(256)) * (size // 256 + 1)
    assert calls.unary(request=request[:size])[0] == request[:size]


def test_large_metadata(calls):
    value = "x" * 20000
    _, call = calls.unary(metadata=[("x-large", value), ("x-large2", value)])
    assert dict(call.initial_metadata())["x-large"] == value


def test_server_stream(calls):
    messages = list(calls.down(count=2000, size=100))
    assert [int.from_bytes(message[:4], "big") for message in messages] == list(range(2000))


def test_client_stream(calls):
    call = calls.channel.stream_unary(f"/{SERVICE}/Up")
    assert json.loads(call((b"x" * 1000 for _ in range(3000)), timeout=20)) == [3000, 3000000]


def test_messages_of_a_conversation_are_passed_on_as_they_come(calls):
    """Each is answered before the next one is sent: nothing waits for the end, in either direction."""
    answered = threading.Semaphore(1)

    def requests():
        for number in range(50):
            assert answered.acquire(timeout=10)
            yield str(number).encode()

    got = []
    for message in calls.channel.stream_stream(f"/{SERVICE}/Chat")(requests(), timeout=30):
        got.append(message)
        answered.release()
    assert got == [b"re:%d" % number for number in range(50)]


def test_slow_reader_holds_the_server_back(site, calls):
    """128 MiB for a client that reads one message and waits: the gateway keeps a little of it."""
    stream = calls.down(count=2048, size=64 << 10, timeout=120)
    next(stream)
    time.sleep(2)
    assert site.gateway.memory("VmRSS") < (400 if SANITIZED else 64) * MIB
    assert sum(1 for _ in stream) == 2047


def test_errors_of_the_server_pass(calls):
    for code in (1, 3, 5, 8, 9, 16):
        error = calls.error("Fail", json.dumps({"code": code, "details": "why: 5% é"}).encode())
        assert error.code().value[0] == code and error.details() == "why: 5% é"
        assert dict(error.trailing_metadata())["x-why"] == "asked"


def test_unknown_method_is_the_servers_to_refuse(calls):
    error = calls.error("Nothing")
    assert error.code() == CODE.UNIMPLEMENTED and "Method not found" in error.details()


def test_thousand_concurrent_streams(site):
    """All of them are open and have said something before any ends. grpcio's two kinds of client want a process each."""
    command = [sys.executable, Path(__file__).parent / "grpc_many.py", str(site.port), "1000", "10"]
    result = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=110)
    assert result.stdout == "1000\n", result.stderr


def test_cancelling_reaches_the_server(calls):
    def count():
        return int(calls.unary("Cancelled")[0])

    before = count()
    call = calls.channel.unary_unary(f"/{SERVICE}/Stall").future(b"")
    time.sleep(0.3)
    call.cancel()
    eventually(lambda: count() == before + 1)
    stream = calls.down(count=1, stall=3600)
    next(stream)
    stream.cancel()
    eventually(lambda: count() == before + 2)


def test_over_tls(server, start_gateway, tmp_path):
    authority = Authority(tmp_path)
    port = free_port()
    start_gateway(
        m.gateway(listeners=[m.listener(port, "https", "grpc.test", "HTTPS", ["cert"])]),
        m.tls_secret("cert", *authority.issue("grpc.test")),
        m.service("up", server.port, app_protocol="grpc"),
        m.grpc_route("r", m.rule("up")),
    )
    credentials = grpc.ssl_channel_credentials(authority.certificate.read_bytes())
    name = {"grpc.ssl_target_name_override": "grpc.test"}
    with Calls(port, authority="grpc.test", credentials=credentials, **name) as calls:
        assert calls.unary()[0] == b"hello"
        assert len(list(calls.down(count=100))) == 100


def test_http2_is_spoken_to_a_backend_that_says_nothing(server, start_gateway):
    """Without appProtocol: plain requests go by HTTP/1.1, gRPC by HTTP/2, also under an HTTPRoute."""
    port = free_port()
    start_gateway(
        m.gateway(port),
        m.service("up", server.port),
        m.backend("static", {"static": {"host": "127.0.0.1", "port": server.port}}),
        m.route("h", m.rule("up"), hostnames=["http.test"]),
        m.grpc_route("g", m.rule("up"), hostnames=["grpc.test"]),
        m.grpc_route("s", m.rule(m.agentgateway_ref("static")), hostnames=["static.test"]),
    )
    for host in ("http.test", "grpc.test", "static.test"):
        with Calls(port, authority=host) as calls:
            assert calls.unary()[0] == b"hello"


# --- GRPCRoute ---


def grpc_match(service=None, method=None, kind=None, headers=None):
    names = {key: value for key, value in (("service", service), ("method", method), ("type", kind)) if value}
    made = {"method": names} if names else {}
    if headers:
        made["headers"] = [{"name": name, "value": value} for name, value in headers.items()]
    return made


@pytest.fixture(scope="module")
def routed(start_server, start_module_gateway):
    """One backend for each rule, so that an answer tells which one it was."""
    rules = {
        "exact": grpc_match(SERVICE, "Unary"),
        "exact-header": grpc_match(SERVICE, "Unary", headers={"x-to": "header"}),
        "service": grpc_match(SERVICE),
        "method": grpc_match(method="Other"),
        "regex": grpc_match("other\\..*", "U.*", "RegularExpression"),
    }
    port = free_port()
    services = [m.service(name, start_server(name).port, app_protocol="kubernetes.io/h2c") for name in rules]
    routes = [m.grpc_route(f"r-{name}", m.rule(name, matches=[match])) for name, match in rules.items()]
    start_module_gateway(m.gateway(port), services, routes)
    return port


@pytest.mark.parametrize(
    "service, method, to, wanted",
    [
        (SERVICE, "Unary", None, "exact"),
        (SERVICE, "Unary", "header", "exact-header"),
        (SERVICE, "Other", None, "service"),  # a service counts before a method
        ("test.Echo2", "Other", None, "method"),
        ("other.Service", "Unary", None, "regex"),
        ("test.Echo2", "Unary", None, None),
        ("other.Service", "unary", None, None),
    ],
)
def test_rule31_matches_and_their_order(routed, service, method, to, wanted):
    metadata = [("x-to", to)] if to else []
    with Calls(routed) as calls:
        if wanted:
            assert calls.server_name(service=service, method=method, metadata=metadata) == wanted
        else:
            error = calls.error(method, service=service)
            assert (error.code(), error.details()) == (CODE.UNIMPLEMENTED, "no route")


def test_rule31_longer_names_and_more_headers_first_over_routes(start_server, start_gateway):
    port = free_port()
    names = ["any", "any-header", "long", "short"]
    matches = {
        "any": grpc_match(),
        "any-header": grpc_match(headers={"x-to": "header"}),
        "long": grpc_match(method="Unary"),
        "short": grpc_match("test.Echo2"),
    }
    start_gateway(
        m.gateway(port),
        [m.service(name, start_server(name).port, app_protocol="kubernetes.io/h2c") for name in names],
        [m.grpc_route(f"r-{name}", m.rule(name, matches=[matches[name]])) for name in names],
    )
    with Calls(port) as calls:
        assert calls.server_name(service=SERVICE, method="Other") == "any"
        assert calls.server_name(service=SERVICE, method="Other", metadata=[("x-to", "header")]) == "any-header"
        assert calls.server_name(service=SERVICE, method="Unary") == "long"
        assert calls.server_name(service=SERVICE, method="Unary", metadata=[("x-to", "header")]) == "long"
        assert calls.server_name(service="test.Echo2", method="Unary") == "short"


def test_rule31_older_route_has_the_hostname(server, start_gateway, start_upstream):
    port, upstream = free_port(), start_upstream()
    old, new = "2026-01-01T00:00:00Z", "2026-01-02T00:00:00Z"
    objects = [
        m.gateway(port),
        m.service("up", server.port, app_protocol="kubernetes.io/h2c"),
        m.service("http", upstream.port),
    ]
    grpc_first = m.grpc_route("g", m.rule("up"), hostnames=["*.a.test"], created=old)
    http_later = m.route("h", m.rule("http"), hostnames=["x.a.test"], created=new)
    gateway = start_gateway(*objects, grpc_first, http_later)
    with Calls(port, authority="x.a.test") as calls:
        assert calls.unary()[0] == b"hello"
    assert "HTTPRoute test/h: spec.parentRefs[0]: an older route" in gateway.log()


def test_rule31_weights_and_filters(start_server, start_gateway):
    port = free_port()
    services = [m.service(name, start_server(name).port, app_protocol="kubernetes.io/h2c") for name in ("one", "two")]
    add = {"type": "RequestHeaderModifier", "requestHeaderModifier": {"set": [{"name": "x-added", "value": "yes"}]}}
    answer = {"type": "ResponseHeaderModifier", "responseHeaderModifier": {"set": [{"name": "x-back", "value": "ok"}]}}
    rule = m.rule(m.ref("one", weight=3), m.ref("two", weight=1), filters=[add, answer])
    start_gateway(m.gateway(port), services, m.grpc_route("r", rule))
    with Calls(port) as calls:
        heads = [dict(calls.unary()[1].initial_metadata()) for _ in range(200)]
    assert all(head["x-added"] == "yes" and head["x-back"] == "ok" for head in heads)
    assert 115 < sum(head["x-server"] == "one" for head in heads) < 185


# --- the gateway's own errors ---


@pytest.fixture(scope="module")
def broken(start_module_gateway):
    port, closed = free_port(), free_port()
    gateway = start_module_gateway(
        m.gateway(port),
        m.service("closed", closed, app_protocol="kubernetes.io/h2c"),
        m.service("empty", closed, app_protocol="kubernetes.io/h2c", ready=False),
        m.grpc_route("closed", m.rule("closed"), hostnames=["closed.test"]),
        m.grpc_route("empty", m.rule("empty"), hostnames=["empty.test"]),
        m.grpc_route("none", m.rule(), hostnames=["none.test"]),
    )
    return SimpleNamespace(port=port, gateway=gateway)


@pytest.mark.parametrize(
    "host, code, details",
    [
        ("nobody.test", CODE.UNIMPLEMENTED, "no route"),
        ("closed.test", CODE.UNAVAILABLE, "the backend refused the connection"),
        ("empty.test", CODE.UNAVAILABLE, "the backend has no endpoint"),
        ("none.test", CODE.UNKNOWN, "the route has no backend"),
    ],
)
def test_own_errors_are_grpc_statuses(broken, host, code, details):
    with Calls(broken.port, authority=host) as calls:
        error = calls.error()
    assert (error.code(), error.details()) == (code, details)


def nghttp(port, path, *headers, data=b"\0\0\0\0\0"):
    """The header fields of each section of the answer, in order, as nghttp reads them; and RST_STREAM codes."""
    command = ["nghttp", "-nv", "-H", ":method: POST", "-H", "te: trailers"]
    for header in headers:
        command += ["-H", header]
    with tempfile.NamedTemporaryFile() as body:
        body.write(data)
        body.flush()
        command += ["-d", body.name, f"http://127.0.0.1:{port}{path}"]
        result = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=30)
    sections, fields = [], []
    for line in result.stdout.splitlines():
        if found := re.search(r"recv \(stream_id=\d+\) (:?[^:]+): (.*)$", line):
            fields.append((found[1], found[2]))
        elif "recv HEADERS frame" in line:
            sections.append(dict(fields))
            fields = []
    assert sections, result.stdout + result.stderr
    return sections, re.findall(r"recv RST_STREAM frame[^\n]*\n[^\n]*error_code=(\w+)", result.stdout)


def test_own_errors_are_trailers_only(broken):
    sections, resets = nghttp(broken.port, "/a.B/C", "content-type: application/grpc+proto")
    assert len(sections) == 1 and not resets
    head = sections[0]
    assert head[":status"] == "200" and head["content-type"] == "application/grpc"
    assert head["grpc-status"] == "12" and head["grpc-message"] == "no route" and "content-length" not in head


def test_other_requests_get_http_errors(broken):
    for kind in ("application/json", "application/grpc-web"):
        sections, _ = nghttp(broken.port, "/a.B/C", f"content-type: {kind}")
        assert sections[0][":status"] == "404" and "grpc-status" not in sections[0]


def test_status_is_logged_and_counted(broken):
    with Calls(broken.port, authority="closed.test") as calls:
        calls.error(method="Logged")
    eventually(lambda: "grpc_status=14" in last_record(broken.gateway, f"/{SERVICE}/Logged"))
    record = last_record(broken.gateway, f"/{SERVICE}/Logged")
    assert "status=200" in record and 'error="the backend refused the connection"' in record
    assert broken.gateway.metric("agentgateway_grpc_requests_total", route="test/closed", grpc_status="14") >= 1


def test_status_of_servers_is_logged_and_counted(site, calls):
    calls.unary(method="Other")
    calls.error("Fail", json.dumps({"code": 5, "details": ""}).encode())
    eventually(lambda: "grpc_status=0" in last_record(site.gateway, f"/{SERVICE}/Other"))
    eventually(lambda: "grpc_status=5" in last_record(site.gateway, f"/{SERVICE}/Fail"))
    assert site.gateway.metric("agentgateway_grpc_requests_total", route="test/r", grpc_status="5") >= 1


# --- deadlines ---


def frame(message=b""):
    return b"\0" + len(message).to_bytes(4, "big") + message


@pytest.fixture(scope="module")
def patient(server, start_module_gateway):
    """The server never hears of a deadline, and nghttp does not know its own: it is the gateway that keeps it."""
    port = free_port()
    unheard = {"type": "RequestHeaderModifier", "requestHeaderModifier": {"remove": ["grpc-timeout"]}}
    gateway = start_module_gateway(
        m.gateway(port),
        m.service("up", server.port, app_protocol="kubernetes.io/h2c"),
        m.grpc_route("r", m.rule("up", filters=[unheard])),
    )
    return SimpleNamespace(port=port, gateway=gateway)


def test_clients_deadline_ends_the_call(patient):
    began = time.monotonic()
    sections, resets = nghttp(patient.port, f"/{SERVICE}/Stall", "content-type: application/grpc", "grpc-timeout: 300m")
    assert 0.25 < time.monotonic() - began < 5
    assert len(sections) == 1 and not resets
    assert sections[0]["grpc-status"] == "4" and sections[0]["grpc-message"] == "request timeout"


def test_deadline_in_the_middle_of_a_stream_ends_it_with_trailers(patient):
    body = frame(b'{"count": 3, "stall": 3600}')
    sections, resets = nghttp(patient.port, f"/{SERVICE}/Down", "content-type: application/grpc", "grpc-timeout: 400m", data=body)
    assert [":status" in section for section in sections] == [True, False] and not resets
    assert sections[1] == {"grpc-status": "4", "grpc-message": "request timeout"}
    eventually(lambda: "grpc_status=4" in last_record(patient.gateway, f"/{SERVICE}/Down"))


@pytest.mark.parametrize("value", ["1", "-5m", "5x", "1234567890S"])
def test_what_is_no_deadline_is_left_to_the_server(site, value):
    sections, _ = nghttp(site.port, f"/{SERVICE}/Unary", "content-type: application/grpc", f"grpc-timeout: {value}")
    assert sections[0].get("grpc-message") != "request timeout"


@pytest.mark.parametrize("route, timeout", [("200ms", "10S"), ("10s", "200m")])
def test_tighter_deadline_holds(server, start_gateway, route, timeout):
    port = free_port()
    start_gateway(
        m.gateway(port),
        m.service("up", server.port, app_protocol="kubernetes.io/h2c"),
        m.route("r", m.rule("up", timeouts={"request": route})),
    )
    began = time.monotonic()
    sections, _ = nghttp(port, f"/{SERVICE}/Stall", "content-type: application/grpc", f"grpc-timeout: {timeout}")
    assert 0.15 < time.monotonic() - began < 5
    assert sections[0]["grpc-status"] == "4"


def test_route_timeout_is_a_deadline(server, start_gateway):
    port = free_port()
    start_gateway(
        m.gateway(port),
        m.service("up", server.port, app_protocol="kubernetes.io/h2c"),
        m.route("r", m.rule("up", timeouts={"request": "300ms"})),
    )
    with Calls(port) as calls:
        error = calls.error("Stall", timeout=20)
        assert (error.code(), error.details()) == (CODE.DEADLINE_EXCEEDED, "request timeout")


# --- servers that die ---


def test_server_that_dies_in_the_middle_of_a_stream(start_server, start_gateway):
    server, port = start_server(), free_port()
    start_gateway(
        m.gateway(port),
        m.service("up", server.port, app_protocol="kubernetes.io/h2c"),
        m.grpc_route("r", m.rule("up")),
    )
    with Calls(port) as calls:
        stream = calls.down(count=3, stall=3600)
        assert [int.from_bytes(next(stream)[:4], "big") for _ in range(3)] == [0, 1, 2]
        waiting = calls.channel.unary_unary(f"/{SERVICE}/Stall").future(b"", timeout=20)
        time.sleep(0.3)
        server.kill()
        with pytest.raises(grpc.RpcError) as raised:
            next(stream)
        assert (raised.value.code(), raised.value.details()) == (CODE.UNAVAILABLE, "the backend closed the connection")
        assert waiting.exception().code() == CODE.UNAVAILABLE
        assert calls.error().code() == CODE.UNAVAILABLE
        start_server("again", server.port)
        assert calls.server_name() == "again"
