"""Upstreams that misbehave, one row each: what a client of either version gets, that the gateway serves on, and that its
memory stays bounded."""

import socket
import struct
import time
from types import SimpleNamespace

import pytest

import h2client as h2
import manifests as m
from client import Closed
from curl import BROKEN, WHOLE, curl
from gateway import SANITIZED
from h2upstream import INTERNAL_ERROR, REFUSED_STREAM, H2Upstream
from ports import free_port

BOUND = 64 << 20
HEAD = "HTTP/1.1 200 OK\r\n"
LENGTH = HEAD + "Content-Length: 10\r\n\r\n"
CHUNKED = HEAD + "Transfer-Encoding: chunked\r\n\r\n"


@pytest.fixture(scope="module")
def site(start_module_gateway, start_module_upstream):
    one, two, port = start_module_upstream(), H2Upstream(), free_port()

    def rules(name):
        stall = m.rule(name, matches=[m.prefix("/stall")], timeouts={"request": "700ms"})
        return stall, m.rule(name)

    gateway = start_module_gateway(
        m.gateway(port),
        m.service("one", one.port),
        m.service("two", two.port, app_protocol="kubernetes.io/h2c"),
        m.route("one", *rules("one"), hostnames=["h1.test"]),
        m.route("two", *rules("two"), hostnames=["h2.test"]),
    )
    yield SimpleNamespace(gateway=gateway, port=port, one=one, two=two)
    two.close()


def ask(site, front, back, path, *args):
    return curl(front, f"http://127.0.0.1:{site.port}{path}", "-H", f"Host: {back}.test", *args)


def serves_on(site, front, back):
    saw = ask(site, front, back, "/fine")
    assert (saw.code, saw.statuses) == (0, [200]), saw
    assert site.gateway.process.poll() is None
    if not SANITIZED:
        assert site.gateway.memory() < BOUND


def check(saw, front, whole, statuses, body):
    if whole:
        assert (saw.code, saw.statuses) == (WHOLE, statuses), saw
    elif front == "h2" and not saw.heads:  # RST_STREAM overtakes what waits behind it, be it the head
        assert saw.code in BROKEN[front] and saw.body == b"", saw
        return
    else:
        assert saw.code in BROKEN[front] and saw.statuses == statuses, saw
    assert body is None or saw.body == body, saw


def reset(stream):
    stream.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    stream.file.close()
    stream.socket.close()
    raise Closed()


def fin(stream):
    stream.socket.shutdown(socket.SHUT_WR)
    stream.socket.recv(1)  # until the gateway closes too


def stay(stream):
    stream.socket.recv(1)


# name: (what is sent, what then, whole?, statuses, body: None for the gateway's own)
OVER_H1 = {
    "reset before the head": ("", reset, True, [502], None),
    "reset inside the head": (HEAD + "X: ", reset, True, [502], None),
    "closed before the head": ("", fin, True, [502], None),
    "closed inside the status line": ("HTTP/1.1 2", fin, True, [502], None),
    "closed inside the head": (HEAD + "X: y\r\n", fin, True, [502], None),
    "reset inside a body with a length": (LENGTH + "hello", (0.1, reset), False, [200], b"hello"),
    "closed inside a body with a length": (LENGTH + "hello", fin, False, [200], b"hello"),
    "closed before a body with a length": (LENGTH, fin, False, [200], b""),
    "reset inside chunks": (CHUNKED + "5\r\nhello\r\n", (0.1, reset), False, [200], b"hello"),
    "closed between chunks": (CHUNKED + "5\r\nhello\r\n", fin, False, [200], b"hello"),
    "closed inside a chunk": (CHUNKED + "a\r\nhello", fin, False, [200], b"hello"),
    "closed inside the last chunk": (CHUNKED + "5\r\nhello\r\n0\r\n", fin, False, [200], b"hello"),
    "half-closed behind a whole answer": (LENGTH + "helloworld", fin, True, [200], b"helloworld"),
    "half-closed behind whole chunks": (CHUNKED + "5\r\nhello\r\n0\r\n\r\n", fin, True, [200], b"hello"),
    "half-closed ends an answer without a length": (HEAD + "\r\nhello", fin, True, [200], b"hello"),
    "garbage for a head": ("\0\1\2garbage\r\n\r\n", stay, True, [502], None),
    "HTTP/2 where HTTP/1.1 belongs": ("\0\0\0\4\0\0\0\0\0", stay, True, [502], None),
    "garbage for a chunk": (CHUNKED + "5\r\nhello\r\nnonsense\r\n", stay, False, [200], b"hello"),
    "garbage behind the answer": (LENGTH + "helloworld" + "garbage" * 1000, stay, True, [200], b"helloworld"),
    "a second answer": ((LENGTH + "helloworld") * 2, stay, True, [200], b"helloworld"),
    "flood of 100": ("HTTP/1.1 100 Continue\r\n\r\n" * 10_000, stay, True, [502], None),
    "flood of 103": ("HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n" * 10_000, stay, True, [103] * 16 + [502], None),
    "head that never ends": (HEAD + "X: " + "v" * 5_000_000, stay, True, [502], None),
    "fields without end": (HEAD + "X: v\r\n" * 100_000, stay, True, [502], None),
    "chunk extension without end": (CHUNKED + "5;" + "x" * 1_000_000, stay, False, [200], b""),
    "trailers without end": (CHUNKED + "5\r\nhello\r\n0\r\n" + "X: y\r\n" * 100_000, stay, False, [200], b"hello"),
}


