"""Where a request ends: Content-Length, Transfer-Encoding, chunks, trailers."""

from corpus import SMUGGLED, Request as R
from corpus import chunked, cut, forwarded, forwarded_and_closed, get, hung_up, post, refused, request, up, up_chunked

CL, TE = "Content-Length: ", "Transfer-Encoding: "
CHUNKS = "3\r\nabc\r\n0\r\n\r\n"
ABC = up_chunked("abc")


def five(body="hello"):
    return forwarded(up("POST /a", framing="content-length: 5", body=body))


LENGTHS = [
    R("a length", "9112 6.2", post(CL + "5", body="hello"), five()),
    R("a length of 0", "9110 8.6", post(CL + "0"), forwarded(up("POST /a", framing="content-length: 0"))),
    R("no length: no body", "9112 6.3", post(), forwarded(up("POST /a", framing="content-length: 0"))),
    R("GET with a length", "9110 9.3.1", get(CL + "5", body="hello"), forwarded(up("GET /a", framing="content-length: 5", body="hello"))),
    R("GET with length 0", "9110 8.6", get(CL + "0"), forwarded(up("GET /a"))),
    R("DELETE with a body", "9110 9.3.5", request("DELETE /a", CL + "2", body="xy"), forwarded(up("DELETE /a", framing="content-length: 2", body="xy"))),
    R("leading zeros", "9110 8.6", post(CL + "0005", body="hello"), five()),
    R("many leading zeros", "9110 8.6", post(CL + "0" * 60 + "5", body="hello"), five()),
    R("white space around a length", "9112 5", post("Content-Length: \t 5 \t", body="hello"), five()),
    R("no space before a length", "9112 5", post("Content-Length:5", body="hello"), five()),
    R("name of any case", "9110 5.1", post("cOnTeNt-LeNgTh: 5", body="hello"), five()),
    R("bytes behind the body are the next request", "9112 9.3.2", post(CL + "5", body="hello" + get()), forwarded(up("POST /a", framing="content-length: 5", body="hello"), up("GET /a"))),
    R("body that looks like a request", "9112 6.2", post(CL + str(len(SMUGGLED)), body=SMUGGLED), forwarded(up("POST /a", framing=f"content-length: {len(SMUGGLED)}", body=SMUGGLED))),
    R("body that looks like chunks", "9112 6.2", post(CL + "5", body="0\r\n\r\n"), five("0\r\n\r\n")),
    R("client leaves inside the body", "9112 8", post(CL + "10", body="hello"), hung_up(part=up("POST /a", framing="content-length: 10", body="hello")), fin=True),
]

BAD_LENGTHS = {
    "two lengths that differ": ("5\r\nContent-Length: 6", 400),
    "two equal lengths": ("5\r\nContent-Length: 5", 400),
    "length 0 and another": ("0\r\nContent-Length: 5", 400),
    "two lengths, one in capitals": ("5\r\nCONTENT-LENGTH: 0", 400),
    "a list of equal lengths": ("5, 5", 400),
    "a list of lengths that differ": ("5, 6", 400),
    "a list with an empty element": ("5,", 400),
    "plus sign": ("+5", 400),
    "minus sign": ("-5", 400),
    "minus zero": ("-0", 400),
    "hexadecimal": ("0x5", 400),
    "hexadecimal digits": ("a", 400),
    "exponent": ("5e0", 400),
    "fraction": ("5.0", 400),
    "space inside": ("5 0", 400),
    "tab inside": ("5\t0", 400),
    "underscore inside": ("1_0", 400),
    "quoted": ('"5"', 400),
    "empty": ("", 400),
    "letters": ("five", 400),
    "letters behind": ("5bytes", 400),
    "parameter": ("5;a=b", 400),
    "digits of another script": ("\xd9\xa5", 400),
    "superscript digit": ("\xb2", 400),
    "NUL behind": ("5\0", 400),
    "vertical tab before": ("\x0b5", 400),
    "form feed behind": ("5\x0c", 400),
    "no-break space before": ("\xa05", 400),
    "2 to the 63rd": ("9223372036854775808", 413),
    "2 to the 64th plus 5": ("18446744073709551621", 413),
    "2 to the 32nd times 2 to the 32nd": ("18446744073709551616", 413),
    "forty nines": ("9" * 40, 413),
}

