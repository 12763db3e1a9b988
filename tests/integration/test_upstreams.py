"""Which endpoint a request goes to, what becomes of those that fail, and how they are connected."""

import socket
import struct
import threading
import time
from collections import Counter
from types import SimpleNamespace

import pytest

import client
import manifests as m
from client import Connection
from gateway import SANITIZED, eventually, run
from ports import free_port
from upstream import Upstream
from upstream_process import Process
from xds_build import NAMESPACE, backend_ref, hostname, service_ref

SERVICE = {"service": {"namespace": NAMESPACE, "hostname": hostname("s")}}


@pytest.fixture
def site(plane, b, start_gateway):
    """site(*resources): a gateway of one worker, fed by |plane|, with a route for all to the Service s."""

    def start(*resources, workers=1, **options):
        port = free_port()
        plane.put(b.bind(port), b.listener(port), b.route("r", service_ref("s")), *resources)
        gateway = start_gateway(xds=plane.port, workers=workers, **options)
        return SimpleNamespace(port=port, gateway=gateway)

    return start


def names(port, n, **options):
    """Who answered |n| requests, one after the other on one connection."""
    seen = Counter()
    connection = Connection(port)
    for _ in range(n):
        answer = connection.ask(**options)
        seen[answer.json()["name"] if answer.status == 200 else answer.status] += 1
    connection.close()
    return seen


def two(b, start_upstream, **fields):
    """Two upstreams and their workloads; fields: of both workloads."""
    ups = {name: start_upstream(name) for name in ("v1", "v2")}
    return ups, [b.workload(name, up.port, ["s"], **fields) for name, up in ups.items()]


# --- choosing ---


def test_the_slow_endpoint_gets_less(site, b, start_upstream):
    ups, workloads = two(b, start_upstream)
    real = ups["v1"]._script_for("/")[0]

    def slow(request, stream):
        time.sleep(0.1)
        real(request, stream)

    ups["v1"].on("/", slow)
    gw = site(b.service("s"), *workloads)
    names(gw.port, 20)
    seen = names(gw.port, 60)
    # Both draws fall on it in a quarter of cases.
    assert 4 <= seen["v1"] <= 28, seen
    assert seen["v1"] + seen["v2"] == 60


def test_capacity_is_a_weight(site, b, start_upstream):
    ups = {name: start_upstream(name) for name in ("v1", "v2", "v3")}
    capacity = {"v1": 9, "v2": 1, "v3": 0}
    workloads = [b.workload(n, up.port, ["s"], capacity={"value": capacity[n]}) for n, up in ups.items()]
    gw = site(b.service("s"), *workloads)
    seen = names(gw.port, 200)
    assert seen["v3"] == 0
    # Weights make the draws, latency decides between two: the light one is left with a part of its tenth.
    assert 0 < seen["v2"] < 60 and seen["v1"] > 140, seen


def localities(b, start_upstream, mode):
    zones = {"v1": "a", "v2": "b", "v3": "c"}
    ups = {name: start_upstream(name) for name in zones}
    lb = {"routing_preference": ["REGION", "ZONE"], "mode": mode}
    workloads = [
        b.workload(n, up.port, ["s"], locality={"region": "eu" if zones[n] != "c" else "us", "zone": zones[n]})
        for n, up in ups.items()
    ]
    return ups, [b.service("s", load_balancing=lb), *workloads]


def test_the_nearest_first_and_the_next_when_it_is_gone(site, b, plane, start_upstream):
    ups, resources = localities(b, start_upstream, "FAILOVER")
    gw = site(*resources, env={"LOCALITY": "eu/a"})
    assert names(gw.port, 30) == {"v1": 30}
    near = {"region": "eu", "zone": "a"}
    plane.put(b.workload("v1", ups["v1"].port, ["s"], locality=near, status="UNHEALTHY"))
    eventually(lambda: names(gw.port, 10) == {"v2": 10})
    plane.remove(b.workload("v2", ups["v2"].port, ["s"]))
    eventually(lambda: names(gw.port, 10) == {"v3": 10})


