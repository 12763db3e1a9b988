"""Runs cases of the corpus through a gateway, between a client and an upstream that take note of each byte."""

import re
import socket
import threading
import time

from corpus import AFTER, Up, raw

SECONDS = 10
LATE_SECONDS = 0.01
TOKEN = rb"[!#$%&'*+\-.^_`|~0-9a-z]+"
FIELD = re.compile(rb"(" + TOKEN + rb"): ([^\x00-\x08\x0a-\x1f\x7f]*)\r\n")
REQUEST_LINE = re.compile(rb"([!#$%&'*+\-.^_`|~0-9A-Za-z]+) ([\x21-\x7e]+) HTTP/1\.1\r\n")
STATUS_LINE = re.compile(rb"HTTP/1\.1 ([1-5][0-9][0-9]) [^\x00-\x08\x0a-\x1f\x7f]*\r\n")
NO_BODY = {b"204", b"304"}


class Wrong(Exception):
    """The gateway did something else than the case says, or sent something ambiguous."""


class Ended(Exception):
    """The peer closed, or reset, inside a message or before it."""


class Wire:
    """A socket read message by message, without any leniency: what another reader could understand differently is wrong."""

    def __init__(self, sock):
        sock.settimeout(SECONDS)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.socket = sock
        self.buffer = b""

    def _more(self):
        try:
            data = self.socket.recv(65536)
        except TimeoutError:
            raise Wrong(f"nothing comes after {self.buffer[-200:]!r}") from None
        except OSError:
            data = b""
        if not data:
            raise Ended()
        self.buffer += data

    def take(self, n):
        while len(self.buffer) < n:
            self._more()
        data, self.buffer = self.buffer[:n], self.buffer[n:]
        return data

    def line(self):
        while b"\n" not in self.buffer:
            self._more()
        return self.take(self.buffer.index(b"\n") + 1)

    def head(self, first):
        """(head, match of its first line, [(name, value)])"""
        line = self.line()
        start = first.fullmatch(line)
        if not start:
            raise Wrong(f"first line {line!r}")
        fields, lines = self.fields()
        return line + lines + b"\r\n", start, fields

    def fields(self):
        fields, lines = [], b""
        while (line := self.line()) != b"\r\n":
            match = FIELD.fullmatch(line)
            if not match:
                raise Wrong(f"field line {line!r}")
            fields.append(match.groups())
            lines += line
        return fields, lines

    def chunks(self, sink):
        """Hands each chunk to |sink|; returns the trailers' lines."""
        while True:
            line = self.line()
            if not re.fullmatch(rb"[0-9a-f]{1,16}\r\n", line):
                raise Wrong(f"chunk size {line!r}")
            if int(line, 16) == 0:
                return self.fields()[1]
            sink(self.take(int(line, 16)))
            if self.take(2) != b"\r\n":
                raise Wrong("no line end after a chunk")

    def at_end(self):
        if self.buffer:
            return False
        try:
            self._more()
        except Ended:
            return True
        return False


def framing(fields):
    """None, a length, or "chunked"; more than one of them is what this is all about."""
    lengths = [value for name, value in fields if name == b"content-length"]
    codings = [value for name, value in fields if name == b"transfer-encoding"]
    if len(lengths) + len(codings) > 1 or any(not re.fullmatch(rb"[0-9]+", n) for n in lengths):
        raise Wrong(f"ambiguous framing: {fields}")
    if codings and codings != [b"chunked"]:
        raise Wrong(f"transfer coding {codings}")
    return "chunked" if codings else int(lengths[0]) if lengths else None


class Got(Up):
    """A request that came in at the upstream."""

    whole = False
    connection = 0


