"""An HTTP/1.1 server whose answers a test scripts; without a script it echoes the request as JSON."""

import json
import socket
import threading
from dataclasses import dataclass, field

from client import Closed, read_chunked, read_exactly, read_headers, read_line


@dataclass
class Request:
    method: str
    path: str
    headers: list
    body: bytes = b""
    trailers: list = field(default_factory=list)

    def get(self, name):
        return next((value for key, value in self.headers if key == name.lower()), None)

    def all(self, name):
        return [value for key, value in self.headers if key == name.lower()]


class Stream:
    """One accepted connection, as a handler sees it."""

    def __init__(self, sock):
        self.socket = sock
        self.file = sock.makefile("rb")

    def send(self, data):
        self.socket.sendall(data if isinstance(data, bytes) else data.encode("latin-1"))

    def respond(self, status=200, body=b"", headers=(), reason="OK"):
        body = body if isinstance(body, bytes) else body.encode()
        lines = [f"HTTP/1.1 {status} {reason}", *(f"{name}: {value}" for name, value in headers)]
        self.send("\r\n".join([*lines, f"Content-Length: {len(body)}", "", ""]).encode("latin-1") + body)

    def read_head(self):
        method, path, version = read_line(self.file).split(" ")
        if version != "HTTP/1.1":
            raise ValueError(f"the gateway spoke {version}")
        return Request(method, path, read_headers(self.file))

    def read_body(self, request, sink=None):
        if (request.get("transfer-encoding") or "").lower() == "chunked":
            request.body, request.trailers = read_chunked(self.file, sink)
        elif request.get("content-length"):
            request.body = read_exactly(self.file, int(request.get("content-length")))
        return request


def echo(name):
    def handler(request, stream):
        answer = {
            "name": name,
            "method": request.method,
            "path": request.path,
            "headers": request.headers,
            "body": request.body.decode("latin-1"),
            "trailers": request.trailers,
        }
        stream.respond(200, json.dumps(answer), [("Content-Type", "application/json")])

    return handler


class Upstream:
    """Listens on a free port of 127.0.0.1. on(prefix, handler) scripts paths that start so.

    handler(request, stream) answers on the stream; it returns False to close the connection. With read_body=False it is
    called when the head is in, and reads the body itself. |tls|, an ssl.SSLContext, makes it speak TLS; handshakes has
    (server name, client's certificate, resumed) of each.
    """

    def __init__(self, name="up", tls=None):
        self.name = name
        self.tls = tls
        self.handshakes = []
        self.refused = 0  # handshakes that failed
        if tls:
            tls.sni_callback = lambda sock, server_name, _: setattr(sock, "asked_for", server_name)
        self.requests = []
        self.connections = 0
        self.errors = []
        self._scripts = {}
        self._open = set()
        self._listener = socket.socket()
        self._listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self._listener.bind(("127.0.0.1", 0))
        self._listener.listen(512)
        self.port = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def on(self, prefix, handler, read_body=True):
        self._scripts[prefix] = (handler, read_body)

    def close(self):
        self._listener.close()
        # A blocked accept is not woken by close.
        try:
            socket.create_connection(("127.0.0.1", self.port), timeout=1).close()
        except OSError:
            pass
        for sock in list(self._open):
            try:
                sock.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass

    def clear(self):
        self.requests.clear()
        self.errors.clear()

    def seen(self, path):
        return [request for request in self.requests if request.path == path]

    def _accept(self):
        while True:
            try:
                sock, _ = self._listener.accept()
            except OSError:
                return
            self.connections += 1
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._open.add(sock)
            threading.Thread(target=self._serve, args=(sock,), daemon=True).start()

    def _shake_hands(self, sock):
        try:
            sock = self.tls.wrap_socket(sock, server_side=True)
        except OSError:
            self.refused += 1
            raise
        self.handshakes.append((getattr(sock, "asked_for", None), sock.getpeercert(), sock.session_reused))
        return sock

    def _serve(self, sock):
        try:
            if self.tls:
                self._open.discard(sock)
                sock = self._shake_hands(sock)
                self._open.add(sock)
            stream = Stream(sock)
            while self._one(stream):
                pass
        except (Closed, OSError):
            pass
        except ValueError as error:
            self.errors.append(error)
        finally:
            self._open.discard(sock)
            sock.close()

    def _one(self, stream):
        request = stream.read_head()
        handler, read_body = self._script_for(request.path)
        if read_body:
            if (request.get("expect") or "").lower() == "100-continue":
                stream.send("HTTP/1.1 100 Continue\r\n\r\n")
            stream.read_body(request)
        self.requests.append(request)
        return handler(request, stream) is not False

    def _script_for(self, path):
        matches = [prefix for prefix in self._scripts if path.startswith(prefix)]
        return self._scripts[max(matches, key=len)] if matches else (echo(self.name), True)