def test_strict_leaves_the_others_out(site, b, start_upstream):
    _, resources = localities(b, start_upstream, "STRICT")
    gw = site(*resources, env={"LOCALITY": "eu/b"})
    assert names(gw.port, 30) == {"v2": 30}


def test_strict_with_nobody_near(site, b, start_upstream):
    _, resources = localities(b, start_upstream, "STRICT")
    gw = site(*resources, env={"LOCALITY": "eu/z"})
    eventually(lambda: names(gw.port, 3) == {503: 3})  # the route waits for endpoints at first


def test_where_we_are_is_what_our_own_workload_says(site, b, plane, start_upstream):
    _, resources = localities(b, start_upstream, "FAILOVER")
    gw = site(*resources)  # POD_NAME is gw-0
    assert len(names(gw.port, 60)) == 3
    plane.put(b.workload("gw-0", 1, locality={"region": "us", "zone": "c"}))
    eventually(lambda: names(gw.port, 10) == {"v3": 10})
    plane.put(b.workload("gw-0", 1, locality={"region": "eu", "zone": "b"}))
    eventually(lambda: names(gw.port, 10) == {"v2": 10})


def test_unhealthy_endpoints_only_if_asked_for(site, b, plane, start_upstream):
    up = start_upstream("v1")
    sick = b.workload("v1", up.port, ["s"], status="UNHEALTHY")
    gw = site(b.service("s"), sick)
    eventually(lambda: client.ask(gw.port).status == 503)
    plane.put(b.service("s", load_balancing={"health_policy": "ALLOW_ALL"}))
    eventually(lambda: client.ask(gw.port).status == 200)


# --- endpoints that fail ---


def health(b, **eviction):
    return b.policy("health", SERVICE, backend={"health": {"eviction": eviction}})


def test_an_endpoint_that_fails_is_left_out_and_comes_back(site, b, start_upstream):
    ups, workloads = two(b, start_upstream)
    echo = ups["v1"]._script_for("/")[0]
    ups["v1"].on("/", lambda request, stream: stream.respond(500))
    gw = site(b.service("s"), *workloads, health(b, duration={"seconds": 2}, consecutive_failures=2))
    began = time.monotonic()
    seen = names(gw.port, 100)
    assert time.monotonic() - began < 2 or SANITIZED
    assert seen[500] == 2, seen
    assert gw.gateway.metric("agentgateway_upstream_evictions_total") == 1
    assert gw.gateway.metric("agentgateway_upstream_evicted_endpoints") == 1
    ups["v1"].on("/", echo)
    eventually(lambda: names(gw.port, 10)["v1"] > 0)
    assert time.monotonic() - began > 1.9
    assert gw.gateway.metric("agentgateway_upstream_evicted_endpoints") == 0


def test_the_first_failure_is_enough_when_nothing_else_is_said(site, b, start_upstream):
    ups, workloads = two(b, start_upstream)
    ups["v1"].on("/", lambda request, stream: stream.respond(503))
    gw = site(b.service("s"), *workloads, health(b, duration={"seconds": 60}))
    seen = names(gw.port, 60)
    assert seen[503] == 1, seen


def test_all_are_evicted_and_serve_all_the_same(site, b, start_upstream):
    ups, workloads = two(b, start_upstream)
    for up in ups.values():
        up.on("/bad", lambda request, stream: stream.respond(500))
    gw = site(b.service("s"), *workloads, health(b, duration={"seconds": 60}))
    assert names(gw.port, 10, path="/bad") == {500: 10}
    assert gw.gateway.metric("agentgateway_upstream_evicted_endpoints") == 2
    assert sum(names(gw.port, 10).values()) == 10
    assert 503 not in names(gw.port, 10)


