"""Expect: 100-continue, 1xx and 103 early hints, HEAD: in all combinations of HTTP/1.1 and HTTP/2 on both sides."""

import subprocess
import threading
import time
from types import SimpleNamespace

import pytest

import manifests as m
from curl import curl
from h2upstream import H2Upstream
from ports import free_port

HINT = "link", "</style.css>; rel=preload"
LINES = f"HTTP/1.1 103 Early Hints\r\n{HINT[0]}: {HINT[1]}\r\n\r\n"


@pytest.fixture(scope="module")
def site(start_module_gateway, start_module_upstream):
    one, two, port = start_module_upstream(), H2Upstream(), free_port()
    start_module_gateway(
        m.gateway(port),
        m.service("one", one.port),
        m.service("two", two.port, app_protocol="kubernetes.io/h2c"),
        m.route("one", m.rule("one"), hostnames=["h1.test"]),
        m.route("two", m.rule("two"), hostnames=["h2.test"]),
    )
    yield SimpleNamespace(port=port, h1=one, h2=two)
    two.close()


class Pair:
    """One combination: a front, and an upstream that takes the same script for either version."""

    def __init__(self, site, front, back):
        self.site, self.front, self.back = site, front, back

    def script(self, head, *interim, gate=None, status=200, length=None):
        """Answers |interim| (status, field), waits for |gate|, then |status|; |head|: before it reads the body."""
        self.got = b""
        body = b"" if length else b"final"

        def one(request, stream):
            for code, *pairs in interim:
                stream.send("".join([f"HTTP/1.1 {code} X\r\n", *(f"{k}: {v}\r\n" for k, v in pairs), "\r\n"]))
            if head and interim:
                stream.read_body(request)
            if gate:
                gate.wait(10)
            self.got = request.body
            stream.send(f"HTTP/1.1 {status} X\r\nContent-Length: {length or len(body)}\r\n\r\n".encode() + body)
            return not head

        def two(peer, stream):
            for code, *pairs in interim:
                peer.head(stream, code, *pairs)
            self.got = peer.body(stream) if interim or not head else b""
            if gate:
                gate.wait(10)
            peer.head(stream, status, ("content-length", str(length or len(body))), end=bool(length))
            if not length:
                peer.data(stream, body, end=True)

        self.site.h1.on("/x", one, read_body=not head)
        self.site.h2.script = two

    def curl(self, *args):
        return curl(self.front, f"http://127.0.0.1:{self.site.port}/x", "-H", f"Host: {self.back}.test", *args)


    def nghttp(self, path):
        url = f"http://127.0.0.1:{self.site.port}/x"
        command = ["nghttp", "-v", "--expect-continue", "-H", f":authority: {self.back}.test", "-d", path, url]
        return subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=30).stdout


@pytest.fixture(params=["h1 to h1", "h1 to h2", "h2 to h1", "h2 to h2"])
def pair(site, request):
    yield Pair(site, request.param[:2], request.param[-2:])
    site.h2.script = None


EXPECTING = "-H", "Expect: 100-continue", "--expect100-timeout", "20", "-d", "body"


def test_rfc9110_10_1_1_expectation_is_passed_on_and_100_comes_back(pair):
    pair.script(True, (100,))
    before = time.monotonic()
    saw = pair.curl(*EXPECTING)
    assert (saw.code, saw.statuses, saw.body, pair.got) == (0, [100, 200], b"final", b"body")
    assert time.monotonic() - before < 10, "the client did not see the 100"


def test_rfc9110_10_1_1_final_answer_instead_of_100(pair):
    pair.script(True, status=417)
    if pair.front == "h1":
        saw = pair.curl(*EXPECTING)
        assert (saw.statuses, saw.body) == ([417], b"final")
    else:  # curl of Debian 12 loses an answer that RST_STREAM with NO_ERROR follows at once (RFC 9113 section 8.1)
        out = pair.nghttp(__file__)
        assert ":status: 417" in out and "final" in out and "error_code=NO_ERROR" in out and ":status: 100" not in out
    assert pair.got == b""


def test_rfc9110_15_2_1_100_that_nobody_asked_for_goes_no_further(pair):
    pair.script(False, (100,), (100,))
    saw = pair.curl()
    assert (saw.code, saw.statuses, saw.body) == (0, [200], b"final")


def test_rfc8297_early_hints_come_before_the_answer(pair):
    gate = threading.Event()
    pair.script(False, (103, HINT), (103, HINT), gate=gate)
    threading.Timer(0.2, gate.set).start()
    saw = pair.curl()
    assert (saw.code, saw.statuses, saw.body) == (0, [103, 103, 200], b"final")
    assert [head.get("link") for _, head in saw.heads] == [HINT[1], HINT[1], None]


def test_rfc9110_15_2_other_interim_answers_pass(pair):
    pair.script(False, (102,), (199, HINT))
    saw = pair.curl()
    assert (saw.code, saw.statuses, saw.body) == (0, [102, 199, 200], b"final")


def test_interim_answers_without_end_are_cut_off(pair):
    pair.script(False, *[(103, HINT)] * 500)
    saw = pair.curl()
    assert (saw.code, saw.statuses) == (0, [103] * 16 + [502])


def test_rfc9110_9_3_2_head_has_the_length_and_no_body(pair):
    pair.script(False, length=1234)
    saw = pair.curl("--head")
    assert (saw.code, saw.statuses, saw.body) == (0, [200], b"")
    assert saw.heads[0][1]["content-length"] == "1234"


def test_rfc9110_9_3_2_head_with_early_hints(pair):
    pair.script(False, (103, HINT), length=1234)
    saw = pair.curl("--head")
    assert (saw.code, saw.statuses, saw.body) == (0, [103, 200], b"")
