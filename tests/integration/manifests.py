"""Kubernetes objects as dicts, short enough to read in a test."""

NAMESPACE = "test"


def meta(name, namespace=NAMESPACE, **extra):
    return {"name": name, "namespace": namespace, **extra}


def listener(port, name="http", hostname=None, protocol="HTTP", tls=None, allowed="All"):
    made = {"name": name, "port": port, "protocol": protocol, "allowedRoutes": {"namespaces": {"from": allowed}}}
    if hostname:
        made["hostname"] = hostname
    if tls:
        made["tls"] = {"mode": "Terminate", "certificateRefs": [{"name": name} for name in tls]}
    return made


def gateway(port=None, listeners=None, name="gw", namespace=NAMESPACE, sets=None):
    """|sets|: whose ListenerSets are allowed, such as "All" or {"from": "Selector", ...}."""
    made = {
        "apiVersion": "gateway.networking.k8s.io/v1",
        "kind": "Gateway",
        "metadata": meta(name, namespace),
        "spec": {
            "gatewayClassName": "agentgateway",
            "addresses": [{"type": "IPAddress", "value": "127.0.0.1"}],
            "listeners": listeners or [listener(port)],
        },
    }
    if sets:
        made["spec"]["allowedListeners"] = {"namespaces": {"from": sets} if isinstance(sets, str) else sets}
    return made


def listener_set(name, *listeners, namespace=NAMESPACE, created=None, gateway="gw"):
    extra = {"creationTimestamp": created} if created else {}
    return {
        "apiVersion": "gateway.networking.k8s.io/v1",
        "kind": "ListenerSet",
        "metadata": meta(name, namespace, **extra),
        "spec": {"parentRef": {"name": gateway, "namespace": NAMESPACE}, "listeners": list(listeners)},
    }


def set_parent(name, namespace=NAMESPACE, **extra):
    """parentRefs of a route that is attached to a ListenerSet."""
    return [{"group": "gateway.networking.k8s.io", "kind": "ListenerSet", "name": name, "namespace": namespace, **extra}]


def service(name, target_port, port=80, app_protocol=None, namespace=NAMESPACE, addresses=("127.0.0.1",), ready=True):
    """A Service and its EndpointSlice."""
    service_port = {"name": "main", "port": port, "targetPort": target_port}
    if app_protocol:
        service_port["appProtocol"] = app_protocol
    return [
        {"apiVersion": "v1", "kind": "Service", "metadata": meta(name, namespace), "spec": {"ports": [service_port]}},
        {
            "apiVersion": "discovery.k8s.io/v1",
            "kind": "EndpointSlice",
            "metadata": meta(f"{name}-1", namespace, labels={"kubernetes.io/service-name": name}),
            "addressType": "IPv4",
            "ports": [{"name": "main", "port": target_port, "protocol": "TCP"}],
            "endpoints": [{"addresses": [a], "conditions": {"ready": ready}} for a in addresses],
        },
    ]


def ref(name, port=80, weight=None, namespace=None, filters=None):
    made = {"name": name, "port": port}
    if weight is not None:
        made["weight"] = weight
    if namespace:
        made["namespace"] = namespace
    if filters:
        made["filters"] = filters
    return made


def agentgateway_ref(name, namespace=None):
    made = {"group": "agentgateway.dev", "kind": "AgentgatewayBackend", "name": name}
    if namespace:
        made["namespace"] = namespace
    return made


def prefix(path):
    return {"path": {"type": "PathPrefix", "value": path}}


def exact(path):
    return {"path": {"type": "Exact", "value": path}}


def rule(*refs, matches=None, filters=None, timeouts=None, name=None, **more):
    made = {"backendRefs": [ref(r) if isinstance(r, str) else r for r in refs]}
    for key, value in (("matches", matches), ("filters", filters), ("timeouts", timeouts), ("name", name), *more.items()):
        if value is not None:
            made[key] = value
    return made


def route(name, *rules, hostnames=None, namespace=NAMESPACE, parents=None, created=None):
    extra = {"creationTimestamp": created} if created else {}
    spec = {"parentRefs": parents or [{"name": "gw", "namespace": NAMESPACE}], "rules": list(rules)}
    if hostnames:
        spec["hostnames"] = hostnames
    return {
        "apiVersion": "gateway.networking.k8s.io/v1",
        "kind": "HTTPRoute",
        "metadata": meta(name, namespace, **extra),
        "spec": spec,
    }


def grpc_route(name, *rules, **options):
    return {**route(name, *rules, **options), "kind": "GRPCRoute"}


