"""The controller from outside, by a client that shares nothing with it but the .proto files."""

import json
import signal
import subprocess

import grpc
import manifests as m
import pytest
import xds_proto
from certificates import Authority
from controller import CONTROLLER, Controller, Peer
from gateway import eventually, sanitizer_environment
from xds_proto import ADDRESS_TYPE, RESOURCE_TYPE

GW = "test~gw"


@pytest.fixture(scope="module")
def proto(tmp_path_factory):
    return xds_proto.load(tmp_path_factory.mktemp("proto"))


@pytest.fixture
def start_controller(tmp_path_factory):
    started = []

    def start(files, args=()):
        started.append(Controller(tmp_path_factory.mktemp("controller"), files, args))
        return started[-1]

    yield start
    assert not any([controller.stop() for controller in started]), started[-1].log()[-4000:]


@pytest.fixture
def connect(proto):
    peers = []

    def start(controller, role=GW, **options):
        peers.append(Peer(proto, controller.port, role, **options))
        return peers[-1]

    yield start
    for peer in peers:
        peer.close()


def one_route(name="r1", path="/one", gateway="gw"):
    parents = [{"name": gateway, "namespace": m.NAMESPACE}]
    return m.route(name, m.rule("v1", matches=[m.prefix(path)]), parents=parents)


def files(**more):
    return {"gateway.yaml": [m.gateway(8080)], "service.yaml": m.service("v1", 9001), "r1.yaml": [one_route()], **more}


def test_first_sync_of_both_types(start_controller, connect):
    addresses, resources = connect(start_controller(files())).sync()
    service = addresses["test/v1.test.svc.cluster.local"].service
    assert (service.name, service.ports[0].service_port) == ("v1", 80)
    workloads = {name: a.workload for name, a in addresses.items() if a.WhichOneof("type") == "workload"}
    assert [w.uid for w in workloads.values()] == list(workloads)
    ports = [w.services["test/v1.test.svc.cluster.local"].ports[0] for w in workloads.values()]
    assert [(port.service_port, port.target_port) for port in ports] == [(80, 9001)]
    assert resources["bind/8080/test/gw"].bind.port == 8080
    listener = resources["listener/test/gw.http"].listener
    assert (listener.bind_key, listener.name.gateway_name) == ("8080/test/gw", "gw")
    routes = [r.route for name, r in resources.items() if name.startswith("route/")]
    assert [r.listener_key for r in routes] == [listener.key]
    assert all(name == f"{r.WhichOneof('kind')}/{getattr(r, r.WhichOneof('kind')).key}" for name, r in resources.items())


def test_resume_by_version_sends_nothing_again(start_controller, connect):
    controller = start_controller(files())
    first = connect(controller)
    first.sync()
    controller.stop()
    controller.start()  # versions hold over a restart
    second = connect(controller)
    for type_url in (ADDRESS_TYPE, RESOURCE_TYPE):
        second.ask(type_url, {**first.versions(type_url), "route/gone": "1"})
        assert second.take(type_url) == ({}, ["route/gone"])
    assert second.quiet()


def test_a_change_is_all_that_is_sent(start_controller, connect):
    controller = start_controller(files(**{"r2.yaml": [one_route("r2", "/two")]}))
    peer = connect(controller)
    peer.sync()
    controller.write("r2.yaml", [one_route("r2", "/three")])
    came, removed = peer.take(RESOURCE_TYPE)
    assert [r.route.matches[0].path.path_prefix for r in came.values()] == ["/three"] and not removed
    controller.write("v2.yaml", m.service("v2", 9002))
    came, removed = peer.take(ADDRESS_TYPE)
    assert len(came) == 2 and "test/v2.test.svc.cluster.local" in came and not removed
    changed = [name for name in peer.have[RESOURCE_TYPE] if name.startswith("route/test/r2")]
    controller.remove("r2.yaml")
    assert peer.take(RESOURCE_TYPE) == ({}, changed)
    assert peer.quiet()


def test_a_bad_file_keeps_the_last_good_set(start_controller, connect):
    controller = start_controller(files())
    peer = connect(controller)
    peer.sync()
    controller.write("bad.yaml", [m.route("bad", {"backendRefs": [{"nam": "v1"}], "matches": 7})])
    controller.wait_log("the last good configuration keeps serving")
    assert controller.log().count("bad.yaml:") >= 2, "every finding is told"
    assert peer.quiet()
    late = connect(controller)
    assert "bind/8080/test/gw" in late.sync()[1]
    controller.write("bad.yaml", [one_route("bad", "/better")])
    came, _ = peer.take(RESOURCE_TYPE)
    assert [r.route.name.name for r in came.values()] == ["bad"]


