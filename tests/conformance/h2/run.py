#!/usr/bin/env python3
"""h2spec against a running gateway with nginx behind it, over h2c and over TLS. A case that fails or is skipped fails the
run."""

import subprocess
import sys
import tempfile
import xml.etree.ElementTree as ElementTree
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parents[1] / "integration"))

import manifests as m  # noqa: E402
from certificates import Authority  # noqa: E402
from client import ask  # noqa: E402
from gateway import Gateway, eventually  # noqa: E402
from ports import free_ports  # noqa: E402

CASES_AT_LEAST = 145  # of h2spec 2.2.1: a run that found fewer did not run all
CASE_SECONDS = 2  # how long h2spec waits for what must come


def start_nginx(room, port):
    text = (HERE / "nginx.conf").read_text().replace("PORT", str(port)).replace("ROOM", str(room))
    (room / "nginx.conf").write_text(text)
    command = ["/usr/sbin/nginx", "-e", str(room / "error.log"), "-p", str(room), "-c", str(room / "nginx.conf")]
    process = subprocess.Popen(command, stdin=subprocess.DEVNULL)
    eventually(lambda: ask(port).status == 200)
    return process


def manifests(plain, secure, upstream, authority):
    certificate, key = authority.issue("localhost", "127.0.0.1")
    listeners = [m.listener(plain), m.listener(secure, "https", protocol="HTTPS", tls=["cert"])]
    return [
        m.gateway(listeners=listeners),
        m.tls_secret("cert", certificate, key),
        m.service("nginx", upstream),
        m.route("all", m.rule("nginx")),
    ]


def spec(tool, room, name, *options):
    """(passed, failed) of one run of the tool; what failed is shown."""
    report = room / f"{name}.xml"
    command = [tool, "-h", "127.0.0.1", "-S", "-o", str(CASE_SECONDS), "-j", str(report), *options]
    result = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True)
    cases = list(ElementTree.parse(report).iter("testcase"))
    passed = sum(1 for case in cases if not list(case))
    if passed < len(cases) or len(cases) < CASES_AT_LEAST or result.returncode:
        print(result.stdout)
    failed = len(cases) - passed + (len(cases) < CASES_AT_LEAST) + (passed == len(cases) and result.returncode != 0)
    print(f"h2spec, {name}: {len(cases)} cases, {passed} passed")
    return passed, failed


def main(tool):
    with tempfile.TemporaryDirectory() as name:
        room = Path(name)
        upstream, plain, secure = free_ports(3)
        nginx = start_nginx(room, upstream)
        gateway = None
        try:
            gateway = Gateway(room, manifests(plain, secure, upstream, Authority(room))).wait_ready()
            results = [
                spec(tool, room, "h2c", "-p", str(plain)),
                spec(tool, room, "h2", "-p", str(secure), "-t", "-k"),
            ]
            alive = ask(plain).status == 200 and gateway.process.poll() is None
        finally:
            nginx.terminate()
            nginx.wait()
            ended = gateway.stop() if gateway else 1
    results.append((1, 0) if alive and ended == 0 else (0, 1))
    passed, failed = (sum(column) for column in zip(*results))
    print(f"{passed} passed, {failed} failed")
    return failed > 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
