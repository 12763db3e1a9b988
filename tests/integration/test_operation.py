"""What an operator sees: readiness, metrics, access log, config dump; and a graceful end."""

import json
import signal
import socket
import threading
import time
from types import SimpleNamespace

import pytest

import h2client as h2
import manifests as m
from client import Closed, Connection, ask
from gateway import eventually, run
from ports import free_port


@pytest.fixture
def site(start_gateway, start_upstream):
    return serve(start_gateway, start_upstream)


def serve(start_gateway, start_upstream, **options):
    upstream, port = start_upstream(), free_port()
    objects = [m.gateway(port), m.service("up", upstream.port), m.route("r", m.rule("up", name="main"))]
    return SimpleNamespace(gateway=start_gateway(objects, **options), port=port, upstream=upstream, objects=objects)


def test_ready_only_with_a_configuration(start_gateway, start_upstream):
    """From the first time it says ready on, it serves."""
    upstream, port = start_upstream(), free_port()
    objects = [m.gateway(port), m.service("up", upstream.port), m.route("r", m.rule("up"))]
    gateway = start_gateway(objects, ready=False)
    while not ready(gateway):
        pass
    assert ask(port).status == 200


def ready(gateway):
    try:
        return gateway.is_ready()
    except (OSError, Closed):
        return False


def test_bad_configuration_at_the_start_is_never_ready(tmp_path):
    (tmp_path / "bad.yaml").write_text("apiVersion: v1\nkind: Service\nmetadata: {name: x}\nspec: 3\n")
    result = run("-f", str(tmp_path))
    assert result.returncode == 1
    assert "bad.yaml:4" in result.stderr + result.stdout


def test_other_pages_are_404_and_other_methods_405(site):
    for port in (site.gateway.ready_port, site.gateway.stats_port, site.gateway.admin_port):
        assert ask(port, path="/nowhere").status == 404
        assert ask(port, "DELETE", "/metrics" if port == site.gateway.stats_port else "/nowhere").status in (404, 405)


def test_metrics_count_requests(site):
    with Connection(site.port) as connection:
        for _ in range(10):
            connection.ask()
    site.upstream.on("/teapot", lambda request, stream: stream.respond(418))
    ask(site.port, path="/teapot")
    total = "agentgateway_requests_total"
    eventually(lambda: site.gateway.metric(total, code="200") == 10)
    assert site.gateway.metric(total, code="418") == 1
    series = [key for key in site.gateway.metrics() if key.startswith(total) and 'code="200"' in key][0]
    assert all(label in series for label in ('listener="', 'route="test/r', 'backend="'))
    assert site.gateway.metric("agentgateway_request_duration_seconds_count") == 11
    assert 0 < site.gateway.metric("agentgateway_request_duration_seconds_sum") < 60
    assert site.gateway.metric("agentgateway_downstream_connections_total") == 2
    eventually(lambda: site.gateway.metric("agentgateway_downstream_connections") == 0)
    assert site.gateway.metric("agentgateway_config_version") >= 1
    assert site.gateway.metric("agentgateway_config_synchronized") == 1
    eventually(lambda: site.gateway.metric("agentgateway_upstream_reuses_total") >= 8)
    assert site.gateway.metric("agentgateway_upstream_connects_total") <= 3


def test_histogram_is_well_formed(site):
    for _ in range(5):
        ask(site.port)
    name = "agentgateway_request_duration_seconds"
    eventually(lambda: site.gateway.metric(name + "_count") == 5)
    text = site.gateway.get(site.gateway.stats_port, "/metrics")
    assert f"# TYPE {name} histogram" in text
    buckets = [line for line in text.splitlines() if line.startswith(name + "_bucket")]
    values = [float(line.rsplit(" ", 1)[1]) for line in buckets]
    assert values == sorted(values) and values[-1] == 5 and 'le="+Inf"' in buckets[-1]


def test_metrics_of_connections_that_are_open(site):
    connections = [Connection(site.port) for _ in range(5)]
    for connection in connections:
        connection.ask()
    eventually(lambda: site.gateway.metric("agentgateway_downstream_connections") == 5)
    for connection in connections:
        connection.close()
    eventually(lambda: site.gateway.metric("agentgateway_downstream_connections") == 0)


def access_lines(gateway, wanted):
    def lines():
        found = gateway.access_log.read_text().splitlines()
        return found if len(found) >= wanted else None

    return eventually(lines)


def test_access_log_in_json(start_gateway, start_upstream):
    site = serve(start_gateway, start_upstream, args=("--access-log-format", "json"))
    ask(site.port, "POST", "/path?q=\"1\"", {"User-Agent": 'quote " and \\'}, b"12345")
    ask(site.port, path="/after")
    line = next(line for line in map(json.loads, access_lines(site.gateway, 2)) if line["method"] == "POST")
    assert line["method"] == "POST" and line["path"] == '/path?q="1"' and line["status"] == 200
    assert line["user_agent"] == 'quote " and \\'
    assert line["bytes_in"] == 5 and line["route"].startswith("test/r")
    assert line["upstream"].endswith(f":{site.upstream.port}")


