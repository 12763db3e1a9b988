"""TLS to backends: BackendTLSPolicy, policies of an AgentgatewayBackend, client certificates, resumption."""

import ssl
from types import SimpleNamespace

import pytest

import manifests as m
from certificates import Authority
from client import ask
from gateway import eventually
from ports import free_port


@pytest.fixture(scope="module")
def authority(tmp_path_factory):
    return Authority(tmp_path_factory.mktemp("ca"))


@pytest.fixture(scope="module")
def strangers(tmp_path_factory):
    return Authority(tmp_path_factory.mktemp("strangers"))


def context(authority, *names, clients=None, version=None):
    """A server's context with a certificate for |names|; |clients|: the authority that its clients must be known to."""
    authority.issue(*names)
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    made.load_cert_chain(authority.file(names[0], "crt"), authority.file(names[0], "key"))
    if clients:
        made.load_verify_locations(clients.certificate)
        made.verify_mode = ssl.CERT_OPTIONAL
    if version:
        made.maximum_version = version
    return made


@pytest.fixture
def serve(authority, strangers, start_gateway, start_upstream):
    """serve(*objects, names=("up.test",)): a gateway in front of Service up, a TLS server with these names."""

    def start(*objects, names=("up.test",), gateway_tls=None, clients=None, version=None, workers=1):
        upstream = start_upstream(tls=context(authority, *names, clients=clients, version=version))
        port = free_port()
        gateway = m.gateway(port)
        if gateway_tls:
            gateway["spec"]["tls"] = gateway_tls
        common = [gateway, m.service("up", upstream.port), m.route("r", m.rule("up"))]
        common += [m.config_map("ca", ca_crt=authority.certificate.read_text())]
        common += [m.config_map("strangers", ca_crt=strangers.certificate.read_text())]
        started = start_gateway(common, *objects, workers=workers)
        return SimpleNamespace(port=port, gateway=started, upstream=upstream, common=common)

    return start


CA = [m.core_ref("ca")]


def policy(name="p", services=("up",), created=None, section=None, refs=None, **validation):
    validation = {"hostname": "up.test", "caCertificateRefs": CA if refs is None else refs, **validation}
    if not validation["caCertificateRefs"]:
        del validation["caCertificateRefs"]
    return m.backend_tls_policy(name, services, created, section, **validation)


def uri(value):
    return {"type": "URI", "uri": value}


def dns(value):
    return {"type": "Hostname", "hostname": value}


@pytest.mark.parametrize(
    "names, validation, status",
    [
        (["up.test"], {}, 200),
        (["other.test"], {}, 503),
        (["up.test"], {"refs": [m.core_ref("strangers")]}, 503),
        (["up.test"], {"refs": [m.core_ref("strangers"), m.core_ref("ca")]}, 200),
        (["up.test"], {"refs": [], "wellKnownCACertificates": "System"}, 503),
        # with subjectAltNames the hostname is the server name alone
        (["up.test"], {"subjectAltNames": [dns("san.test")]}, 503),
        (["san.test"], {"subjectAltNames": [dns("san.test")]}, 200),
        (["san.test"], {"subjectAltNames": [dns("no.test"), dns("san.test")]}, 200),
        (["URI:spiffe://mesh/sa/up"], {"subjectAltNames": [uri("spiffe://mesh/sa/up")]}, 200),
        (["URI:spiffe://mesh/sa/up"], {"subjectAltNames": [uri("spiffe://mesh/sa/other"), dns("up.test")]}, 503),
        (["URI:spiffe://mesh/sa/up2"], {"subjectAltNames": [uri("spiffe://mesh/sa/up")]}, 503),
    ],
)
def test_rule_29_backend_tls_policy_validation(serve, names, validation, status):
    site = serve(policy(**validation), names=names)
    assert ask(site.port).status == status
    if status == 200:
        assert site.upstream.handshakes[0][0] == "up.test"
    else:
        assert site.upstream.requests == []


