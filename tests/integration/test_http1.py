"""HTTP/1.1 on both sides: persistence, framing, and what a smuggler would try (RFC 9112)."""

import socket
import threading
from types import SimpleNamespace

import pytest

import manifests as m
from client import Closed, Connection, ask
from curl import curl
from ports import free_port


@pytest.fixture(scope="module")
def site(start_module_gateway, start_module_upstream):
    upstream = start_module_upstream()
    port = free_port()
    start_module_gateway(m.gateway(port), m.service("up", upstream.port), m.route("all", m.rule("up")))
    return SimpleNamespace(port=port, upstream=upstream)


@pytest.fixture(autouse=True)
def upstream_is_content(site):
    site.upstream.clear()
    yield
    assert not site.upstream.errors, "the gateway sent the upstream something malformed"


# --- requests that work ---


def test_request_reaches_the_upstream_and_its_answer_the_client(site):
    answer = ask(site.port, "POST", "/a/b?c=d%20e", {"X-One": "1", "Content-Type": "text/plain"}, b"body")
    echo = answer.json()
    assert answer.status == 200
    assert (echo["method"], echo["path"], echo["body"]) == ("POST", "/a/b?c=d%20e", "body")
    assert ["x-one", "1"] in [[name, value] for name, value in echo["headers"]]
    assert dict(echo["headers"])["host"] == "test"


def test_connection_is_kept_and_the_upstream_connection_is_reused(site):
    before = site.upstream.connections
    with Connection(site.port) as connection:
        for n in range(20):
            assert connection.ask(path=f"/{n}").json()["path"] == f"/{n}"
    assert site.upstream.connections - before <= 2


def test_pipelined_requests_are_answered_in_order(site):
    with Connection(site.port) as connection:
        connection.send("".join(f"GET /{n} HTTP/1.1\r\nHost: test\r\n\r\n" for n in range(10)))
        assert [connection.response().json()["path"] for _ in range(10)] == [f"/{n}" for n in range(10)]


def test_pipelined_requests_with_bodies(site):
    with Connection(site.port) as connection:
        one = b"POST /1 HTTP/1.1\r\nHost: t\r\nContent-Length: 3\r\n\r\nabc"
        two = b"POST /2 HTTP/1.1\r\nHost: t\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nde\r\n0\r\n\r\n"
        connection.send(one + two + one)
        assert [connection.response().json()["body"] for _ in range(3)] == ["abc", "de", "abc"]


def test_request_that_arrives_byte_by_byte(site):
    data = b"POST /slow HTTP/1.1\r\nHost: t\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\nX-T: 1\r\n\r\n"
    with Connection(site.port) as connection:
        for at in range(len(data)):
            connection.send(data[at : at + 1])
        assert connection.response().json()["body"] == "abc"


def test_connection_close_is_honoured(site):
    with Connection(site.port) as connection:
        answer = connection.ask(headers={"Connection": "close"})
        assert answer.status == 200
        assert connection.at_end()


def test_http10_request_without_keep_alive_closes(site):
    with Connection(site.port) as connection:
        connection.send("GET /old HTTP/1.0\r\nHost: test\r\n\r\n")
        answer = connection.response()
        assert answer.status == 200
        assert answer.get("transfer-encoding") is None
        assert connection.at_end()


def test_chunked_request_body_and_trailers_reach_the_upstream(site):
    with Connection(site.port) as connection:
        connection.send(
            "POST /chunks HTTP/1.1\r\nHost: t\r\nTransfer-Encoding: chunked\r\nTrailer: X-Sum\r\n\r\n"
            '4;name=value\r\nwiki\r\n5;q="a;b"\r\npedia\r\n0\r\nX-Sum: 9\r\n\r\n'
        )
        echo = connection.response().json()
    assert echo["body"] == "wikipedia"
    assert ["x-sum", "9"] in echo["trailers"]


def test_chunked_answer_and_trailers_reach_the_client(site):
    def handler(request, stream):
        stream.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: X-Sum\r\n\r\n")
        stream.send("5\r\nhello\r\n6\r\n world\r\n0\r\nX-Sum: 11\r\n\r\n")

    site.upstream.on("/chunked-answer", handler)
    with Connection(site.port) as connection:
        for _ in range(2):
            answer = connection.ask(path="/chunked-answer")
            assert answer.body == b"hello world"
            assert ("x-sum", "11") in answer.trailers


