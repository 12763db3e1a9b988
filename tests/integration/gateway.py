"""Starts the built gateway on manifests of a test and sees to it that it ends well."""

import json
import os
import re
import signal
import subprocess
import time
from pathlib import Path

import yaml

import client
from manifests import flat
from ports import free_ports

ROOT = Path(__file__).resolve().parents[2]
BINARY = os.environ.get("AGW_BIN", str(ROOT / "build/release/agentgateway"))
SANITIZED = os.environ.get("AGW_BUILD") in ("asan", "tsan")
REPORT = re.compile(r"^.*(?:Sanitizer|runtime error:).*$", re.MULTILINE)
DEADLINE = 30


def eventually(check, seconds=DEADLINE):
    """Calls |check| until it returns something true, and returns that; an error counts as not yet."""
    deadline = time.monotonic() + seconds
    while True:
        try:
            if result := check():
                return result
            error = None
        except (AssertionError, OSError, ValueError, client.Closed) as raised:
            error = raised
        if time.monotonic() > deadline:
            raise AssertionError("did not happen in time") from error
        time.sleep(0.05)


def sanitizer_environment():
    suppressions = ROOT / "tests/tsan.supp"
    return {
        "ASAN_OPTIONS": "detect_leaks=1:detect_stack_use_after_return=1",
        "UBSAN_OPTIONS": "print_stacktrace=1",
        "TSAN_OPTIONS": f"suppressions={suppressions}:second_deadlock_stack=1",
    }


def xds_environment(port):
    return {"XDS_ADDRESS": f"http://127.0.0.1:{port}", "NAMESPACE": "test", "GATEWAY": "gw", "POD_NAME": "gw-0"}


class Gateway:
    """A running agentgateway. objects are written to one file, which apply() replaces; with |xds|, the port of a
    control plane, that feeds it and there is no file."""

    def __init__(self, room, *objects, args=(), env=None, workers=2, xds=None):
        self.room = Path(room)
        self.config = self.room / "config"
        self.config.mkdir()
        self.ready_port, self.stats_port, self.admin_port = free_ports(3)
        self.log_path = self.room / "log"
        self.access_log = self.room / "access.log"
        if xds:
            source, env = (), {**xds_environment(xds), **(env or {})}
        else:
            source = ("-f", str(self.config))
            self.apply(*objects)
        self.process = self._start((*source, *args), env or {}, workers)

    def _start(self, args, env, workers):
        # An access log that a test does not ask for goes to a file of its own.
        log = () if "--access-log" in args else ("--access-log", str(self.access_log))
        command = [BINARY, "--workers", str(workers), *log, *args]
        environment = {
            **os.environ,
            **sanitizer_environment(),
            "READINESS_ADDR": f"127.0.0.1:{self.ready_port}",
            "STATS_ADDR": f"127.0.0.1:{self.stats_port}",
            "ADMIN_ADDR": f"127.0.0.1:{self.admin_port}",
            "TERMINATION_GRACE_PERIOD_SECONDS": "10",
            **env,
        }
        with open(self.log_path, "wb") as log_file:
            return subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=log_file, stderr=subprocess.STDOUT, env=environment
            )

    def apply(self, *objects, name="objects.yaml"):
        """Replaces a file of the configuration in one step, as an editor would."""
        self.write(yaml.safe_dump_all(flat(objects), sort_keys=False), name)

    def write(self, text, name="objects.yaml"):
        scratch = self.room / "next"
        scratch.write_text(text)
        scratch.rename(self.config / name)

    def log(self):
        return self.log_path.read_text(errors="replace")

    def is_ready(self):
        if self.process.poll() is not None:
            raise RuntimeError(f"the gateway ended with {self.process.returncode}:\n{self.log()}")
        return client.ask(self.ready_port, path="/healthz/ready").status == 200

    def wait_ready(self):
        eventually(self.is_ready)
        return self

    def get(self, port, path):
        response = client.ask(port, path=path)
        assert response.status == 200, response
        return response.body.decode()

    def metrics(self):
        """{name{labels}: value}"""
        lines = (line.rsplit(" ", 1) for line in self.get(self.stats_port, "/metrics").splitlines() if line[:1] != "#")
        return {line[0]: float(line[1]) for line in lines if len(line) == 2}

    def metric(self, name, **labels):
        """The sum of all series of that name that carry these labels."""
        total = 0
        for series, value in self.metrics().items():
            found, _, rest = series.partition("{")
            if found == name and all(f'{key}="{wanted}"' in rest for key, wanted in labels.items()):
                total += value
        return total

    def dump(self):
        return json.loads(self.get(self.admin_port, "/config_dump"))

    def memory(self, field="VmHWM"):
        """Bytes of VmHWM (the peak) or VmRSS."""
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        return int(re.search(rf"{field}:\s+(\d+) kB", status).group(1)) * 1024

    def send_signal(self, number):
        self.process.send_signal(number)

    def stop(self, number=signal.SIGTERM):
        """Ends it and returns its exit code; its log must hold no sanitizer report."""
        if self.process.poll() is None:
            self.send_signal(number)
            try:
                self.process.wait(20)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
                raise AssertionError(f"did not end after {signal.Signals(number).name}:\n{self.log()}")
        reports = REPORT.findall(self.log())
        assert not reports, f"sanitizer report:\n{self.log()[-8000:]}"
        return self.process.returncode


def run(*args, env=None):
    """Runs the binary to its end."""
    environment = {**os.environ, **sanitizer_environment(), **(env or {})}
    return subprocess.run(
        [BINARY, *args], stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60, env=environment
    )