@pytest.mark.parametrize(
    "refs, why",
    [
        ([m.core_ref("missing")], ["(InvalidCACertificateRef)", "(NoValidCACertificate)"]),
        ([m.core_ref("junk")], ["(InvalidCACertificateRef)", "(NoValidCACertificate)"]),
        ([m.core_ref("up", "Service")], ["(InvalidKind)", "(NoValidCACertificate)"]),
    ],
)
def test_rule_29_bad_ca_never_means_plain_text(serve, refs, why):
    site = serve(policy(refs=refs), m.config_map("junk", ca_crt="junk"))
    assert ask(site.port).status in (500, 502, 503)
    assert site.upstream.connections == 0
    assert all(word in site.gateway.log() for word in why)


def test_rule_29_one_good_reference_is_enough(serve):
    site = serve(policy(refs=[m.core_ref("missing"), m.core_ref("ca")]))
    assert ask(site.port).status == 200
    assert "(InvalidCACertificateRef)" in site.gateway.log() and "(NoValidCACertificate)" not in site.gateway.log()


def test_rule_29_a_port_s_policy_comes_before_the_service_s(serve):
    wrong = {"hostname": "wrong.test"}
    site = serve(policy("whole", **wrong), policy("port", section="main"))
    assert ask(site.port).status == 200
    assert [sni for sni, *_ in site.upstream.handshakes] == ["up.test"]


@pytest.mark.parametrize("section", [None, "main"])
def test_rule_29_of_two_policies_the_older_counts_then_the_alphabet(serve, section):
    old = policy("z", created="2020-01-01T00:00:00Z", section=section)
    new = policy("a", created="2024-01-01T00:00:00Z", section=section, hostname="wrong.test")
    site = serve(new, old)
    assert ask(site.port).status == 200
    assert "BackendTLSPolicy test/a" in site.gateway.log() and "(Conflicted)" in site.gateway.log()
    site.gateway.apply(site.common, policy("a", section=section), policy("b", section=section, hostname="wrong.test"))
    eventually(lambda: "BackendTLSPolicy test/b" in site.gateway.log())
    assert ask(site.port).status == 200


def test_rule_29_an_edited_config_map_takes_effect(serve, strangers):
    site = serve(policy())
    assert ask(site.port).status == 200
    others = [o for o in m.flat(site.common) if o["metadata"]["name"] != "ca"]
    site.gateway.apply(others, m.config_map("ca", ca_crt=strangers.certificate.read_text()), policy())
    eventually(lambda: ask(site.port).status == 503)
    site.gateway.apply(site.common, policy())
    eventually(lambda: ask(site.port).status == 200)


@pytest.mark.parametrize(
    "validation, why",
    [
        ({"wellKnownCACertificates": "System"}, "needs exactly one of caCertificateRefs and wellKnownCACertificates"),
        ({"refs": []}, "needs exactly one of caCertificateRefs and wellKnownCACertificates"),
        ({"refs": [], "wellKnownCACertificates": "Mine"}, '"Mine" is not known, System is'),
        ({"subjectAltNames": [{"type": "URI", "hostname": "a.test"}]}, "needs hostname with type Hostname, uri with type URI"),
        ({"subjectAltNames": [uri("urn:x")]}, "must be a URI with a scheme and an authority"),
    ],
)
def test_mistakes_are_refused_with_their_place(serve, validation, why):
    site = serve(policy())
    site.gateway.apply(site.common, policy(**validation))
    eventually(lambda: why in site.gateway.log())
    assert ask(site.port).status == 200


# --- appProtocol ---


@pytest.mark.parametrize("protocol, roots", [("kubernetes.io/wss", True), ("https", True), ("https", False)])
def test_rule_16_plain_requests_over_tls(authority, start_gateway, start_upstream, protocol, roots):
    """Without a policy: the system's roots, and the Service's name in the certificate and as the server name."""
    name = "up.test.svc.cluster.local"
    upstream = start_upstream(tls=context(authority, name))
    port = free_port()
    start_gateway(
        m.gateway(port),
        m.service("up", upstream.port, app_protocol=protocol),
        m.route("r", m.rule("up")),
        env={"SSL_CERT_FILE": str(authority.certificate)} if roots else None,
    )
    assert ask(port).status == (200 if roots else 503)
    if roots:
        assert [asked_for for asked_for, *_ in upstream.handshakes] == [name]