def test_answer_that_ends_with_the_connection_is_framed_for_the_client(site):
    def handler(request, stream):
        stream.send("HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n\r\nuntil the end")
        return False

    site.upstream.on("/until-close", handler)
    with Connection(site.port) as connection:
        assert connection.ask(path="/until-close").body == b"until the end"
        assert connection.ask(path="/next").status == 200


def test_answer_is_streamed_as_it_comes(site):
    """The client sees the first part before the upstream sends the second."""
    gate = threading.Event()

    def handler(request, stream):
        stream.send("HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n")
        stream.send("3\r\none\r\n")
        gate.wait(10)
        stream.send("3\r\ntwo\r\n0\r\n\r\n")

    site.upstream.on("/streamed", handler)
    with Connection(site.port) as connection:
        connection.request(path="/streamed")
        head = connection.head()
        assert head.get("content-type") == "text/event-stream"
        assert connection.stream.readline() == b"3\r\n"
        assert connection.stream.read(5) == b"one\r\n"
        gate.set()
        assert connection.stream.read(13) == b"3\r\ntwo\r\n0\r\n\r\n"


def test_head_has_the_length_but_no_body(site):
    def handler(request, stream):
        stream.send("HTTP/1.1 200 OK\r\nContent-Length: 1234\r\n\r\n")

    site.upstream.on("/head", handler)
    with Connection(site.port) as connection:
        answer = connection.ask("HEAD", "/head/x")
        assert answer.get("content-length") == "1234"
        assert connection.ask(path="/after").json()["path"] == "/after"


@pytest.mark.parametrize("status", [204, 304])
def test_status_without_body(site, status):
    site.upstream.on(f"/s{status}", lambda request, stream: stream.send(f"HTTP/1.1 {status} X\r\nETag: \"a\"\r\n\r\n"))
    with Connection(site.port) as connection:
        answer = connection.ask(path=f"/s{status}")
        assert (answer.status, answer.get("etag")) == (status, '"a"')
        assert connection.ask(path="/after").status == 200


def test_client_that_expects_100_is_told_to_go_on(site):
    with Connection(site.port) as connection:
        connection.send("POST /expect HTTP/1.1\r\nHost: t\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n")
        assert connection.head().status == 100
        connection.send("hello")
        assert connection.response().json()["body"] == "hello"


def test_upstream_may_refuse_before_the_body(site):
    def handler(request, stream):
        stream.respond(417, "no", [("Connection", "close")])
        return False

    site.upstream.on("/refuse", handler, read_body=False)
    with Connection(site.port) as connection:
        connection.send("POST /refuse HTTP/1.1\r\nHost: t\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n")
        answer = connection.response()
        # The gateway may have said 100 by itself; the final answer is the upstream's.
        assert answer.status == 417


def test_interim_answers_do_not_replace_the_final_one(site):
    def handler(request, stream):
        stream.send("HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n")
        stream.respond(200, "final")

    site.upstream.on("/hints", handler)
    assert ask(site.port, path="/hints").body == b"final"


def test_hop_by_hop_headers_stay_on_their_hop(site):
    def handler(request, stream):
        stream.respond(200, "x", [("Connection", "X-Private"), ("X-Private", "1"), ("Keep-Alive", "timeout=9")])

    site.upstream.on("/hop", handler)
    answer = ask(site.port, path="/hop", headers={"Connection": "X-Mine", "X-Mine": "1", "Keep-Alive": "x", "TE": "gzip"})
    request = site.upstream.requests[-1]
    assert request.get("x-mine") is None and request.get("keep-alive") is None and request.get("te") is None
    assert answer.get("x-private") is None and answer.get("keep-alive") is None


