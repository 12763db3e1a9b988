"""What a case of the corpus is made of: what a peer sends, the RFC's section, and the one outcome that is right.

Requests and answers are text with CR LF written out, one character a byte. A head that must arrive somewhere is written with
its lines one below the other."""

from dataclasses import dataclass, field

HOST = "Host: test"
SMUGGLED = "GET /smuggled HTTP/1.1\r\nHost: test\r\n\r\n"
FORWARDED = "x-forwarded-for: 127.0.0.1", "x-forwarded-proto: http"


def raw(text):
    return text if isinstance(text, bytes) else text.encode("latin-1")


def request(line, *fields, body="", host=HOST):
    lines = [f"{line} HTTP/1.1", *([host] if host is not None else []), *fields]
    return "\r\n".join([*lines, "", ""]) + body


def get(*fields, **options):
    return request("GET /a", *fields, **options)


def post(*fields, body="", **options):
    return request("POST /a", *fields, body=body, **options)


def chunked(body, *fields):
    return post("Transfer-Encoding: chunked", *fields, body=body)


@dataclass
class Up:
    """A request as the upstream must see it: the head to the byte, the body without its chunks."""

    head: bytes
    body: bytes = b""
    trailers: bytes = b""


def up(line, *fields, host="test", framing=(), body="", trailers=()):
    """|fields| end to end, |framing| what the gateway says itself about the body and the connection."""
    framing = (framing,) if isinstance(framing, str) else framing
    lines = [f"{line} HTTP/1.1", f"host: {host}", *fields, *FORWARDED, *framing, "", ""]
    return Up(raw("\r\n".join(lines)), raw(body), raw("".join(f"{line}\r\n" for line in trailers)))


def up_chunked(body, *fields, trailers=()):
    return up("POST /a", *fields, framing="transfer-encoding: chunked", body=body, trailers=trailers)


AFTER = up("GET /after")


# --- outcomes of requests ---


@dataclass
class Outcome:
    """The upstream sees |ups| and each is answered 200. Then: |status| from the gateway if not 0. Then the connection is
    closed or, if |kept|, takes another request. |part|: the upstream also sees the beginning of this and never its end."""

    ups: tuple = ()
    status: int = 0
    kept: bool = False
    part: Up = None


def forwarded(*ups):
    return Outcome(ups, kept=True)


def forwarded_and_closed(*ups):
    return Outcome(ups)


def refused(status, *ups):
    return Outcome(ups, status)


def answered(status, *ups):
    """By the gateway itself, and the connection goes on."""
    return Outcome(ups, status, kept=True)


def cut(status, part, *ups):
    """Wrong in the body: the upstream must not take what it saw for a whole request."""
    return Outcome(ups, status, part=part)


def hung_up(*ups, part=None):
    return Outcome(ups, part=part)


@dataclass
class Request:
    name: str
    rfc: str
    data: str
    outcome: Outcome
    fin: bool = False  # the client stops sending at the end of |data|

    def sent(self):
        """A request that is refused is followed by one that a smuggler would like to see forwarded."""
        tail = SMUGGLED if not self.outcome.kept and not self.fin else ""
        return raw(self.data) + raw(tail)


# --- answers of upstreams ---


def answer(*fields, status="200 OK", body=""):
    return "\r\n".join([f"HTTP/1.1 {status}", *fields, "", ""]) + body


@dataclass
class Seen:
    """What the client must see: interim heads, the head to the byte, the body without its chunks."""

    status: int
    head: bytes = None  # None: an answer of the gateway's own
    body: bytes = b""
    trailers: bytes = b""
    interim: tuple = ()
    broken: bool = False  # cut off before its end, so that nobody takes it for whole
    reused: bool = True  # the upstream's connection carries the next request
    kept: bool = True  # the client's connection does


def seen(line, *fields, body="", trailers=(), interim=(), **options):
    lines = [f"HTTP/1.1 {line}", *fields, "", ""]
    head = raw("\r\n".join(lines))
    end = raw("".join(f"{t}\r\n" for t in trailers))
    return Seen(int(line[:3]), head, raw(body), end, tuple(map(raw, interim)), **options)


def bad_gateway(*, interim=()):
    return Seen(502, reused=False, interim=tuple(map(raw, interim)))


def broken(line, *fields, body=""):
    return seen(line, *fields, body=body, broken=True, reused=False, kept=False)


@dataclass
class Answer:
    name: str
    rfc: str
    data: str  # what the upstream sends
    seen: Seen
    method: str = "GET"
    fields: tuple = field(default_factory=tuple)  # of the request
    version: str = "1.1"
    fin: bool = False  # the upstream closes behind |data|
