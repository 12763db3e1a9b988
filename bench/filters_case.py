"""What each filter of a route costs: CPU of the gateway per request, beside a route without any, in interleaved rounds."""
import statistics

import cases
import load
import peers

HEADERS = "{set: [{name: x-set, value: one}], add: [{name: x-add, value: two}], remove: [x-gone]}"
FILTERS = {  # of the rule for /NAME
    "none": "",
    "request-headers": f"filters: [{{type: RequestHeaderModifier, requestHeaderModifier: {HEADERS}}}]",
    "response-headers": f"filters: [{{type: ResponseHeaderModifier, responseHeaderModifier: {HEADERS}}}]",
    "rewrite": "filters: [{type: URLRewrite, urlRewrite: {path: {type: ReplacePrefixMatch, replacePrefixMatch: /to}}}]",
    "redirect": "filters: [{type: RequestRedirect, requestRedirect: {hostname: other.test}}]",
    "cors": 'filters: [{type: CORS, cors: {allowOrigins: ["https://bench.test"]}}]',
    "mirror": "filters: [{type: RequestMirror, requestMirror: "
              "{backendRef: {group: agentgateway.dev, kind: AgentgatewayBackend, name: b}, percent: 10}}]",
    "timeouts": "timeouts: {request: 10s, backendRequest: 5s}",
    "retry": "retry: {attempts: 2, codes: [503]}",
    "headers-match": "",
}
MATCHES = {"headers-match": ", headers: [{type: RegularExpression, name: origin, value: 'https://.*[.]test'}]"}


def rule(name):
    more = f"\n    {FILTERS[name]}" if FILTERS[name] else ""
    backend = "" if name == "redirect" else "    backendRefs: [{group: agentgateway.dev, kind: AgentgatewayBackend, name: b}]\n"
    return f"  - matches: [{{path: {{value: /{name}}}{MATCHES.get(name, '')}}}]{more}\n{backend}"


def manifest():
    rules = "".join(map(rule, FILTERS)).replace("{", "{{").replace("}", "}}")
    head, _, tail = peers.MANIFEST.partition("  - backendRefs:")
    return head + rules + tail.partition("\n")[2]


def measure(work, options):
    backend = peers.backend(work)
    peer = None
    samples = {name: [] for name in FILTERS}
    try:
        peer = peers.Peer("agentgateway", work, backend.port, manifest=manifest())
        for _ in range(options.rounds):
            for name, got in samples.items():
                url = f"http://127.0.0.1:{peer.h1}/{name}"
                one = cases.with_cpu(peer, lambda url=url: load.wrk(url, options.seconds, headers=["Origin: https://bench.test"]))
                if name != "redirect" and one["errors"]:
                    raise RuntimeError(f"{name}: {one['errors']} of {one['requests']} requests failed")
                got.append(one["cpu_us_per_request"])
    finally:
        if peer:
            peer.stop()
        backend.stop()
    medians = {name: statistics.median(got) for name, got in samples.items()}
    costs = {f"{name}_cpu_us_more": median - medians["none"] for name, median in medians.items() if name != "none"}
    return {"none_cpu_us_per_request": medians["none"], **costs}