@pytest.mark.parametrize("front", ["h1", "h2"])
@pytest.mark.parametrize("lines, wanted", [
    ([], "127.0.0.1"),
    (["10.0.0.1"], "10.0.0.1, 127.0.0.1"),
    (["10.0.0.1", "10.0.0.2, 10.0.0.3"], "10.0.0.1, 10.0.0.2, 10.0.0.3, 127.0.0.1"),
    (["", "10.0.0.2"], "10.0.0.2, 127.0.0.1"),
])
def test_no_line_of_x_forwarded_for_stands_behind_the_gateways(site, front, lines, wanted):
    """A backend that trusts the last line, or the last address of all lines, gets what the gateway saw."""
    fields = [x for line in lines for x in ("-H", f"X-Forwarded-For: {line}" if line else "X-Forwarded-For;")]
    assert curl(front, f"http://127.0.0.1:{site.port}/forwarded", *fields).statuses == [200]
    assert site.upstream.requests[-1].all("x-forwarded-for") == [wanted]


def test_websocket_upgrade_becomes_a_tunnel(site):
    def handler(request, stream):
        assert request.get("upgrade") == "websocket"
        assert "upgrade" in request.get("connection").lower()
        stream.send("HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\nfirst")
        while data := stream.socket.recv(65536):
            stream.send(data.upper())
        return False

    site.upstream.on("/ws", handler)
    headers = {"Connection": "Upgrade", "Upgrade": "websocket", "Sec-WebSocket-Version": "13", "Sec-WebSocket-Key": "eA=="}
    with Connection(site.port) as connection:
        answer = connection.ask(path="/ws", headers=headers)
        assert answer.status == 101 and answer.get("upgrade") == "websocket"
        assert connection.stream.read(5) == b"first"
        for n in range(50):
            connection.send(f"ping-{n:04}")
            assert connection.stream.read(9) == f"PING-{n:04}".encode()
        connection.socket.shutdown(socket.SHUT_WR)
        assert connection.at_end()


def test_refused_upgrade_is_an_ordinary_answer(site):
    site.upstream.on("/no-ws", lambda request, stream: stream.respond(426, "no"))
    with Connection(site.port) as connection:
        answer = connection.ask(path="/no-ws", headers={"Connection": "Upgrade", "Upgrade": "websocket"})
        assert (answer.status, answer.body) == (426, b"no")
        assert connection.ask(path="/after").status == 200


def test_absolute_form_target_names_the_host(site):
    with Connection(site.port) as connection:
        connection.send("GET http://other.test/abs?x HTTP/1.1\r\nHost: ignored\r\n\r\n")
        echo = connection.response().json()
    assert echo["path"] == "/abs?x"
    assert dict(echo["headers"])["host"] == "other.test"


def test_empty_line_before_a_request_is_ignored(site):
    with Connection(site.port) as connection:
        connection.send("\r\nGET /crlf HTTP/1.1\r\nHost: t\r\n\r\n")
        assert connection.response().json()["path"] == "/crlf"


# --- requests that are refused: 400 and close, and nothing reaches the upstream ---