def test_without_the_policy_nobody_is_evicted(site, b, start_upstream):
    ups, workloads = two(b, start_upstream)
    ups["v1"].on("/", lambda request, stream: stream.respond(500))
    gw = site(b.service("s"), *workloads)
    names(gw.port, 40)
    assert gw.gateway.metric("agentgateway_upstream_evictions_total") == 0


def test_eviction_survives_a_change_of_the_service(site, b, plane, start_upstream):
    ups, workloads = two(b, start_upstream)
    ups["v1"].on("/", lambda request, stream: stream.respond(500))
    gw = site(b.service("s"), *workloads, health(b, duration={"seconds": 60}))
    names(gw.port, 30)
    third = start_upstream("v3")
    plane.put(b.workload("v3", third.port, ["s"]))
    eventually(lambda: names(gw.port, 20)["v3"] > 0)
    assert names(gw.port, 30)[500] == 0


def test_a_refused_connection_is_tried_elsewhere(site, b, start_upstream):
    up, dead = start_upstream("v1"), free_port()
    gw = site(b.service("s"), b.workload("v1", up.port, ["s"]), b.workload("v2", dead, ["s"]))
    seen = Counter(client.ask(gw.port, "POST", body=b"x").status for _ in range(40))
    assert seen == {200: 40}
    assert gw.gateway.metric("agentgateway_upstream_connect_failures_total") > 0
    assert len(up.requests) == 40  # each once


@pytest.mark.parametrize("end", ["closed", "reset"])
def test_a_connection_lost_before_the_answer_is_tried_elsewhere(site, b, start_upstream, end):
    """A new connection as well as a kept one; only what may be sent twice (RFC 9110 section 9.2.2)."""
    ups, workloads = two(b, start_upstream)

    def leave(request, stream):
        if end == "reset":
            stream.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            stream.file.close()
            stream.socket.close()
            raise client.Closed()
        return False

    ups["v1"].on("/", leave)
    gw = site(b.service("s"), *workloads)
    assert names(gw.port, 20) == {"v2": 20}
    posts = Counter(client.ask(gw.port, "POST", body=b"x").status for _ in range(20))
    assert posts[502] == sum(r.method == "POST" for r in ups["v1"].requests)
    assert posts[502] + posts[200] == 20
    assert len(ups["v1"].requests) > posts[502]  # a GET began there, too


class Clients:
    """Threads that ask without a pause: (began, ended, status or None when the connection broke)."""

    def __init__(self, port, n, method):
        self.port, self.method = port, method
        self.results = []
        self.over = threading.Event()
        self.threads = [threading.Thread(target=self._run, daemon=True) for _ in range(n)]
        for thread in self.threads:
            thread.start()

    def _run(self):
        body = b"x" if self.method == "POST" else None
        connection = Connection(self.port)
        while not self.over.is_set():
            began = time.monotonic()
            try:
                answer = connection.ask(self.method, path="/5", body=body)
                status, who = answer.status, answer.body.decode()
            except (client.Closed, OSError):
                status, who = None, None
                connection = Connection(self.port)
            self.results.append((began, time.monotonic(), status, who))

    def stop(self):
        self.over.set()
        for thread in self.threads:
            thread.join(30)
        return self.results


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_upstream_killed_and_restarted_under_load(site, b, method):
    """Only requests in flight on it fail; those that may be sent again do not."""
    one, other = Process("v1", free_port()), Process("v2", free_port())
    try:
        gw = site(b.service("s"), b.workload("v1", one.port, ["s"]), b.workload("v2", other.port, ["s"]), workers=2)
        load = Clients(gw.port, 8, method)
        time.sleep(0.7)
        killed = time.monotonic()
        one.kill()
        dead = time.monotonic()
        time.sleep(1)
        one.start()
        back = time.monotonic()
        eventually(lambda: any(began > back and who == "v1" for began, _, _, who in list(load.results)))
        results = load.stop()
    finally:
        one.kill()
        other.kill()
    assert len(results) > 200 or SANITIZED
    assert {who for began, ended, _, who in results if ended < killed} == {"v1", "v2"}
    failed = [r for r in results if r[2] != 200]
    if method == "GET":
        assert failed == []
    # One for each client; the next one, too, may meet a connection that the kernel has not closed yet.
    assert len(failed) <= 16
    assert all(began < dead and ended > killed for began, ended, _, _ in failed), (killed, dead, failed)
    assert all(status == 502 for _, _, status, _ in failed)


