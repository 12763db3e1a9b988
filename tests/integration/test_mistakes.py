"""What --validate says of common mistakes: file, line, object, field and reason, in words that help."""

import re

import pytest
import yaml

import manifests as m
from gateway import run

GATEWAY = yaml.safe_dump(m.gateway(18080), sort_keys=False)
ROUTE = yaml.safe_dump(m.route("web", m.rule("web")), sort_keys=False)
WEB = yaml.safe_dump_all(m.service("web", 3000), sort_keys=False)
OF_ROUTE, OF_GATEWAY = "HTTPRoute test/web: spec.", "Gateway test/gw: spec."

# name: (what is written instead of what in all three, exit code, what is said besides file and line)
MISTAKES = {
    "misspelt field": (
        *("backendRefs", "backendRef", 1),
        [OF_ROUTE + "rules[0].backendRef: unknown field (did you mean backendRefs?)"],
    ),
    "misspelt field of a listener": (
        *("protocol: HTTP\n", "protocl: HTTP\n", 1),
        [OF_GATEWAY + "listeners[0].protocol: is required"],
    ),
    "number in quotes": (
        *("port: 18080", "port: '18080'", 1),
        [OF_GATEWAY + "listeners[0].port: must be a whole number, is text"],
    ),
    "no port": (
        *("name: web\n      port: 80\n", "name: web\n", 1),
        [OF_ROUTE + "rules[0].backendRefs[0].port: is required for a Service"],
    ),
    "map instead of a list": (
        *("    - name: web\n      port", "      name: web\n      port", 1),
        [OF_ROUTE + "rules[0].backendRefs: must be a list, is a map"],
    ),
    "URL for a hostname": (
        *("  rules:", "  hostnames: ['http://a.test/']\n  rules:", 1),
        [OF_ROUTE + "hostnames[0]: ", "a.example.com"],
    ),
    "type of Ingress": (
        *("- backendRefs:", "- matches: [{path: {type: Prefix, value: /}}]\n    backendRefs:", 1),
        ["path.type: ", "PathPrefix"],
    ),
    "glob": (
        *("- backendRefs:", "- matches: [{path: {value: '/a/*'}}]\n    backendRefs:", 0),
        ["matches[0].path.value: ", "* stands for itself"],
    ),
    "duration without a unit": (
        *("- backendRefs:", "- timeouts: {request: '10'}\n    backendRefs:", 1),
        ["timeouts.request: ", "1m30s"],
    ),
    "Gateway that is not there": (
        *("parentRefs:\n  - name: gw", "parentRefs:\n  - name: gateway", 0),
        [OF_ROUTE + "parentRefs[0]: there is no Gateway test/gateway: the route serves nothing"],
    ),
    "forgotten namespace": (
        *("  - name: gw\n    namespace: test", "  - name: gw\n    namespace: default", 0),
        ["there is no Gateway default/gw", "namespace: test is missing"],
    ),
    "Service that is not there": (
        *("    - name: web\n      port", "    - name: app\n      port", 0),
        ["backendRefs[0]: there is no Service test/app: answered 500"],
    ),
    "protocol in lower case": (
        *("protocol: HTTP\n", "protocol: http\n", 0),
        [OF_GATEWAY + "listeners[0].protocol: protocol http is not served, HTTP, HTTPS, TLS, TCP and HBONE are"],
    ),
    "HTTPS without a certificate": (
        *("protocol: HTTP\n", "protocol: HTTPS\n", 1),
        [OF_GATEWAY + "listeners[0].tls.certificateRefs: is required"],
    ),
    "name instead of an address": (
        *("value: 127.0.0.1", "value: localhost", 1),
        [OF_GATEWAY + 'addresses[0].value: "localhost" is not an IP address'],
    ),
    "redirect to a backend": (
        *("- backendRefs:", "- filters: [{type: RequestRedirect, requestRedirect: {scheme: https}}]\n    backendRefs:", 1),
        ["RequestRedirect"],
    ),
    "kind in other letters": ("kind: HTTPRoute", "kind: HttpRoute", 1, ["HttpRoute test/web: kind: "]),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_mistakes(tmp_path, mistake):
    """Each message names the file, the line, the object, the field and the reason."""
    old, new, code, words = MISTAKES[mistake]
    text = "---\n".join([GATEWAY, ROUTE, WEB])
    assert old in text
    line = text[: text.index(old)].count("\n")
    (tmp_path / "objects.yaml").write_text(text.replace(old, new, 1))
    result = run("-f", str(tmp_path), "--validate")
    said = result.stdout + result.stderr
    assert result.returncode == code, said
    for word in words:
        assert word in said, said
    lines = [int(found) for found in re.findall(r"objects\.yaml:(\d+): \S+ \S+: ", said)]
    # Where it is, or, of something missing or of a kind, the object or item around it.
    assert lines and any(-6 <= found - line <= 3 for found in lines), (line, said)
