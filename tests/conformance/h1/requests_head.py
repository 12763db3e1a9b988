"""Request lines, targets, Host, field lines, the fields of the connection, Expect, pipelining."""

from corpus import SMUGGLED, Request as R
from corpus import answered, forwarded, forwarded_and_closed, get, hung_up, post, refused, request, up

A = up("GET /a")
CHUNKS = "3\r\nabc\r\n0\r\n\r\n"


def line(text, *fields):
    return "\r\n".join([text, "Host: test", *fields, "", ""])


def target(text, method="GET"):
    return line(f"{method} {text} HTTP/1.1")


START_LINES = [
    R("GET", "9112 3", get(), forwarded(A)),
    R("an empty line before it", "9112 2.2", "\r\n" + get(), forwarded(A)),
    R("two empty lines before it", "9112 2.2", "\r\n\r\n" + get(), forwarded(A)),
    R("empty lines between requests", "9112 2.2", get() + "\r\n" + get(), forwarded(A, A)),
    R("three empty lines before it", "9112 2.2", "\r\n\r\n\r\n" + get(), refused(400)),
    R("method nobody knows", "9110 9.1", request("BREW /a"), forwarded(up("BREW /a"))),
    R("methods are case-sensitive", "9110 9.1", request("get /a"), forwarded(up("get /a"))),
    R("method of all token characters", "9110 5.6.2", request("M!#$%&'*+-.^_`|~9 /a"), forwarded(up("M!#$%&'*+-.^_`|~9 /a"))),
    R("method of 65 letters", "9112 3", request("M" * 65 + " /a"), refused(501)),
    R("CONNECT", "9110 9.3.6", "CONNECT test:80 HTTP/1.1\r\nHost: test:80\r\n\r\n", answered(405)),
    R("CONNECT with a length", "9110 9.3.6", "CONNECT test:80 HTTP/1.1\r\nHost: test:80\r\nContent-Length: 5\r\n\r\nhello", refused(400)),
    R("CONNECT with chunks", "9110 9.3.6", "CONNECT test:80 HTTP/1.1\r\nHost: test:80\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", refused(400)),
    R("CONNECT with a path", "9112 3.2.3", "CONNECT /a HTTP/1.1\r\nHost: test\r\n\r\n", refused(400)),
    R("CONNECT without a port", "9112 3.2.3", "CONNECT test HTTP/1.1\r\nHost: test\r\n\r\n", refused(400)),
    R("HTTP/1.0", "9112 2.3", "GET /a HTTP/1.0\r\nHost: test\r\n\r\n", forwarded_and_closed(A)),
    R("HTTP/1.0 that keeps the connection", "9112 9.3", "GET /a HTTP/1.0\r\nHost: test\r\nConnection: keep-alive\r\n\r\n", forwarded(A)),
    R("HTTP/1.0 with what 1.0 does not know", "9110 10.1.1", "POST /a HTTP/1.0\r\nHost: test\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\nhi", forwarded_and_closed(up("POST /a", framing="content-length: 2", body="hi"))),
    R("another protocol", "9113 3.4", "INVALID CONNECTION PREFACE\r\n\r\n", hung_up()),
    R("RTSP", "9113 3.4", "DESCRIBE rtsp://test/a RTSP/1.0\r\nCSeq: 1\r\n\r\n", hung_up()),
    R("preface of HTTP/2 inside HTTP/1.1", "9113 3.4", get() + "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", refused(505, A)),
    R("TLS on a plain port", "9112 3", "\x16\x03\x01\x00\xf1\x01\x00\x00\xed\x03\x03\r\n\r\n", refused(400)),
    R("target of 17000 bytes", "9112 3", target("/" + "a" * 17000), refused(414)),
    R("head of 70000 bytes", "6585 5", get(*(f"X-{n}: {'v' * 1000}" for n in range(70))), refused(431)),
    R("field of 70000 bytes", "6585 5", get("X: " + "v" * 70000), refused(431)),
    R("200 fields", "6585 5", get(*(f"X-{n}: v" for n in range(200))), refused(431)),
    R("127 fields and Host", "6585 5", get(*(f"x-{n}: v" for n in range(127))), forwarded(up("GET /a", *(f"x-{n}: v" for n in range(127))))),
]

