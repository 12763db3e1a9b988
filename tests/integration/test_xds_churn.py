"""A gateway fed over xDS while things go wrong: changes under traffic, and a control plane that is slow, odd or away."""

import random
import time

import client
from gateway import SANITIZED, Gateway, eventually
from ports import free_port
from xds_build import backend_ref, direct_response, response_headers
from xds_control_plane import TYPES, Relay
from xds_load import Events, KeepAlive, Streams, judge, send_events, warm
from xds_proto import RESOURCE_TYPE

FLIPS = 40 if SANITIZED else 200
FLIP_PAUSE = 0.02
BUSY = 2 if SANITIZED else 6  # connections of each kind


def flipped(b, number):
    up = f"v{number % 2 + 1}"
    return b.route("r", backend_ref(up), policies=[response_headers(x_backend=up)])


def fits(answer):
    """Backend and header filter change together: an answer has both of the same version."""
    wanted, got = answer.json()["name"], answer.get("x-backend")
    return None if wanted == got else f"{got} in front of {wanted}"


def test_route_flip(fed, plane, b):
    site = fed()
    for up in site.ups.values():
        up.on("/events", send_events)
    assert plane.ask(flipped(b, 0)).error is None
    loads = [KeepAlive(site.port, check=fits, pause=0.001) for _ in range(BUSY)]
    loads += [Streams(site.port, pause=0.001) for _ in range(BUSY)]
    loads.append(Events(site.port))
    warm(loads)
    for number in range(1, FLIPS + 1):
        plane.put(flipped(b, number))
        time.sleep(FLIP_PAUSE)
    judge(loads)
    assert not plane.nacks()
    eventually(lambda: site.ask().get("x-backend") == f"v{FLIPS % 2 + 1}")


def test_control_plane_killed_and_back_during_load(fed, plane, b):
    site = fed()
    loads = [KeepAlive(site.port, pause=0.002) for _ in range(BUSY)] + [Streams(site.port, pause=0.002)]
    known = {type_url: {name: version for name, (version, _) in plane.sets[type_url].items()} for type_url in TYPES}
    for round in range(3):
        before = len(plane.streams)
        plane.kill()
        time.sleep(0.3)
        assert site.served_by() == "v1"
        plane.start()
        stream = plane.wait_stream(before + 1)
        asked = {r.type_url: r.versions for r in stream.received if not r.nonce}
        assert asked == known, "what it has is not sent again"
        assert stream.node.metadata["role"] == "test~gw"
    plane.kill()
    plane.put(b.route("late", backend_ref("v2"), hosts=["late.test"]))
    plane.remove(b.static("v2", 1))
    plane.put(b.static("v2", site.ups["v2"].port))
    plane.start()
    eventually(lambda: site.served_by(host="late.test") == "v2")
    judge(loads)
    site.gateway.is_ready()


def test_removed_while_away(fed, plane, b):
    gone = b.route("gone", backend_ref("v2"), hosts=["gone.test"])
    site = fed(gone)
    assert site.served_by(host="gone.test") == "v2"
    plane.kill()
    plane.remove(gone, push=False)
    plane.remove(b.route("r", backend_ref("v1")), push=False)
    assert site.served_by(host="gone.test") == "v2"
    plane.start()
    eventually(lambda: site.served_by(host="gone.test") == 404)


def test_slow_stream_applies_what_came_whole(fed, plane, b):
    relay = Relay(plane.port)
    site = fed(xds=relay.port)
    load = KeepAlive(site.port, pause=0.002)
    relay.slow(64, 0.002)
    plane.put([b.route(f"m{i}", backend_ref("v2"), hosts=[f"m{i}.test"]) for i in range(100)])
    eventually(lambda: site.served_by(host="m99.test") == "v2")
    judge([load])
    relay.close()


def test_half_open_stream_holds_up_no_traffic(fed, plane, b):
    relay = Relay(plane.port)
    site = fed(xds=relay.port)
    load = KeepAlive(site.port, pause=0.002)
    relay.stall()
    plane.put(b.route("r", backend_ref("v2")))
    time.sleep(0.5)
    assert site.served_by() == "v1" and site.gateway.is_ready()
    relay.cut()
    relay.resume()
    eventually(lambda: site.served_by() == "v2")
    judge([load])
    relay.close()


