"""A control plane on grpcio: real delta ADS for data planes under test, which can also misbehave on request.

It shares nothing with the C code but the .proto files. Messages are bytes both ways, so that it can send any; what is
served is packed once, when it is put.
"""

import hashlib
import json
import queue
import socket
import threading
import time
from concurrent import futures
from dataclasses import dataclass, field

import grpc
from xds_proto import ADDRESS_TYPE, DELTA_NAME, RESOURCE_TYPE, SERVICE

TYPES = (ADDRESS_TYPE, RESOURCE_TYPE)
STREAMS = 64  # each takes a thread of the pool
CLOSE = object()


def version_of(body):
    """The same bytes have the same version, also after a restart."""
    return hashlib.sha256(body).hexdigest()[:16]


@dataclass
class Received:
    """One request: subscription (nonce ""), ACK, or NACK (error is the message's text)."""

    stream: "Stream"
    message: object
    at: float = field(default_factory=time.monotonic)

    @property
    def type_url(self):
        return self.message.type_url

    @property
    def nonce(self):
        return self.message.response_nonce

    @property
    def error(self):
        return self.message.error_detail.message if self.message.HasField("error_detail") else None

    @property
    def versions(self):
        return dict(self.message.initial_resource_versions)

    def report(self):
        """The JSON of a NACK by resource: {key: {"key":..., "error"|"warn":...}}."""
        return {item["key"]: item for item in json.loads(self.error)}


class Stream:
    """One DeltaAggregatedResources call of a data plane."""

    def __init__(self, plane, context):
        self.plane = plane
        self.metadata = dict(context.invocation_metadata())
        self.out = queue.Queue()
        self.received = []
        self.subscribed = set()
        self.sent_at = {}  # nonce: when its bytes were handed to gRPC
        self.ended = False
        context.add_callback(self.close)

    @property
    def node(self):
        return next(r.message.node for r in self.received if r.message.HasField("node"))

    def close(self):
        self.ended = True
        self.out.put(CLOSE)

    def read(self, requests):
        try:
            for data in requests:
                self.plane.on_request(self, data)
        except Exception:  # grpcio raises a bare Exception where a stream breaks off
            pass
        self.close()

    def write(self):
        """The messages to send, until close()."""
        while (item := self.out.get()) is not CLOSE:
            nonce, data = item
            self.sent_at[nonce] = time.monotonic()
            yield data


