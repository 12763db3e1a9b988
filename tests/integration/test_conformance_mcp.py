"""The fast part of ./dev conformance mcp: the public suite direct and through one target, both revisions."""

import os
import re
import subprocess
import sys

import pytest

from gateway import ROOT, SANITIZED

ROOM = ROOT / "tests/conformance/mcp"


@pytest.mark.skipif(SANITIZED, reason="the suite has its own time limits")
@pytest.mark.timeout(360)
def test_the_public_suite_through_one_target():
    install = ["timeout", "150", ROOM / "install.sh"]  # it and all that it started
    if subprocess.run(install, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL).returncode:
        pytest.skip("npm cannot bring its packages")
    environment = {**os.environ, "PYTHONDONTWRITEBYTECODE": "1"}
    command = [sys.executable, ROOM / "run.py", "--fast"]
    for _ in range(2):  # its scenarios have time limits, and a busy machine may miss one
        done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, env=environment)
        if done.returncode == 0:
            break
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-1000:]
    assert int(re.search(r"(\d+) passed, 0 failed$", done.stdout.strip())[1]) >= 67  # what the two revisions require
