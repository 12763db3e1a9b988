"""A gateway that a control plane feeds over delta xDS: what it asks, takes, refuses, and serves."""

import itertools
import json
import os
import random
import ssl
import time

import pytest

import client
from certificates import Authority
from client import Connection
from gateway import SANITIZED, eventually
from mcp_upstream import McpClient, McpUpstream
from ports import free_port
from servers import Server, run_script
from xds_build import backend_ref, direct_response, response_headers, service_ref
from xds_control_plane import ControlPlane
from xds_load import KeepAlive, Poller, judge
from xds_proto import ADDRESS_TYPE, RESOURCE_TYPE

ROUTE = "route/test/r.00"
UNKNOWN_FIELD = b"\xfa\xff\x07\x03new"  # field 16383, three bytes
NEW_ARM = b"\xf2\x3f\x00"  # field 1022, an empty message: an arm of a oneof that this version does not know


def refused(port):
    try:
        client.Connection(port).close()
        return False
    except ConnectionRefusedError:
        return True


# --- the beginning ---


def test_cold_start_waits_for_both_types(fed, plane):
    plane.hold(ADDRESS_TYPE, RESOURCE_TYPE)
    site = fed(ready=False)
    plane.wait_stream()
    ready = client.ask(site.gateway.ready_port, path="/healthz/ready")
    assert (ready.status, ready.body) == (500, b"not ready, pending: xds: addresses, resources\n")
    plane.release(RESOURCE_TYPE)
    assert plane.answer().error is None
    ready = client.ask(site.gateway.ready_port, path="/healthz/ready")
    assert (ready.status, ready.body) == (500, b"not ready, pending: xds: addresses\n")
    assert refused(site.port), "half of a configuration must not serve"
    plane.release(ADDRESS_TYPE)
    site.gateway.wait_ready()
    assert site.served_by() == "v1"


def test_the_first_requests_say_who_asks_and_nothing_else(fed, plane):
    fed(env={"INSTANCE_IP": "10.1.2.3", "NODE_NAME": "node-7"})
    stream = plane.wait_stream()
    first, second = [r.message for r in stream.received if not r.nonce]
    assert [first.type_url, second.type_url] == [ADDRESS_TYPE, RESOURCE_TYPE]
    node = stream.node
    assert node.id == "agentgateway~10.1.2.3~gw-0.test~test.svc.cluster.local"
    wanted = {"role": "test~gw", "GATEWAY_NAME": "gw", "NAMESPACE": "test", "NAME": "gw-0", "NODE_NAME": "node-7"}
    assert {key: node.metadata[key] for key in wanted} == wanted and node.metadata["INSTANCE_IPS"] == "10.1.2.3"
    for message in (first, second):
        assert not message.resource_names_subscribe and not message.initial_resource_versions
    for answer in (r.message for r in stream.received if r.nonce):
        assert not answer.HasField("node") and not answer.HasField("error_detail")
        assert not answer.resource_names_subscribe and not answer.initial_resource_versions


def test_a_changed_token_and_more_headers_go_with_the_next_stream(fed, plane, tmp_path):
    token = tmp_path / "token"
    token.write_text("one")
    fed(env={"XDS_AUTH_TOKEN": str(token), "XDS_HEADER_x_more": "yes"})
    metadata = plane.wait_stream().metadata
    assert (metadata["authorization"], metadata["clusterid"]) == ("Bearer one", "Kubernetes")
    assert metadata["x_more"] == "yes"
    token.write_text("two")
    plane.close_streams()
    assert plane.wait_stream(2).metadata["authorization"] == "Bearer two"


@pytest.mark.skipif(os.environ.get("AGW_BUILD") == "tsan", reason="the TLS inside gRPC is not instrumented: false reports")
def test_control_plane_by_tls(fed, proto, b, tmp_path):
    authority, room = Authority(tmp_path), tmp_path / "stranger"
    room.mkdir()
    with ControlPlane(proto, certificate=authority.issue("localhost")) as plane:
        port = free_port()
        plane.put(b.bind(port), b.listener(port), b.route("d", [], policies=[direct_response(204)]))
        env = {"XDS_ADDRESS": f"https://localhost:{plane.port}", "XDS_ROOT_CA": str(authority.certificate)}
        fed(env=env)
        assert client.ask(port).status == 204
        stranger = Authority(room)
        untrusting = fed(env={**env, "XDS_ROOT_CA": str(stranger.certificate)}, ready=False)
        before = len(plane.streams)
        time.sleep(0.5)
        assert len(plane.streams) == before
        assert client.ask(untrusting.gateway.ready_port, path="/healthz/ready").status == 500


# --- changes ---