def test_rule_16_a_policy_says_it_better(serve, start_upstream):
    site = serve(policy())
    services = m.service("up", site.upstream.port, app_protocol="https")
    rest = [o for o in m.flat(site.common) if o["kind"] not in ("Service", "EndpointSlice")]
    site.gateway.apply(rest, services, policy())
    site.upstream.handshakes.clear()
    eventually(lambda: ask(site.port).status == 200 and site.upstream.handshakes)
    assert {asked_for for asked_for, *_ in site.upstream.handshakes} == {"up.test"}


def test_rule_16_connections_are_not_wrapped(authority, start_gateway, start_upstream):
    """A TCPRoute to a port of appProtocol https passes the client's own TLS on."""
    upstream, port = start_upstream(tls=context(authority, "up.test")), free_port()
    start_gateway(
        m.gateway(listeners=[m.tcp_listener(port)]),
        m.service("up", upstream.port, app_protocol="https"),
        m.l4_route("TCPRoute", "r", "up"),
    )
    assert ask(port, tls=str(authority.certificate), server_name="up.test").status == 200


# --- client certificates ---


def test_rule_30_the_gateway_s_client_certificate_is_shown(authority, serve):
    secret = m.tls_secret("client", *authority.issue("gateway.test"))
    backend = {"backend": {"clientCertificateRef": m.core_ref("client", "Secret")}}
    site = serve(policy(), secret, gateway_tls=backend, clients=authority)
    assert ask(site.port).status == 200
    assert ("DNS", "gateway.test") in site.upstream.handshakes[0][1]["subjectAltName"]


def test_rule_30_without_one_nothing_is_shown(authority, serve):
    site = serve(policy(), clients=authority)
    assert ask(site.port).status == 200
    assert not site.upstream.handshakes[0][1]


def test_rule_30_a_bad_client_certificate_is_reported(serve):
    site = serve(policy(), gateway_tls={"backend": {"clientCertificateRef": m.core_ref("missing", "Secret")}})
    assert ask(site.port).status == 200
    assert "(InvalidClientCertificateRef)" in site.gateway.log()


# --- AgentgatewayBackend ---


@pytest.mark.parametrize(
    "tls, status",
    [
        ({"sni": "up.test", "caCertificateRefs": [{"name": "ca"}]}, 200),
        ({"sni": "wrong.test", "caCertificateRefs": [{"name": "ca"}]}, 503),
        ({"sni": "wrong.test", "caCertificateRefs": [{"name": "ca"}], "insecureSkipVerify": "Hostname"}, 200),
        ({"sni": "up.test", "caCertificateRefs": [{"name": "strangers"}], "insecureSkipVerify": "Hostname"}, 503),
        ({"sni": "wrong.test", "insecureSkipVerify": "All"}, 200),
        ({"caCertificateRefs": [{"name": "ca"}], "verifySubjectAltNames": ["x.test", "up.test"]}, 200),
        ({"caCertificateRefs": [{"name": "ca"}], "verifySubjectAltNames": ["x.test", "spiffe://a/b"]}, 503),
        ({"sni": "up.test", "caCertificateRefs": [{"name": "ca"}], "keyExchangeGroups": ["P-384", "X25519_MLKEM768"]}, 200),
    ],
)
def test_backend_policies(serve, tls, status):
    site = serve()
    static = {"static": {"host": "127.0.0.1", "port": site.upstream.port}, "policies": {"tls": tls}}
    rest = [o for o in m.flat(site.common) if o["kind"] != "HTTPRoute"]
    site.gateway.apply(rest, m.backend("b", static), m.route("r", m.rule(m.agentgateway_ref("b"), matches=[m.prefix("/b")])))
    eventually(lambda: ask(site.port, path="/b").status == status)
    if status == 200:
        assert site.upstream.handshakes[-1][0] == tls.get("sni")


# --- resumption ---


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_the_next_connection_resumes(serve, version):
    site = serve(policy(), version=version)

    def close(request, stream):
        stream.respond(200, "", [("Connection", "close")])
        return False

    site.upstream.on("/close", close)
    for _ in range(6):
        assert ask(site.port, path="/close").status == 200
    assert [reused for *_, reused in site.upstream.handshakes] == [False] + [True] * 5
