"""What upstreams answer, and what the client must see of it."""

from corpus import Answer as A
from corpus import answer, bad_gateway, broken, seen

HELLO = seen("200 OK", "content-length: 5", body="hello")
EMPTY = "200 OK", "content-length: 0"
LEN5, TE = "Content-Length: 5", "Transfer-Encoding: chunked"
CHUNKS = "5\r\nhello\r\n0\r\n\r\n"
GOT_CHUNKS = seen("200 OK", "transfer-encoding: chunked", body="hello")
HINTS = "HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n"
GOT_HINTS = "HTTP/1.1 103 Early Hints\r\nlink: </x>\r\n\r\n"


def unused(line, *fields, **options):
    return seen(line, *fields, reused=False, **options)


FRAMING = [
    A("length", "9112 6.3", answer(LEN5, body="hello"), HELLO),
    A("length 0", "9112 6.3", answer("Content-Length: 0"), seen(*EMPTY)),
    A("chunks", "9112 7.1", answer(TE, body=CHUNKS), GOT_CHUNKS),
    A("chunks with extensions", "9112 7.1.1", answer(TE, body="5;a=b\r\nhello\r\n0;c\r\n\r\n"), GOT_CHUNKS),
    A("trailers", "9112 7.1.2", answer(TE, "Trailer: X-Sum", body="5\r\nhello\r\n0\r\nX-Sum: 5\r\nContent-Length: 9\r\n\r\n"), seen("200 OK", "trailer: X-Sum", "transfer-encoding: chunked", body="hello", trailers=["x-sum: 5"])),
    A("until the connection closes", "9112 6.3", answer(body="hello"), unused("200 OK", "transfer-encoding: chunked", body="hello"), fin=True),
    A("until the connection closes, to HTTP/1.0", "9112 6.3", answer(body="hello"), unused("200 OK", "connection: close", body="hello", kept=False), version="1.0", fin=True),
    A("chunks to HTTP/1.0", "9112 7.1", answer(TE, body=CHUNKS), seen("200 OK", "connection: close", body="hello", kept=False), version="1.0"),
    A("close", "9112 9.6", answer(LEN5, "Connection: close", body="hello"), unused("200 OK", "content-length: 5", body="hello"), fin=True),
    A("close is believed though it stays open", "9112 9.6", answer(LEN5, "Connection: close", body="hello"), unused("200 OK", "content-length: 5", body="hello")),
    A("HTTP/1.0", "9112 2.3", "HTTP/1.0 200 OK\r\nContent-Length: 5\r\n\r\nhello", unused("200 OK", "content-length: 5", body="hello")),
    A("HTTP/1.0 that keeps the connection", "9112 9.3", "HTTP/1.0 200 OK\r\nContent-Length: 5\r\nConnection: keep-alive\r\n\r\nhello", HELLO),
    A("HEAD with a length", "9110 9.3.2", answer(LEN5), seen("200 OK", "content-length: 5"), method="HEAD"),
    A("HEAD with chunks announced", "9110 9.3.2", answer(TE), seen("200 OK"), method="HEAD"),
    A("HEAD with nothing said", "9110 9.3.2", answer("X: y"), seen("200 OK", "x: y"), method="HEAD"),
    A("HEAD that has a body all the same", "9112 6.3", answer(LEN5, body="hello"), unused("200 OK", "content-length: 5"), method="HEAD"),
    A("204", "9110 15.3.5", answer("X: y", status="204 No Content"), seen("204 No Content", "x: y")),
    A("204 with a length", "9112 6.3", answer(LEN5, status="204 No Content"), seen("204 No Content")),
    A("204 with a body", "9112 6.3", answer(LEN5, status="204 No Content", body="hello"), unused("204 No Content")),
    A("204 with chunks", "9112 6.1", answer(TE, status="204 No Content", body="0\r\n\r\n"), unused("204 No Content")),
    A("304 with a length", "9110 15.4.5", answer(LEN5, status="304 Not Modified"), seen("304 Not Modified", "content-length: 5")),
    A("304 with a body", "9112 6.3", answer(LEN5, status="304 Not Modified", body="hello"), unused("304 Not Modified", "content-length: 5")),
    A("205 with length 0", "9110 15.3.6", answer("Content-Length: 0", status="205 Reset Content"), seen("205 Reset Content", "content-length: 0")),
    A("a second answer behind the first", "9112 9.2", answer(LEN5, body="hello") + answer(LEN5, body="SPLIT"), unused("200 OK", "content-length: 5", body="hello")),
    A("more bytes than the length", "9112 6.3", answer(LEN5, body="hello world"), unused("200 OK", "content-length: 5", body="hello")),
    A("bytes behind the last chunk", "9112 9.2", answer(TE, body=CHUNKS + "more"), unused("200 OK", "transfer-encoding: chunked", body="hello")),
    A("length that Connection names", "9110 7.6.1", answer("Connection: content-length", LEN5, body="hello"), HELLO),
]