BAD_START_LINES = {
    "bare LF": ("GET /a HTTP/1.1\nHost: test\r\n\r\n", 400),
    "bare LF everywhere": ("GET /a HTTP/1.1\nHost: test\n\n", 400),
    "bare CR": ("GET /a HTTP/1.1\rHost: test\r\n\r\n", 400),
    "LF before it": ("\n" + get(), 400),
    "CR before it": ("\r" + get(), 400),
    "space before it": (" " + get(), 400),
    "tab before it": ("\t" + get(), 400),
    "NUL before it": ("\0" + get(), 400),
    "byte order mark before it": ("\xef\xbb\xbf" + get(), 400),
    "two spaces behind the method": (line("GET  /a HTTP/1.1"), 400),
    "two spaces behind the target": (line("GET /a  HTTP/1.1"), 400),
    "space behind the version": (line("GET /a HTTP/1.1 "), 400),
    "tabs for spaces": (line("GET\t/a\tHTTP/1.1"), 400),
    "vertical tab for a space": (line("GET\x0b/a HTTP/1.1"), 400),
    "form feed for a space": (line("GET /a\x0cHTTP/1.1"), 400),
    "CR for a space": (line("GET /a\rHTTP/1.1"), 400),
    "no version": (line("GET /a"), 400),
    "HTTP/0.9": ("GET /a\r\n\r\n", 400),
    "no target": (line("GET HTTP/1.1"), 400),
    "method alone": (line("GET"), 400),
    "method with a bracket": (line("G(T /a HTTP/1.1"), 400),
    "method with a colon": (line("GET: /a HTTP/1.1"), 400),
    "method with a NUL": (line("G\0T /a HTTP/1.1"), 400),
    "method with a letter beyond ASCII": (line("G\xc9T /a HTTP/1.1"), 400),
    "no method": (line("/a HTTP/1.1"), 400),
    "version in lower case": (line("GET /a http/1.1"), 400),
    "version without a minor": (line("GET /a HTTP/1"), 400),
    "version with two digits": (line("GET /a HTTP/1.10"), 400),
    "version with a leading zero": (line("GET /a HTTP/01.1"), 400),
    "version with a comma": (line("GET /a HTTP/1,1"), 400),
    "version with a space": (line("GET /a HTTP/ 1.1"), 400),
    "version with a sign": (line("GET /a HTTP/+1.1"), 400),
    "version of another protocol": (line("GET /a HTTQ/1.1"), 400),
    "version with a NUL": (line("GET /a HTTP/1.1\0"), 400),
    # A SHOULD of RFC 9110 section 2.5 would take HTTP/1.2 for 1.1; nobody sends it but who looks for a difference.
    "HTTP/1.2": (line("GET /a HTTP/1.2"), 505),
    "HTTP/1.9": (line("GET /a HTTP/1.9"), 505),
    "HTTP/0.9 said": (line("GET /a HTTP/0.9"), 505),
    "HTTP/2.0": (line("GET /a HTTP/2.0"), 505),
    "HTTP/3.0": (line("GET /a HTTP/3.0"), 505),
}

TARGETS = [
    R("query", "9112 3.2.1", target("/a?b=c&d=%20"), forwarded(up("GET /a?b=c&d=%20"))),
    R("escapes stay as they are", "3986 2.4", target("/a%2Fb%00%0d%0a"), forwarded(up("GET /a%2Fb%00%0d%0a"))),
    R("dot segments are resolved", "3986 5.2.4", target("/x/../a/./b"), forwarded(up("GET /a/b"))),
    R("escaped dot segments are resolved", "3986 6.2.2", target("/x/%2e%2E/a"), forwarded(up("GET /a"))),
    R("dots in a query stay", "3986 3.4", target("/a?x=/../y"), forwarded(up("GET /a?x=/../y"))),
    R("path above the root", "3986 5.2.4", target("/../a"), answered(400)),
    R("path above the root, escaped", "3986 5.2.4", target("/%2e%2e/%2e%2e/a"), answered(400)),
    R("two slashes", "3986 3.3", target("//evil/a"), forwarded(up("GET //evil/a"))),
    R("absolute form", "9112 3.2.2", target("http://other/a?b"), forwarded(up("GET /a?b", host="other"))),
    R("absolute form, scheme in capitals", "9110 4.2.3", target("HTTP://Other/a"), forwarded(up("GET /a", host="other"))),
    R("absolute form with a port", "9112 3.2.2", target("http://other:8080/a"), forwarded(up("GET /a", host="other:8080"))),
    R("absolute form without a path", "9112 3.2.2", target("http://other"), forwarded(up("GET /", host="other"))),
    R("absolute form with a query alone", "9112 3.2.2", target("http://other?b"), forwarded(up("GET /?b", host="other"))),
    R("absolute form without Host", "9112 3.2", request("GET http://other/a", host=None), refused(400)),
    R("absolute form with two Hosts", "9112 3.2", request("GET http://other/a", "Host: test"), refused(400)),
    R("absolute form with a bad Host", "9112 3.2", request("GET http://other/a", host="Host: a b"), refused(400)),
]