def test_sighup_reads_again(start_controller):
    controller = start_controller(files())
    controller.process.send_signal(signal.SIGHUP)
    controller.wait_log("0 added, 0 changed, 0 removed")


def test_each_gateway_gets_its_own(start_controller, connect):
    other = m.gateway(8081, name="other")
    controller = start_controller(files(**{"other.yaml": [other, one_route("r9", "/nine", "other")]}))
    mine, its, unknown = (connect(controller, role) for role in (GW, "test~other", "test~later"))
    a, b, c = (peer.sync() for peer in (mine, its, unknown))
    assert a[0] == b[0] == c[0] and a[0], "services go to all"
    shared = set(c[1])
    assert not any(name.split("/")[0] in ("bind", "listener", "route") for name in shared)
    assert {name.split("/")[0] for name in set(a[1]) - shared} == {"bind", "listener", "route"}
    assert "bind/8080/test/gw" in a[1] and "bind/8081/test/other" in b[1]
    assert not (set(a[1]) & set(b[1])) - shared
    controller.write("later.yaml", [m.gateway(8082, name="later")])
    assert set(unknown.take(RESOURCE_TYPE)[0]) == {"bind/8082/test/later", "listener/test/later.http"}
    assert mine.quiet() and its.quiet()


def test_nacks_are_told_and_not_sent_again(start_controller, connect):
    controller = start_controller(files())
    peer = connect(controller)
    peer.ask(RESOURCE_TYPE)
    peer.take(RESOURCE_TYPE, answer=False)
    report = [{"key": "route/test/r1.00", "error": "no\nway"}, {"key": "bind/8080/test/gw", "warn": "odd"}]
    peer.answer(RESOURCE_TYPE, nonce="of another stream", error=json.dumps(report))
    peer.answer(RESOURCE_TYPE, error=json.dumps(report))
    controller.wait_log("bind/8080/test/gw: taken with a warning: odd")
    lines = [line for line in controller.log().splitlines() if " warn nack: " in line]
    assert len(lines) == 2 and all("gateway test~gw (agentgateway~127.0.0.1~pod.test~" in line for line in lines)
    assert "route/test/r1.00: refused: no" in lines[0]
    assert peer.quiet()
    controller.write("r1.yaml", [one_route(path="/other")])
    assert len(peer.take(RESOURCE_TYPE, answer=False)[0]) == 1
    peer.answer(RESOURCE_TYPE, error="any text")
    controller.wait_log(f"{RESOURCE_TYPE}: any text")


def test_one_response_waits_for_its_answer(start_controller, connect):
    controller = start_controller(files())
    slow, good = connect(controller), connect(controller)
    good.sync()
    slow.ask(RESOURCE_TYPE)
    slow.take(RESOURCE_TYPE, answer=False)
    for i in range(5):
        controller.write("r1.yaml", [one_route(path=f"/v{i}")])
        came, _ = good.take(RESOURCE_TYPE)
        assert [r.route.matches[0].path.path_prefix for r in came.values()] == [f"/v{i}"]
    assert slow.quiet()
    slow.answer(RESOURCE_TYPE)
    came, _ = slow.take(RESOURCE_TYPE)  # the five in one
    assert [r.route.matches[0].path.path_prefix for r in came.values()] == ["/v4"]
    assert slow.quiet()


def many_routes(n, version):
    host = f"v{version}.example.com"
    return [m.route(f"m{i}", m.rule("v1", matches=[m.prefix(f"/{i}")]), hostnames=[host]) for i in range(n)]


def test_a_client_that_never_reads_delays_nobody(start_controller, connect):
    """Its window is full, and the changes go on."""
    controller = start_controller(files(**{"many.yaml": many_routes(1000, 0)}))
    for _ in range(4):
        connect(controller, reads=False).ask(RESOURCE_TYPE)
    eventually(lambda: controller.log().count("connects for test~gw") == 4)
    good = connect(controller)
    good.sync()
    for version in range(1, 4):
        controller.write("many.yaml", many_routes(1000, version))
        assert len(good.take(RESOURCE_TYPE)[0]) == 1000


