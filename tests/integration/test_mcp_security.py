"""Who may use an MCP backend, and for what."""

from types import SimpleNamespace

import pytest

import manifests as m
from client import Connection
from mcp_upstream import McpClient, McpUpstream, messages_of
from ports import free_port

# --- pages of strangers ---


@pytest.fixture(scope="module")
def pages(start_module_gateway):
    upstream = McpUpstream("one", ["add"])
    port = free_port()
    backend = m.mcp_backend("tools", {"one": upstream.port})
    backend["spec"]["mcp"]["allowedOrigins"] = ["https://app.example", "https://*.pages.example"]
    cors = {"type": "CORS", "cors": {"allowOrigins": ["https://cors.example"]}}
    start_module_gateway(
        [
            m.gateway(port),
            backend,
            m.route("any", m.rule(m.agentgateway_ref("tools"), matches=[m.prefix("/mcp")])),
            m.route("named", m.rule(m.agentgateway_ref("tools")), hostnames=["mcp.example"]),
            m.route("cors", m.rule(m.agentgateway_ref("tools"), matches=[m.prefix("/cors")], filters=[cors])),
        ]
    )
    yield SimpleNamespace(port=port, upstream=upstream)
    upstream.close()


ORIGINS = {
    "a program": ("/mcp", "rebound.example", None, True),
    "a page at an address": ("/mcp", "127.0.0.1:{port}", "http://127.0.0.1:{port}", True),
    "a page on this machine": ("/mcp", "localhost:{port}", "http://localhost:6274", True),
    "a stranger": ("/mcp", "localhost:{port}", "http://evil.example", False),
    "a rebound name": ("/mcp", "rebound.example", "http://rebound.example", False),
    "a name of the configuration": ("/mcp", "mcp.example", "https://mcp.example", True),
    "a stranger at that name": ("/mcp", "mcp.example", "http://evil.example", False),
    "no origin at all": ("/mcp", "localhost:{port}", "null", False),
    "one that is listed": ("/mcp", "mcp.example", "https://app.example", True),
    "one below a listed name": ("/mcp", "rebound.example", "https://a.pages.example", True),
    "one that cors allows": ("/cors", "rebound.example", "https://cors.example", True),
    "one that cors does not": ("/cors", "rebound.example", "https://evil.example", False),
}


@pytest.mark.parametrize("case", ORIGINS)
def test_pages_of_strangers_are_refused(pages, case):
    path, host, origin, taken = ORIGINS[case]
    headers = {"Origin": origin.format(port=pages.port)} if origin else {}
    before = len(pages.upstream.calls)
    with Connection(pages.port) as connection:
        client = McpClient(connection, path=path, host=host.format(port=pages.port))
        params = {"protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": {"name": "t", "version": "1"}}
        answer = client.post({"jsonrpc": "2.0", "id": 0, "method": "initialize", "params": params}, headers)
    if taken:
        assert answer.status == 200 and "result" in messages_of(answer)[0], answer
    else:
        error = messages_of(answer)[0]["error"]
        assert answer.status == 403 and error["code"] == -32000 and "Origin" in error["message"], answer
        assert len(pages.upstream.calls) == before