def test_after_the_ack_every_worker_serves_the_change(fed, plane, b):
    site = fed()
    connections = site.connections()
    for number in range(10):
        up = f"v{number % 2 + 1}"
        answer = plane.ask(b.route("r", backend_ref(up), policies=[response_headers(x_number=str(number))]))
        assert answer.error is None
        for connection in connections:
            served = connection.ask()
            assert (served.json()["name"], served.get("x-number")) == (up, str(number))
    for connection in connections:
        connection.close()


def test_added_and_removed_routes(fed, plane, b):
    site = fed()
    more = b.route("more", backend_ref("v2"), hosts=["more.test"])
    assert plane.ask(more).error is None
    assert site.served_by(host="more.test") == "v2" and site.served_by() == "v1"
    before = len(plane.requests)
    plane.remove(more, b.route("r", backend_ref("v1")))
    plane.wait(lambda: len([r for r in plane.requests[before:] if r.nonce]) == 2)
    assert site.served_by(host="more.test") == 404 and site.served_by() == 404


def test_a_policy_that_targets_a_route_comes_and_goes(fed, plane, b):
    site = fed()
    target = {"route": {"name": "r", "namespace": "test", "kind": "HTTPRoute"}}
    policy = b.policy("p", target, traffic=response_headers(x_policy="yes"))
    assert plane.ask(policy).error is None
    assert site.ask().get("x-policy") == "yes"
    before = len(plane.requests)
    plane.remove(policy)
    assert plane.answer(after=before).error is None
    assert site.ask().get("x-policy") is None


def test_services_and_workloads_come_and_go(fed, plane, b):
    site = fed()
    one, two = (site.ups[name].port for name in ("v1", "v2"))
    plane.ask(b.service("s"), b.workload("a", one, ["s"]))
    assert plane.ask(b.route("s", service_ref("s"), hosts=["s.test"])).error is None
    assert {site.served_by(host="s.test") for _ in range(8)} == {"v1"}
    plane.ask(b.workload("b", two, ["s"]))
    eventually(lambda: {site.served_by(host="s.test") for _ in range(16)} == {"v1", "v2"})
    before = len(plane.requests)
    plane.remove(b.workload("a", one))
    plane.answer(ADDRESS_TYPE, before)
    assert {site.served_by(host="s.test") for _ in range(8)} == {"v2"}


# --- what is wrong with some of it ---


def test_one_bad_resource_among_many_is_refused_alone(fed, plane, b):
    site = fed()
    many = [b.route(f"m{i}", backend_ref("v2"), hosts=[f"m{i}.test"]) for i in range(20)]
    bad = (RESOURCE_TYPE, ROUTE, b"\x1a\x05xx")
    report = plane.ask(*many[:10], bad, *many[10:]).report()
    assert set(report) == {ROUTE} and set(report[ROUTE]) == {"key", "error"}
    assert report[ROUTE]["error"]
    assert {site.served_by(host=f"m{i}.test") for i in range(20)} == {"v2"}
    assert site.served_by(host="other.test") == "v1", "its last good version serves on"
    plane.close_streams()
    again = plane.wait_stream(2)
    versions = [r for r in again.received if r.type_url == RESOURCE_TYPE][0].versions
    assert versions.get(ROUTE, "") == "" and {f"route/test/m{i}.00" for i in range(20)} <= set(versions)
    plane.wait(lambda: len(plane.nacks()) == 2)  # what it does not have it gets again
    assert plane.ask(b.route("r", backend_ref("v2"))).error is None
    assert site.served_by(host="other.test") == "v2"


def test_what_does_not_fit_together_is_refused_with_the_reason(fed, plane, b):
    site = fed()
    report = plane.ask(
        b.bind(0),
        b.listener(site.port, protocol="HTTPS"),
        b.static("nowhere", 0),
        b.route("nowhere", backend_ref("nowhere"), hosts=["nowhere.test"]),
        b.route("fine", backend_ref("v2"), hosts=["fine.test"]),
    ).report()
    errors = {key: item.get("error") for key, item in report.items()}
    assert errors["listener/test/gw.http"] == "protocol HTTPS needs tls"
    assert errors["backend/test/nowhere"] == 'static: host "127.0.0.1" port 0 is no address'
    assert errors["bind/0/test/gw"] == "port 0 is out of range"
    assert len(errors) == 3
    assert site.served_by() == "v1" and site.served_by(host="fine.test") == "v2"


def unserved(b):
    yield (RESOURCE_TYPE, "model_route/test/m", b.pb.Resource(model_route={"key": "test/m"}))
    yield (RESOURCE_TYPE, "route_group/test/g", b.pb.Resource(route_group={"key": "test/g"}))
    yield (RESOURCE_TYPE, "backend/test/ai", b.pb.Resource(backend={"key": "test/ai", "ai": {}}))