def l4_route(kind, name, *refs, hostnames=None, namespace=NAMESPACE, section=None, created=None):
    """A TCPRoute or TLSRoute to Services."""
    extra = {"creationTimestamp": created} if created else {}
    parent = {"name": "gw", "namespace": NAMESPACE, **({"sectionName": section} if section else {})}
    spec = {"parentRefs": [parent], "rules": [{"backendRefs": [ref(r) if isinstance(r, str) else r for r in refs]}]}
    if hostnames:
        spec["hostnames"] = hostnames
    return {
        "apiVersion": "gateway.networking.k8s.io/v1alpha2",
        "kind": kind,
        "metadata": meta(name, namespace, **extra),
        "spec": spec,
    }


def tcp_listener(port, name="tcp"):
    return listener(port, name, protocol="TCP")


def tls_listener(port, name, hostname=None, secret=None):
    """Passed through, or ended here with |secret|."""
    made = listener(port, name, hostname, "TLS", [secret] if secret else None)
    made.setdefault("tls", {"mode": "Passthrough"})
    return made


def proxy_policy(version=None, mode=None, port=None, name="proxy"):
    own = {key: value for key, value in (("version", version), ("mode", mode)) if value}
    return front_policy(name, port, proxyProtocol=own)


def front_policy(name="front", port=None, **frontend):
    target = {"group": "gateway.networking.k8s.io", "kind": "Gateway", "name": "gw", **({"port": port} if port else {})}
    return {
        "apiVersion": "agentgateway.dev/v1alpha1",
        "kind": "AgentgatewayPolicy",
        "metadata": meta(name),
        "spec": {"targetRefs": [target], "frontend": frontend},
    }


def grant(to_namespace, from_namespace, kind="Service", name=None, group="", from_kind="HTTPRoute"):
    target = {"group": group, "kind": kind}
    if name:
        target["name"] = name
    return {
        "apiVersion": "gateway.networking.k8s.io/v1beta1",
        "kind": "ReferenceGrant",
        "metadata": meta("grant", to_namespace),
        "spec": {
            "from": [{"group": "gateway.networking.k8s.io", "kind": from_kind, "namespace": from_namespace}],
            "to": [target],
        },
    }


def target(kind, name, section=None):
    made = {"group": "gateway.networking.k8s.io", "kind": kind, "name": name}
    if section:
        made["sectionName"] = section
    return made


def policy(name, targets=None, traffic=None, selectors=None, inheritance=None, namespace=NAMESPACE):
    spec = {"traffic": traffic}
    if targets:
        spec["targetRefs"] = targets
    if selectors:
        spec["targetSelectors"] = selectors
    if inheritance:
        spec["strategy"] = {"inheritance": inheritance}
    return {
        "apiVersion": "agentgateway.dev/v1alpha1",
        "kind": "AgentgatewayPolicy",
        "metadata": meta(name, namespace),
        "spec": spec,
    }


def backend(name, spec, namespace=NAMESPACE):
    return {
        "apiVersion": "agentgateway.dev/v1alpha1",
        "kind": "AgentgatewayBackend",
        "metadata": meta(name, namespace),
        "spec": spec,
    }


def streamable(port):
    return {"static": {"host": "127.0.0.1", "port": port, "path": "/mcp", "protocol": "StreamableHTTP"}}


def sse(port, path="/sse"):
    return {"static": {"host": "127.0.0.1", "port": port, "path": path, "protocol": "SSE"}}


def mcp_backend(name, targets):
    """targets: {name: port}, each an MCP server at 127.0.0.1:port/mcp; or {name: fields of the target}."""
    return backend(
        name,
        {
            "mcp": {
                "targets": [
                    {"name": target, **(at if isinstance(at, dict) else streamable(at))} for target, at in targets.items()
                ]
            }
        },
    )


def tls_secret(name, certificate, key, namespace=NAMESPACE):
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": meta(name, namespace),
        "type": "kubernetes.io/tls",
        "stringData": {"tls.crt": certificate, "tls.key": key},
    }


def config_map(name, namespace=NAMESPACE, **data):
    """config_map("ca", ca_crt=PEM)"""
    data = {key.replace("_", "."): value for key, value in data.items()}
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": meta(name, namespace), "data": data}


def core_ref(name, kind="ConfigMap", **extra):
    return {"group": "", "kind": kind, "name": name, **extra}


def backend_tls_policy(name, services, created=None, section=None, **validation):
    extra = {"creationTimestamp": created} if created else {}
    targets = [core_ref(service, "Service", **({"sectionName": section} if section else {})) for service in services]
    return {
        "apiVersion": "gateway.networking.k8s.io/v1",
        "kind": "BackendTLSPolicy",
        "metadata": meta(name, **extra),
        "spec": {"targetRefs": targets, "validation": validation},
    }


def flat(objects):
    """Objects and lists of objects as one list."""
    out = []
    for item in objects:
        out += flat(item) if isinstance(item, (list, tuple)) else [item]
    return out