# --- limits of an endpoint ---


def hold(up, began, over):
    def handler(request, stream):
        began.release()
        over.wait(30)
        stream.respond(200, request.path)

    up.on("/hold", handler)


def held_requests(port, n, path="/hold"):
    """Connections with a request each, sent."""
    connections = [Connection(port) for _ in range(n)]
    for connection in connections:
        connection.request(path=path)
    return connections


@pytest.mark.parametrize("limit", ["UPSTREAM_MAX_REQUESTS", "UPSTREAM_MAX_PENDING"])
def test_what_is_too_much_for_an_endpoint_is_refused_at_once(limit, site, b, start_upstream):
    """Two go on, with a limit on connections and on requests or on those that wait; the third hears 503 now."""
    up, began, over = start_upstream("v1"), threading.Semaphore(0), threading.Event()
    hold(up, began, over)
    value = {"UPSTREAM_MAX_REQUESTS": "2", "UPSTREAM_MAX_PENDING": "1"}[limit]
    env = {limit: value, "UPSTREAM_MAX_CONNECTIONS": "1"}
    gw = site(b.service("s"), b.workload("v1", up.port, ["s"]), env=env)
    first = held_requests(gw.port, 1)
    assert began.acquire(timeout=10)
    second = held_requests(gw.port, 1)
    eventually(lambda: gw.gateway.metric("agentgateway_upstream_waiting_requests") == 1)
    before = time.monotonic()
    refused = client.ask(gw.port, path="/hold")
    assert (refused.status, refused.body) == (503, b"too many requests wait for the backend\n")
    assert time.monotonic() - before < 2
    eventually(lambda: gw.gateway.metric("agentgateway_upstream_overflows_total") == 1)
    over.set()
    assert [c.response().status for c in first + second] == [200, 200]
    assert client.ask(gw.port).status == 200
    assert up.connections == 1


def test_a_connection_serves_so_many_requests(site, b, start_upstream):
    up = start_upstream("v1")
    env = {"UPSTREAM_MAX_REQUESTS_PER_CONNECTION": "3"}
    gw = site(b.service("s"), b.workload("v1", up.port, ["s"]), env=env)
    assert names(gw.port, 9) == {"v1": 9}
    assert up.connections == 3


def test_an_old_connection_is_not_used_again(site, b, start_upstream):
    up = start_upstream("v1")
    env = {"UPSTREAM_MAX_CONNECTION_AGE_SECONDS": "1"}
    gw = site(b.service("s"), b.workload("v1", up.port, ["s"]), env=env)
    names(gw.port, 2)
    assert up.connections == 1
    time.sleep(1.1)
    names(gw.port, 1)
    assert up.connections == 2


@pytest.mark.parametrize("name, value, good", [
    ("UPSTREAM_MAX_PENDING", "many", False),
    ("UPSTREAM_MAX_PENDING", "0", False),
    ("UPSTREAM_MAX_PENDING", "-1", False),
    ("UPSTREAM_MAX_PENDING", "1000001", False),
    ("UPSTREAM_IDLE_TIMEOUT_SECONDS", "0", False),
    ("UPSTREAM_MAX_REQUESTS_PER_CONNECTION", "0", True),
    ("UPSTREAM_MAX_CONNECTION_AGE_SECONDS", "0", True),
])
def test_limits_must_be_numbers_in_range(tmp_path, name, value, good):
    result = run("-f", str(tmp_path), "--validate", env={name: value})
    assert (result.returncode != 2) == good
    assert good or name in result.stderr