BAD_TARGETS = {
    "no slash": "a", "fragment": "/a#b", "fragment alone": "#", "NUL": "/a\0b", "control character": "/a\x01", "DEL": "/a\x7f",
    "letters beyond ASCII": "/\xe4", "space": "/a b", "bare CR": "/a\rb", "bare LF": "/a\nb", "no-break space": "/a\xa0b",
    "user in absolute form": "http://u@other/a", "user and password": "http://u:p@other/a", "no host in absolute form": "http:///a",
    "no slashes in absolute form": "http:other/a", "one slash in absolute form": "http:/other/a", "another scheme": "ftp://other/a",
    "file scheme": "file:///etc/passwd", "port that is no number": "http://other:80a/a", "port above 65535": "http://other:65536/a",
    "host with a space escape": "http://a%20b/a", "host with a comma": "http://a,b/a", "host with a backslash": "http://a\\b/a",
    "IPv6 without brackets": "http://::1/a", "IPv6 that does not end": "http://[::1/a", "asterisk with GET": "*", "authority with GET": "test:80",
    "question mark first": "?a", "backslash first": "\\a",
}

HOSTS = [
    R("Host with a port", "9110 7.2", get(host="Host: test:8080"), forwarded(up("GET /a", host="test:8080"))),
    R("Host in capitals", "9110 4.2.3", get(host="Host: TEST"), forwarded(A)),
    R("Host that is IPv4", "9110 7.2", get(host="Host: 127.0.0.1:80"), forwarded(up("GET /a", host="127.0.0.1:80"))),
    R("Host that is IPv6", "9110 7.2", get(host="Host: [::1]:80"), forwarded(up("GET /a", host="[::1]:80"))),
    R("Host that is not the first field", "9110 5.3", get("X: y", "Host: test", host=None), forwarded(up("GET /a", "x: y"))),
    R("Host that Connection names", "9110 7.6.1", get("Connection: host"), forwarded(A)),
    R("HTTP/1.0 without Host", "9112 3.2", "GET /a HTTP/1.0\r\n\r\n", forwarded_and_closed(up("GET /a", host=""))),
    R("HTTP/1.0 with two Hosts", "9112 3.2", "GET /a HTTP/1.0\r\nHost: a\r\nHost: b\r\n\r\n", refused(400)),
]

BAD_HOSTS = {
    "none": None, "two": "Host: test\r\nHost: other", "two equal ones": "Host: test\r\nHost: test", "two, one in capitals": "Host: test\r\nHOST: other",
    "empty": "Host:", "white space only": "Host: \t", "list": "Host: test, other", "space": "Host: te st", "path": "Host: test/a",
    "query": "Host: test?a", "fragment": "Host: test#a", "user": "Host: u@test", "scheme": "Host: http://test", "backslash": "Host: te\\st",
    "NUL": "Host: te\0st", "control character": "Host: te\x01st", "letters beyond ASCII": "Host: t\xe4st", "port that is no number": "Host: test:http",
    "port above 65535": "Host: test:65536", "port with a sign": "Host: test:+80", "port twice": "Host: test:80:80", "no name": "Host: :80",
    "IPv6 that does not end": "Host: [::1", "IPv6 with junk": "Host: [::1]x", "brackets around nothing": "Host: []", "escape": "Host: t%65st",
    "space before the colon": "Host : test", "folded": "Host: test\r\n other", "folded before": "Host:\r\n test", "quotes": 'Host: "test"',
    "angle brackets": "Host: <test>",
}

FIELDS = [
    R("names become lower case, values stay", "9110 5.1", get("X-One: A b"), forwarded(up("GET /a", "x-one: A b"))),
    R("white space around values", "9112 5", get("X: \t a\tb \t"), forwarded(up("GET /a", "x: a\tb"))),
    R("no white space", "9112 5", get("X:a"), forwarded(up("GET /a", "x: a"))),
    R("empty value", "9110 5.5", get("X:"), forwarded(up("GET /a", "x: "))),
    R("bytes beyond ASCII in a value", "9110 5.5", get("X: \xe4\xff"), forwarded(up("GET /a", "x: \xe4\xff"))),
    R("repeated fields stay in order", "9110 5.3", get("X: 1", "Y: 2", "X: 3"), forwarded(up("GET /a", "x: 1", "y: 2", "x: 3"))),
    R("name of all token characters", "9110 5.6.2", get("!#$%&'*+-.^_`|~9: x"), forwarded(up("GET /a", "!#$%&'*+-.^_`|~9: x"))),
    R("value that looks like a field", "9110 5.5", get("X: Content-Length: 5"), forwarded(up("GET /a", "x: Content-Length: 5"))),
    R("folded field", "9112 5.2", get("X: 1", " 2"), refused(400)),
    R("folded with a tab", "9112 5.2", get("X: 1", "\t2"), refused(400)),
    R("folded line that is empty", "9112 5.2", get("X: 1", " "), refused(400)),
    R("white space before the first field", "9112 2.2", "GET /a HTTP/1.1\r\n Host: test\r\n\r\n", refused(400)),
    R("white space before the first field, then Host", "9112 2.2", "GET /a HTTP/1.1\r\n X: y\r\nHost: test\r\n\r\n", refused(400)),
]