CODINGS = [
    R("chunked", "9112 7.1", chunked(CHUNKS), forwarded(ABC)),
    R("chunked of any case", "9112 7", post(TE + "cHuNkEd", body=CHUNKS), forwarded(ABC)),
    R("chunked behind a tab", "9112 5", post("Transfer-Encoding:\tchunked", body=CHUNKS), forwarded(ABC)),
    R("chunked with white space behind", "9112 5", post(TE + "chunked \t", body=CHUNKS), forwarded(ABC)),
    R("GET with chunks", "9112 6", get(TE + "chunked", body=CHUNKS), forwarded(up("GET /a", framing="transfer-encoding: chunked", body="abc"))),
    R("chunked and nothing in it", "9112 7.1", chunked("0\r\n\r\n"), forwarded(up_chunked(""))),
    R("chunks, then the next request", "9112 9.3.2", chunked(CHUNKS + get()), forwarded(ABC, up("GET /a"))),
    R("chunks, then what looks like more of them", "9112 7.1", chunked("0\r\n\r\n" + "5\r\nhello\r\n0\r\n\r\n"), refused(400, up_chunked(""))),
    R("length and coding", "9112 6.3", post(CL + "5", TE + "chunked", body="0\r\n\r\n"), refused(400)),
    R("coding and length", "9112 6.3", post(TE + "chunked", CL + "5", body="0\r\n\r\n"), refused(400)),
    R("length 0 and coding", "9112 6.3", post(CL + "0", TE + "chunked", body="0\r\n\r\n"), refused(400)),
    R("length of the chunks and coding", "9112 6.3", post(CL + "13", TE + "chunked", body=CHUNKS), refused(400)),
    R("length and a coding that is none", "9112 6.3", post(CL + "5", TE + "identity", body="hello"), refused(400)),
    R("coding that Connection names", "9112 6.1", post("Connection: Transfer-Encoding", TE + "chunked", CL + "5", body="0\r\n\r\n"), refused(400)),
    R("coding that Connection names, alone", "9110 7.6.1", post("Connection: transfer-encoding", TE + "chunked", body=CHUNKS), forwarded(ABC)),
    R("length that Connection names", "9110 7.6.1", post("Connection: content-length", CL + "5", body="hello"), five()),
    R("coding with a coding that nobody asked for", "9112 6.1", post(TE + "gzip, chunked", body=CHUNKS), refused(501)),
    R("unknown coding, then chunked", "9112 6.1", post(TE + "x-own, chunked", body=CHUNKS), refused(501)),
    R("coding in HTTP/1.0", "9112 6.1", "POST /a HTTP/1.0\r\nHost: test\r\nTransfer-Encoding: chunked\r\n\r\n" + CHUNKS, refused(400)),
    R("coding and length in HTTP/1.0", "9112 6.1", "POST /a HTTP/1.0\r\nHost: test\r\nTransfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\nhello", refused(400)),
    R("name with an underscore is another field", "9110 5.1", post("Transfer_Encoding: chunked", CL + "5", body="0\r\n\r\n"), forwarded(up("POST /a", "transfer_encoding: chunked", framing="content-length: 5", body="0\r\n\r\n"))),
    R("name with a prefix is another field", "9110 5.1", post("X-Transfer-Encoding: chunked", CL + "5", body="0\r\n\r\n"), forwarded(up("POST /a", "x-transfer-encoding: chunked", framing="content-length: 5", body="0\r\n\r\n"))),
    R("client leaves inside the chunks", "9112 8", chunked("3\r\nabc\r\n"), hung_up(part=up_chunked("abc")), fin=True),
    R("client leaves before the last chunk's end", "9112 8", chunked("3\r\nabc\r\n0\r\n"), hung_up(part=up_chunked("abc")), fin=True),
]