# --- connecting ---


def unix_server(path):
    up = Upstream("unix")
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(path))
    listener.listen(16)
    old, up._listener = up._listener, listener
    old.close()
    threading.Thread(target=accept_unix, args=(up, listener), daemon=True).start()
    return up


def accept_unix(up, listener):
    while True:
        try:
            sock, _ = listener.accept()
        except OSError:
            return
        up._open.add(sock)
        threading.Thread(target=up._serve, args=(sock,), daemon=True).start()


@pytest.mark.parametrize("source", ["files", "xds"])
def test_a_unix_socket(source, tmp_path, start_gateway, plane, b):
    path = tmp_path / "sock"
    up = unix_server(path)
    port = free_port()
    if source == "files":
        backend = m.backend("u", {"static": {"unixPath": str(path)}})
        start_gateway(m.gateway(port), backend, m.route("r", m.rule(m.agentgateway_ref("u"))))
    else:
        backend = b._backend("u", static={"unix_path": str(path)})
        plane.put(b.bind(port), b.listener(port), backend, b.route("r", backend_ref("u")))
        start_gateway(xds=plane.port)
    for _ in range(3):
        answer = client.ask(port)
        assert (answer.status, answer.json()["name"]) == (200, "unix")
    path.unlink()
    up.close()
    eventually(lambda: client.ask(port).status == 503)


# --- dynamic forward proxy ---


@pytest.fixture(params=["files", "xds"])
def forward(request, start_gateway, plane, b):
    """A gateway that forwards where requests say."""
    port = free_port()
    if request.param == "files":
        backend = m.backend("f", {"dynamicForwardProxy": {}})
        gateway = start_gateway(m.gateway(port), backend, m.route("r", m.rule(m.agentgateway_ref("f"))))
    else:
        plane.put(b.bind(port), b.listener(port), b._backend("f", dynamic={}), b.route("r", backend_ref("f")))
        gateway = start_gateway(xds=plane.port)
    return SimpleNamespace(port=port, gateway=gateway)


def test_requests_go_where_they_say(forward, start_upstream):
    ups = {name: start_upstream(name) for name in ("v1", "v2")}
    for name, up in ups.items():
        for host in ("127.0.0.1", "localhost"):
            answer = client.ask(forward.port, host=f"{host}:{up.port}")
            assert (answer.status, answer.json()["name"]) == (200, name)
            assert up.requests[-1].get("host") == f"{host}:{up.port}"
    assert client.ask(forward.port, host=f"127.0.0.1:{free_port()}").status == 503
    assert client.ask(forward.port, host="no-such-host.invalid").status == 503
    assert client.ask(forward.port, host="127.0.0.1:0").status == 400


def test_many_hosts_are_a_bounded_load(forward, start_upstream):
    """More names than are kept, one after the other: each is refused or answered, and then all is well."""
    up = start_upstream("v1")
    seen = Counter()
    connections = [Connection(forward.port) for _ in range(4)]  # some for each worker
    for i in range(3000):
        answer = connections[i % 4].ask(host=f"h{i}.localhost:{up.port}")
        seen[answer.status, answer.body if answer.status != 200 else b""] += 1
    assert set(seen) <= {(200, b""), (503, b"requests name too many hosts\n")}, seen
    assert seen[200, b""] >= 1024
    eventually(lambda: client.ask(forward.port, host=f"again.localhost:{up.port}").status == 200)
    assert forward.gateway.metric("agentgateway_upstream_connections") <= 2 * 1024 + 1  # two workers


def stalled():
    """A port of 127.0.0.1 where connects are neither taken nor refused, and what keeps it so."""
    listener = socket.socket()
    listener.bind(("127.0.0.1", 0))
    listener.listen(0)
    held = [listener]
    for _ in range(8):
        sock = socket.socket()
        sock.setblocking(False)
        sock.connect_ex(listener.getsockname())
        held.append(sock)
    return listener.getsockname()[1], held