BAD_FIELDS = {
    "space before the colon": "X : 1", "tab before the colon": "X\t: 1", "no colon": "nothing", "no name": ": 1", "space in the name": "X y: 1",
    "bracket in the name": "X(y): 1", "slash in the name": "X/y: 1", "at sign in the name": "X@y: 1", "quotes in the name": '"X": 1',
    "comma in the name": "X,y: 1", "semicolon in the name": "X;y: 1", "equals sign in the name": "X=y: 1", "brace in the name": "X{: 1",
    "backslash in the name": "X\\y: 1", "NUL in the name": "X\0: 1", "control character in the name": "X\x01: 1", "DEL in the name": "X\x7f: 1",
    "letter beyond ASCII in the name": "X\xe4: 1", "NUL in the value": "X: a\0b", "control character in the value": "X: a\x01b",
    "backspace in the value": "X: a\x08b", "vertical tab in the value": "X: a\x0bb", "escape in the value": "X: \x1b[0m", "DEL in the value": "X: a\x7fb",
    "bare CR in the value": "X: a\rb", "bare CR at the value's end": "X: a\r", "bare LF at the value's end": "X: a\nY: b", "CR CR LF": "X: a\r\r\nY: b",
    "LF CR": "X: a\n\rY: b", "pseudo field": ":method: GET",
}

CONNECTION = [
    R("close", "9112 9.6", get("Connection: close"), forwarded_and_closed(A)),
    R("close, and more behind it", "9112 9.6", get("Connection: close") + SMUGGLED, forwarded_and_closed(A)),
    R("close in capitals, in a list", "9112 9.6", get("Connection: x, CLOSE"), forwarded_and_closed(A)),
    R("close in the second of two lines", "9110 5.3", get("Connection: x", "Connection: close"), forwarded_and_closed(A)),
    R("keep-alive", "9112 9.3", get("Connection: keep-alive", "Keep-Alive: timeout=5"), forwarded(A)),
    R("what Connection names is dropped", "9110 7.6.1", get("Connection: X-Own, x-other", "X-Own: 1", "X-Other: 2", "Y: 3"), forwarded(up("GET /a", "y: 3"))),
    R("Connection behind what it names", "9110 7.6.1", get("X-Own: 1", "Y: 3", "Connection: x-own"), forwarded(up("GET /a", "y: 3"))),
    R("names in two lines", "9110 7.6.1", get("Connection: a", "A: 1", "Connection: b", "B: 2"), forwarded(A)),
    R("Connection cannot hide who asks", "9110 7.6.1", get("Connection: x-forwarded-for, x-forwarded-proto"), forwarded(A)),
    R("Connection cannot take Authorization away", "9110 7.6.1", get("Connection: authorization", "Authorization: x"), forwarded(up("GET /a", "authorization: x"))),
    R("too many names", "9110 7.6.1", get("Connection: " + ",".join(f"x{n}" for n in range(40))), refused(400)),
    R("Proxy-Connection is dropped", "9112 C.2.2", get("Proxy-Connection: close"), forwarded(A)),
    R("TE: trailers goes on by this hop", "9110 10.1.4", get("TE: trailers", "Connection: TE"), forwarded(up("GET /a", framing=["te: trailers", "connection: te"]))),
    R("TE of codings is dropped", "9110 10.1.4", get("TE: gzip, deflate;q=0.5", "Connection: TE"), forwarded(A)),
    R("Upgrade that Connection does not name", "9110 7.8", get("Upgrade: websocket"), forwarded(A)),
    R("Connection: upgrade without Upgrade", "9110 7.8", get("Connection: upgrade"), forwarded(A)),
    R("Upgrade goes on by this hop", "9110 7.8", get("Connection: Upgrade", "Upgrade: websocket"), forwarded(up("GET /a", framing=["upgrade: websocket", "connection: upgrade"]))),
    R("Upgrade in HTTP/1.0", "9110 7.8", "GET /a HTTP/1.0\r\nHost: test\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n", forwarded_and_closed(A)),
    R("Upgrade with a body", "9110 7.8", post("Connection: Upgrade", "Upgrade: websocket", "Content-Length: 2", body="hi"), forwarded(up("POST /a", framing="content-length: 2", body="hi"))),
    R("Upgrade with chunks", "9110 7.8", post("Connection: Upgrade", "Upgrade: websocket", "Transfer-Encoding: chunked", body=CHUNKS), forwarded(up("POST /a", framing="transfer-encoding: chunked", body="abc"))),
    R("Upgrade, then a request", "9110 7.8", get("Connection: Upgrade", "Upgrade: websocket") + get(), forwarded(up("GET /a", framing=["upgrade: websocket", "connection: upgrade"]), A)),
    # Behind a 101 for h2c a client could ask the upstream for anything, past all routes and policies.
    R("Upgrade: h2c is not passed on", "9113 3.1", get("Connection: Upgrade, HTTP2-Settings", "Upgrade: h2c", "HTTP2-Settings: AAMAAABk"), forwarded(A)),
    R("Upgrade: h2c in a list", "9113 3.1", get("Connection: Upgrade", "Upgrade: websocket, H2C"), forwarded(A)),
    R("Upgrade: h2c in a second line", "9113 3.1", get("Connection: Upgrade", "Upgrade: websocket", "Upgrade: h2c"), forwarded(A)),
    R("Upgrade with a version", "9110 7.8", get("Connection: Upgrade", "Upgrade: h2c/1"), forwarded(A)),
]

