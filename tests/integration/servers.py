"""The real servers of the quickstart on free ports, and the scripts with the official SDK clients."""

import json
import os
import subprocess
from pathlib import Path

import client
from gateway import ROOT, eventually
from ports import free_port

SERVERS = ROOT / "examples/quickstart/servers"
NODE = SERVERS / "node_modules/.bin/node"
SCRIPTS = Path(__file__).parent / "sdk"


class Server:
    def __init__(self, name, room, **env):
        self.port = free_port()
        self.log = Path(room) / f"{name}.log"
        with open(self.log, "wb") as log:
            command = [SERVERS / "server.sh", name, str(self.port)]
            self.process = subprocess.Popen(command, env={**os.environ, **env}, stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT)
        eventually(self._answers)

    def _answers(self):
        if self.process.poll() is not None:
            raise RuntimeError(self.log.read_text())
        return client.ask(self.port, path="/").status

    def stop(self):
        self.process.terminate()
        try:
            self.process.wait(5)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


def run_script(name, *args, seconds=90):
    """Runs sdk/NAME and returns the JSON that it printed."""
    command = [NODE, SCRIPTS / name, *map(str, args)]
    result = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=seconds)
    assert result.returncode == 0, result.stderr + result.stdout
    return json.loads(result.stdout)