BAD_CODINGS = {  # whole field lines, the body is an empty chunk
    "misspelled": "Transfer-Encoding: xchunked",
    "cut short": "Transfer-Encoding: chunk",
    "tab inside": "Transfer-Encoding: chu\tnked",
    "quoted": 'Transfer-Encoding: "chunked"',
    "parameter": "Transfer-Encoding: chunked;q=1",
    "semicolon": "Transfer-Encoding: chunked;",
    "empty": "Transfer-Encoding:",
    "identity": "Transfer-Encoding: identity",
    "gzip alone": "Transfer-Encoding: gzip",
    "chunked not last": "Transfer-Encoding: chunked, identity",
    "chunked twice in a line": "Transfer-Encoding: chunked, chunked",
    "chunked twice in two lines": "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked",
    "two lines, chunked last": "Transfer-Encoding: identity\r\nTransfer-Encoding: chunked",
    "two lines, chunked first": "Transfer-Encoding: chunked\r\nTransfer-Encoding: x",
    "empty element before": "Transfer-Encoding: , chunked",
    "empty element behind": "Transfer-Encoding: chunked,",
    "vertical tab before": "Transfer-Encoding: \x0bchunked",
    "NUL behind": "Transfer-Encoding: chunked\0",
    "bare CR behind": "Transfer-Encoding: chunked\r\r\n",
    "space before the colon": "Transfer-Encoding : chunked",
    "tab before the colon": "Transfer-Encoding\t: chunked",
    "line that starts with a space": "X: y\r\n Transfer-Encoding: chunked",
    "value on a folded line": "Transfer-Encoding:\r\n chunked",
    "folded inside": "Transfer-Encoding: chunked\r\n , identity",
    "bare LF before the name": "X: y\nTransfer-Encoding: chunked",
    "bare CR before the name": "X: y\rTransfer-Encoding: chunked",
    "NUL in the name": "Transfer-Encoding\0: chunked",
    "space in the name": "Transfer Encoding: chunked",
    "dot-less i in the name": "Transfer-Encod\xc4\xb1ng: chunked",
    "two colons": "Transfer-Encoding:: chunked",
}

CHUNK_BODIES = [
    R("extension", "9112 7.1.1", chunked("3;name=value\r\nabc\r\n0;x\r\n\r\n"), forwarded(ABC)),
    R("extension in quotes", "9112 7.1.1", chunked('3;name="a;b"\r\nabc\r\n0\r\n\r\n'), forwarded(ABC)),
    R("extension that is empty", "9112 7.1.1", chunked("3;\r\nabc\r\n0\r\n\r\n"), forwarded(ABC)),
    R("white space before an extension", "9112 7.1.1", chunked("3 \t;name\r\nabc\r\n0\r\n\r\n"), forwarded(ABC)),
    R("size in capitals", "9112 7.1", chunked("A\r\n0123456789\r\n0\r\n\r\n"), forwarded(up_chunked("0123456789"))),
    R("size with leading zeros", "9112 7.1", chunked("0003\r\nabc\r\n0\r\n\r\n"), forwarded(ABC)),
    R("last chunk of many zeros", "9112 7.1", chunked("3\r\nabc\r\n0000\r\n\r\n"), forwarded(ABC)),
    R("many small chunks", "9112 7.1", chunked("1\r\nx\r\n" * 50 + "0\r\n\r\n"), forwarded(up_chunked("x" * 50))),
    R("chunk that holds line ends", "9112 7.1", chunked("7\r\n0\r\n\r\n\r\n\r\n0\r\n\r\n"), forwarded(up_chunked("0\r\n\r\n\r\n"))),
    R("trailer", "9112 7.1.2", chunked("3\r\nabc\r\n0\r\nX-Sum: 3\r\n\r\n", "Trailer: X-Sum"), forwarded(up_chunked("abc", "trailer: X-Sum", trailers=["x-sum: 3"]))),
    R("trailer of white space only", "9112 7.1.2", chunked("0\r\nX-Sum: \t \r\n\r\n"), forwarded(up_chunked("", trailers=["x-sum: "]))),
]

