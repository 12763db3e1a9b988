"""The control plane that the tests of xDS use, tested itself: by a client on grpcio, without a gateway."""

import time

import grpc
import pytest
from controller import Peer
from xds_build import backend_ref
from xds_control_plane import Relay
from xds_proto import ADDRESS_TYPE, RESOURCE_TYPE


@pytest.fixture
def connect(proto):
    peers = []

    def start(port):
        peers.append(Peer(proto, port, "test~gw"))
        return peers[-1]

    yield start
    for peer in peers:
        peer.close()


def test_first_sync_then_one_response_for_each_push(plane, connect, b):
    plane.put(b.bind(80), b.listener(80), b.service("s"), b.workload("w", 9000, ["s"]))
    peer = connect(plane.port)
    addresses, resources = peer.sync()
    assert set(addresses) == {"test/s.test.svc.cluster.local", "Kubernetes//Pod/test/w"}
    assert resources["listener/test/gw.http"].listener.bind_key == resources["bind/80/test/gw"].bind.key == "80/test/gw"
    plane.put_each(b.static("b", 9001), b.route("r", backend_ref("b")))
    assert list(peer.take(RESOURCE_TYPE)[0]) == ["backend/test/b"]
    came, _ = peer.take(RESOURCE_TYPE)
    assert came["route/test/r.00"].route.backends[0].backend.backend == "test/b"
    plane.remove(b.route("r", backend_ref("b")))
    assert peer.take(RESOURCE_TYPE) == ({}, ["route/test/r.00"])
    assert peer.quiet()


def test_both_types_are_answered_when_there_is_nothing(plane, connect):
    assert connect(plane.port).sync() == ({}, {})


def test_resume_by_version_over_a_restart(plane, connect, b):
    plane.put(b.bind(80), b.listener(80))
    first = connect(plane.port)
    first.sync()
    plane.kill()
    assert first.status()[0] in (grpc.StatusCode.CANCELLED, grpc.StatusCode.UNAVAILABLE)
    plane.start()
    second = connect(plane.port)
    second.ask(RESOURCE_TYPE, {**first.versions(RESOURCE_TYPE), "bind/80/test/gw": "old", "route/gone": "1"})
    came, removed = second.take(RESOURCE_TYPE)
    assert set(came) == {"bind/80/test/gw"} and removed == ["route/gone"]


def test_answers_are_kept_with_who_gave_them(plane, connect, b):
    peer = connect(plane.port)
    peer.sync()
    plane.wait(lambda: len(plane.requests) == 4)
    assert [r.error for r in plane.requests if r.nonce] == [None, None]
    stream = plane.wait_stream()
    assert stream.node.metadata["role"] == "test~gw"
    plane.put(b.bind(80))
    peer.take(RESOURCE_TYPE, answer=False)
    peer.answer(RESOURCE_TYPE, error='[{"key": "bind/80/test/gw", "error": "no"}]')
    plane.wait(plane.nacks)
    assert plane.nacks()[0].report() == {"bind/80/test/gw": {"key": "bind/80/test/gw", "error": "no"}}


def test_held_types_wait(plane, connect, b):
    plane.hold(ADDRESS_TYPE)
    plane.put(b.service("s"))
    peer = connect(plane.port)
    peer.ask(ADDRESS_TYPE)
    assert peer.quiet()
    plane.release()
    assert list(peer.take(ADDRESS_TYPE)[0]) == ["test/s.test.svc.cluster.local"]


def test_streams_end_as_told(plane, connect):
    plane.on_open = lambda stream: stream.close()
    peer = connect(plane.port)
    peer.ask(ADDRESS_TYPE)
    assert peer.responses.get(timeout=10) is None, "a clean end"
    plane.on_open = None
    broken = connect(plane.port)
    broken.sync()
    plane.send_bytes(b"\xff\xff\xff")
    assert broken.status()[0] == grpc.StatusCode.INTERNAL


def test_relay_stalls_and_cuts(plane, connect, b):
    relay = Relay(plane.port)
    peer = connect(relay.port)
    peer.sync()
    relay.stall()
    plane.put(b.bind(80))
    assert peer.quiet()
    relay.resume()
    assert list(peer.take(RESOURCE_TYPE)[0]) == ["bind/80/test/gw"]
    relay.slow(16, 0.001)
    begin = time.monotonic()
    plane.put(b.bind(81))
    assert list(peer.take(RESOURCE_TYPE)[0]) == ["bind/81/test/gw"] and time.monotonic() - begin > 0.005
    relay.cut()
    assert peer.status()[0] == grpc.StatusCode.UNAVAILABLE
    relay.close()