INTERIM = [
    A("103", "8297 2", HINTS + answer(LEN5, body="hello"), seen("200 OK", "content-length: 5", body="hello", interim=[GOT_HINTS])),
    A("103 with a length", "9110 15.2", "HTTP/1.1 103 Early Hints\r\nLink: </x>\r\nContent-Length: 5\r\n\r\n" + answer(LEN5, body="hello"), seen("200 OK", "content-length: 5", body="hello", interim=[GOT_HINTS])),
    A("103 with chunks", "9112 6.1", "HTTP/1.1 103 Early Hints\r\nLink: </x>\r\nTransfer-Encoding: chunked\r\n\r\n" + answer(LEN5, body="hello"), seen("200 OK", "content-length: 5", body="hello", interim=[GOT_HINTS])),
    A("103 to HTTP/1.0", "9110 15.2", HINTS + answer(LEN5, body="hello"), seen("200 OK", "content-length: 5", "connection: close", body="hello", kept=False), version="1.0"),
    A("102, then 103", "9110 15.2", "HTTP/1.1 102 Processing\r\n\r\n" + HINTS + answer(LEN5, body="hello"), seen("200 OK", "content-length: 5", body="hello", interim=["HTTP/1.1 102 Processing\r\n\r\n", GOT_HINTS])),
    A("100 that nobody asked for", "9110 15.2.1", "HTTP/1.1 100 Continue\r\n\r\n" + answer(LEN5, body="hello"), HELLO),
    A("199", "9110 15.2", "HTTP/1.1 199 Odd\r\n\r\n" + answer(LEN5, body="hello"), seen("200 OK", "content-length: 5", body="hello", interim=["HTTP/1.1 199 Odd\r\n\r\n"])),
    A("16 of them", "9110 15.2", HINTS * 16 + answer(LEN5, body="hello"), seen("200 OK", "content-length: 5", body="hello", interim=[GOT_HINTS] * 16)),
    A("17 of them", "9110 15.2", HINTS * 17 + answer(LEN5, body="hello"), bad_gateway(interim=[GOT_HINTS] * 16)),
    A("a flood of 100", "9110 15.2.1", "HTTP/1.1 100 Continue\r\n\r\n" * 1000, bad_gateway()),
    A("103, then nothing", "9112 8", HINTS, bad_gateway(interim=[GOT_HINTS]), fin=True),
    A("103, then garbage", "9112 4", HINTS + "garbage\r\n\r\n", bad_gateway(interim=[GOT_HINTS])),
    A("101 that nobody asked for", "9110 15.2.2", answer("Upgrade: x", "Connection: upgrade", status="101 Switching Protocols"), bad_gateway()),
]

