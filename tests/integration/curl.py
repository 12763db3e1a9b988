"""curl as a client of either version: what it saw, in full."""

import subprocess
from dataclasses import dataclass

FRONTS = {"h1": "--http1.1", "h2": "--http2-prior-knowledge"}
WHOLE = 0
# Exit codes for an answer that was cut off: too few bytes, the connection reset; HTTP/2: the stream reset.
BROKEN = {"h1": {18, 56}, "h2": {92}}


@dataclass
class Saw:
    code: int
    heads: list  # [(status, {name: value})], interim ones too
    body: bytes

    @property
    def statuses(self):
        return [status for status, _ in self.heads]


def curl(front, url, *args, seconds=30):
    command = ["curl", "-sS", "-i", FRONTS[front], "--max-time", str(seconds), *args, url]
    result = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, timeout=seconds + 10)
    rest, heads = result.stdout, []
    while rest.startswith(b"HTTP/"):
        head, _, rest = rest.partition(b"\r\n\r\n")
        first, *lines = head.decode("latin-1").split("\r\n")
        heads.append((int(first.split(" ")[1]), {k.lower(): v for k, v in (line.split(": ", 1) for line in lines)}))
    return Saw(result.returncode, heads, rest)
