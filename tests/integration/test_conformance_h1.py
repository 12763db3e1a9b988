"""The corpus of ./dev conformance h1: smuggling and malformed messages, each with its one right outcome (RFC 9110, 9112)."""

import sys
from pathlib import Path

import pytest

import manifests as m
from ports import free_port

sys.path.insert(0, str(Path(__file__).parents[1] / "conformance/h1"))

from cases import CASES, run  # noqa: E402
from judge import Judge, Upstream  # noqa: E402


@pytest.fixture(scope="module")
def judge(start_module_gateway):
    upstream, port = Upstream(), free_port()
    start_module_gateway(m.gateway(port), m.service("up", upstream.port), m.route("all", m.rule("up")), workers=1)
    yield Judge(port, upstream)
    upstream.close()


def test_corpus_is_large():
    assert len(CASES) >= 200


@pytest.mark.parametrize("name", CASES)
def test_case(judge, name):
    run(judge, CASES[name])