class Upstream:
    """Takes down all requests. |answers|: what to send to a request with this target, and whether to close then."""

    def __init__(self):
        self.requests, self.wrong = [], []
        self.answers = {}
        self.connections = 0
        self.listener = socket.create_server(("127.0.0.1", 0), backlog=64)
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self):
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()

    def _accept(self):
        while True:
            try:
                sock, _ = self.listener.accept()
            except OSError:
                return
            self.connections += 1
            threading.Thread(target=self._serve, args=(sock, self.connections), daemon=True).start()

    def _serve(self, sock, number):
        sock.settimeout(None)
        wire = Wire(sock)
        sock.settimeout(None)  # pooled connections wait
        try:
            while self._one(wire, number):
                pass
        except (Ended, OSError):
            pass
        except Wrong as wrong:
            self.wrong.append(str(wrong))
        finally:
            sock.close()

    def _one(self, wire, number):
        head, start, fields = wire.head(REQUEST_LINE)
        if sum(name == b"host" for name, _ in fields) != 1:
            raise Wrong(f"not one Host: {head!r}")
        got = Got(head)
        got.connection = number
        self.requests.append(got)
        kind = framing(fields)
        early, data, fin = self.answers.get(start.group(2), (False, OK, False))
        if early:
            wire.socket.sendall(data)
        self._body(wire, got, kind)
        got.whole = True
        if not early:
            wire.socket.sendall(data)
        return not fin

    def _body(self, wire, got, kind):
        def sink(data):
            got.body += data

        if kind == "chunked":
            got.trailers = wire.chunks(sink)
            return
        while kind and len(got.body) < kind:
            sink(wire.take(min(kind - len(got.body), max(1, len(wire.buffer)))))


OK = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"


class Client(Wire):
    def __init__(self, port):
        super().__init__(socket.create_connection(("127.0.0.1", port), timeout=SECONDS))

    def send(self, data, step=0):
        try:
            for at in range(0, len(data), step or len(data) or 1):
                self.socket.sendall(data[at : at + step] if step else data)
        except OSError:
            pass  # the answer may be there all the same

    def next_head(self):
        head, start, fields = self.head(STATUS_LINE)
        return head, start.group(1), fields

    def read_body(self, status, fields, method, body):
        """Appends to |body| as it comes; returns the trailers' lines."""
        kind = framing(fields)
        if method == "HEAD" or status in NO_BODY:
            return b""
        if kind == "chunked":
            return self.chunks(body.extend)
        if kind is None:
            try:
                while True:
                    self._more()
            except Ended:
                body.extend(self.take(len(self.buffer)))
                return b""
        while len(body) < kind:
            body.extend(self.take(min(kind - len(body), max(1, len(self.buffer)))))
        return b""


def final(client, method="GET"):
    """(status, head, fields, body, trailers, interim heads) of the next answer."""
    interim = []
    head, status, fields = client.next_head()
    while status.startswith(b"1") and status != b"101":
        interim.append(head)
        head, status, fields = client.next_head()
    body = bytearray()
    trailers = client.read_body(status, fields, method, body)
    return int(status), head, fields, bytes(body), trailers, interim


def expect(what, got, wanted):
    if got != wanted:
        raise Wrong(f"{what}: {got!r} instead of {wanted!r}")


def same(got, wanted, whole):
    expect("head at the upstream", got.head, wanted.head)
    expect("request is whole", got.whole, whole)
    if whole:
        expect("body at the upstream", got.body, wanted.body)
        expect("trailers at the upstream", got.trailers, wanted.trailers)
    elif not wanted.body.startswith(got.body):
        raise Wrong(f"part of a body at the upstream: {got.body!r}")


def settle(check, seconds):
    """The two sides of the gateway end independently: what may come, comes within a moment."""
    deadline = time.monotonic() + seconds
    while not check() and time.monotonic() < deadline:
        time.sleep(0.001)


