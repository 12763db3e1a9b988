"""Fixtures: gateways and upstreams that end with the test or the module that started them."""

import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

sys.path.insert(0, str(Path(__file__).parent))

import manifests as m  # noqa: E402
import xds_proto  # noqa: E402
from gateway import Gateway  # noqa: E402
from l4_peers import TcpServer, echo  # noqa: E402
from ports import free_port  # noqa: E402
from rules import NAMES  # noqa: E402
from upstream import Upstream  # noqa: E402
from xds_build import Builder, backend_ref  # noqa: E402
from xds_control_plane import ControlPlane  # noqa: E402
from xds_load import Fed  # noqa: E402


def starter(tmp_path_factory):
    started = []

    def start(*objects, ready=True, **options):
        gateway = Gateway(tmp_path_factory.mktemp("gateway"), *objects, **options)
        started.append(gateway)
        return gateway.wait_ready() if ready else gateway

    return start, started


def end(started):
    codes, reports = [], []
    for gateway in started:  # all of them, whatever one has to report
        try:
            codes.append(gateway.stop())
        except AssertionError as report:
            reports.append(report)
    if reports:
        raise reports[0]
    assert not any(codes), f"exit codes {codes}; " + "\n".join(gateway.log()[-4000:] for gateway in started)


@pytest.fixture
def start_gateway(tmp_path_factory):
    """start_gateway(*objects, args=(), env={}): a ready gateway that ends with the test."""
    start, started = starter(tmp_path_factory)
    yield start
    end(started)


@pytest.fixture(scope="module")
def start_module_gateway(tmp_path_factory):
    start, started = starter(tmp_path_factory)
    yield start
    end(started)


@pytest.fixture
def start_upstream():
    started = []

    def start(name="up", **options):
        started.append(Upstream(name, **options))
        return started[-1]

    yield start
    for upstream in started:
        upstream.close()


@pytest.fixture
def start_tcp():
    started = []

    def start(handler=echo, **options):
        started.append(TcpServer(handler, **options))
        return started[-1]

    yield start
    for server in started:
        server.close()


@pytest.fixture(scope="module")
def start_module_upstream():
    started = []

    def start(name="up", tls=None):
        started.append(Upstream(name, tls))
        return started[-1]

    yield start
    for upstream in started:
        upstream.close()


@pytest.fixture(scope="module")
def ups(start_module_upstream):
    return {name: start_module_upstream(name) for name in NAMES}


@pytest.fixture
def serve(start_gateway, ups):
    """serve(*objects): a gateway on a free port in front of the Services v1, v2 and v3."""

    def start(*objects, listeners=None, **options):
        port = listeners[0]["port"] if listeners else free_port()
        services = [m.service(name, up.port) for name, up in ups.items()]
        gateway = start_gateway(m.gateway(port, listeners), services, *objects, **options)
        return SimpleNamespace(port=port, gateway=gateway)

    return start


@pytest.fixture(scope="session")
def proto(tmp_path_factory):
    return xds_proto.load(tmp_path_factory.mktemp("proto"))


@pytest.fixture
def b(proto):
    return Builder(proto)


@pytest.fixture
def plane(proto):
    with ControlPlane(proto) as plane:
        yield plane


@pytest.fixture
def fed(plane, b, start_gateway, start_upstream):
    """fed(*resources): a gateway fed by |plane|, with route r for all hosts to v1; backends are v1 and v2."""

    def start(*resources, ready=True, xds=None, **options):
        port, ups = free_port(), {name: start_upstream(name) for name in ("v1", "v2")}
        backends = [b.static(name, up.port) for name, up in ups.items()]
        plane.put(b.bind(port), b.listener(port), *backends, b.route("r", backend_ref("v1")), *resources)
        gateway = start_gateway(ready=ready, xds=xds or plane.port, **options)
        return Fed(plane=plane, gateway=gateway, port=port, ups=ups)

    return start