HEAD = "POST /smuggle HTTP/1.1\r\nHost: test\r\n"
REFUSED = {
    "length and chunked": HEAD + "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "chunked and length": HEAD + "Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n",
    "two lengths that differ": HEAD + "Content-Length: 5\r\nContent-Length: 6\r\n\r\nhello",
    "two equal lengths": HEAD + "Content-Length: 5\r\nContent-Length: 5\r\n\r\nhello",
    "list of lengths": HEAD + "Content-Length: 5, 5\r\n\r\nhello",
    "signed length": HEAD + "Content-Length: +5\r\n\r\nhello",
    "negative length": HEAD + "Content-Length: -5\r\n\r\nhello",
    "hexadecimal length": HEAD + "Content-Length: 0x5\r\n\r\nhello",
    "length with a space": HEAD + "Content-Length: 5 0\r\n\r\nhello",
    "empty length": HEAD + "Content-Length: \r\n\r\n",
    "chunked twice": HEAD + "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "chunked not last": HEAD + "Transfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n",
    "misspelled chunked": HEAD + "Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n",
    "chunked with a tab inside": HEAD + "Transfer-Encoding: chu\tnked\r\n\r\n0\r\n\r\n",
    "empty transfer-encoding": HEAD + "Transfer-Encoding: \r\n\r\n",
    "chunked in HTTP/1.0": "POST / HTTP/1.0\r\nHost: t\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "bare line feed after a header": HEAD + "X: 1\nContent-Length: 0\r\n\r\n",
    "bare line feed at the end of the head": HEAD + "X: 1\r\n\n",
    "bare carriage return in a value": HEAD + "X: a\rb\r\n\r\n",
    "folded header": HEAD + "X: 1\r\n 2\r\n\r\n",
    "folded first header": "GET / HTTP/1.1\r\n Host: t\r\n\r\n",
    "space before the colon": HEAD + "Content-Length : 5\r\n\r\nhello",
    "tab before the colon": HEAD + "X\t: 1\r\n\r\n",
    "header without a name": HEAD + ": 1\r\n\r\n",
    "header without a colon": HEAD + "nothing\r\n\r\n",
    "header name with a bracket": HEAD + "X(y): 1\r\n\r\n",
    "null in a value": HEAD + "X: a\0b\r\n\r\n",
    "control character in a value": HEAD + "X: a\x01b\r\n\r\n",
    "delete in a value": HEAD + "X: a\x7fb\r\n\r\n",
    "null in the target": "GET /a\0b HTTP/1.1\r\nHost: t\r\n\r\n",
    "space in the target": "GET /a b HTTP/1.1\r\nHost: t\r\n\r\n",
    "control character in the target": "GET /a\x01 HTTP/1.1\r\nHost: t\r\n\r\n",
    "two spaces in the request line": "GET  / HTTP/1.1\r\nHost: t\r\n\r\n",
    "tab in the request line": "GET\t/\tHTTP/1.1\r\nHost: t\r\n\r\n",
    "space after the version": "GET / HTTP/1.1 \r\nHost: t\r\n\r\n",
    "request line without a version": "GET /\r\n\r\n",
    "version in lower case": "GET / http/1.1\r\nHost: t\r\n\r\n",
    "version with two digits": "GET / HTTP/1.10\r\nHost: t\r\n\r\n",
    "target that is no path": "GET somewhere HTTP/1.1\r\nHost: t\r\n\r\n",
    "method with a bracket": "G(T / HTTP/1.1\r\nHost: t\r\n\r\n",
    "no host": "GET / HTTP/1.1\r\n\r\n",
    "two hosts": "GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n",
    "host with a space": "GET / HTTP/1.1\r\nHost: a b\r\n\r\n",
    "host with a path": "GET / HTTP/1.1\r\nHost: a/b\r\n\r\n",
    "host with a user": "GET / HTTP/1.1\r\nHost: u@a\r\n\r\n",
    "TLS where plain text belongs": "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n",
}


@pytest.mark.parametrize("name", REFUSED)
def test_malformed_request_is_refused(site, name):
    with Connection(site.port) as connection:
        connection.send(REFUSED[name] + "GET /smuggled HTTP/1.1\r\nHost: test\r\n\r\n")
        answer = connection.response()
        assert answer.status == 400, answer
        assert connection.at_end()
    assert not site.upstream.requests


def test_length_over_64_bits_is_refused(site):
    with Connection(site.port) as connection:
        connection.send(HEAD + "Content-Length: 99999999999999999999\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: test\r\n\r\n")
        assert connection.response().status in (400, 413)
        assert connection.at_end()
    assert not site.upstream.requests


@pytest.mark.parametrize("coding", ["gzip, chunked", "deflate, chunked"])
def test_unknown_transfer_coding_is_refused(site, coding):
    with Connection(site.port) as connection:
        connection.send(HEAD + f"Transfer-Encoding: {coding}\r\n\r\n0\r\n\r\n")
        assert connection.response().status in (400, 501)
        assert connection.at_end()
    assert not site.upstream.requests


@pytest.mark.parametrize("version", ["HTTP/2.0", "HTTP/3.0", "HTTP/0.9"])
def test_unknown_version_is_refused(site, version):
    with Connection(site.port) as connection:
        connection.send(f"GET / {version}\r\nHost: t\r\n\r\n")
        assert connection.response().status in (400, 505)
        assert connection.at_end()


BAD_CHUNKS = {
    "no hexadecimal digit": "g\r\n",
    "empty size": "\r\n",
    "signed size": "+3\r\nabc\r\n0\r\n\r\n",
    "size with a prefix": "0x3\r\nabc\r\n0\r\n\r\n",
    "size over 64 bits": "11111111111111111\r\n",
    "bare line feed after the size": "3\nabc\r\n0\r\n\r\n",
    "chunk longer than its size": "3\r\nabcd\r\n0\r\n\r\n",
    "bare line feed after the data": "3\r\nabc\n0\r\n\r\n",
    "space before the size": " 3\r\nabc\r\n0\r\n\r\n",
    "control character in an extension": "3;a=\x01\r\nabc\r\n0\r\n\r\n",
    "malformed trailer": "3\r\nabc\r\n0\r\nX : 1\r\n\r\n",
    "endless extension": "3;" + "a" * 70000 + "\r\nabc\r\n0\r\n\r\n",
}