def test_kinds_that_are_not_served_are_warned_of_by_key(fed, plane, b):
    site = fed()
    fine = b.route("fine", backend_ref("v2"), hosts=["fine.test"])
    report = plane.ask(*unserved(b), fine).report()
    assert set(report) == {name for _, name, _ in unserved(b)}
    assert all(set(item) == {"key", "warn"} and item["warn"] for item in report.values())
    assert site.served_by(host="fine.test") == "v2"
    plane.close_streams()
    versions = [r for r in plane.wait_stream(2).received if r.type_url == RESOURCE_TYPE][0].versions
    assert set(report) <= set(versions), "a warning is no refusal"


def test_what_a_newer_control_plane_says_breaks_nothing(fed, plane, b):
    site = fed()
    type_url, name, message = b.route("new", backend_ref("v2"), hosts=["new.test"])
    message.route.MergeFromString(UNKNOWN_FIELD)
    assert plane.ask((type_url, name, message.SerializeToString() + UNKNOWN_FIELD)).error is None
    assert site.served_by(host="new.test") == "v2"
    _, odd_name, odd = b.listener(site.port, "odd")
    odd.listener.protocol = 77
    report = plane.ask((type_url, odd_name, odd), (type_url, "marvel/x", NEW_ARM)).report()
    assert report["marvel/x"]["error"] == "resource of no known kind"
    assert "77" in report[odd_name]["error"]
    assert site.served_by(host="new.test") == "v2" and len(plane.streams) == 1


def test_a_response_of_a_type_nobody_asked_for(fed, plane, b, proto):
    site = fed()
    plane.wait_stream()
    other = "type.googleapis.com/istio.security.Authorization"
    plane.send_bytes(proto.xds.DeltaDiscoveryResponse(type_url=other, nonce="n").SerializeToString())
    plane.wait(plane.nacks)
    assert plane.nacks()[0].type_url == other and "not asked for" in plane.nacks()[0].error
    assert plane.ask(b.route("r", backend_ref("v2"))).error is None
    assert site.served_by() == "v2" and len(plane.streams) == 1


# --- any order ---


def permutations():
    all_orders = list(itertools.permutations(range(7)))
    return random.Random(20).sample(all_orders, 4 if SANITIZED else 24)


def test_resources_in_any_order_give_404_then_200(fed, plane, b):
    site = fed()
    up = site.ups["v2"].port
    for number, order in enumerate(permutations()):
        port, name = free_port(), f"p{number}"
        resources = [
            b.service(name),
            b.workload(name, up, [name]),
            b.static(name, up),
            b.route(f"{name}-s", service_ref(name), hosts=["s.test"], listener=name),
            b.route(f"{name}-b", backend_ref(name), hosts=["b.test"], listener=name),
            b.listener(port, name),
            b.bind(port),
        ]
        pollers = [Poller(port, host, 0.002) for host in ("s.test", "b.test")]
        plane.put_each([resources[i] for i in order], pause=0.01)
        for poller in pollers:
            eventually(lambda poller=poller: poller.good > 2)
            poller.stop()
            assert [o for o in poller.seen if o != "refused"] in ([404, 200], [200]), (order, poller.seen)
        plane.remove(*resources)
    assert not plane.nacks()


def test_hosts_one_after_another_never_fail(fed, plane, b):
    """The route probe: each host is asked for from before it exists."""
    site = fed()
    up, choose = site.ups["v2"].port, random.Random(21)
    plane.remove(b.route("r", backend_ref("v1")))
    eventually(lambda: site.served_by() == 404)
    for number in range(10 if SANITIZED else 100):
        name, host = f"h{number}", f"h{number}.test"
        resources = [
            b.service(name),
            b.workload(name, up, [name]),
            b.route(name, service_ref(name), hosts=[host]),
        ]
        choose.shuffle(resources)
        seen = [site.served_by(host=host)]
        for resource in resources:
            plane.put(resource)
            seen += [site.served_by(host=host) for _ in range(3)]
        eventually(lambda host=host, seen=seen: seen.append(site.served_by(host=host)) or seen[-1] == "v2")
        assert [one for one, _ in itertools.groupby(seen)] == [404, "v2"], (resources, seen)


# --- listeners ---