BAD_CHUNKS = {
    "letter that is no digit": "g\r\n",
    "empty size": "\r\nabc\r\n0\r\n\r\n",
    "only an extension": ";a=b\r\nabc\r\n0\r\n\r\n",
    "plus sign": "+3\r\nabc\r\n0\r\n\r\n",
    "minus sign": "-3\r\nabc\r\n0\r\n\r\n",
    "prefix": "0x3\r\nabc\r\n0\r\n\r\n",
    "underscore inside": "1_0\r\n0123456789012345\r\n0\r\n\r\n",
    "space before the size": " 3\r\nabc\r\n0\r\n\r\n",
    "tab before the size": "\t3\r\nabc\r\n0\r\n\r\n",
    "space behind the size": "3 \r\nabc\r\n0\r\n\r\n",
    "space inside the size": "3 3\r\nabc\r\n0\r\n\r\n",
    "size of 17 digits": "10000000000000003\r\nabc\r\n0\r\n\r\n",
    "size of 17 zeros": "00000000000000000\r\n\r\n",
    "comma": "3,4\r\nabc\r\n0\r\n\r\n",
    "NUL behind the size": "3\0\r\nabc\r\n0\r\n\r\n",
    "bare LF behind the size": "3\nabc\r\n0\r\n\r\n",
    "bare CR behind the size": "3\rabc\r\n0\r\n\r\n",
    "CR CR LF behind the size": "3\r\r\nabc\r\n0\r\n\r\n",
    "bare LF in an extension": "3;a\nabc\r\n0\r\n\r\n",
    "bare CR in an extension": "3;a\rb\r\nabc\r\n0\r\n\r\n",
    "control character in an extension": "3;a=\x01\r\nabc\r\n0\r\n\r\n",
    "DEL in an extension": "3;a=\x7f\r\nabc\r\n0\r\n\r\n",
    "line end in a quoted extension": '3;a="\r\nabc"\r\n0\r\n\r\n',
    "chunk longer than its size": "3\r\nabcd\r\n0\r\n\r\n",
    "chunk shorter than its size": "5\r\nabc\r\n0\r\n\r\n",
    "nothing behind the data": "3\r\nabc0\r\n\r\n",
    "bare LF behind the data": "3\r\nabc\n0\r\n\r\n",
    "bare CR behind the data": "3\r\nabc\r0\r\n\r\n",
    "LF CR behind the data": "3\r\nabc\n\r0\r\n\r\n",
    "bare LF behind the last chunk": "3\r\nabc\r\n0\n\r\n",
    "bare LF at the end": "3\r\nabc\r\n0\r\n\n",
    "bare CR at the end": "3\r\nabc\r\n0\r\n\rX: y\r\n\r\n",
    "trailer with a space before the colon": "0\r\nX : 1\r\n\r\n",
    "trailer without a colon": "0\r\nnothing\r\n\r\n",
    "trailer without a name": "0\r\n: x\r\n\r\n",
    "folded trailer": "0\r\nX: 1\r\n 2\r\n\r\n",
    "trailer with a bare LF": "0\r\nX: 1\nY: 2\r\n\r\n",
    "trailer with a NUL": "0\r\nX: \0\r\n\r\n",
    "trailer that is a request line": "0\r\nGET /b HTTP/1.1\r\nHost: test\r\n\r\n",
}

BEGINNINGS = {"chunk shorter than its size": "abc\r\n"}  # of the bodies above; the others begin with abcd

TOO_MUCH = {
    "endless extension": "3;" + "a" * 600 + "\r\nabc\r\n0\r\n\r\n",
    "trailers that are too long": "0\r\nX: " + "a" * 9000 + "\r\n\r\n",
    "extensions ahead of too little data": ("1;" + "a" * 400 + "\r\nx\r\n") * 60 + "0\r\n\r\n",
}

# RFC 9110 section 6.5.1: what frames, routes, authenticates or controls is not taken from a trailer section.
NOT_TRAILERS = [
    "Content-Length: 5", "Transfer-Encoding: chunked", "Host: evil", "Connection: close", "Expect: 100-continue", "TE: trailers",
    "Upgrade: websocket", "Authorization: Basic eDp5", "Cookie: a=b", "Set-Cookie: a=b", "Content-Type: text/html",
    "Content-Encoding: gzip", "Cache-Control: no-store", "Trailer: X", "X-Forwarded-For: 10.0.0.1", "X-Forwarded-Proto: https",
    "X-Forwarded-Host: evil", "Keep-Alive: timeout=1", "Proxy-Connection: close",
]

CASES = [
    *LENGTHS,
    *(R(f"length: {name}", "9110 8.6", post(CL + value, body="hello"), refused(status)) for name, (value, status) in BAD_LENGTHS.items()),
    *CODINGS,
    *(R(f"coding: {name}", "9112 6.1", post(line, body="0\r\n\r\n"), refused(400)) for name, line in BAD_CODINGS.items()),
    *(R(f"length, and coding: {name}", "9112 6.3", post(CL + "5", line, body="0\r\n\r\n"), refused(400)) for name, line in BAD_CODINGS.items()),
    *CHUNK_BODIES,
    *(R(f"chunk: {name}", "9112 7.1", chunked(body), cut(400, up_chunked(BEGINNINGS.get(name, "abcd")))) for name, body in BAD_CHUNKS.items()),
    *(R(f"chunk: {name}", "9112 7.1.1", chunked(body), cut(413, up_chunked("x" * 60))) for name, body in TOO_MUCH.items()),
    *(R(f"trailer that is dropped: {line}", "9110 6.5.1", chunked(f"0\r\n{line}\r\nX-Sum: 3\r\n\r\n"), forwarded(up_chunked("", trailers=["x-sum: 3"]))) for line in NOT_TRAILERS),
    R("HTTP/1.0 with a length", "9112 6.3", "POST /a HTTP/1.0\r\nHost: test\r\nContent-Length: 5\r\n\r\nhello", forwarded_and_closed(up("POST /a", framing="content-length: 5", body="hello"))),
]