EXPECT = [
    R("100-continue with the body at once", "9110 10.1.1", post("Expect: 100-continue", "Content-Length: 2", body="hi"), forwarded(up("POST /a", framing=["content-length: 2", "expect: 100-continue"], body="hi"))),
    R("100-continue without a body", "9110 10.1.1", get("Expect: 100-continue"), forwarded(A)),
    R("100-continue with length 0", "9110 10.1.1", post("Expect: 100-continue", "Content-Length: 0"), forwarded(up("POST /a", framing="content-length: 0"))),
    R("100-Continue", "9110 10.1.1", post("Expect: 100-Continue", "Transfer-Encoding: chunked", body=CHUNKS), forwarded(up("POST /a", framing=["transfer-encoding: chunked", "expect: 100-continue"], body="abc"))),
    R("another expectation", "9110 10.1.1", get("Expect: tea"), refused(417)),
    R("two expectations in a list", "9110 10.1.1", get("Expect: 100-continue, tea"), refused(417)),
    R("expectation with a parameter", "9110 10.1.1", get("Expect: 100-continue;q=1"), refused(417)),
    R("empty expectation", "9110 10.1.1", get("Expect:"), refused(417)),
    R("two Expects", "9110 10.1.1", get("Expect: 100-continue", "Expect: 100-continue"), refused(400)),
]

PIPELINES = [
    R("three requests", "9112 9.3.2", get() * 3, forwarded(A, A, A)),
    R("good, then malformed", "9112 9.3.2", get() + "GET /b HTTP/1.1\r\nHost : test\r\n\r\n", refused(400, A)),
    R("good, then no HTTP", "9112 9.3.2", get() + "garbage\r\n\r\n", refused(400, A)),
    R("good, then both framings", "9112 6.3", get() + post("Content-Length: 5", "Transfer-Encoding: chunked", body="0\r\n\r\n"), refused(400, A)),
    R("answer of the gateway, then good", "9112 9.3.2", "CONNECT test:80 HTTP/1.1\r\nHost: test:80\r\n\r\n", answered(405)),
    R("body, then a body that is too long", "9112 6.3", post("Content-Length: 2", body="hiGET /smuggled"), refused(400, up("POST /a", framing="content-length: 2", body="hi"))),
]

CASES = [
    *START_LINES,
    *(R(f"request line: {name}", "9112 3", data, refused(status)) for name, (data, status) in BAD_START_LINES.items()),
    *TARGETS,
    *(R(f"target: {name}", "9112 3.2", target(text), refused(400)) for name, text in BAD_TARGETS.items()),
    *HOSTS,
    *(R(f"Host: {name}", "9112 3.2", get(host=text), refused(400)) for name, text in BAD_HOSTS.items()),
    *FIELDS,
    *(R(f"field: {name}", "9112 5", get(text), refused(400)) for name, text in BAD_FIELDS.items()),
    *CONNECTION, *EXPECT, *PIPELINES,
]
