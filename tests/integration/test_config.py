"""Configuration from files: checked before it is used, replaced without a lost request."""

import signal
import threading
import time
from types import SimpleNamespace

import pytest
import yaml

import manifests as m
from client import Connection, ask
from gateway import ROOT, SANITIZED, eventually, run
from ports import free_port, free_ports


@pytest.fixture
def site(start_gateway, start_upstream):
    one, two, port = start_upstream("one"), start_upstream("two"), free_port()

    def objects(target="one"):
        return [m.gateway(port), m.service("one", one.port), m.service("two", two.port), m.route("r", m.rule(target))]

    return SimpleNamespace(gateway=start_gateway(objects()), objects=objects, port=port, one=one, two=two)


def name(port):
    return ask(port).json()["name"]


def test_changed_file_takes_effect(site):
    assert name(site.port) == "one"
    site.gateway.apply(site.objects("two"))
    eventually(lambda: name(site.port) == "two")


def test_file_written_in_place_takes_effect(site):
    text = yaml.safe_dump_all(m.flat(site.objects("two")))
    (site.gateway.config / "objects.yaml").write_text(text)
    eventually(lambda: name(site.port) == "two")


def test_new_and_removed_files_take_effect(site):
    site.gateway.apply(m.route("extra", m.rule("two", matches=[m.prefix("/extra")])), name="extra.yaml")
    eventually(lambda: ask(site.port, path="/extra").json()["name"] == "two")
    (site.gateway.config / "extra.yaml").unlink()
    eventually(lambda: ask(site.port, path="/extra").json()["name"] == "one")


def test_other_files_are_left_alone(site):
    site.gateway.write("not: [yaml", name="notes.txt")
    site.gateway.write("not: [yaml", name=".hidden.yaml.swp")
    time.sleep(0.5)
    assert name(site.port) == "one"
    assert site.gateway.metric("agentgateway_config_reloads_total", result="error") == 0


def test_sighup_reads_the_files_again(site):
    before = site.gateway.metric("agentgateway_config_reloads_total")
    site.gateway.send_signal(signal.SIGHUP)
    eventually(lambda: site.gateway.metric("agentgateway_config_reloads_total") > before)
    assert name(site.port) == "one"