def test_garbage_ends_the_stream_and_nothing_else(fed, plane, b):
    site = fed()
    load = KeepAlive(site.port, pause=0.002)
    choose = random.Random(22)
    for number in range(5):
        stream = plane.wait_stream(number + 1)
        plane.wait(lambda stream=stream: len([r for r in stream.received if r.nonce]) == 2 or stream.ended)
        stream.out.put(("garbage", b"\xff" + choose.randbytes(choose.randrange(200))))
        again = plane.wait_stream(number + 2)
        versions = [r.versions for r in again.received if r.type_url == RESOURCE_TYPE and not r.nonce][0]
        assert "route/test/r.00" in versions
    assert site.served_by() == "v1"
    plane.wait_stream(6)
    plane.put(b.route("r", backend_ref("v2")))
    eventually(lambda: site.served_by() == "v2")
    judge([load])


def test_streams_closed_at_once_are_not_a_storm(fed, plane, b):
    site = fed()
    plane.wait_stream()
    plane.on_open = lambda stream: stream.close()
    before = len(plane.streams)
    plane.close_streams()
    time.sleep(3)
    attempts = len(plane.streams) - before
    assert 2 <= attempts <= 40, "it tries again, less and less often"
    assert site.served_by() == "v1"
    plane.on_open = None
    plane.put(b.route("r", backend_ref("v2")))
    eventually(lambda: site.served_by() == "v2", 20)


def test_state_on_disk_serves_while_the_control_plane_is_down(fed, plane, b, start_gateway, tmp_path):
    state = tmp_path / "state"
    env = {"XDS_STATE_FILE": str(state)}
    site = fed(env=env)
    assert site.gateway.stop() == 0 and state.stat().st_size
    assert state.stat().st_mode & 0o077 == 0, "it may hold private keys"
    plane.kill()
    second = start_gateway(xds=plane.port, env=env)
    assert client.ask(site.port).json()["name"] == "v1"
    assert second.metric("agentgateway_config_from_disk") == 1
    assert b"kept on disk" in client.ask(second.ready_port, path="/healthz/ready").body
    assert second.metric("agentgateway_xds_connected") == 0
    before = len(plane.streams)
    plane.put(b.route("r", backend_ref("v2")))
    plane.start()
    stream = plane.wait_stream(before + 1)
    versions = [r.versions for r in stream.received if r.type_url == RESOURCE_TYPE and not r.nonce][0]
    assert "backend/test/v1" in versions, "what is on disk is not sent again"
    eventually(lambda: second.metric("agentgateway_config_from_disk") == 0)
    eventually(lambda: client.ask(site.port).json()["name"] == "v2")  # told as confirmed just before it is in force


def test_a_killed_gateway_serves_what_was_kept(plane, b, start_gateway, tmp_path):
    port, state = free_port(), tmp_path / "state"
    plane.put(b.bind(port), b.listener(port), b.route("d", [], policies=[direct_response(204)]))
    first = Gateway(tmp_path, xds=plane.port, env={"XDS_STATE_FILE": str(state)}).wait_ready()
    try:
        eventually(state.exists)
    finally:
        first.process.kill()
        first.process.wait()
    plane.kill()
    start_gateway(xds=plane.port, env={"XDS_STATE_FILE": str(state)})
    assert client.ask(port).status == 204


def test_damaged_state_is_thrown_away(fed, plane, start_gateway, tmp_path):
    state = tmp_path / "state"
    env = {"XDS_STATE_FILE": str(state)}
    site = fed(env=env)
    assert site.gateway.stop() == 0
    whole = bytearray(state.read_bytes())
    whole[len(whole) // 2] ^= 1
    state.write_bytes(whole)
    second = start_gateway(xds=plane.port, env=env)
    assert second.metric("agentgateway_config_from_disk") == 0
    assert client.ask(site.port).json()["name"] == "v1"
