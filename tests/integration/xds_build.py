"""Resources as the public controller sends them: (type_url, name, message) with its keys and names."""

import socket

from xds_proto import ADDRESS_TYPE, RESOURCE_TYPE

NAMESPACE, GATEWAY = "test", "gw"


def backend_ref(name, section=None, ns=NAMESPACE):
    """A reference to a Backend resource; a target of an MCP backend is a section of its own."""
    return {"backend": f"{ns}/{name}" + (f"/{section}" if section else "")}


def service_ref(name, port=80, ns=NAMESPACE):
    return {"service": {"namespace": ns, "hostname": hostname(name, ns)}, "port": port}


def hostname(name, ns=NAMESPACE):
    return f"{name}.{ns}.svc.cluster.local"


class Builder:
    def __init__(self, proto, ns=NAMESPACE, gw=GATEWAY):
        self.pb = proto.resource
        self.workload_pb = proto.workload
        self.ns, self.gw = ns, gw

    def _resource(self, kind, key, **fields):
        message = self.pb.Resource(**{kind: {"key": key, **fields}})
        return RESOURCE_TYPE, f"{kind}/{key}", message

    def bind_key(self, port):
        return f"{port}/{self.ns}/{self.gw}"

    def listener_key(self, name):
        return f"{self.ns}/{self.gw}.{name}"

    def bind(self, port, protocol="HTTP", **fields):
        return self._resource("bind", self.bind_key(port), port=port, protocol=protocol, **fields)

    def listener(self, port, name="http", host="", protocol="HTTP", certificate=None, **fields):
        """certificate: (certificate, key) as PEM text."""
        if certificate:
            cert, key = (part.encode() for part in certificate)
            fields["tls"] = {"cert": cert, "private_key": key}
        own = {"gateway_name": self.gw, "gateway_namespace": self.ns, "listener_name": name}
        bind_key = self.bind_key(port)
        return self._resource(
            "listener", self.listener_key(name), bind_key=bind_key, name=own, hostname=host, protocol=protocol, **fields
        )

    def route(self, name, to, hosts=(), path="/", listener="http", policies=(), rule=0, weights=None, **fields):
        """to: a reference or several of them; policies: TrafficPolicySpec as dicts."""
        refs = to if isinstance(to, list) else [to]
        weights = weights or [1] * len(refs)
        return self._resource(
            "route",
            f"{self.ns}/{name}.{rule:02}",
            listener_key=self.listener_key(listener),
            name={"kind": "HTTPRoute", "name": name, "namespace": self.ns},
            hostnames=hosts,
            matches=[{"path": {"path_prefix": path}}],
            backends=[{"backend": ref, "weight": weight} for ref, weight in zip(refs, weights)],
            traffic_policies=list(policies),
            **fields,
        )

    def tcp_route(self, name, *refs, hosts=(), listener="tcp", age=1_700_000_000, weights=None):
        """A TCPRoute, or a TLSRoute if it has hosts; |age| is when it was made, in seconds."""
        weights = weights or [1] * len(refs)
        return self._resource(
            "tcp_route",
            f"{age:010}/{self.ns}/{name}.00",
            listener_key=self.listener_key(listener),
            name={"kind": "TLSRoute" if hosts else "TCPRoute", "name": name, "namespace": self.ns},
            hostnames=hosts,
            backends=[{"backend": ref, "weight": weight} for ref, weight in zip(refs, weights)],
        )

    def proxy_protocol(self, version="V2", mode="STRICT", port=None):
        own = {"name": self.gw, "namespace": self.ns, **({"port": port} if port else {})}
        name = f"proxy-{port or 'all'}"
        return self.policy(name, {"gateway": own}, frontend={"proxy_protocol": {"version": version, "mode": mode}})

    def _backend(self, name, section=None, **kind):
        key = backend_ref(name, section, self.ns)["backend"]
        return self._resource("backend", key, name={"name": name, "namespace": self.ns}, **kind)

    def static(self, name, port, host="127.0.0.1", section=None):
        return self._backend(name, section, static={"host": host, "port": port})

    def mcp(self, name, targets, path="/mcp"):
        """targets: {name: port}; the MCP backend and a static one for each target."""
        own = [{"name": t, "backend": backend_ref(name, t, self.ns), "path": path} for t in targets]
        return [self._backend(name, mcp={"targets": own}), *(self.static(name, p, section=t) for t, p in targets.items())]

    def policy(self, name, target, **kind):
        """kind: traffic={...}, backend={...} or frontend={...}."""
        own = {"name": name, "namespace": self.ns, "kind": "AgentgatewayPolicy"}
        return self._resource("policy", f"{self.ns}/{name}", name=own, target=target, **kind)

    def service(self, name, port=80, target=0, **fields):
        address = self.workload_pb.Address()
        ports = [{"service_port": port, "target_port": target}]
        own = self.workload_pb.Service(name=name, namespace=self.ns, hostname=hostname(name, self.ns), ports=ports, **fields)
        address.service.CopyFrom(own)
        return ADDRESS_TYPE, f"{self.ns}/{own.hostname}", address

    def workload(self, name, target, services=(), address="127.0.0.1", port=80, **fields):
        """A pod at |address| that serves port |port| of |services| at |target|."""
        own = self.workload_pb.Workload(uid=f"Kubernetes//Pod/{self.ns}/{name}", name=name, namespace=self.ns, **fields)
        own.addresses.append(socket.inet_aton(address))
        for service in services:
            own.services[f"{self.ns}/{hostname(service, self.ns)}"].ports.add(service_port=port, target_port=target)
        message = self.workload_pb.Address()
        message.workload.CopyFrom(own)
        return ADDRESS_TYPE, own.uid, message


def response_headers(**headers):
    """A TrafficPolicySpec; x_version="1" sets x-version: 1."""
    fields = [{"name": name.replace("_", "-"), "value": value} for name, value in headers.items()]
    return {"response_header_modifier": {"set": fields}}


def direct_response(status, body=b""):
    return {"direct_response": {"status": status, "body": body}}
