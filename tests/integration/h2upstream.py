"""An HTTP/2 server on raw frames, whose answers a test scripts."""

import socket
import struct
import threading

import h2client as h2
from client import Closed

REFUSED_STREAM, CANCEL, INTERNAL_ERROR = 7, 8, 2


class Reset(Exception):
    """The gateway reset the stream."""


class Peer:
    """One accepted connection. The script gets it with the stream's id when the request's head is in."""

    def __init__(self, sock):
        self.socket = sock
        self.file = sock.makefile("rb")
        self.ended = set()
        self.waiting = []  # streams whose head came while another was read

    def send(self, data):
        self.socket.sendall(data)

    def head(self, stream, status, *pairs, end=False):
        payload = b"".join(h2.literal(*pair) for pair in [(":status", str(status)), *pairs])
        self.send(h2.frame(h2.HEADERS, h2.END_HEADERS | (h2.END_STREAM if end else 0), stream, payload))

    def data(self, stream, data, end=False):
        self.send(h2.frame(h2.DATA, h2.END_STREAM if end else 0, stream, data))

    def respond(self, stream, status=200, body=b"ok"):
        self.head(stream, status, ("content-length", str(len(body))))
        self.data(stream, body, end=True)

    def reset(self, stream, code=CANCEL):
        self.send(h2.frame(h2.RST_STREAM, 0, stream, struct.pack(">I", code)))

    def goaway(self, last, code=0):
        self.send(h2.frame(h2.GOAWAY, 0, 0, struct.pack(">II", last, code)))

    def abort(self):
        """RST instead of FIN."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        raise Closed()

    def frame(self):
        """(kind, flags, stream, payload) of the next frame that is not about the connection."""
        while True:
            head = self.file.read(9)
            if len(head) < 9:
                raise Closed()
            payload = self.file.read(int.from_bytes(head[:3], "big"))
            kind, flags, stream = head[3], head[4], int.from_bytes(head[5:9], "big")
            if kind == h2.SETTINGS and not flags & h2.ACK:
                self.send(h2.frame(h2.SETTINGS, h2.ACK))
            elif kind == h2.PING and not flags & h2.ACK:
                self.send(h2.frame(h2.PING, h2.ACK, 0, payload))
            elif kind == h2.DATA and payload:
                more = struct.pack(">I", len(payload))
                self.send(h2.frame(h2.WINDOW_UPDATE, 0, 0, more) + h2.frame(h2.WINDOW_UPDATE, 0, stream, more))
            if kind in (h2.HEADERS, h2.DATA) and flags & h2.END_STREAM:
                self.ended.add(stream)
            if kind in (h2.HEADERS, h2.DATA, h2.RST_STREAM, h2.GOAWAY):
                return kind, flags, stream, payload

    def body(self, stream):
        """The request's body to its end."""
        data = b""
        while stream not in self.ended:
            kind, _, of, payload = self.frame()
            if (kind, of) == (h2.RST_STREAM, stream):
                raise Reset()
            if kind == h2.HEADERS and of != stream:
                self.waiting.append(of)
            data += payload if kind == h2.DATA and of == stream else b""
        return data


class H2Upstream:
    """script(peer, stream) answers; None answers 200 "ok"."""

    def __init__(self):
        self.script = None
        self.connections = 0
        self.open = set()
        self.listener = socket.create_server(("127.0.0.1", 0), backlog=128)
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self):
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()
        for sock in list(self.open):
            sock.shutdown(socket.SHUT_RDWR)

    def _accept(self):
        while True:
            try:
                sock, _ = self.listener.accept()
            except OSError:
                return
            self.connections += 1
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self.open.add(sock)
            threading.Thread(target=self._serve, args=(sock,), daemon=True).start()

    def _serve(self, sock):
        peer = Peer(sock)
        try:
            assert peer.file.read(24) == h2.PREFACE
            peer.send(h2.frame(h2.SETTINGS))
            while True:
                kind, _, stream, _ = peer.frame()
                if kind == h2.HEADERS:
                    peer.waiting.append(stream)
                while peer.waiting:
                    self._answer(peer, peer.waiting.pop(0))
        except (Closed, OSError):
            pass
        finally:
            self.open.discard(sock)
            peer.file.close()
            sock.close()

    def _answer(self, peer, stream):
        try:
            if self.script:
                self.script(peer, stream)
            else:
                peer.body(stream)
                peer.respond(stream)
        except Reset:
            pass