@pytest.mark.parametrize("source", ["files", "xds"])
def test_the_connect_timeout_of_a_backend(source, start_gateway, plane, b):
    dead, held = stalled()
    port = free_port()
    if source == "files":
        spec = {"static": {"host": "127.0.0.1", "port": dead}, "policies": {"tcp": {"connectTimeout": "300ms"}}}
        start_gateway(m.gateway(port), m.backend("d", spec), m.route("r", m.rule(m.agentgateway_ref("d"))))
    else:
        tcp = {"backend_tcp": {"connect_timeout": {"nanos": 300_000_000}}}
        target = {"backend": {"namespace": NAMESPACE, "name": "d"}}
        plane.put(b.bind(port), b.listener(port), b.static("d", dead), b.route("r", backend_ref("d")))
        plane.put(b.policy("tcp", target, backend=tcp))
        start_gateway(xds=plane.port)
    began = time.monotonic()
    answer = client.ask(port)
    assert (answer.status, answer.body) == (503, b"connecting to the backend timed out\n")
    assert 0.25 < time.monotonic() - began < 3
    for sock in held:
        sock.close()


# --- by value, in turn, for a session ---


def shared_by(b, start_upstream, **balancer):
    ups, workloads = two(b, start_upstream)
    policy = b.policy("lb", SERVICE, backend={"load_balancer": balancer})
    return ups, [b.service("s"), *workloads, policy]


def test_round_robin(site, b, start_upstream):
    _, resources = shared_by(b, start_upstream, type="ROUND_ROBIN")
    gw = site(*resources)
    assert names(gw.port, 20) == {"v1": 10, "v2": 10}


def by_value(value):
    """The Cookie, header and query of a request that has |value| for each."""
    return dict(path=f"/?u={value}", headers=[("cookie", f"other=1; u={value}"), ("x-user", value)])


@pytest.mark.parametrize(
    "source, name", [("HEADER", "X-User"), ("COOKIE", "u"), ("QUERY_PARAMETER", "u"), ("SOURCE_IP", "")]
)
def test_a_value_goes_to_one_endpoint_on_all_workers(source, name, site, b, start_upstream):
    hashed = {"source": source, "name": name}
    _, resources = shared_by(b, start_upstream, type="CONSISTENT_HASH", consistent_hash=hashed)
    gw = site(*resources, workers=2)
    owners = {}
    for value in "abcdefgh":
        for _ in range(3):  # a connection each, so on any worker
            seen = names(gw.port, 2, **by_value(value))
            assert len(seen) == 1, seen
            assert owners.setdefault(value, *seen) in seen
    assert len(set(owners.values())) == (1 if source == "SOURCE_IP" else 2), owners


def cookie_of(answer):
    return answer.get("set-cookie").split(";")[0]


def test_a_session_stays_with_its_backend_and_endpoint(plane, b, start_gateway, start_upstream):
    port, ups = free_port(), {name: start_upstream(name) for name in ("v1", "v2", "w1", "w2")}
    workloads = [b.workload(n, up.port, ["s" if n[0] == "v" else "t"]) for n, up in ups.items()]
    policies = [{"session_persistence": {"session_name": "stay"}}]
    route = b.route("r", [service_ref(name) for name in "st"], policies=policies)
    plane.put(b.bind(port), b.listener(port), route, b.service("s"), b.service("t"), *workloads)
    start_gateway(xds=plane.port, workers=2)
    met = set()
    for _ in range(12):
        first = client.ask(port)
        session = cookie_of(first)
        assert session.startswith("stay=")
        who = first.json()["name"]
        met.add(who)
        for _ in range(3):
            again = client.ask(port, headers=[("cookie", session)])
            assert again.json()["name"] == who
            assert again.get("set-cookie") is None
    assert len(met) > 2, met
    # Its endpoint is gone: another one serves, under a new session.
    plane.remove(*(w for w in workloads if w[1].endswith(f"/{who}")))
    eventually(lambda: client.ask(port, headers=[("cookie", session)]).json()["name"] != who)
    answer = client.ask(port, headers=[("cookie", session)])
    assert answer.status == 200 and cookie_of(answer) != session