@pytest.mark.parametrize("front", ["h1", "h2"])
@pytest.mark.parametrize("name", OVER_H1)
def test_upstream_of_http1(site, front, name):
    data, then, whole, statuses, body = OVER_H1[name]
    wait, then = then if isinstance(then, tuple) else (0, then)

    def handler(request, stream):
        stream.send(data)
        time.sleep(wait)
        then(stream)
        return False

    site.one.on("/chaos", handler)
    check(ask(site, front, "h1", "/chaos", "-X", "POST"), front, whole, statuses, body)
    serves_on(site, front, "h1")


# A route that gives a request 700 ms.
STALLS_H1 = {
    "before the head": ("", True, [504], None),
    "inside the head": (HEAD + "X: ", True, [504], None),
    "behind 103": ("HTTP/1.1 103 Early Hints\r\n\r\n", True, [103, 504], None),
    "before the body": (LENGTH, False, [200], b""),
    "inside a body with a length": (LENGTH + "hello", False, [200], b"hello"),
    "between chunks": (CHUNKED + "5\r\nhello\r\n", False, [200], b"hello"),
    "inside a body without a length": (HEAD + "\r\nhello", False, [200], b"hello"),
}


@pytest.mark.parametrize("front", ["h1", "h2"])
@pytest.mark.parametrize("name", STALLS_H1)
def test_upstream_of_http1_stalls(site, front, name):
    data, whole, statuses, body = STALLS_H1[name]
    site.one.on("/stall", lambda request, stream: stream.send(data) or stay(stream) or False)
    check(ask(site, front, "h1", "/stall", "-X", "POST"), front, whole, statuses, body)
    serves_on(site, front, "h1")


# --- HTTP/2 behind ---


def head(peer, stream, *pairs, end=False):
    peer.head(stream, 200, *pairs, end=end)


def flood(peer, frame):
    for _ in range(200):
        peer.send(frame * 100)
    raise Closed()


def partly(peer, stream, then):
    head(peer, stream)
    peer.data(stream, b"hello")
    time.sleep(0.1)
    then()


def fill(peer, stream):
    for n in range(3000):
        first = h2.HEADERS if n == 0 else h2.CONTINUATION
        payload = h2.literal(":status", "200") if n == 0 else b"".join(h2.literal(f"x-{n}-{k}", "v" * 500) for k in range(16))
        peer.send(h2.frame(first, 0, stream, payload))
    raise Closed()


