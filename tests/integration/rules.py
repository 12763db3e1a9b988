"""What the tests of routing rules share: how to ask, and filters as dicts."""

from collections import Counter

import manifests as m
from client import Connection, ask

NAMES = ["v1", "v2", "v3"]  # the upstreams of the fixture ups, and the Services in front of them


def name_of(answer):
    return answer.json()["name"] if answer.status == 200 else answer.status


def served_by(port, path="/", host="test", method="GET", headers=()):
    return name_of(ask(port, method, path, headers, host=host))


def shares(port, path="/", n=200):
    with Connection(port) as connection:
        return Counter(name_of(connection.ask(path=path)) for _ in range(n))


def modifier(kind, remove=(), **changes):
    """A header filter; changes are set={name: value} and add={name: value}."""
    spec = {key: [{"name": n, "value": v} for n, v in values.items()] for key, values in changes.items()}
    if remove:
        spec["remove"] = list(remove)
    return {"type": kind, kind[0].lower() + kind[1:]: spec}


def redirect(**spec):
    return {"type": "RequestRedirect", "requestRedirect": spec}


def rewrite(**spec):
    return {"type": "URLRewrite", "urlRewrite": spec}


def replace_prefix(value):
    return {"type": "ReplacePrefixMatch", "replacePrefixMatch": value}


def mirror(name, **spec):
    return {"type": "RequestMirror", "requestMirror": {"backendRef": {"name": name, "port": 80}, **spec}}


def cors(**spec):
    return {"type": "CORS", "cors": spec}


def https(port, name, hostname, *secrets):
    return m.listener(port, name, hostname, "HTTPS", list(secrets))