FIELDS = [
    A("fields stay in order", "9110 5.3", answer("Set-Cookie: a", "X: 1", "Set-Cookie: b", "X: 2", "Content-Length: 0"), seen("200 OK", "set-cookie: a", "x: 1", "set-cookie: b", "x: 2", "content-length: 0")),
    A("what Connection names is dropped", "9110 7.6.1", answer("Connection: X-Own", "X-Own: 1", "Keep-Alive: timeout=9", "Proxy-Connection: x", "Content-Length: 0"), seen(*EMPTY)),
    A("Upgrade that is not taken", "9110 7.8", answer("Upgrade: h2c", "Content-Length: 0"), seen(*EMPTY)),
    A("reason beyond ASCII", "9112 4", answer("Content-Length: 0", status="200 \xe4h"), seen("200 \xe4h", "content-length: 0")),
    A("no reason", "9112 4", answer("Content-Length: 0", status="200 "), seen(*EMPTY)),
    A("no reason and no space", "9112 4", answer("Content-Length: 0", status="200"), seen(*EMPTY)),
    A("status nobody knows", "9110 15", answer("Content-Length: 0", status="599 Odd"), seen("599 Odd", "content-length: 0")),
    A("bytes beyond ASCII in a value", "9110 5.5", answer("X: \xff", "Content-Length: 0"), seen("200 OK", "x: \xff", "content-length: 0")),
]

BAD_HEADS = {
    "garbage": "garbage\r\n\r\n", "HTTP/0.9": "<html></html>\r\n\r\n", "half a head": "HTTP/1.1 200 OK\r\nX: y\r\n", "half a line": "HTTP/1.1 2",
    "CR LF before it": "\r\n" + answer("Content-Length: 0"), "space before it": " " + answer("Content-Length: 0"),
    "HTTP/2": "HTTP/2 200 OK\r\nContent-Length: 0\r\n\r\n", "HTTP/2.0": "HTTP/2.0 200 OK\r\nContent-Length: 0\r\n\r\n",
    "HTTP/1.2": "HTTP/1.2 200 OK\r\nContent-Length: 0\r\n\r\n", "lower case": "http/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
    "another protocol": "ICY 200 OK\r\nContent-Length: 0\r\n\r\n", "frames of HTTP/2": "\0\0\0\x04\0\0\0\0\0\r\n\r\n",
    "two spaces": "HTTP/1.1  200 OK\r\nContent-Length: 0\r\n\r\n", "tab": "HTTP/1.1\t200 OK\r\nContent-Length: 0\r\n\r\n",
    "status of two digits": answer("Content-Length: 0", status="20 OK"), "status of four digits": answer("Content-Length: 0", status="2000 OK"),
    "status 099": answer("Content-Length: 0", status="099 OK"), "status 600": answer("Content-Length: 0", status="600 OK"),
    "status with a sign": answer("Content-Length: 0", status="+20 OK"), "status of letters": answer("Content-Length: 0", status="abc OK"),
    "no status": "HTTP/1.1\r\nContent-Length: 0\r\n\r\n", "NUL in the reason": answer("Content-Length: 0", status="200 O\0K"),
    "bare CR in the reason": answer("Content-Length: 0", status="200 O\rX: y"), "bare LF": "HTTP/1.1 200 OK\nContent-Length: 0\n\n",
    "bare LF behind a field": answer("X: y\nContent-Length: 0"), "bare CR in a value": answer("X: a\rb", "Content-Length: 0"),
    "folded field": answer("X: a", " b", "Content-Length: 0"), "space before the colon": answer("X : y", "Content-Length: 0"),
    "no colon": answer("nothing", "Content-Length: 0"), "no name": answer(": y", "Content-Length: 0"), "NUL in a value": answer("X: a\0b", "Content-Length: 0"),
    "NUL in a name": answer("X\0: y", "Content-Length: 0"), "bracket in a name": answer("X(: y", "Content-Length: 0"),
    "DEL in a value": answer("X: \x7f", "Content-Length: 0"), "200 fields": answer(*(f"X-{n}: y" for n in range(200)), "Content-Length: 0"),
    "head of 70000 bytes": answer("X: " + "y" * 70000, "Content-Length: 0"), "request for an answer": "GET / HTTP/1.1\r\nHost: x\r\n\r\n",
    "length and coding": answer(LEN5, TE, body=CHUNKS), "coding and length": answer(TE, LEN5, body=CHUNKS), "two lengths": answer(LEN5, "Content-Length: 6", body="hello"),
    "two equal lengths": answer(LEN5, LEN5, body="hello"), "list of lengths": answer("Content-Length: 5, 5", body="hello"),
    "negative length": answer("Content-Length: -5", body="hello"), "plus sign": answer("Content-Length: +5", body="hello"),
    "hexadecimal length": answer("Content-Length: 0x5", body="hello"), "length over 63 bits": answer("Content-Length: 9223372036854775808", body="hello"),
    "empty length": answer("Content-Length:", body="hello"), "length of letters": answer("Content-Length: five", body="hello"),
    "unknown coding": answer("Transfer-Encoding: gzip, chunked", body=CHUNKS), "coding without chunked": answer("Transfer-Encoding: gzip", body="hello"),
    "identity": answer("Transfer-Encoding: identity", body="hello"), "chunked twice": answer("Transfer-Encoding: chunked, chunked", body=CHUNKS),
    "chunked in two lines": answer(TE, TE, body=CHUNKS), "misspelled coding": answer("Transfer-Encoding: xchunked", body=CHUNKS),
    "coding in HTTP/1.0": "HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + CHUNKS,
}