def test_ports_open_move_and_close_without_a_word_to_others(fed, plane, b):
    site = fed()
    kept = KeepAlive(site.port, pause=0.002)
    port = free_port()
    bind, listener = b.bind(port), b.listener(port, "more")
    route = b.route("more", backend_ref("v2"), listener="more")
    assert refused(port)
    assert plane.ask(bind, listener, route).error is None
    eventually(lambda: client.ask(port).json()["name"] == "v2")
    with Connection(port) as held:
        assert held.ask(host="a.test").status == 200
        assert plane.ask(b.listener(port, "more", host="a.test")).error is None
        assert held.ask(host="a.test").status == 200 and held.ask(host="b.test").status == 404
    plane.remove(bind, listener, route)
    eventually(lambda: refused(port))
    judge([kept])


def test_a_new_certificate_leaves_open_connections_alone(fed, plane, b, tmp_path):
    authority, port = Authority(tmp_path), free_port()
    before, after = authority.issue("before.test"), authority.issue("after.test")
    site = fed(
        b.bind(port, protocol="TLS"),
        b.listener(port, "tls", protocol="HTTPS", certificate=before),
        b.route("tls", backend_ref("v2"), listener="tls"),
    )
    ca = str(authority.certificate)
    with Connection(port, tls=ca, server_name="before.test") as held:
        assert held.ask().status == 200
        assert plane.ask(b.listener(port, "tls", protocol="HTTPS", certificate=after)).error is None
        with Connection(port, tls=ca, server_name="after.test") as new:
            assert new.ask().json()["name"] == "v2"
        assert held.ask().status == 200
        report = plane.ask(b.listener(port, "tls", protocol="HTTPS", certificate=("no", "pem"))).report()
        assert list(report) == ["listener/test/gw.tls"]
        assert "handshakes are refused" in report["listener/test/gw.tls"]["warn"]
        with pytest.raises((ssl.SSLError, ConnectionError)):
            Connection(port, tls=ca, server_name="after.test")
    assert site.served_by() == "v1"


# --- what it says of itself ---


def test_metrics_and_dump_show_generation_age_and_connection(fed, plane, b):
    site = fed()
    gateway, now = site.gateway, time.time()
    generation = gateway.metric("agentgateway_config_version")
    assert gateway.metric("agentgateway_xds_connected") == 1
    assert gateway.metric("agentgateway_xds_streams_total") == 1
    assert gateway.metric("agentgateway_config_from_disk") == 0
    assert plane.ask(b.route("r", backend_ref("v2"))).error is None
    plane.ask((RESOURCE_TYPE, ROUTE, b"\xff"))
    eventually(lambda: gateway.metric("agentgateway_xds_responses_total", type="resource", result="nack") == 1)
    assert gateway.metric("agentgateway_xds_responses_total", type="resource", result="ack") >= 2
    assert gateway.metric("agentgateway_config_version") > generation
    assert now - 60 < gateway.metric("agentgateway_config_published_timestamp_seconds") < now + 60
    assert gateway.metric("agentgateway_xds_apply_seconds_count") >= 4
    dump = gateway.dump()
    assert dump["generation"] == gateway.metric("agentgateway_config_version") and dump["made"]
    assert ROUTE in json.dumps(dump) or "test/r.00" in json.dumps(dump)
    plane.kill()
    eventually(lambda: gateway.metric("agentgateway_xds_connected") == 0)


# --- MCP ---


def test_mcp_backend_with_a_scripted_server(fed, plane, b):
    server = McpUpstream("one", tools=["hammer"])
    try:
        site = fed()
        route = b.route("mcp", backend_ref("tools"), path="/mcp")
        assert plane.ask(b.mcp("tools", {"one": server.port}), route).error is None
        with Connection(site.port) as connection:
            session = McpClient(connection)
            session.initialize()
            assert [tool["name"] for tool in session.result("tools/list")["tools"]] == ["hammer"]
            plane.ask(b.route("other", backend_ref("v2"), hosts=["other.test"]))
            answer = session.result("tools/call", {"name": "hammer", "arguments": {}})
            assert answer["content"][0]["text"] == "one:hammer", "the session outlives a change"
    finally:
        server.close()


def test_mcp_backend_with_a_real_server(fed, plane, b, tmp_path):
    server = Server("everything", tmp_path)
    try:
        site = fed(b.mcp("tools", {"everything": server.port}), b.route("mcp", backend_ref("tools"), path="/mcp"))
        through = run_script("mcp.mjs", f"http://127.0.0.1:{site.port}/mcp")
        direct = run_script("mcp.mjs", f"http://127.0.0.1:{server.port}/mcp")
        assert through["tools"] == direct["tools"] and through["echo"] == direct["echo"]
    finally:
        server.stop()


def test_a_direct_response_needs_no_backend(fed, plane, b):
    site = fed()
    assert plane.ask(b.route("d", [], hosts=["d.test"], policies=[direct_response(418, b"tea")])).error is None
    answer = site.ask(host="d.test")
    assert (answer.status, answer.body) == (418, b"tea")