def test_other_methods_and_requests(start_controller, connect, proto):
    controller = start_controller(files())
    with grpc.insecure_channel(f"127.0.0.1:{controller.port}") as channel:
        for method in (xds_proto.STREAM_METHOD, "/other/Method"):
            with pytest.raises(grpc.RpcError) as error:
                list(channel.stream_stream(method)(iter([b""])))
            assert error.value.code() == grpc.StatusCode.UNIMPLEMENTED
    cases = [
        (None, (), grpc.StatusCode.INVALID_ARGUMENT, "role"),
        ("gw", (), grpc.StatusCode.INVALID_ARGUMENT, "<namespace>~<gateway>"),
        (GW, ("route/a",), grpc.StatusCode.UNIMPLEMENTED, "as a whole"),
    ]
    for role, names, code, text in cases:
        peer = connect(controller, role)
        peer.ask(RESOURCE_TYPE, names=names)
        found, details = peer.status()
        assert found == code and text in details
    with grpc.insecure_channel(f"127.0.0.1:{controller.port}") as channel:
        with pytest.raises(grpc.RpcError) as error:
            list(channel.stream_stream(xds_proto.DELTA_METHOD)(iter([b"\x0a\xff\xff"])))
        assert error.value.code() == grpc.StatusCode.INVALID_ARGUMENT
    other = connect(controller)
    other.ask("type.googleapis.com/envoy.config.cluster.v3.Cluster")
    response = other.responses.get(timeout=10)
    assert response.type_url.endswith("Cluster") and not response.resources and response.nonce
    assert "bind/8080/test/gw" in other.sync()[1]


def test_tls(start_controller, connect, tmp_path):
    authority = Authority(tmp_path)
    certificate, key = authority.issue("controller.test")
    (tmp_path / "tls.crt").write_text(certificate)
    (tmp_path / "tls.key").write_text(key)
    args = ("--tls-cert", str(tmp_path / "tls.crt"), "--tls-key", str(tmp_path / "tls.key"))
    controller = start_controller(files(), args)
    credentials = grpc.ssl_channel_credentials(authority.certificate.read_bytes())
    named = [("grpc.ssl_target_name_override", "controller.test")]
    assert "bind/8080/test/gw" in connect(controller, credentials=credentials, options=named).sync()[1]
    plain = connect(controller)
    plain.ask(RESOURCE_TYPE)
    assert plain.status()[0] == grpc.StatusCode.UNAVAILABLE


def test_ends_cleanly_with_clients(start_controller, connect):
    controller = start_controller(files())
    peers = [connect(controller) for _ in range(3)]
    for peer in peers:
        peer.sync()
    assert controller.stop(signal.SIGINT) == 0
    assert all(peer.status()[0] == grpc.StatusCode.UNAVAILABLE for peer in peers)


def run(*args):
    environment = {"PATH": "/usr/bin:/bin", **sanitizer_environment()}
    return subprocess.run([CONTROLLER, *args], capture_output=True, text=True, timeout=60, env=environment)


def test_options(start_controller, tmp_path):
    controller = start_controller(files())
    good, bad = str(controller.folder), tmp_path / "bad.yaml"
    bad.write_text("kind: Nothing\n")
    assert run("--manifests", good, "--validate").returncode == 0
    refused = run("--manifests", str(bad), "--validate")
    assert refused.returncode == 1 and "bad.yaml" in refused.stderr
    assert run("--manifests", str(bad), "--xds-addr", "127.0.0.1:0").returncode == 1
    assert run("--help").returncode == 0 and "agentgateway-controller" in run("--version").stdout
    for args in ([], ["--manifests", good, "--tls-cert", "x"], ["--manifests", good, "--xds-addr", "host:1"], ["x"]):
        assert run(*args).returncode == 2
    missing = run("--manifests", good, "--xds-addr", "127.0.0.1:0", "--tls-cert", "none", "--tls-key", "none")
    assert missing.returncode == 1 and "none: No such file" in missing.stderr
    junk = run("--manifests", good, "--xds-addr", "127.0.0.1:0", "--tls-cert", str(bad), "--tls-key", str(bad))
    assert junk.returncode == 1 and "certificate" in junk.stderr
    taken = run("--manifests", good, "--xds-addr", f"127.0.0.1:{controller.port}")
    assert taken.returncode == 1 and "cannot listen" in taken.stderr
    assert eventually(lambda: controller.process.poll() is None)