# name: (script, whole?, statuses, body)
OVER_H2 = {
    "connection reset before the head": (lambda p, s: p.abort(), True, [502], None),
    "stream reset before the head": (lambda p, s: p.reset(s, INTERNAL_ERROR), True, [502], None),
    "stream cancelled before the head": (lambda p, s: p.reset(s), True, [502], None),
    "every try refused": (lambda p, s: p.reset(s, REFUSED_STREAM), True, [503], None),
    "GOAWAY that takes no stream": (lambda p, s: p.goaway(0), True, [503], None),
    "GOAWAY with an error": (lambda p, s: p.goaway(s, 2) or p.abort(), True, [502], None),
    "GOAWAY, then the answer": (lambda p, s: p.goaway(s) or p.respond(s, 200, b"late"), True, [200], b"late"),
    "stream reset inside the body": (lambda p, s: partly(p, s, lambda: p.reset(s)), False, [200], b"hello"),
    "connection reset inside the body": (lambda p, s: partly(p, s, p.abort), False, [200], b"hello"),
    "GOAWAY with an error inside the body": (lambda p, s: partly(p, s, lambda: p.goaway(s, 2) or p.abort()), False, [200], b"hello"),
    "fewer bytes than the length": (lambda p, s: head(p, s, ("content-length", "10")) or p.data(s, b"hello", end=True), False, [200], None),
    "more bytes than the length": (lambda p, s: head(p, s, ("content-length", "3")) or p.data(s, b"hello", end=True), False, [200], None),
    "body before the head": (lambda p, s: p.data(s, b"hello"), True, [502], None),
    "head without a status": (lambda p, s: p.send(h2.frame(h2.HEADERS, 5, s, h2.literal("x", "y"))), True, [502], None),
    "status of letters": (lambda p, s: p.head(s, "abc", end=True), True, [502], None),
    "space around a value": (lambda p, s: p.head(s, 200, ("x", " a "), ("content-length", "2")) or p.data(s, b"ok", end=True), True, [200], b"ok"),
    "name in capitals": (lambda p, s: p.head(s, 200, ("X-Up", "1"), end=True), True, [502], None),
    "field of the connection": (lambda p, s: p.head(s, 200, ("connection", "close"), end=True), True, [502], None),
    "line end in a value": (lambda p, s: p.head(s, 200, ("x", "a\r\nb: c"), end=True), True, [502], None),
    "garbage": (lambda p, s: p.send(b"\xff" * 4000), True, [502], None),
    "broken HPACK": (lambda p, s: p.send(h2.frame(h2.HEADERS, 5, s, b"\xff\xff\xff\xff\xff\xff")), True, [502], None),
    "HTTP/1.1 where HTTP/2 belongs": (lambda p, s: p.send(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"), True, [502], None),
    "frame on a stream of nobody": (lambda p, s: p.data(s + 100, b"x"), True, [502], None),
    "pushed stream": (lambda p, s: p.send(h2.frame(5, 4, s, b"\0\0\0\2" + h2.fields())), True, [502], None),
    "flood of SETTINGS": (lambda p, s: flood(p, h2.frame(h2.SETTINGS)), True, [502], None),
    "flood of PING": (lambda p, s: flood(p, h2.frame(h2.PING, 0, 0, b"12345678")), True, [502], None),
    "flood of empty DATA": (lambda p, s: head(p, s) or flood(p, h2.frame(h2.DATA, 0, s)), False, [200], b""),
    "flood of 103": (lambda p, s: [p.head(s, 103) for _ in range(500)], True, [103] * 16 + [502], None),
    "field section without end": (fill, True, [502], None),
}


@pytest.mark.parametrize("front", ["h1", "h2"])
@pytest.mark.parametrize("name", OVER_H2)
def test_upstream_of_http2(site, front, name):
    site.two.script, whole, statuses, body = OVER_H2[name]
    try:
        check(ask(site, front, "h2", "/chaos"), front, whole, statuses, body)
    finally:
        site.two.script = None
    serves_on(site, front, "h2")


def hang(peer, data):
    """Stops inside a frame or a field section, with which the connection is of no more use; closes it when given up."""
    peer.send(data)
    while peer.frame()[0] != h2.RST_STREAM:
        pass
    peer.abort()


STALLS_H2 = {
    "before the head": (lambda p, s: None, True, [504], None),
    "behind 103": (lambda p, s: p.head(s, 103), True, [103, 504], None),
    "inside the head": (lambda p, s: hang(p, h2.frame(h2.HEADERS, 0, s, h2.literal(":status", "200"))), True, [504], None),
    "before the body": (head, False, [200], b""),
    "inside the body": (lambda p, s: head(p, s) or p.data(s, b"hello"), False, [200], b"hello"),
    "inside a frame": (lambda p, s: head(p, s) or hang(p, h2.frame(h2.DATA, 0, s, b"hello")[:12]), False, [200], None),
}


@pytest.mark.parametrize("front", ["h1", "h2"])
@pytest.mark.parametrize("name", STALLS_H2)
def test_upstream_of_http2_stalls(site, front, name):
    site.two.script, whole, statuses, body = STALLS_H2[name]
    try:
        check(ask(site, front, "h2", "/stall"), front, whole, statuses, body)
    finally:
        site.two.script = None
    serves_on(site, front, "h2")


@pytest.mark.parametrize("how", ["REFUSED_STREAM", "GOAWAY"])
def test_rfc9113_8_7_stream_that_was_not_looked_at_is_sent_again(site, how):
    """Also a POST, with its body: the upstream said that it has done nothing."""
    tries = []

    def script(peer, stream):
        tries.append(stream)
        if len(tries) > 1:
            body = peer.body(stream)
            peer.respond(stream, 200, body)
        elif how == "GOAWAY":
            peer.goaway(0)
        else:
            peer.reset(stream, REFUSED_STREAM)

    site.two.script = script
    try:
        saw = ask(site, "h1", "h2", "/again", "-d", "body")
    finally:
        site.two.script = None
    assert (saw.code, saw.statuses, saw.body, len(tries)) == (0, [200], b"body", 2)
