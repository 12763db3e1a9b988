"""Envoy as a peer of the bench: from PyPI, in an environment of its own; left out where it is not installed."""
import json
from pathlib import Path

ROOM = Path(__file__).parent.parent / "build/bench"
BINARIES = sorted(ROOM.glob("envoy/lib/python3*/site-packages/envoy/_bin/envoy"))
HCM = "type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager"
ROUTER = "type.googleapis.com/envoy.extensions.filters.http.router.v3.Router"
DOWNSTREAM_TLS = "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.DownstreamTlsContext"
UPSTREAM_HTTP = "type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions"


def address(port):
    return {"socket_address": {"address": "127.0.0.1", "port_value": port}}


def listener(name, port, tls=None):
    manager = {
        "@type": HCM, "stat_prefix": name, "codec_type": "AUTO", "generate_request_id": False,
        "http2_protocol_options": {"max_concurrent_streams": 256}, "upgrade_configs": [{"upgrade_type": "websocket"}],
        "route_config": {"virtual_hosts": [{"name": "all", "domains": ["*"],
                                            "routes": [{"match": {"prefix": "/"}, "route": {"cluster": "b", "timeout": "0s"}}]}]},
        "http_filters": [{"name": "router", "typed_config": {"@type": ROUTER}}],
    }
    chain = {"filters": [{"name": "http", "typed_config": manager}]}
    if tls:
        chain["transport_socket"] = {"name": "tls", "typed_config": tls}
    return {"name": name, "address": address(port), "tcp_backlog_size": 4096, "filter_chains": [chain]}


def downstream_tls(cert, key):
    files = {"certificate_chain": {"filename": str(cert)}, "private_key": {"filename": str(key)}}
    return {"@type": DOWNSTREAM_TLS, "common_tls_context": {"tls_certificates": [files], "alpn_protocols": ["h2", "http/1.1"]}}


def cluster(upstream, h2=False):
    """No limit of connections or requests that a case could meet."""
    http = {"http2_protocol_options": {}} if h2 else {"http_protocol_options": {}}
    most = {f"max_{what}": 1000000 for what in ("connections", "pending_requests", "requests", "retries")}
    endpoint = {"lb_endpoints": [{"endpoint": {"address": address(upstream)}}]}
    return {"name": "b", "type": "STATIC", "circuit_breakers": {"thresholds": [most]},
            "load_assignment": {"cluster_name": "b", "endpoints": [endpoint]},
            "typed_extension_protocol_options": {
                "envoy.extensions.upstreams.http.v3.HttpProtocolOptions": {"@type": UPSTREAM_HTTP, "explicit_http_config": http}}}


def command(work, upstream, plain, tls, cert, key):
    listeners = [listener("plain", plain), listener("tls", tls, downstream_tls(cert, key))]
    conf = work / "envoy.json"
    conf.write_text(json.dumps({"static_resources": {"listeners": listeners, "clusters": [cluster(upstream)]}}))
    return [str(BINARIES[-1]), "-c", str(conf), "--concurrency", "1", "--log-level", "error", "--disable-hot-restart"]