def test_access_log_in_text_is_one_line_a_request(site):
    ask(site.port, path="/a%0ab", headers={"User-Agent": "x\ty z"})
    ask(site.port, path="/b")
    lines = access_lines(site.gateway, 2)
    line = next(line for line in lines if "/a%0ab" in line)  # workers write in any order
    assert len(lines) == 2
    assert "status=200" in line and '"x' in line


def test_access_log_to_stdout_and_off(start_gateway, start_upstream):
    site = serve(start_gateway, start_upstream, args=("--access-log", "stdout"))
    ask(site.port, path="/to-stdout")
    eventually(lambda: "/to-stdout" in site.gateway.log())
    quiet = serve(start_gateway, start_upstream, args=("--access-log", "off"))
    ask(quiet.port, path="/unheard")
    assert quiet.gateway.stop() == 0
    assert "/unheard" not in quiet.gateway.log()


def test_refused_requests_are_logged_and_counted(site):
    with Connection(site.port) as connection:
        connection.send("GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n")
        assert connection.response().status == 400
    eventually(lambda: site.gateway.metric("agentgateway_requests_total", code="400") == 1)
    assert any("protocol=HTTP/1.1 status=400" in line for line in access_lines(site.gateway, 1))
    with h2.H2(site.port) as connection:
        connection.get(1, ("host", "other"))
        connection.read_until(lambda kind, flags, stream, payload: kind == h2.HEADERS)
    assert any("protocol=HTTP/2 status=400" in line for line in access_lines(site.gateway, 2))


def test_config_dump_shows_what_is_served(site):
    dump = site.gateway.dump()
    text = json.dumps(dump)
    assert str(site.port) in text and "test" in text and '"r' in text
    assert f"{site.upstream.port}" in text


def test_admin_pages_are_on_loopback_alone():
    """The default addresses are part of the contract."""
    assert "127.0.0.1:15000" in run("--help").stdout


def test_log_level_can_be_changed(site):
    admin = site.gateway.admin_port
    assert ask(admin, "POST", "/logging?level=debug").status == 200
    assert ask(admin, "POST", "/logging?level=loud").status == 400


def test_sigterm_finishes_what_has_begun(site):
    begun, gate = threading.Event(), threading.Event()

    def slow(request, stream):
        stream.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nfirst\r\n")
        begun.set()
        gate.wait(10)
        stream.send("4\r\nlast\r\n0\r\n\r\n")

    site.upstream.on("/slow", slow)
    with Connection(site.port) as busy, Connection(site.port) as idle:
        assert idle.ask().status == 200
        busy.request(path="/slow")
        assert busy.head().status == 200
        assert begun.wait(10)
        site.gateway.send_signal(signal.SIGTERM)
        assert idle.at_end(), "an idle connection is closed"

        def refused():
            try:
                socket.create_connection(("127.0.0.1", site.port), timeout=5).close()
            except ConnectionRefusedError:
                return True

        eventually(refused)
        assert site.gateway.process.poll() is None
        gate.set()
        assert busy.stream.read().endswith(b"last\r\n0\r\n\r\n")
    assert site.gateway.process.wait(15) == 0


@pytest.mark.parametrize("said", [b"", b"PRI * HT"])
def test_drain_does_not_wait_for_those_who_never_asked(site, said):
    """A client or a load balancer that only connects, or stops within its first words."""
    with Connection(site.port) as silent:
        silent.send(said)
        eventually(lambda: site.gateway.metric("agentgateway_downstream_connections") == 1)
        before = time.monotonic()
        site.gateway.send_signal(signal.SIGTERM)
        assert site.gateway.process.wait(30) == 0
        assert time.monotonic() - before < 10, "less than a handshake may take"
        assert silent.at_end()


def test_drain_ends_at_its_deadline(start_gateway, start_upstream):
    site = serve(start_gateway, start_upstream, env={"TERMINATION_GRACE_PERIOD_SECONDS": "1"})
    gate = threading.Event()
    site.upstream.on("/never", lambda request, stream: gate.wait(20) and False)
    with Connection(site.port) as connection:
        connection.request(path="/never")
        eventually(lambda: site.upstream.seen("/never"))
        start = time.monotonic()
        assert site.gateway.stop() == 0
        assert time.monotonic() - start < 8
    gate.set()


def test_sigint_ends_it_too(site):
    assert site.gateway.stop(signal.SIGINT) == 0


def test_port_that_is_taken_is_said(start_gateway, start_upstream):
    """A Gateway's port that someone else holds spoils that listener, and is named in the log."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        upstream, free = start_upstream(), free_port()
        listeners = [m.listener(port, "taken"), m.listener(free, "free")]
        gateway = start_gateway(
            m.gateway(listeners=listeners), m.service("up", upstream.port), m.route("r", m.rule("up")), ready=False
        )
        eventually(lambda: str(port) in gateway.log())
        eventually(lambda: ask(free).status == 200)


def test_cpu_is_idle_when_nothing_happens(site):
    """No busy loop: half a second without traffic costs next to no CPU."""

    def cpu():
        stat = open(f"/proc/{site.gateway.process.pid}/stat").read().rsplit(")", 1)[1].split()
        return int(stat[11]) + int(stat[12])

    with Connection(site.port) as connection:
        connection.ask()
        time.sleep(0.3)
        before = cpu()
        time.sleep(1)
        assert cpu() - before <= 5  # clock ticks of 10 ms