BAD = {
    "syntax": ("a: [1\n", ["objects.yaml", "2"]),
    "tab": ("a:\n\tb: 1\n", ["objects.yaml", "2"]),
    "duplicate key": ("apiVersion: v1\nkind: Service\nkind: Secret\nmetadata: {name: x}\n", ["objects.yaml", "3", "kind"]),
    "wrong type": (
        "apiVersion: v1\nkind: Service\nmetadata: {name: web, namespace: test}\nspec:\n  ports:\n    - port: eighty\n",
        ["objects.yaml", "6", "Service", "web", "port"],
    ),
    "out of range": (
        "apiVersion: v1\nkind: Service\nmetadata: {name: web, namespace: test}\nspec:\n  ports:\n    - port: 70000\n",
        ["objects.yaml", "6", "web", "port"],
    ),
    "missing name": ("apiVersion: v1\nkind: Service\nmetadata: {namespace: test}\nspec: {}\n", ["objects.yaml", "name"]),
    "bad regular expression": (
        yaml.safe_dump_all(
            [m.gateway(18080), m.route("r", m.rule(matches=[{"path": {"type": "RegularExpression", "value": "("}}]))]
        ),
        ["objects.yaml", "HTTPRoute", "r", "path"],
    ),
    "bad duration": (yaml.safe_dump(m.route("r", m.rule(timeouts={"request": "soon"}))), ["HTTPRoute", "timeouts"]),
    "bad path": (yaml.safe_dump(m.route("r", m.rule(matches=[m.prefix("no-slash")]))), ["HTTPRoute", "path"]),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_file_is_refused_with_its_place(tmp_path, case):
    text, words = BAD[case]
    (tmp_path / "objects.yaml").write_text(text)
    result = run("-f", str(tmp_path), "--validate")
    said = result.stdout + result.stderr
    assert result.returncode == 1, said
    for word in words:
        assert word in said, (word, said)


@pytest.mark.parametrize("case", ["syntax", "wrong type", "bad regular expression"])
def test_bad_file_is_refused_whole_and_the_old_config_serves(site, case):
    good = yaml.safe_dump_all(m.flat(site.objects("two")))
    site.gateway.write(good + "---\n" + BAD[case][0])
    eventually(lambda: site.gateway.metric("agentgateway_config_reloads_total", result="error") == 1)
    assert name(site.port) == "one"
    assert "objects.yaml" in site.gateway.log()
    site.gateway.write(good)
    eventually(lambda: name(site.port) == "two")


def test_validate_accepts_what_is_right(tmp_path, site):
    (tmp_path / "objects.yaml").write_text(yaml.safe_dump_all(m.flat(site.objects())))
    result = run("-f", str(tmp_path), "--validate")
    assert result.returncode == 0, result.stderr
    assert run("-f", str(tmp_path / "objects.yaml"), "--validate").returncode == 0


def test_quickstart_is_valid():
    result = run("-f", str(ROOT / "examples/quickstart"), "--validate")
    assert result.returncode == 0, result.stdout + result.stderr


@pytest.mark.parametrize("args", [["-f", "/nowhere/at-all", "--validate"], ["--validate"], ["--no-such-option"], ["--workers", "0", "-f", "."]])
def test_bad_command_line(args):
    result = run(*args)
    assert result.returncode in (1, 2) and result.stderr.strip()


def test_version_and_help():
    assert "agentgateway" in run("--version").stdout
    assert "--validate" in run("--help").stdout


def test_listeners_come_and_go(start_gateway, start_upstream):
    upstream = start_upstream()
    first, second = free_ports(2)

    def objects(*ports):
        listeners = [m.listener(port, f"p{port}") for port in ports]
        return [m.gateway(listeners=listeners), m.service("up", upstream.port), m.route("r", m.rule("up"))]

    def refused(port):
        try:
            ask(port)
        except ConnectionRefusedError:
            return True

    gateway = start_gateway(objects(first))
    with Connection(first) as kept:
        assert kept.ask().status == 200
        gateway.apply(objects(first, second))
        eventually(lambda: ask(second).status == 200)
        assert kept.ask().status == 200
        gateway.apply(objects(second))
        eventually(lambda: refused(first))
        assert ask(second).status == 200


def test_exchange_outlives_the_config_it_began_with(site):
    gate = threading.Event()

    def slow(request, stream):
        stream.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nfirst\r\n")
        gate.wait(20)
        stream.send("4\r\nlast\r\n0\r\n\r\n")

    site.one.on("/slow", slow)
    with Connection(site.port) as connection:
        connection.request(path="/slow")
        assert connection.head().status == 200
        for target in ("two", "one", "two"):
            site.gateway.apply(site.objects(target))
            eventually(lambda: name(site.port) == target)
        gate.set()
        rest = connection.stream.read(len(b"5\r\nfirst\r\n4\r\nlast\r\n0\r\n\r\n"))
        assert rest.endswith(b"4\r\nlast\r\n0\r\n\r\n")


def test_reloads_under_load_fail_no_request(site):
    """Requests on kept and new connections while the files change as fast as the gateway takes them."""
    stop = threading.Event()
    failures, done = [], [0]

    def client(keep):
        connection = None
        while not stop.is_set():
            try:
                connection = connection or Connection(site.port)
                answer = connection.ask("POST", "/x", body=b"hello")
                if answer.status != 200 or answer.json()["body"] != "hello":
                    failures.append(answer)
                done[0] += 1
            except Exception as error:
                failures.append(error)
                connection = None
            if not keep and connection:
                connection.close()
                connection = None

    threads = [threading.Thread(target=client, args=(n % 2 == 0,)) for n in range(8)]
    for thread in threads:
        thread.start()
    reloads = 30 if SANITIZED else 100
    for n in range(reloads):
        before = site.gateway.metric("agentgateway_config_version")
        site.gateway.apply(site.objects("one" if n % 2 else "two"))
        eventually(lambda: site.gateway.metric("agentgateway_config_version") > before)
    stop.set()
    for thread in threads:
        thread.join(30)
    assert not failures, failures[:5]
    assert done[0] > reloads