class ControlPlane:
    """with ControlPlane(proto) as plane: plane.put(b.bind(80), ...); listens on plane.port of 127.0.0.1."""

    def __init__(self, proto, port=0, certificate=None):
        """certificate: (certificate, key) as PEM text, for TLS."""
        self.proto = proto
        self.port = port
        self.certificate = certificate
        self.sets = {type_url: {} for type_url in TYPES}  # {name: (version, packed message)}
        self.streams = []  # all there were, oldest first
        self.requests = []
        self.held = set()  # types whose responses wait for release()
        self.on_open = None  # called with each new stream in place of serving it
        self._nonces = 0
        self._changed = threading.Condition(threading.RLock())
        self._server = None
        self.start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.kill()

    # --- life ---

    def start(self):
        """Also after kill(): on the same port."""
        method = grpc.stream_stream_rpc_method_handler(self._serve)
        self._server = grpc.server(futures.ThreadPoolExecutor(STREAMS), options=[("grpc.so_reuseport", 0)])
        self._server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(SERVICE, {DELTA_NAME: method}),))
        self.port = self._bind()
        self._server.start()
        return self

    def _bind(self):
        deadline = time.monotonic() + 10
        while True:
            try:
                if port := self._open(f"127.0.0.1:{self.port}"):
                    return port
            except RuntimeError:
                pass
            if time.monotonic() > deadline:
                raise RuntimeError(f"cannot listen on port {self.port}")
            time.sleep(0.05)

    def _open(self, address):
        if not self.certificate:
            return self._server.add_insecure_port(address)
        cert, key = (part.encode() for part in self.certificate)
        return self._server.add_secure_port(address, grpc.ssl_server_credentials([(key, cert)]))

    def kill(self):
        if self._server:
            self._server.stop(None).wait()
        self._server = None
        self.close_streams()

    def close_streams(self):
        """Ends them cleanly, as a control plane does that wants its clients to come again."""
        for stream in self.open_streams():
            stream.close()

    def _serve(self, requests, context):
        stream = Stream(self, context)
        with self._changed:
            self.streams.append(stream)
            self._changed.notify_all()
        if self.on_open:
            self.on_open(stream)
        threading.Thread(target=stream.read, args=(requests,), daemon=True).start()
        yield from stream.write()

    # --- what it sends ---

    def on_request(self, stream, data):
        received = Received(stream, self.proto.xds.DeltaDiscoveryRequest.FromString(data))
        with self._changed:
            stream.received.append(received)
            self.requests.append(received)
            if not received.nonce:
                stream.subscribed.add(received.type_url)
                self._first_response(stream, received)
            self._changed.notify_all()

    def _first_response(self, stream, received):
        have, known = received.versions, self.sets[received.type_url]
        news = [name for name, (version, _) in known.items() if have.get(name) != version]
        if received.type_url in self.held:
            return
        self._respond([stream], received.type_url, news, [name for name in have if name not in known])

    def _respond(self, streams, type_url, names, removed=()):
        known = self.sets[type_url]
        resources = [(name, *known[name]) for name in names]
        response = pack_response(self.proto, type_url, resources, removed)
        for stream in streams:
            self._nonces += 1
            stream.out.put((str(self._nonces), response + pack_nonce(self.proto, self._nonces)))

    def put(self, *resources, push=True):
        """Adds or replaces [(type_url, name, message or packed bytes)]; sends each type's in one response."""
        by_type = {}
        with self._changed:
            for type_url, name, message in flat(resources):
                body = message if isinstance(message, bytes) else message.SerializeToString()
                self.sets[type_url][name] = (version_of(body), body)
                by_type.setdefault(type_url, {})[name] = None
            if push:
                for type_url, names in by_type.items():
                    self._respond(self._subscribed(type_url), type_url, names)
        return self

    def put_each(self, *resources, pause=0.0):
        """One response for each, in this order."""
        for resource in flat(resources):
            self.put(resource)
            if pause:
                time.sleep(pause)

    def remove(self, *resources, push=True):
        with self._changed:
            for type_url, name, _ in flat(resources):
                del self.sets[type_url][name]
                if push:
                    self._respond(self._subscribed(type_url), type_url, [], [name])

    def hold(self, *types):
        self.held.update(types)

    def release(self, *types):
        """Sends all of the held types to those that subscribed."""
        with self._changed:
            for type_url in types or tuple(self.held):
                self.held.discard(type_url)
                self._respond(self._subscribed(type_url), type_url, list(self.sets[type_url]))

    def send_bytes(self, data):
        for stream in self.open_streams():
            stream.out.put(("raw", data))

    # --- what tests wait for ---

    def open_streams(self):
        with self._changed:
            return [stream for stream in self.streams if not stream.ended]

    def _subscribed(self, type_url):
        if type_url in self.held:
            return []
        return [stream for stream in self.streams if not stream.ended and type_url in stream.subscribed]

    def wait(self, check, seconds=20):
        """Until check() is true, looked at whenever something comes in; returns what it gave."""
        with self._changed:
            if not self._changed.wait_for(check, seconds):
                raise AssertionError("the data plane did not do it in time")
            return check()

    def wait_stream(self, n=1):
        """The nth stream there ever was, once it has subscribed to both types."""
        return self.wait(lambda: len(self.streams) >= n and len(self.streams[n - 1].subscribed) == 2 and self.streams[n - 1])

    def answer(self, type_url=RESOURCE_TYPE, after=0):
        """The next ACK or NACK of that type behind the first |after| requests."""
        return self.wait(lambda: next((r for r in self.requests[after:] if r.nonce and r.type_url == type_url), None))

    def ask(self, *resources):
        """Puts them and returns the answer to each type's response, the last one's first."""
        before = self._nonces  # answers to earlier responses may still come
        resources = list(flat(resources))
        self.put(resources)
        type_url = resources[-1][0]
        return self.wait(lambda: next((r for r in list(self.requests) if r.nonce.isdigit() and int(r.nonce) > before
                                       and r.type_url == type_url), None))

    def nacks(self):
        return [r for r in list(self.requests) if r.error is not None]


def flat(resources):
    for resource in resources:
        if isinstance(resource, list):
            yield from flat(resource)
        else:
            yield resource


def pack_response(proto, type_url, resources, removed=()):
    response = proto.xds.DeltaDiscoveryResponse(type_url=type_url, removed_resources=removed)
    for name, version, body in resources:
        response.resources.add(name=name, version=version, resource=proto.any.Any(type_url=type_url, value=body))
    return response.SerializeToString()


def pack_nonce(proto, nonce):
    """Messages may be concatenated: the nonce of each stream goes behind what all have in common."""
    return proto.xds.DeltaDiscoveryResponse(nonce=str(nonce)).SerializeToString()


class Relay:
    """Between data plane and control plane: goes slow, half open (nothing moves, nothing is closed), or away."""

    def __init__(self, target):
        self.target = target
        self.flowing = threading.Event()
        self.flowing.set()
        self.chunk, self.pause = 65536, 0.0
        self._open = set()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        while True:
            try:
                near, _ = self._listener.accept()
                far = socket.create_connection(("127.0.0.1", self.target))
            except OSError:
                return
            self._open |= {near, far}
            for pair in ((near, far), (far, near)):
                threading.Thread(target=self._copy, args=pair, daemon=True).start()

    def _copy(self, source, sink):
        try:
            while data := source.recv(65536):
                chunk = self.chunk
                for at in range(0, len(data), chunk):
                    self.flowing.wait()
                    sink.sendall(data[at : at + chunk])
                    time.sleep(self.pause)
        except OSError:
            pass
        self._end(source)
        self._end(sink)

    def _end(self, sock):
        self._open.discard(sock)
        try:
            sock.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass

    def slow(self, chunk, pause):
        self.chunk, self.pause = chunk, pause

    def stall(self):
        self.flowing.clear()

    def resume(self):
        self.flowing.set()

    def cut(self):
        for sock in list(self._open):
            self._end(sock)

    def close(self):
        self._listener.close()
        self.resume()
        self.cut()
