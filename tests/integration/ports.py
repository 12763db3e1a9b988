"""Ports for what a test starts: below the range from which the kernel hands out its own, so that nobody else gets one
between here and the bind of the process that it is for."""

import os
import random
import socket
from itertools import count

FIRST, LAST = 12000, 32000
_next = count(random.Random(os.getpid()).randrange(LAST - FIRST))


def _is_free(port):
    with socket.socket() as sock:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            sock.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def free_port():
    """One that nothing holds and that this process has not given out for a long time."""
    return next(port for n in _next if _is_free(port := FIRST + n % (LAST - FIRST)))


def free_ports(n):
    return [free_port() for _ in range(n)]
