"""What a control plane does wrong: nothing of it may reach beyond the resource that is wrong."""

import os
import time

from gateway import SANITIZED, eventually
from google.protobuf.internal.encoder import _VarintBytes
from xds_build import backend_ref, service_ref
from xds_proto import RESOURCE_TYPE

ROUTE = "route/test/r.00"
GARBAGE = b"\x1a\x05xx"
LONGER_THAN_HELD = 6.0  # seconds; a route waits 5 for its backends


def test_two_names_for_one_key(fed, plane, b):
    site = fed()
    one = b.route("zz", backend_ref("v2"), hosts=["one.test"])[2]
    two = b.route("zz", backend_ref("v2"), hosts=["two.test"])[2]
    plane.ask((RESOURCE_TYPE, "alias/one", one), (RESOURCE_TYPE, "alias/two", two))
    assert site.served_by(host="two.test") == "v2"
    assert site.served_by(host="one.test") == "v1", "the route for any host's"


def test_a_refused_resource_can_be_removed_while_away(fed, plane, b):
    site = fed()
    plane.ask((RESOURCE_TYPE, ROUTE, GARBAGE))
    assert site.served_by() == "v1"
    plane.kill()
    plane.remove(b.route("r", backend_ref("v1")), push=False)
    plane.start()
    plane.wait_stream(2)
    eventually(lambda: site.served_by() == 404)


def test_a_refused_version_is_never_served(fed, plane, b):
    """What served before is back at once, though its backend has no endpoint."""
    site = fed(b.service("none"), b.route("cold", service_ref("none"), hosts=["cold.test"]))
    eventually(lambda: site.served_by(host="cold.test") == 503)
    _, name, bad = b.route("cold", backend_ref("v2"), hosts=["cold.test"])
    bad.route.matches.add().path.path_prefix = "/a" * 600
    assert "error" in plane.ask((RESOURCE_TYPE, name, bad)).report()[name]
    for _ in range(10):
        assert site.served_by(host="cold.test") == 503
        time.sleep(0.05)


def test_a_resource_that_takes_too_much_memory_is_refused_alone(fed, plane, b):
    site = fed()
    route = b.route("big", backend_ref("v2"), hosts=["big.test"])[2].route.SerializeToString()
    empty = b.pb.Route(matches=[b.pb.RouteMatch()]).SerializeToString()
    tag = b.pb.Resource.DESCRIPTOR.fields_by_name["route"].number << 3 | 2
    route += empty * 900000
    big = (RESOURCE_TYPE, "route/test/big.00", bytes([tag]) + _VarintBytes(len(route)) + route)
    report = plane.ask(big, b.route("ok", backend_ref("v2"), hosts=["ok.test"])).report()
    assert list(report) == ["route/test/big.00"] and "bytes of memory" in report["route/test/big.00"]["error"]
    assert site.served_by(host="ok.test") == "v2"


def test_a_policy_of_unknown_kind_refuses_requests(fed, plane, b):
    site = fed()
    policy = b.policy("p", {"route": {"name": "r", "namespace": "test", "kind": "HTTPRoute"}}, traffic={})
    assert "requests are refused" in plane.ask(policy).report()["policy/test/p"]["warn"]
    assert site.served_by() == 500


def test_a_new_bind_takes_no_address_away(fed, plane, b):
    site = fed()
    other = b.pb.Resource(bind={"key": "0/test/gw", "port": site.port, "protocol": "HTTP"})
    report = plane.ask((RESOURCE_TYPE, "bind/0/test/gw", other)).report()
    assert "is taken by bind" in report["bind/0/test/gw"]["error"]
    assert site.served_by() == "v1"


def test_an_empty_backend_does_not_hold_changes_back(fed, plane, b):
    """A policy counts at once, also on a route one of whose backends has no endpoint."""
    site = fed(b.service("none"),
               b.route("h", [backend_ref("v2"), service_ref("none")], hosts=["h.test"], weights=[1000, 1]))
    time.sleep(LONGER_THAN_HELD)
    eventually(lambda: site.served_by(host="h.test") == "v2")
    policy = b.policy("p", {"gateway": {"name": b.gw, "namespace": "test"}}, traffic={"direct_response": {"status": 403}})
    assert plane.ask(policy).error is None
    assert site.ask(host="h.test").status == 403


def test_a_bad_policy_is_told_again(fed, plane, b):
    site = fed()
    target = {"route": {"name": "z", "namespace": "test", "kind": "HTTPRoute"}}
    plane.ask(b.policy("p", target, traffic={"direct_response": {"status": 999}}))
    route = b.route("z", backend_ref("v1"), hosts=["z.test"])
    for _ in range(2):
        assert "policy/test/p" in plane.ask(route).report()
        assert site.served_by(host="z.test") == 500
        plane.remove(route)
        eventually(lambda: site.served_by(host="z.test") == "v1")


def test_the_state_file_is_for_its_owner_alone(fed, plane, b, tmp_path):
    planted = tmp_path / "state.new"
    planted.write_text("")
    planted.chmod(0o666)
    fed(env={"XDS_STATE_FILE": str(tmp_path / "state")})
    eventually(lambda: (tmp_path / "state").exists(), 10 if SANITIZED else 5)
    assert os.stat(tmp_path / "state").st_mode & 0o777 == 0o600
