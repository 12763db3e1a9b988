"""WebSocket and other upgrades, in HTTP/1.1 and by extended CONNECT, in every combination of the two sides. A second
gateway stands in as the HTTP/2 server that takes them."""

import asyncio
import base64
import hashlib
import re
import signal
import socket
import ssl
import threading
import time
from types import SimpleNamespace

import pytest
import websockets

import manifests as m
from certificates import Authority
from client import Connection
from gateway import SANITIZED, eventually
from h2client import DATA, END_HEADERS, END_STREAM, H2, HEADERS, RST_STREAM, WINDOW_UPDATE, fields, frame
from ports import free_port, free_ports

MIB = 1 << 20
WS = {"Connection": "Upgrade", "Upgrade": "websocket", "Sec-WebSocket-Version": "13", "Sec-WebSocket-Key": "a" * 22 + "=="}
STATUS = {"200": b"\x88", "404": b"\x8d", "400": b"\x8c", "502": b"H\x82l\x02"}  # RFC 7541 appendix A: fields that are one byte


def accept_of(key):
    digest = hashlib.sha1(key.encode() + b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11").digest()
    return base64.b64encode(digest).decode()


class Server:
    """The websockets library's server: echoes; "close" closes with a code of its own."""

    def __init__(self, tls=None):
        self.port = free_port()
        self.tls = tls
        self.paths = []
        self._loop = asyncio.new_event_loop()
        self._ready = threading.Event()
        threading.Thread(target=self._run, daemon=True).start()
        assert self._ready.wait(10)

    def _run(self):
        self._loop.run_until_complete(self._start())
        self._ready.set()
        self._loop.run_forever()

    async def _start(self):
        await websockets.serve(self._serve, "127.0.0.1", self.port, subprotocols=["chat.v2"], max_size=None, ssl=self.tls)

    async def _serve(self, connection, path):
        self.paths.append(path)
        async for message in connection:
            if message == "close":
                await connection.close(4001, "as asked")
            await connection.send(message)

    def stop(self):
        self._loop.call_soon_threadsafe(self._loop.stop)


@pytest.fixture(scope="module")
def server():
    server = Server()
    yield server
    server.stop()


@pytest.fixture(scope="module")
def site(server, start_module_gateway, start_module_upstream):
    """Port one leads to the server; port two leads to port one by HTTP/2. /raw goes to a scripted server."""
    upstream = start_module_upstream()
    one, two = free_port(), free_port()
    services = [
        m.service("ws", server.port, app_protocol="kubernetes.io/ws"),
        m.service("raw", upstream.port),
        m.service("one", one, app_protocol="kubernetes.io/h2c"),
    ]
    gateways = [m.gateway(one, name="gw"), m.gateway(two, name="gw2")]
    hasty = m.rule("ws", matches=[m.prefix("/hasty")], timeouts={"request": "1s"})
    rules = [m.rule("ws"), hasty, m.rule("raw", matches=[m.prefix("/raw")])]
    again = m.route("two", m.rule("one"), parents=[{"name": "gw2", "namespace": m.NAMESPACE}])
    gateway = start_module_gateway(gateways, services, m.route("one", *rules), again)
    return SimpleNamespace(ports={"h1-h1": one, "h1-h2-h1": two}, one=one, two=two, gateway=gateway, upstream=upstream)


def talk(port, conversation, path="/talk", **options):
    async def run():
        async with websockets.connect(f"ws://127.0.0.1:{port}{path}", max_size=None, **options) as connection:
            return await conversation(connection)

    return asyncio.run(asyncio.wait_for(run(), 60))


# --- a real client and a real server ---


@pytest.mark.parametrize("way", ["h1-h1", "h1-h2-h1"])
@pytest.mark.parametrize("compression", ["deflate", None])
def test_messages_both_ways(site, server, way, compression):
    messages = ["", "text", b"\x00\xff", "x" * 125, "x" * 126, b"y" * 70000, b"z" * MIB]

    async def conversation(connection):
        for message in messages:
            await connection.send(message)
            assert await connection.recv() == message
        await asyncio.wait_for(await connection.ping(), 10)

    talk(site.ports[way], conversation, path="/some?where=1", compression=compression)
    assert server.paths[-1] == "/some?where=1"


@pytest.mark.parametrize("way", ["h1-h1", "h1-h2-h1"])
def test_subprotocol_and_close_codes(site, way):
    async def conversation(connection):
        assert connection.subprotocol == "chat.v2"
        await connection.send("close")
        with pytest.raises(websockets.ConnectionClosed) as raised:
            await connection.recv()
        assert (raised.value.code, raised.value.reason) == (4001, "as asked")

    talk(site.ports[way], conversation, subprotocols=["chat.v1", "chat.v2"])


@pytest.mark.parametrize("way", ["h1-h1", "h1-h2-h1"])
def test_rule16_a_quiet_tunnel_outlives_the_routes_timeout(site, way):
    async def conversation(connection):
        await asyncio.sleep(2)
        await connection.send("still there")
        assert await connection.recv() == "still there"

    talk(site.ports[way], conversation, path="/hasty")


@pytest.mark.parametrize("way", ["h1-h1", "h1-h2-h1"])
def test_many_at_once(site, way):
    async def one(number):
        async with websockets.connect(f"ws://127.0.0.1:{site.ports[way]}/") as connection:
            for turn in range(5):
                await connection.send(f"{number}.{turn}")
                assert await connection.recv() == f"{number}.{turn}"

    async def run():
        await asyncio.gather(*(one(number) for number in range(150)))

    asyncio.run(asyncio.wait_for(run(), 60))


@pytest.fixture
def tls_server(tmp_path):
    """Over TLS, with HTTP/2 on offer: a client that takes it finds no WebSocket there."""
    authority = Authority(tmp_path)
    authority.issue("ws.test", "wss.test.svc.cluster.local")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(authority.file("ws.test", "crt"), authority.file("ws.test", "key"))
    context.set_alpn_protocols(["h2", "http/1.1"])
    server = Server(context)
    yield SimpleNamespace(port=server.port, authority=authority)
    server.stop()


@pytest.mark.parametrize("roots", ["policy", "system", "strange"])
def test_rule16_wss_is_websocket_over_tls(tls_server, start_gateway, roots):
    """As a BackendTLSPolicy says; without one by the system's roots and the Service's name."""
    port, certificate = free_port(), tls_server.authority.certificate
    policy = []
    if roots == "policy":
        validation = {"hostname": "ws.test", "caCertificateRefs": [m.core_ref("ca")]}
        policy = [m.config_map("ca", ca_crt=certificate.read_text()), m.backend_tls_policy("p", ["wss"], **validation)]
    start_gateway(
        m.gateway(port),
        m.service("wss", tls_server.port, app_protocol="kubernetes.io/wss"),
        m.route("r", m.rule("wss")),
        policy,
        env={"SSL_CERT_FILE": str(certificate)} if roots == "system" else None,
    )

    async def conversation(connection):
        await connection.send("hello")
        assert await connection.recv() == "hello"

    if roots == "strange":
        with Connection(port) as connection:
            assert connection.ask(headers=WS).status == 503
    else:
        talk(port, conversation)


@pytest.mark.parametrize("back", ["plain", "tls", "h2 tls"])
def test_over_tls(server, start_gateway, tmp_path, back):
    """wss in front; behind it the server without and with TLS, and by extended CONNECT over TLS."""
    authority = Authority(tmp_path)
    secret = m.tls_secret("cert", *authority.issue("localhost"))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(authority.file("localhost", "crt"), authority.file("localhost", "key"))
    secure, (port, middle) = Server(context), free_ports(2)
    to = {"plain": server.port, "tls": secure.port, "h2 tls": middle}[back]
    gateways = [
        m.gateway(name=name, listeners=[m.listener(number, "https", protocol="HTTPS", tls=["cert"])])
        for name, number in (("gw", port), ("gw2", middle))
    ]
    gateway = start_gateway(
        gateways,
        secret,
        [m.service("to", to), m.service("ws", server.port)],
        m.config_map("ca", ca_crt=authority.certificate.read_text()),
        [] if back == "plain" else m.backend_tls_policy("tls", ["to"], hostname="localhost", caCertificateRefs=[m.core_ref("ca")]),
        m.route("one", m.rule("to")),
        m.route("two", m.rule("ws"), parents=[{"name": "gw2", "namespace": m.NAMESPACE}]),
    )
    try:

        async def run():
            trusted = ssl.create_default_context(cafile=str(authority.certificate))
            async with websockets.connect(f"wss://localhost:{port}/tls", ssl=trusted, max_size=None) as connection:
                for message in "text", b"\0bytes", "x" * MIB:
                    await connection.send(message)
                    assert await connection.recv() == message

        asyncio.run(asyncio.wait_for(run(), 60))
        versions = ["HTTP/1.1", "HTTP/2"] if back == "h2 tls" else ["HTTP/1.1"]

        def logged():
            return sorted(re.findall(r"protocol=(\S+)", gateway.access_log.read_text())) == versions

        eventually(logged)
    finally:
        secure.stop()


def test_backend_whose_http2_takes_no_upgrades(start_gateway):
    from test_grpc import Server as GrpcServer

    server, port = GrpcServer(), free_port()
    try:
        start_gateway(m.gateway(port), m.service("up", server.port, app_protocol="kubernetes.io/h2c"), m.route("r", m.rule("up")))
        with Connection(port) as connection:
            answer = connection.ask(path="/", headers=WS)
            assert (answer.status, answer.body) == (502, b"the backend's HTTP/2 takes no upgrades\n")
    finally:
        server.kill()


# --- extended CONNECT by hand ---


class Tunnel(H2):
    """An extended CONNECT on stream 1."""

    def __init__(self, port, path, *pairs, end=False, protocol="websocket", data=b""):
        super().__init__(port)
        self.last = None
        head = fields((":protocol", protocol), ("sec-websocket-version", "13"), *pairs, method="CONNECT", path=path)
        self.send(frame(HEADERS, END_HEADERS | (END_STREAM if end else 0), 1, head))
        if data:
            self.write(data)

    def write(self, data, end=False):
        self.send(frame(DATA, END_STREAM if end else 0, 1, data))

    def status(self):
        head = self.read_until(lambda kind, flags, stream, payload: kind == HEADERS and stream == 1)[-1]
        assert head, "the connection ended"
        self.ended_at_once = bool(head[1] & END_STREAM)
        return next((status for status, field in STATUS.items() if field in head[3][:4]), head[3])

    def read_bytes(self, n):
        data = b""
        while len(data) < n:
            got = self.read_until(lambda kind, flags, stream, payload: stream == 1 and kind in (DATA, RST_STREAM))[-1]
            assert got and got[0] == DATA, got
            data += got[3]
            self.last = got
        return data

    def at_end(self):
        """The frame that ends the stream; the last bytes may have come with it."""
        if self.last and self.last[1] & END_STREAM:
            return self.last
        return self.read_until(
            lambda kind, flags, stream, payload: stream == 1 and (kind == RST_STREAM or (kind == DATA and flags & END_STREAM))
        )[-1]


def grant(request, stream, first=b"", accept=None):
    accept = accept or accept_of(request.get("sec-websocket-key"))
    head = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    stream.send(f"{head}Sec-WebSocket-Accept: {accept}\r\n\r\n".encode() + first)


def echo_until_eof(stream):
    while data := stream.socket.recv(65536):
        stream.send(data)


@pytest.mark.parametrize("way", ["h2-h1", "h2-h2-h1"])
def test_extended_connect_becomes_an_upgrade(site, way):
    def handler(request, stream):
        assert request.method == "GET" and request.get("upgrade") == "websocket"
        assert "upgrade" in request.get("connection").lower() and not request.get("content-length")
        assert len(base64.b64decode(request.get("sec-websocket-key"))) == 16
        assert request.get("sec-websocket-version") == "13" and not request.get("transfer-encoding")
        grant(request, stream, b"first")
        echo_until_eof(stream)
        return False

    site.upstream.clear()
    site.upstream.on("/raw/connect", handler)
    with Tunnel(site.one if way == "h2-h1" else site.two, "/raw/connect") as tunnel:
        assert tunnel.status() == "200" and tunnel.read_bytes(5) == b"first"
        tunnel.write(b"hello")
        assert tunnel.read_bytes(5) == b"hello"
        tunnel.write(b"bye", end=True)  # half closed: what is under way still comes back
        assert tunnel.read_bytes(3) == b"bye"
        end = tunnel.at_end()
        assert end[0] == DATA and end[1] & END_STREAM
    assert not site.upstream.errors


def test_bytes_before_the_grant_wait_for_it(site):
    seen = []

    def handler(request, stream):
        stream.socket.settimeout(0.4)
        try:
            seen.append(stream.socket.recv(100))
        except TimeoutError:
            stream.socket.settimeout(20)
        grant(request, stream)
        seen.append(stream.socket.recv(100))
        stream.send(b"ok")
        return False

    site.upstream.on("/raw/early", handler)
    with Tunnel(site.one, "/raw/early", data=b"GET /raw/smuggled HTTP/1.1\r\nHost: a\r\n\r\n") as tunnel:
        assert tunnel.status() == "200" and tunnel.read_bytes(2) == b"ok"
    assert seen == [b"GET /raw/smuggled HTTP/1.1\r\nHost: a\r\n\r\n"]


def test_bytes_before_a_refusal_go_nowhere(site):
    site.upstream.clear()
    site.upstream.on("/raw/refused", lambda request, stream: stream.respond(404, b"no", reason="Not Found"))
    with Tunnel(site.one, "/raw/refused", data=b"GET /raw/smuggled HTTP/1.1\r\nHost: a\r\n\r\n") as tunnel:
        assert tunnel.status() == "404" and tunnel.read_bytes(2) == b"no"
        with Connection(site.one) as connection:
            assert connection.ask(path="/raw/next").status == 200
    assert [request.path for request in site.upstream.requests] == ["/raw/refused", "/raw/next"]
    assert not site.upstream.errors


@pytest.mark.parametrize("way", ["h2-h1", "h2-h2-h1"])
def test_bytes_after_a_refusal_do_not_cut_its_answer(site, way):
    more = threading.Event()

    def handler(request, stream):
        stream.send("HTTP/1.1 404 Not Found\r\nContent-Length: 4\r\n\r\nno")
        assert more.wait(10)
        stream.send("pe")

    site.upstream.clear()
    site.upstream.on("/raw/late", handler)
    with Tunnel(site.one if way == "h2-h1" else site.two, "/raw/late") as tunnel:
        assert tunnel.status() == "404" and tunnel.read_bytes(2) == b"no"
        tunnel.write(b"GET /raw/smuggled HTTP/1.1\r\nHost: a\r\n\r\n")
        time.sleep(0.3)
        more.set()
        assert tunnel.read_bytes(2) == b"pe"
    assert [request.path for request in site.upstream.requests] == ["/raw/late"]
    assert not site.upstream.errors


def test_wrong_accept_is_the_backends_fault(site):
    def handler(request, stream):
        grant(request, stream, accept=accept_of("other"))
        return False

    site.upstream.on("/raw/wrong", handler)
    with Tunnel(site.one, "/raw/wrong") as tunnel:
        assert tunnel.status() == "502"


def test_other_protocols_pass(site):
    def handler(request, stream):
        assert request.get("upgrade") == "echo/1" and not request.get("sec-websocket-key")
        stream.send("HTTP/1.1 101 Switching Protocols\r\nUpgrade: echo/1\r\nConnection: Upgrade\r\n\r\n")
        echo_until_eof(stream)
        return False

    site.upstream.clear()
    site.upstream.on("/raw/other", handler)
    with Connection(site.one) as connection:
        answer = connection.ask(path="/raw/other", headers={"Connection": "Upgrade", "Upgrade": "echo/1"})
        assert answer.status == 101 and answer.get("upgrade") == "echo/1"
        connection.socket.sendall(b"abc")
        assert connection.stream.read(3) == b"abc"
    assert not site.upstream.errors


def test_reset_reaches_the_backend(site):
    gone = threading.Event()

    def handler(request, stream):
        grant(request, stream)
        try:
            stream.socket.recv(1)
        except OSError:
            pass
        gone.set()
        return False

    site.upstream.on("/raw/reset", handler)
    with Tunnel(site.one, "/raw/reset") as tunnel:
        assert tunnel.status() == "200"
        tunnel.send(frame(RST_STREAM, 0, 1, (8).to_bytes(4, "big")))
        assert gone.wait(10)


def test_reset_of_the_backend_reaches_the_client(site):
    def handler(request, stream):
        grant(request, stream)
        stream.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        return False

    site.upstream.on("/raw/broken", handler)
    with Tunnel(site.one, "/raw/broken") as tunnel:
        assert tunnel.status() == "200"
        assert tunnel.at_end()[0] == RST_STREAM


@pytest.mark.parametrize("way", ["h1", "h2"])
def test_slow_reader_holds_the_backend_back(site, way):
    sent = [0]

    def handler(request, stream):
        grant(request, stream)
        stream.socket.settimeout(1)
        try:
            while sent[0] < 64 * MIB:
                sent[0] += stream.socket.send(bytes(65536))
        except OSError:
            pass
        return False

    site.upstream.on("/raw/flood", handler)
    before = site.gateway.memory("VmRSS")
    if way == "h2":
        with Tunnel(site.one, "/raw/flood") as tunnel:
            assert tunnel.status() == "200"
            time.sleep(2)
    else:
        with Connection(site.one) as connection:
            assert connection.ask(path="/raw/flood", headers=WS).status == 101
            time.sleep(2)
    assert 0 < sent[0] < 32 * MIB  # what socket buffers take
    assert site.gateway.memory("VmRSS") - before < (64 if SANITIZED else 4) * MIB


def test_upload_is_held_back_too(site):
    """The server never reads: the windows of HTTP/2 close instead of the gateway's memory filling."""
    done = threading.Event()

    def handler(request, stream):
        grant(request, stream)
        done.wait(20)
        return False

    site.upstream.on("/raw/deaf", handler)
    with Tunnel(site.one, "/raw/deaf") as tunnel:
        assert tunnel.status() == "200"
        for _ in range(4):  # a stream's window of 64 KiB, less the bytes of no frame
            tunnel.write(bytes(16000))
        updates = tunnel.read_until(lambda kind, flags, stream, payload: kind == WINDOW_UPDATE and stream == 1)
        assert updates[-1]  # the backend's socket took them
        done.set()


# --- what is no upgrade ---


@pytest.mark.parametrize("protocol", ["h2c", "websocket, h2c", "TLS/1.2", "HTTP/2.0"])
def test_protocols_of_connections_are_not_offered_to_backends(site, protocol):
    site.upstream.clear()
    headers = {"Connection": "Upgrade, HTTP2-Settings", "Upgrade": protocol, "HTTP2-Settings": "AAMAAABkAAQAAP__"}
    with Connection(site.one) as connection:
        answer = connection.ask(path="/raw/h2c", headers=headers)
        assert answer.status == 200 and connection.ask(path="/raw/h2c").status == 200
    assert [request.get("upgrade") for request in site.upstream.seen("/raw/h2c")] == [None, None]
    assert not site.upstream.seen("/raw/h2c")[0].get("http2-settings")


def test_plain_connect_is_still_refused(site):
    with Connection(site.one) as connection:
        connection.send("CONNECT test:80 HTTP/1.1\r\nHost: test:80\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n")
        assert connection.response("CONNECT").status == 405


# --- drain ---


def test_drain_lets_tunnels_finish(server, start_gateway):
    port = free_port()
    gateway = start_gateway(m.gateway(port), m.service("ws", server.port), m.route("r", m.rule("ws")))

    async def conversation(connection):
        gateway.send_signal(signal.SIGTERM)
        await asyncio.sleep(1)
        await connection.send("late")
        assert await connection.recv() == "late"

    talk(port, conversation)
    eventually(lambda: gateway.process.poll() is not None)
    assert gateway.process.returncode == 0
