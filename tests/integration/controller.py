"""Starts the built controller on manifests of a test, and a client that speaks delta xDS with grpcio."""

import os
import queue
import re
import signal
import subprocess
import threading
from pathlib import Path

import grpc
import xds_proto
import yaml
from gateway import BINARY, REPORT, eventually, sanitizer_environment
from manifests import flat

CONTROLLER = os.environ.get("AGW_CONTROLLER_BIN", str(Path(BINARY).with_name("agentgateway-controller")))
SERVES = re.compile(r"serves .* on \S+ port (\d+)")
WAIT = 20
QUIET = 0.4  # so long nothing must come, when nothing is expected


class Controller:
    """A running agentgateway-controller; write() replaces one file of its manifests."""

    def __init__(self, room, files, args=()):
        self.room = Path(room)
        self.folder = self.room / "manifests"
        self.folder.mkdir()
        self.log_path = self.room / "log"
        for name, objects in files.items():
            self.write(name, objects)
        self.start(args)

    def start(self, args=(), port=0):
        command = [CONTROLLER, "--manifests", str(self.folder), "--xds-addr", f"127.0.0.1:{port}", *args]
        environment = {**os.environ, **sanitizer_environment()}
        with open(self.log_path, "wb") as log:
            self.process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT, env=environment
            )
        self.port = int(eventually(self._served).group(1))

    def _served(self):
        if self.process.poll() is not None:
            raise RuntimeError(f"the controller ended with {self.process.returncode}:\n{self.log()}")
        return SERVES.search(self.log())

    def write(self, name, objects):
        text = objects if isinstance(objects, str) else yaml.safe_dump_all(flat(objects), sort_keys=False)
        scratch = self.room / "next"
        scratch.write_text(text)
        scratch.rename(self.folder / name)

    def remove(self, name):
        (self.folder / name).unlink()

    def log(self):
        return self.log_path.read_text(errors="replace")

    def wait_log(self, text):
        return eventually(lambda: text in self.log(), WAIT)

    def stop(self, number=signal.SIGTERM):
        if self.process.poll() is None:
            self.process.send_signal(number)
            try:
                self.process.wait(20)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
                raise AssertionError(f"did not end:\n{self.log()}")
        assert not REPORT.findall(self.log()), self.log()[-8000:]
        return self.process.returncode


class Peer:
    """One stream as a data plane opens it. take() gives the next response; without |reads| none is ever read."""

    def __init__(self, proto, port, role, credentials=None, options=(), reads=True):
        self.proto = proto
        self.role = role
        self.introduced = False
        self.have = {}  # by type: {name: (version, message)}
        self.nonces = {}
        self.requests = queue.Queue()
        self.responses = queue.Queue()
        options = [("grpc.max_receive_message_length", 200 << 20), *options]
        target = f"127.0.0.1:{port}"
        self.channel = (
            grpc.secure_channel(target, credentials, options) if credentials else grpc.insecure_channel(target, options)
        )
        method = self.channel.stream_stream(
            xds_proto.DELTA_METHOD,
            request_serializer=lambda message: message.SerializeToString(),
            response_deserializer=proto.xds.DeltaDiscoveryResponse.FromString,
        )
        self.call = method(iter(self.requests.get, None))
        if reads:
            threading.Thread(target=self._read, daemon=True).start()

    def _read(self):
        try:
            for response in self.call:
                self.responses.put(response)
            self.responses.put(None)
        except grpc.RpcError as error:
            self.responses.put(error)

    def ask(self, type_url, versions=None, names=()):
        request = self.proto.xds.DeltaDiscoveryRequest(type_url=type_url, resource_names_subscribe=names)
        if not self.introduced:
            request.node.id = "agentgateway~127.0.0.1~pod.test~test.svc.cluster.local"
            if self.role is not None:
                request.node.metadata["role"] = self.role
            self.introduced = True
        request.initial_resource_versions.update(versions or {})
        self.requests.put(request)

    def answer(self, type_url, nonce=None, error=None):
        request = self.proto.xds.DeltaDiscoveryRequest(
            type_url=type_url, response_nonce=self.nonces[type_url] if nonce is None else nonce
        )
        if error is not None:
            request.error_detail.message = error
        self.requests.put(request)

    def take(self, type_url, answer=True):
        """The next response, which must be of that type: (what came as {name: message}, removed names)."""
        response = self.responses.get(timeout=WAIT)
        assert isinstance(response, self.proto.xds.DeltaDiscoveryResponse), response
        assert response.type_url == type_url
        kept = self.have.setdefault(type_url, {})
        kind = self.proto.workload.Address if type_url == xds_proto.ADDRESS_TYPE else self.proto.resource.Resource
        came = {}
        for resource in response.resources:
            assert resource.resource.type_url == type_url
            came[resource.name] = kind.FromString(resource.resource.value)
            kept[resource.name] = (resource.version, came[resource.name])
        for name in response.removed_resources:
            kept.pop(name, None)
        self.nonces[type_url] = response.nonce
        if answer:
            self.answer(type_url)
        return came, list(response.removed_resources)

    def quiet(self):
        try:
            raise AssertionError(f"not expected: {self.responses.get(timeout=QUIET)}")
        except queue.Empty:
            return True

    def status(self):
        """The status that the stream ends with."""
        end = self.responses.get(timeout=WAIT)
        assert isinstance(end, grpc.RpcError), end
        return end.code(), end.details()

    def versions(self, type_url):
        return {name: version for name, (version, _) in self.have[type_url].items()}

    def sync(self):
        """Subscribes to both types as a data plane does; what came of each."""
        self.ask(xds_proto.ADDRESS_TYPE)
        self.ask(xds_proto.RESOURCE_TYPE)
        return self.take(xds_proto.ADDRESS_TYPE)[0], self.take(xds_proto.RESOURCE_TYPE)[0]

    def close(self):
        self.requests.put(None)
        self.call.cancel()
        self.channel.close()
