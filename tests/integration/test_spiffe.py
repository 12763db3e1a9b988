"""The gateway's certificate from an agent of the SPIFFE Workload API."""

import grpc
import pytest

import client
from gateway import eventually, run
from hbone import Mesh, TunnelEnd, spiffe
from ports import free_port
from spiffe_agent import Agent
from xds_build import service_ref

IN_USE = "the gateway's certificate is in use"


@pytest.fixture
def mesh(tmp_path):
    return Mesh(tmp_path)


@pytest.fixture
def agent(proto, mesh, tmp_path):
    agent = Agent(proto, mesh, tmp_path)
    yield agent
    agent.stop()


@pytest.fixture
def site(plane, b, mesh, agent, start_gateway, start_upstream):
    """site(): a gateway whose identity is the agent's, and a workload behind HBONE; .ask() goes to the latter."""
    ends = []

    def start(env=None):
        port, up, end = free_port(), start_upstream("v1"), TunnelEnd(mesh)
        ends.append(end)
        own = b.workload("v1", up.port, ["s"], address=end.address, tunnel_protocol="HBONE", service_account="app")
        plane.put(b.bind(port), b.listener(port), b.route("r", service_ref("s")), b.service("s"), own)
        gateway = start_gateway(xds=plane.port, workers=1, env=env or {"SPIFFE_ENDPOINT_SOCKET": agent.socket})
        return gateway, (lambda: client.ask(port).status), end

    yield start
    for end in ends:
        end.close()


def test_it_is_fetched(site, agent):
    agent.issue(spiffe("gw"))
    gateway, ask, end = site()
    eventually(lambda: ask() == 200)
    assert end.heard("peer") == [f"URI:{spiffe('gw')}"]
    assert agent.asked == [("true", b"")]
    assert f"{spiffe('gw')}: {IN_USE}" in gateway.log()


def test_none_is_issued_yet(site, agent):
    agent.refuse = grpc.StatusCode.PERMISSION_DENIED
    gateway, ask, _ = site()
    assert ask() == 503
    eventually(lambda: "no identity issued" in gateway.log())
    agent.refuse = None
    agent.issue(spiffe("gw"))
    eventually(lambda: ask() == 200)
    assert gateway.log().count("no identity issued") == 1  # said once


def test_it_rotates(site, agent, mesh):
    agent.issue(spiffe("gw"))
    gateway, ask, end = site()
    eventually(lambda: ask() == 200)
    before = end.heard("serial")
    agent.issue(spiffe("gw"))
    eventually(lambda: gateway.log().count(IN_USE) == 2)
    assert ask() == 200
    assert end.heard("serial") == before  # what stands goes on
    end.tell(cut=True)
    eventually(lambda: ask() == 200 and len(end.heard("serial")) == 2)
    assert end.heard("serial")[1] == mesh.serial(spiffe("gw"))


def test_the_agent_goes_away_and_comes_back(site, agent):
    agent.issue(spiffe("gw"))
    gateway, ask, end = site()
    eventually(lambda: ask() == 200)
    agent.stop()
    eventually(lambda: "serves on" in gateway.log())
    end.tell(cut=True)
    eventually(lambda: ask() == 200 and len(end.heard("serial")) == 2)  # the last good one
    agent.start()
    agent.issue(spiffe("gw-2"))
    eventually(lambda: f"{spiffe('gw-2')}: {IN_USE}" in gateway.log())


@pytest.mark.parametrize("response", [b"", b"\xff\xff", b"\x0a\x02\x0a\x00"])
def test_a_bad_response_leaves_the_last_good_one(site, agent, response):
    agent.issue(spiffe("gw"))
    gateway, ask, end = site()
    eventually(lambda: ask() == 200)
    agent.send(response)
    eventually(lambda: "serves on" in gateway.log())
    end.tell(cut=True)
    eventually(lambda: ask() == 200 and len(end.heard("serial")) == 2)
    agent.issue(spiffe("gw"))
    eventually(lambda: gateway.log().count(IN_USE) == 2)


def test_a_key_that_does_not_fit(site, agent, mesh):
    agent.issue(spiffe("gw"))
    gateway, ask, _ = site()
    eventually(lambda: ask() == 200)
    agent.issue(spiffe("gw"), x509_svid_key=agent._der(mesh.issue(spiffe("other"))["key"], "key"))
    eventually(lambda: "private key" in gateway.log())
    assert ask() == 200


def test_no_agent_is_there(site, agent):
    agent.stop()
    gateway, ask, _ = site()
    assert ask() == 503
    assert "agent.sock" in gateway.log()
    agent.start()
    agent.issue(spiffe("gw"))
    eventually(lambda: ask() == 200)


def test_files_count_before_an_agent(site, agent, mesh):
    agent.issue(spiffe("agent"))
    _, ask, end = site({**mesh.gateway(), "SPIFFE_ENDPOINT_SOCKET": agent.socket})
    eventually(lambda: ask() == 200)
    assert end.heard("peer") == [f"URI:{spiffe('gw')}"]
    assert not agent.asked


@pytest.mark.parametrize("text", ["agent.sock", "unix://host/path", "tcp://", "http://1.2.3.4:1"])
def test_a_bad_socket(text, tmp_path):
    (tmp_path / "empty.yaml").write_text("")
    result = run("-f", str(tmp_path), env={"SPIFFE_ENDPOINT_SOCKET": text, "STATS_ADDR": "127.0.0.1:0"})
    assert result.returncode == 1
    assert "SPIFFE_ENDPOINT_SOCKET" in result.stdout + result.stderr