BAD_BODIES = {
    "no digit": "g\r\n", "empty size": "\r\nhello\r\n", "sign": "+5\r\nhello\r\n0\r\n\r\n", "prefix": "0x5\r\nhello\r\n0\r\n\r\n",
    "space before": " 5\r\nhello\r\n0\r\n\r\n", "space behind": "5 \r\nhello\r\n0\r\n\r\n", "17 digits": "10000000000000005\r\nhello\r\n0\r\n\r\n",
    "bare LF": "5\nhello\n0\n\n", "bare CR": "5\rhello\r0\r\r", "control character": "5;\x01\r\nhello\r\n0\r\n\r\n", "endless extension": "5;" + "x" * 600 + "\r\nhello\r\n0\r\n\r\n",
}
CUT_BODIES = {  # behind a chunk that is good
    "closed behind a chunk": "", "closed before the last line end": "0\r\n", "closed inside a trailer": "0\r\nX: y\r\n", "longer than its size": "2\r\nabc\r\n0\r\n\r\n",
    "malformed trailer": "0\r\nX : y\r\n\r\n", "trailer with a bare LF": "0\r\nX: y\n\r\n", "trailers that are too long": "0\r\nX: " + "y" * 9000 + "\r\n\r\n",
    "garbage for a size": "zz\r\n", "second answer": answer("Content-Length: 0"),
}
GOT_BODIES = {"longer than its size": "helloab"}
BROKEN_CHUNKS = "200 OK", "transfer-encoding: chunked"

BODIES = [
    A("shorter than its length", "9112 8", answer("Content-Length: 10", body="hello"), broken("200 OK", "content-length: 10", body="hello"), fin=True),
    A("length and nothing", "9112 8", answer("Content-Length: 10"), broken("200 OK", "content-length: 10"), fin=True),
    A("largest length there is", "9112 8", answer("Content-Length: 9223372036854775807", body="hello"), broken("200 OK", "content-length: 9223372036854775807", body="hello"), fin=True),
    A("close-delimited with Connection: close", "9112 6.3", answer("Connection: close", body="hello"), unused("200 OK", "transfer-encoding: chunked", body="hello"), fin=True),
    *(A(f"chunk: {name}", "9112 7.1", answer(TE, body=body), broken(*BROKEN_CHUNKS), fin=True) for name, body in BAD_BODIES.items()),
    *(A(f"chunk: {name}", "9112 7.1", answer(TE, body="5\r\nhello\r\n" + body), broken(*BROKEN_CHUNKS, body=GOT_BODIES.get(name, "hello")), fin=True) for name, body in CUT_BODIES.items()),
]

CASES = [
    *FRAMING, *INTERIM, *FIELDS,
    *(A(f"head: {name}", "9112 4", data, bad_gateway(), fin=True) for name, data in BAD_HEADS.items()),
    # A GET may be sent again when a connection that was open for long says nothing; this may not (RFC 9110 section 9.2.2).
    A("head: nothing", "9112 9.3.1", "", bad_gateway(), method="POST", fin=True),
    A("head: coding and length for HEAD", "9112 6.3", answer(LEN5, TE), bad_gateway(), method="HEAD", fin=True),
    *BODIES,
]
