"""What is measured. A traffic case gives figures of one round for one peer; rounds are interleaved by run.py."""
import socket
import tempfile
import time

import load


def with_cpu(peer, measure):
    before = peer.process.cpu_us()
    figures = measure()
    figures["cpu_us_per_request"] = (peer.process.cpu_us() - before) / max(figures["requests"], 1)
    return figures


def h1(peer, seconds):
    """HTTP/1.1, 64 keep-alive connections, 1 KiB answers."""
    return with_cpu(peer, lambda: load.wrk(f"http://127.0.0.1:{peer.h1}/", seconds))


def h1_512(peer, seconds):
    """HTTP/1.1, 512 busy connections; memory while they are, and its part for each pair of a client's connection and an upstream
    one."""
    figures = with_cpu(peer, lambda: load.wrk(f"http://127.0.0.1:{peer.h1}/", seconds, connections=512))
    figures["memory_anon_bytes"] = peer.process.memory("Anonymous")
    figures["kib_per_pair"] = figures["memory_anon_bytes"] / 1024 / 512
    return figures


def h2(peer, seconds):
    """HTTP/2 by prior knowledge in front, HTTP/1.1 behind: 16 connections with 32 streams each."""
    return with_cpu(peer, lambda: load.h2load(f"http://127.0.0.1:{peer.h2}/", seconds))


def grpc(peer, seconds):
    """Unary gRPC calls, HTTP/2 on both sides; nginx by grpc_pass: 16 connections with 32 streams each."""
    with tempfile.NamedTemporaryFile(prefix="message") as message:
        message.write(b"\0\0\0\0\x10" + b"x" * 16)
        message.flush()
        more = ["-H", "content-type: application/grpc", "-H", "te: trailers", "-d", message.name]
        return with_cpu(peer, lambda: load.h2load(f"http://127.0.0.1:{peer.h2}/bench.Echo/Unary", seconds, more=more))


def tls(peer, seconds):
    """HTTP/1.1 over TLS, 64 keep-alive connections."""
    return with_cpu(peer, lambda: load.wrk(f"https://127.0.0.1:{peer.tls}/", seconds))


def tls_resume(peer, seconds):
    """New TLS 1.3 connections that resume a session, a small request on each; CPU per request is CPU per handshake."""
    return with_cpu(peer, lambda: load.s_time(peer.tls, seconds))


def tls_large(peer, seconds):
    """HTTP/1.1 over TLS, answers of 1 MiB, 16 connections; CPU per request is CPU per MiB."""
    return with_cpu(peer, lambda: load.wrk(f"https://127.0.0.1:{peer.tls}/large", seconds, connections=16))


def websocket(peer, seconds):
    """Messages of 32 bytes that come back, one under way on each of 256 WebSocket connections; CPU per request is CPU per
    message there and back, and latencies are the round trip's."""
    return with_cpu(peer, lambda: load.websocket(peer.h1, seconds))


def connect(peer, seconds):
    """A new connection for each request."""
    return with_cpu(peer, lambda: load.wrk(f"http://127.0.0.1:{peer.h1}/", seconds, headers=["Connection: close"]))


def large(peer, seconds):
    """HTTP/1.1, answers of 1 MiB, 16 connections; CPU per request is CPU per MiB."""
    return with_cpu(peer, lambda: load.wrk(f"http://127.0.0.1:{peer.h1}/large", seconds, connections=16))


IDLE = 10000
IP_BIND_ADDRESS_NO_PORT = 24  # linux/in.h: the port is chosen at connect, so that one in use elsewhere will do


def read_answer(s):
    data = b""
    while b"\r\n\r\n" not in data:
        data += s.recv(65536)
    head, _, body = data.partition(b"\r\n\r\n")
    length = next(int(line.split(b":")[1]) for line in head.lower().split(b"\r\n") if line.startswith(b"content-length"))
    while len(body) < length:
        body += s.recv(65536)


def idle(peer, _seconds):
    """User memory of a keep-alive connection that has served a request and waits; and of the process at rest."""
    request = b"GET / HTTP/1.1\r\nHost: bench.test\r\n\r\n"
    base_rss, base = peer.process.memory("Rss"), peer.process.memory("Anonymous")
    conns = []
    try:
        for i in range(IDLE):
            s = socket.socket()
            s.setsockopt(socket.IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, 1)
            s.bind((f"127.0.0.{2 + i // 5000}", 0))
            s.connect(("127.0.0.1", peer.h1))
            s.sendall(request)
            read_answer(s)
            conns.append(s)
        time.sleep(1)
        full = peer.process.memory("Anonymous")
    finally:
        for s in conns:
            s.close()
    return {"requests": IDLE, "bytes_per_idle_connection": (full - base) / IDLE, "rest_rss_bytes": base_rss, "errors": 0}


TRAFFIC = {"h1": h1, "h2": h2, "grpc": grpc, "tls": tls, "tls-resume": tls_resume, "tls-large": tls_large, "websocket": websocket, "connect": connect,
           "h1-512": h1_512, "large": large, "idle": idle}
ONCE = {"idle"}  # not a matter of rounds
