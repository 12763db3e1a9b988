"""The quickstart as `./dev run` starts it, on its real ports."""

import os
import signal
import subprocess
import threading

import pytest
from client import ask
from controller import CONTROLLER
from gateway import BINARY, ROOT, sanitizer_environment

RUN = ROOT / "examples/quickstart/run.sh"


@pytest.mark.parametrize("more", [[], ["--xds", CONTROLLER]], ids=["files", "xds"])
def test_quickstart_starts_shows_itself_and_stops(more):
    environment = {**os.environ, **sanitizer_environment()}
    process = subprocess.Popen(
        [RUN, BINARY, *more], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=environment
    )
    watchdog = threading.Timer(90, process.terminate)
    watchdog.start()
    try:
        said = ""
        for line in process.stdout:
            said += line
            if "Ctrl-C stops" in line:
                break
        assert "Ctrl-C stops" in said, said
        for expected in ("everything: ", "memory: ", "Echo: hello through the gateway", "/agents/hello", "You said: I am Ada"):
            assert expected in said, (expected, said)
        assert "1 2 3 TASK_STATE_COMPLETED" in said, said
        assert said.count("$ curl ") == 6, said
        assert ask(15021, path="/healthz/ready").status == 200
    finally:
        watchdog.cancel()
        process.send_signal(signal.SIGTERM)
        rest, _ = process.communicate(timeout=30)
    assert process.returncode == 0, rest
    for port in (8080, 3101, 3102, 3201, 15021):
        try:
            ask(port)
        except ConnectionRefusedError:
            continue
        raise AssertionError(f"port {port} is still served")
