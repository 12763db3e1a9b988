"""Rule 10: the server name picks the listener; a Host that another one serves better is answered 421, over any HTTP."""

import subprocess
from types import SimpleNamespace

import pytest

import manifests as m
from certificates import Authority
from client import Connection
from ports import free_port

# as the conformance suite has them: an exact name, two wildcards of one depth and one below, and the rest
LISTENERS = {"exact": "very.one.test", "wild": "*.one.test", "deep": "*.deep.one.test", "two": "two.test", "rest": None}
ROUTED = ["very.one.test", "known.one.test", "a.deep.one.test", "two.test", "known.rest"]

TABLE = [
    # server name, Host, status
    ("very.one.test", "very.one.test", 200),
    ("very.one.test", "VERY.one.test:443", 200),
    ("very.one.test", "known.one.test", 421),
    ("very.one.test", "two.test", 421),
    ("very.one.test", "known.rest", 421),  # the listener without a hostname serves it better
    ("known.one.test", "known.one.test", 200),
    ("known.one.test", "unknown.one.test", 404),  # the same listener, no route
    ("known.one.test", "very.one.test", 421),
    ("known.one.test", "a.deep.one.test", 421),
    ("x.one.test", "known.one.test", 200),  # another name of the same listener
    ("a.deep.one.test", "a.deep.one.test", 200),
    ("b.deep.one.test", "a.deep.one.test", 200),
    ("a.deep.one.test", "known.one.test", 421),
    ("two.test", "two.test", 200),
    ("two.test", "sub.two.test", 421),
    ("nobody.test", "known.rest", 200),  # an unknown server name falls to the listener without a hostname
    ("nobody.test", "unknown.rest", 404),
    ("nobody.test", "two.test", 421),
    (None, "known.rest", 200),
    (None, "very.one.test", 421),
]


@pytest.fixture(scope="module")
def site(tmp_path_factory, start_module_gateway, start_module_upstream):
    authority = Authority(tmp_path_factory.mktemp("ca"))
    pair = authority.issue("very.one.test", "*.one.test", "*.deep.one.test", "two.test", "nobody.test")
    port = free_port()
    listeners = [m.listener(port, name, host, "HTTPS", ["all"]) for name, host in LISTENERS.items()]
    start_module_gateway(
        m.gateway(listeners=listeners),
        m.tls_secret("all", *pair),
        m.service("up", start_module_upstream().port),
        m.route("r", m.rule("up"), hostnames=ROUTED),
    )
    return SimpleNamespace(port=port, ca=str(authority.certificate))


@pytest.mark.parametrize("server_name, host, status", TABLE)
def test_rule_10_host_against_server_name(site, server_name, host, status):
    with Connection(site.port, tls=site.ca, server_name=server_name) as connection:
        assert connection.ask(host=host).status == status


def curl(site, *args):
    command = ["curl", "-sS", "--http2", "--max-time", "20", "--cacert", site.ca, "-o", "/dev/null", *args]
    done = subprocess.run(command, capture_output=True, stdin=subprocess.DEVNULL, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout.split()


@pytest.mark.parametrize("server_name, host, status", [row for row in TABLE if row[0] and ":" not in row[1]])
def test_rule_10_over_http2(site, server_name, host, status):
    url = f"https://{server_name}:{site.port}/"
    target = ["--resolve", f"{server_name}:{site.port}:127.0.0.1", "-H", f"Host: {host}", "-w", "%{http_version} %{http_code}"]
    assert curl(site, *target, url) == ["2", str(status)]


def test_rule_10_a_reused_http2_connection(site):
    """One connection, requests for several hosts: each is judged on its own, and the connection goes on."""
    url = f"https://known.one.test:{site.port}/"
    common = ["--cacert", site.ca, "--resolve", f"known.one.test:{site.port}:127.0.0.1", "-o", "/dev/null"]
    out = ["-w", "%{num_connects} %{http_code}\n"]
    hosts = ["known.one.test", "two.test", "unknown.one.test", "known.one.test"]
    command = ["curl", "-sS", "--http2", "--max-time", "20"]
    for i, host in enumerate(hosts):
        command += [*(["--next", "-sS", "--http2"] if i else []), *common, *out, "-H", f"Host: {host}", url]
    done = subprocess.run(command, capture_output=True, stdin=subprocess.DEVNULL, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == ["1", "200", "0", "421", "0", "404", "0", "200"]
