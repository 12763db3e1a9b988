"""An HTTP/1.1 client on a raw socket: sends what it is told, byte for byte, and reads answers strictly."""

import json
import socket
import ssl
from dataclasses import dataclass, field

TIMEOUT = 20


class Closed(Exception):
    """The peer closed the connection where a message should begin."""


@dataclass
class Response:
    status: int
    reason: str
    headers: list
    body: bytes = b""
    trailers: list = field(default_factory=list)
    interim: list = field(default_factory=list)

    def get(self, name, default=None):
        values = self.all(name)
        return values[0] if values else default

    def all(self, name):
        return [value for key, value in self.headers if key == name.lower()]

    def json(self):
        return json.loads(self.body)


def read_line(stream):
    line = stream.readline(65537)
    if not line:
        raise Closed()
    if not line.endswith(b"\r\n"):
        raise ValueError(f"not a line: {line!r}")
    return line[:-2].decode("latin-1")


def read_headers(stream):
    headers = []
    while line := read_line(stream):
        name, _, value = line.partition(":")
        headers.append((name.lower(), value.strip()))
    return headers


def read_exactly(stream, n):
    data = stream.read(n)
    if len(data) != n:
        raise ValueError(f"{len(data)} of {n} bytes, then closed")
    return data


def read_chunked(stream, sink=None):
    """The body and its trailers; with |sink| the chunks go there and the body is empty."""
    body = []
    while size := int(read_line(stream).split(";")[0], 16):
        (sink or body.append)(read_exactly(stream, size))
        if read_line(stream):
            raise ValueError("no line end after a chunk")
    return b"".join(body), read_headers(stream)


class Connection:
    """with Connection(port) as c: c.send(...); c.response()"""

    def __init__(self, port, tls=None, server_name=None, alpn=None, receive_buffer=None):
        self.socket = socket.socket()
        self.socket.settimeout(TIMEOUT)
        if receive_buffer:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        self.socket.connect(("127.0.0.1", port))
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if tls:
            context = ssl.create_default_context(cafile=tls)
            context.check_hostname = server_name is not None
            if alpn:
                context.set_alpn_protocols(alpn)
            self.socket = context.wrap_socket(self.socket, server_hostname=server_name)
        self.stream = self.socket.makefile("rb")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        self.stream.close()
        self.socket.close()

    def send(self, data):
        self.socket.sendall(data if isinstance(data, bytes) else data.encode("latin-1"))

    def request(self, method="GET", path="/", headers=(), body=None, host="test"):
        self.send(request_bytes(method, path, headers, body, host))

    def ask(self, method="GET", path="/", headers=(), body=None, host="test"):
        self.request(method, path, headers, body, host)
        return self.response(method)

    def head(self):
        """The status line and headers of the next message."""
        version, status, *reason = read_line(self.stream).split(" ", 2)
        if version not in ("HTTP/1.1", "HTTP/1.0"):
            raise ValueError(f"status line starts with {version!r}")
        return Response(int(status), reason[0] if reason else "", read_headers(self.stream))

    def response(self, method="GET"):
        """The next final response with its body."""
        interim = []
        response = self.head()
        while 100 <= response.status < 200 and response.status != 101:
            interim.append(response)
            response = self.head()
        response.interim = interim
        if method == "HEAD" or response.status in (101, 204, 304):
            return response
        if (response.get("transfer-encoding") or "").lower() == "chunked":
            response.body, response.trailers = read_chunked(self.stream)
        elif response.get("content-length") is not None:
            response.body = read_exactly(self.stream, int(response.get("content-length")))
        else:
            response.body = self.stream.read()
        return response

    def at_end(self):
        """True if the peer has closed: nothing more comes, not even after waiting."""
        try:
            return self.stream.read(1) == b""
        except ConnectionResetError:
            return True


def request_bytes(method="GET", path="/", headers=(), body=None, host="test"):
    lines = [f"{method} {path} HTTP/1.1"]
    if host is not None:
        lines.append(f"Host: {host}")
    lines += [f"{name}: {value}" for name, value in (headers.items() if isinstance(headers, dict) else headers)]
    if body is not None:
        lines.append(f"Content-Length: {len(body)}")
    return "\r\n".join(lines + ["", ""]).encode("latin-1") + (body or b"")


def ask(port, method="GET", path="/", headers=(), body=None, host="test", **options):
    """One request on a connection of its own."""
    with Connection(port, **options) as connection:
        return connection.ask(method, path, headers, body, host)
