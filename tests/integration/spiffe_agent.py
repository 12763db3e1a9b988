"""An agent of the SPIFFE Workload API on grpcio: it hands out what the test issued, and more when that changes."""

import queue
from concurrent import futures

import grpc

from certificates import openssl

METHOD_SERVICE, METHOD = "SpiffeWorkloadAPI", "FetchX509SVID"


class Agent:
    def __init__(self, proto, mesh, room):
        self.pb = proto.spiffe
        self.mesh = mesh
        self.path = room / "agent.sock"
        self.room = room
        self.refuse = None  # a status code
        self.asked = []  # metadata of each stream
        self.streams = []
        self.current = None
        self.server = None
        self.start()

    @property
    def socket(self):
        return f"unix://{self.path}"

    def start(self):
        handler = grpc.unary_stream_rpc_method_handler(self._serve)
        self.server = grpc.server(futures.ThreadPoolExecutor(8))
        self.server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(METHOD_SERVICE, {METHOD: handler}),))
        assert self.server.add_insecure_port(self.socket)
        self.server.start()

    def stop(self):
        for stream in self.streams:
            stream.put(None)
        self.server.stop(0).wait()
        self.path.unlink(missing_ok=True)

    def _serve(self, request, context):
        metadata = dict(context.invocation_metadata())
        self.asked.append((metadata.get("workload.spiffe.io"), request))
        if self.refuse:
            context.abort(self.refuse, "no identity issued")
        stream = queue.Queue()
        self.streams.append(stream)
        if self.current is not None:
            yield self.current
        while (response := stream.get()) is not None:
            yield response

    def _der(self, source, kind):
        out = self.room / "der"
        command = ("pkcs8", "-topk8", "-nocrypt") if kind == "key" else ("x509",)
        openssl(*command, "-in", source, "-outform", "DER", "-out", out)
        return out.read_bytes()

    def issue(self, identity, **changes):
        """Tells all who ask, and those who will, a new identity."""
        files = self.mesh.issue(identity)
        own = {
            "spiffe_id": identity,
            "x509_svid": self._der(files["cert"], "crt"),
            "x509_svid_key": self._der(files["key"], "key"),
            "bundle": self._der(files["ca"], "crt"),
            **changes,
        }
        self.send(self.pb.X509SVIDResponse(svids=[own], federated_bundles={"spiffe://far.test": own["bundle"]}).SerializeToString())

    def send(self, response):
        self.current = response
        for stream in self.streams:
            stream.put(response)