@pytest.mark.parametrize("name", BAD_CHUNKS)
def test_malformed_chunk_is_refused(site, name):
    seen = []
    site.upstream.on("/bad-chunk", lambda request, stream: seen.append(request) or stream.respond())
    with Connection(site.port) as connection:
        connection.send("POST /bad-chunk HTTP/1.1\r\nHost: t\r\nTransfer-Encoding: chunked\r\n\r\n")
        try:
            connection.send(BAD_CHUNKS[name])
            assert connection.response().status == (413 if name == "endless extension" else 400)
        except ConnectionError:
            pass  # closed while we were still sending: as good an answer
        assert connection.at_end()
    assert not seen, "the upstream took the request for complete"
    site.upstream.errors.clear()  # the upstream saw a body that was cut off, as it should


def test_head_that_is_too_large_is_refused(site):
    with Connection(site.port) as connection:
        connection.send("GET / HTTP/1.1\r\nHost: t\r\n")
        try:
            for n in range(2000):
                connection.send(f"X-{n}: {'v' * 1000}\r\n")
            connection.send("\r\n")
        except ConnectionError:
            return
        try:
            assert connection.response().status == 431
        except ConnectionError:
            pass


def test_target_that_is_too_long_is_refused(site):
    with Connection(site.port) as connection:
        try:
            connection.send("GET /" + "a" * 1_000_000 + " HTTP/1.1\r\nHost: t\r\n\r\n")
            assert connection.response().status in (414, 431, 400)
        except ConnectionError:
            pass


# --- upstreams that misbehave ---

BAD_ANSWERS = {
    "length and chunked": "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "two lengths": "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello",
    "malformed length": "HTTP/1.1 200 OK\r\nContent-Length: five\r\n\r\nhello",
    "no status line": "hello there\r\n\r\n",
    "status out of range": "HTTP/1.1 99 X\r\n\r\n",
    "space before the colon": "HTTP/1.1 200 OK\r\nX : 1\r\nContent-Length: 0\r\n\r\n",
    "null in a value": "HTTP/1.1 200 OK\r\nX: a\0b\r\nContent-Length: 0\r\n\r\n",
    "head that never ends": "HTTP/1.1 200 OK\r\n" + "X: " + "v" * 2_000_000,
    "nothing": "",
}


@pytest.mark.parametrize("name", BAD_ANSWERS)
def test_malformed_answer_becomes_502(site, name):
    def handler(request, stream):
        try:
            stream.send(BAD_ANSWERS[name])
        except OSError:
            pass
        return False

    site.upstream.on("/bad-answer", handler)
    with Connection(site.port) as connection:
        assert connection.ask("POST", "/bad-answer", body=b"x").status == 502
        assert connection.ask(path="/after").status == 200


def test_answer_that_is_cut_off_is_not_taken_for_complete(site):
    def handler(request, stream):
        stream.send("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nshort")
        return False

    site.upstream.on("/cut", handler)
    with Connection(site.port) as connection:
        with pytest.raises((ValueError, ConnectionError)):
            connection.ask(path="/cut")


def test_chunked_answer_that_is_cut_off_is_not_taken_for_complete(site):
    def handler(request, stream):
        stream.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n")
        return False

    site.upstream.on("/cut-chunks", handler)
    with Connection(site.port) as connection:
        with pytest.raises((ValueError, ConnectionError, Closed)):
            connection.ask(path="/cut-chunks")


def test_connection_that_died_while_idle_costs_no_request(site):
    """An upstream that closes after each answer: the next request gets a new connection, not an error."""

    def handler(request, stream):
        stream.respond(200, "bye")
        return False

    site.upstream.on("/closes", handler)
    with Connection(site.port) as connection:
        for _ in range(30):
            assert connection.ask(path="/closes").body == b"bye"