def test_a_session_by_header_that_is_over(plane, b, start_gateway, start_upstream):
    port = free_port()
    ups, workloads = two(b, start_upstream)
    policies = [{"session_persistence": {"type": "HEADER", "session_name": "X-Stay", "idle_timeout": {"seconds": 1}}}]
    route = b.route("r", service_ref("s"), policies=policies)
    plane.put(b.bind(port), b.listener(port), route, b.service("s"), *workloads)
    start_gateway(xds=plane.port)
    first = client.ask(port)
    who, session = first.json()["name"], first.get("x-stay")
    for _ in range(8):
        again = client.ask(port, headers=[("x-stay", session)])
        assert again.json()["name"] == who
        session = again.get("x-stay") or session
    assert client.ask(port, headers=[("x-stay", "nonsense")]).get("x-stay")


# --- active checks ---


def checked(b, **check):
    fast = {"interval": {"nanos": 100_000_000}, "timeout": {"seconds": 1}, "unhealthy_threshold": 2, "healthy_threshold": 2}
    return b.policy("check", SERVICE, backend={"health": {"active": {**fast, **check}}})


def down(gw):
    return gw.gateway.metric("agentgateway_upstream_unhealthy_endpoints")


def test_who_does_not_pass_its_checks_gets_no_requests(site, b, plane, start_upstream):
    ups, workloads = two(b, start_upstream)
    state = {"v1": 503, "v2": 200}
    for name, up in ups.items():
        up.on("/health", lambda request, stream, name=name: stream.respond(state[name]))
    gw = site(b.service("s"), *workloads, checked(b, http={"path": "/health"}), workers=2)
    eventually(lambda: down(gw) == 1)
    for _ in range(4):  # on any worker
        assert names(gw.port, 5) == {"v2": 5}
    seen = ups["v1"].seen("/health")[0]
    assert seen.get("user-agent") == "agentgateway-health-check" and seen.get("host") == hostname("s")
    state["v1"] = 200
    eventually(lambda: down(gw) == 0)
    eventually(lambda: names(gw.port, 10)["v1"] > 0)
    state["v1"] = state["v2"] = 500  # when all are down, all serve
    eventually(lambda: down(gw) == 2)
    assert 503 not in names(gw.port, 10)
    plane.put(checked(b, http={"path": "/health", "expected_statuses": [500]}))
    eventually(lambda: down(gw) == 0)
    state["v1"] = 200
    eventually(lambda: down(gw) == 1)
    plane.put(b.policy("check", SERVICE, backend={"health": {}}))  # nobody checks any more
    eventually(lambda: down(gw) == 0)
    eventually(lambda: names(gw.port, 10)["v1"] > 0)


def test_checks_of_connections_and_of_those_that_say_nothing(site, b, plane, start_upstream):
    up, dead = start_upstream("v1"), free_port()
    stuck = socket.create_server(("127.0.0.1", 0))
    ports = {"v1": up.port, "dead": dead, "stuck": stuck.getsockname()[1]}
    workloads = [b.workload(name, port, ["s"]) for name, port in ports.items()]
    gw = site(b.service("s"), *workloads, checked(b))
    eventually(lambda: down(gw) == 1)  # a connection is all that is asked for
    plane.put(checked(b, http={}))
    eventually(lambda: down(gw) == 2)
    assert names(gw.port, 10) == {"v1": 10}
    assert gw.gateway.metric("agentgateway_upstream_health_checks_total") > 4
    stuck.close()
