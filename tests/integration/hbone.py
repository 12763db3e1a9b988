"""A mesh for tests: its certificates, and peers (hbone_peer.mjs) that end tunnels or open them."""

import json
import random
import subprocess
import threading
from pathlib import Path

from certificates import Authority
from gateway import eventually
from ports import free_port
from servers import NODE

PEER = Path(__file__).parent / "hbone_peer.mjs"
HBONE_PORT = 15008
TRUST_DOMAIN = "cluster.local"


def spiffe(account, ns="test", domain=TRUST_DOMAIN):
    return f"spiffe://{domain}/ns/{ns}/sa/{account}"


def loopback_address():
    """One that no other test listens on: the port of tunnels is the same for all."""
    return "127." + ".".join(str(random.randrange(1, 255)) for _ in range(3))


class Mesh:
    """Issues X.509-SVIDs; gateway() is the environment of one that reads its own from files."""

    def __init__(self, room):
        self.room = room
        self.authority = Authority(room)

    def issue(self, identity):
        self.authority.issue(f"URI:{identity}")
        return self.files(identity)

    def files(self, identity):
        own = f"URI:{identity}"
        return {"cert": self.authority.file(own, "crt"), "key": self.authority.file(own, "key"), "ca": str(self.authority.certificate)}

    def serial(self, identity):
        command = ["openssl", "x509", "-in", self.files(identity)["cert"], "-noout", "-serial"]
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip().partition("=")[2]

    def gateway(self, identity=spiffe("gw")):
        files = self.issue(identity)
        return {"SVID_FILE": files["cert"], "SVID_KEY_FILE": files["key"], "SVID_BUNDLE_FILE": files["ca"]}


class NodePeer:
    def __init__(self, mode, **options):
        self.said = []
        node = str(NODE) if NODE.exists() else "node"
        self.process = subprocess.Popen(
            [node, str(PEER), mode, json.dumps(options)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        threading.Thread(target=self._read, daemon=True).start()
        eventually(lambda: self.heard("ready"))

    def _read(self):
        for line in self.process.stdout:
            self.said.append(json.loads(line))

    def heard(self, key):
        """What it said under |key|."""
        return [what[key] for what in list(self.said) if key in what]

    def tell(self, **options):
        count = len(self.heard("told"))
        self.process.stdin.write(json.dumps(options) + "\n")
        self.process.stdin.flush()
        eventually(lambda: len(self.heard("told")) > count)

    def close(self):
        self.process.stdin.close()
        self.process.terminate()
        self.process.wait(20)
        self.process.stdout.close()


class TunnelEnd(NodePeer):
    """A workload's own end of HBONE, at |address|."""

    def __init__(self, mesh, account="app", address=None, **options):
        self.address = address or loopback_address()
        self.identity = spiffe(account)
        super().__init__("server", host=self.address, port=HBONE_PORT, **mesh.issue(self.identity), **options)

    def tunnels(self):
        return self.heard("tunnel")


class TunnelClient(NodePeer):
    """A plain port (|port|) whose connections go through tunnels of one HTTP/2 connection to a gateway's HBONE port."""

    def __init__(self, mesh, to, authority, identity=spiffe("client"), files=None, **options):
        self.port = free_port()
        address, port = to
        own = files or mesh.issue(identity)
        super().__init__("client", host=address, port=port, authority=authority, listen=self.port, **own, **options)
