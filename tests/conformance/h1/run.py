#!/usr/bin/env python3
"""All cases of the corpus through one gateway; `N passed, N failed` at the end."""

import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parents[1] / "integration")]

import manifests as m  # noqa: E402
from cases import CASES, run  # noqa: E402
from gateway import Gateway  # noqa: E402
from judge import Judge, Upstream, Wrong  # noqa: E402
from ports import free_port  # noqa: E402


def main():
    with tempfile.TemporaryDirectory() as room:
        port, upstream, failed = free_port(), Upstream(), 0
        gateway = Gateway(room, m.gateway(port), m.service("up", upstream.port), m.route("all", m.rule("up")), workers=1).wait_ready()
        judge = Judge(port, upstream)
        try:
            for name, case in CASES.items():
                try:
                    run(judge, case)
                except Wrong as wrong:
                    failed += 1
                    print(f"{name} (RFC {case.rfc}): {wrong}")
        finally:
            ended = gateway.stop()
            upstream.close()
    failed += ended != 0
    print(f"{len(CASES) + 1 - failed} passed, {failed} failed")
    return failed > 0


if __name__ == "__main__":
    sys.exit(main())
