"""Both ends of a relayed connection: servers that do what a test says, and clients on plain sockets."""

import hashlib
import random
import socket
import ssl
import struct
import subprocess
import threading

from client import TIMEOUT
from gateway import eventually
from ports import free_port


def pattern(n, seed=1):
    return random.Random(seed).randbytes(n)


def digest(data):
    return hashlib.sha256(data).hexdigest()


def read_all(sock):
    """All bytes to the end of the stream."""
    parts = []
    while part := sock.recv(1 << 16):
        parts.append(part)
    return b"".join(parts)


def reset(sock):
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    sock.close()


def echo(sock):
    while part := sock.recv(1 << 16):
        sock.sendall(part)


def say(text):
    """A handler that says who it is and then echoes."""

    def handler(sock):
        sock.sendall(text.encode() + b"\n")
        echo(sock)

    return handler


class TcpServer:
    """Runs handler(socket) on a thread for each connection, and closes it when that returns."""

    def __init__(self, handler=echo, address="127.0.0.1", port=0):
        self.handler = handler
        self.errors, self.accepted = [], 0
        self.listener = socket.create_server((address, port), backlog=128)
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        while True:
            try:
                sock, _ = self.listener.accept()
            except OSError:
                return
            self.accepted += 1
            threading.Thread(target=self._serve, args=(sock,), daemon=True).start()

    def _serve(self, sock):
        sock.settimeout(3 * TIMEOUT)
        with sock:
            try:
                self.handler(sock)
            except OSError as error:
                self.errors.append(error)

    def close(self):
        self.listener.close()


def connect(port):
    return socket.create_connection(("127.0.0.1", port), timeout=TIMEOUT)


def line(sock):
    """One line of the peer, without reading past it; None when it closed instead."""
    got = b""
    while not got.endswith(b"\n"):
        try:
            byte = sock.recv(1)
        except ConnectionResetError:
            return None
        if not byte:
            return None
        got += byte
    return got[:-1].decode()


def who(port):
    """Who answers on |port|; None when the connection is closed."""
    try:
        sock = connect(port)
    except ConnectionResetError:
        return None
    with sock:
        return line(sock)


def talks(sock, text=b"ping"):
    sock.sendall(text)
    got = b""
    while len(got) < len(text):
        part = sock.recv(len(text) - len(got))
        assert part, "closed"
        got += part
    return got == text


def tls_connect(authority, port, name, alpn=None):
    context = ssl.create_default_context(cafile=authority.certificate)
    context.check_hostname = False
    if alpn:
        context.set_alpn_protocols(alpn)
    return context.wrap_socket(connect(port), server_hostname=name)


def hello_records(authority, name, size):
    """A ClientHello cut into TLS records of |size| bytes, and the state to go on with."""
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    context = ssl.create_default_context(cafile=authority.certificate)
    tls = context.wrap_bio(incoming, outgoing, server_hostname=name)
    try:
        tls.do_handshake()
    except ssl.SSLWantReadError:
        pass
    record = outgoing.read()
    body = record[5:]
    parts = [body[i : i + size] for i in range(0, len(body), size)]
    return b"".join(record[:3] + struct.pack(">H", len(p)) + p for p in parts), tls, incoming, outgoing


class OpensslServer:
    """openssl s_server with a certificate of its own: it answers an HTTP request with a page about the session."""

    def __init__(self, room, name, certificate, key):
        self.port = free_port()
        (room / f"{name}.crt").write_text(certificate)
        (room / f"{name}.key").write_text(key)
        command = ["openssl", "s_server", "-accept", f"127.0.0.1:{self.port}", "-www", "-quiet"]
        command += ["-cert", room / f"{name}.crt", "-key", room / f"{name}.key"]
        self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        eventually(lambda: connect(self.port).close() or True)

    def close(self):
        self.process.terminate()
        self.process.wait(10)


class Haproxy:
    """HAProxy in TCP mode: takes connections on .port and passes them to |target| with a PROXY header."""

    def __init__(self, room, target, option):
        self.port = free_port()
        config = room / f"haproxy-{option}.cfg"
        config.write_text(
            "defaults\n  mode tcp\n  timeout connect 5s\n  timeout client 60s\n  timeout server 60s\n"
            f"listen l\n  bind 127.0.0.1:{self.port}\n  server s 127.0.0.1:{target} {option}\n"
        )
        self.process = subprocess.Popen(["haproxy", "-db", "-f", config], stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        eventually(lambda: connect(self.port).close() or True)

    def close(self):
        self.process.terminate()
        self.process.wait(10)