class Judge:
    """Cases run one after another on one gateway at |port|, whose one worker forwards everything to |upstream|."""

    def __init__(self, port, upstream):
        self.port, self.upstream = port, upstream
        self.parts = set()  # heads of requests that were to be cut: they may come in late, and never whole

    def _begin(self):
        self.upstream.requests.clear()
        self.upstream.wrong.clear()
        self.upstream.answers.clear()

    def _at_upstream(self, outcome):
        requests, ups = self.upstream.requests, list(outcome.ups)
        if outcome.kept:
            ups.append(AFTER)
        if outcome.part:
            self.parts.add(outcome.part.head)
            settle(lambda: len(requests) > len(ups), LATE_SECONDS)
        if outcome.part and len(requests) > len(ups):
            same(requests.pop(), outcome.part, False)
        requests = [r for r in requests if r.whole or r.head not in self.parts]
        expect("requests at the upstream", [r.head for r in requests], [u.head for u in ups])
        for got, wanted in zip(requests, ups):
            same(got, wanted, True)
        if self.upstream.wrong:
            raise Wrong(f"at the upstream: {self.upstream.wrong}")

    def request(self, case, step=0):
        """Raises Wrong unless the case comes out as it says. |step|: bytes sent at once, 0 for all."""
        outcome = case.outcome
        self._begin()
        client = Client(self.port)
        try:
            client.send(case.sent(), step)
            if case.fin:
                client.socket.shutdown(socket.SHUT_WR)
            self._answers(client, outcome)
        except Ended:
            raise Wrong("closed without the answer that is due") from None
        finally:
            client.socket.close()
        self._at_upstream(outcome)

    def _answers(self, client, outcome):
        for _ in outcome.ups:
            status, _, _, body, _, interim = final(client)
            expect("status", (status, body), (200, b"ok"))
            if interim:
                raise Wrong(f"interim answer {interim}")
        if outcome.status:
            status, _, fields, *_ = final(client)
            expect("status", status, outcome.status)
            expect("close is announced", (b"connection", b"close") in fields, not outcome.kept)
        if outcome.kept:
            client.send(b"GET /after HTTP/1.1\r\nHost: test\r\n\r\n")
            expect("answer after it", final(client)[0], 200)
        elif not client.at_end():
            raise Wrong(f"the connection is not closed, {client.buffer!r} comes")

    def answer(self, case):
        seen = case.seen
        self._begin()
        self.upstream.answers[b"/answer"] = (False, raw(case.data), case.fin)
        client = Client(self.port)
        lines = [f"{case.method} /answer HTTP/{case.version}", "Host: test", *case.fields, "", ""]
        client.send(raw("\r\n".join(lines)))
        try:
            kept = self._check_answer(client, case)
            if not kept and not client.at_end():
                raise Wrong(f"the connection is not closed, {client.buffer!r} comes")
            if not kept:
                client.socket.close()
                client = Client(self.port)
            client.send(b"GET /after HTTP/1.1\r\nHost: test\r\n\r\n")
            expect("answer after it", final(client)[3], b"ok")
        except Ended:
            raise Wrong("closed without the answer that is due") from None
        finally:
            client.socket.close()
        first, *_, last = self.upstream.requests
        expect("target of the last request", last.head, AFTER.head)
        if len(self.upstream.requests) != 2:
            raise Wrong(f"{len(self.upstream.requests) - 1} requests instead of one")
        expect("the upstream's connection is used again", first.connection == last.connection, seen.reused)

    def _check_answer(self, client, case):
        """True if the connection goes on."""
        seen, body = case.seen, bytearray()
        interim = []
        head, status, fields = client.next_head()
        while status.startswith(b"1"):
            interim.append(head)
            head, status, fields = client.next_head()
        try:
            trailers = client.read_body(status, fields, case.method, body)
            whole = True
        except Ended:
            trailers, whole = b"", False
        expect("interim heads", tuple(interim), seen.interim)
        expect("status", int(status), seen.status)
        if seen.head is not None:
            expect("head", head, seen.head)
            expect("body", bytes(body), seen.body)
            expect("trailers", trailers, seen.trailers)
        expect("the answer is whole", whole, not seen.broken)
        return seen.kept
