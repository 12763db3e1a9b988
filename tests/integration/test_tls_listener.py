"""TLS in front, as far as a configuration decides: certificates, versions, suites, groups, clients, tickets, staples."""

import base64
import re
import ssl
import subprocess
from types import SimpleNamespace

import pytest

import manifests as m
from certificates import Authority
from client import Connection
from gateway import eventually
from l4_peers import tls_connect
from ports import free_port
from xds_build import backend_ref


@pytest.fixture(scope="module")
def authority(tmp_path_factory):
    return Authority(tmp_path_factory.mktemp("ca"))


@pytest.fixture(scope="module")
def strangers(tmp_path_factory):
    return Authority(tmp_path_factory.mktemp("strangers"))


def s_client(port, *args, name="a.test", send="GET / HTTP/1.1\r\nHost: a.test\r\nConnection: close\r\n\r\n"):
    """What openssl says of a connection, with the answer to a request in it."""
    return openssl_s_client(port, ["-servername", name, "-ign_eof", *args], send)


def openssl_s_client(port, args, send=""):
    command = ["openssl", "s_client", "-connect", f"127.0.0.1:{port}", *args]
    done = subprocess.run(command, input=send.encode(), capture_output=True, timeout=30)
    return (done.stdout + done.stderr).decode("latin-1")


def served(text):
    return "HTTP/1.1 200" in text


@pytest.fixture
def serve(authority, start_gateway, start_upstream):
    """serve(secrets, options={}, tls=None, extra=()): one HTTPS listener for all hosts, or what |listeners| says."""

    def start(secrets, options=None, tls=None, extra=(), listeners=None, **more):
        port, upstream = (listeners[0]["port"] if listeners else free_port()), start_upstream()
        listener = m.listener(port, "https", None, "HTTPS", [s["metadata"]["name"] for s in secrets])
        if options:
            listener["tls"]["options"] = options
        gateway = m.gateway(listeners=listeners or [listener])
        if tls:
            gateway["spec"]["tls"] = tls
        objects = [gateway, *secrets, m.service("up", upstream.port), m.route("r", m.rule("up")), *extra]
        started = start_gateway(objects, **more)
        return SimpleNamespace(port=port, gateway=started, objects=objects, upstream=upstream)

    return start


# --- certificates ---


def test_certificates_of_one_listener_by_server_name(authority, serve):
    names = [("first.test",), ("a.test", "www.a.test"), ("*.wild.test",)]
    secrets = [m.tls_secret(f"s{i}", *authority.issue(*n)) for i, n in enumerate(names)]
    site = serve(secrets)
    ca = str(authority.certificate)
    for name in ("a.test", "www.a.test", "x.wild.test", "first.test"):
        with Connection(site.port, tls=ca, server_name=name) as connection:  # it verifies the name
            assert connection.ask(host=name).status == 200
    for args in (["-servername", "other.test"], ["-servername", "x.y.wild.test"], ["-noservername"]):
        assert "subject=CN = first.test" in openssl_s_client(site.port, args)


def test_one_bad_certificate_of_several_is_left_out(authority, serve):
    good = m.tls_secret("good", *authority.issue("a.test"))
    bad = m.tls_secret("bad", "junk", "junk")
    site = serve([bad, good])
    assert served(s_client(site.port))
    assert "Secret test/bad has no PEM certificate in tls.crt: the others are served" in site.gateway.log()


# --- versions, suites, groups ---


@pytest.fixture(scope="module")
def one(authority):
    return [m.tls_secret("one", *authority.issue("a.test"))]


OLD, NEW = "-tls1_2", "-tls1_3"


@pytest.mark.parametrize(
    "options, works, fails",
    [
        ({"min-tls-version": "1.3"}, [[NEW]], [[OLD]]),
        ({"max-tls-version": "1.2"}, [[OLD]], [[NEW]]),
        ({"cipher-suites": "TLS_AES_128_GCM_SHA256"}, [[NEW]], [[OLD], [NEW, "-ciphersuites", "TLS_AES_256_GCM_SHA384"]]),
        (
            {"cipher-suites": "TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384,TLS13_AES_256_GCM_SHA384"},
            [[OLD], [NEW]],
            [[OLD, "-cipher", "ECDHE-ECDSA-AES128-GCM-SHA256"], [NEW, "-ciphersuites", "TLS_AES_128_GCM_SHA256"]],
        ),
        ({"ecdh-curves": "P-384"}, [[NEW], [NEW, "-groups", "X25519:P-384"], [OLD]], [[NEW, "-groups", "X25519"]]),
        ({"ecdh-curves": "X25519MLKEM768, P-256"}, [[NEW, "-groups", "P-256"]], [[NEW, "-groups", "X25519"]]),
    ],
)
def test_options(one, serve, options, works, fails):
    site = serve(one, {f"kgateway.dev/{key}": value for key, value in options.items()})
    for args in works:
        assert served(s_client(site.port, *args)), args
    for args in fails:
        assert not served(s_client(site.port, *args)), args


@pytest.mark.parametrize(
    "key, value, why",
    [
        ("min-tls-version", "1.1", 'must be 1.2 or 1.3, not "1.1"'),
        ("cipher-suites", "TLS_RSA_WITH_RC4_128_MD5", '"TLS_RSA_WITH_RC4_128_MD5" is not known'),
        ("ecdh-curves", "P-256,brainpool", '"brainpool" is not known'),
    ],
)
def test_bad_options_are_refused_with_their_place(one, serve, key, value, why):
    site = serve(one)
    bad = m.flat(site.objects)
    bad[0]["spec"]["listeners"][0]["tls"]["options"] = {f"agentgateway.dev/{key}": value}
    site.gateway.apply(bad)
    eventually(lambda: "spec.listeners[0].tls.options" in site.gateway.log() and why in site.gateway.log())
    assert served(s_client(site.port))


# --- client certificates ---


def validation(*refs, **more):
    return {"validation": {"caCertificateRefs": list(refs), **more}}


def identify(authority, name):
    return ["-cert", authority.file(name, "crt"), "-key", authority.file(name, "key")]


@pytest.mark.parametrize("version", [OLD, NEW])
def test_client_certificates(authority, strangers, one, serve, version):
    authority.issue("client.test")
    strangers.issue("client.test")
    ca = m.config_map("ca", ca_crt=authority.certificate.read_text())
    site = serve(one, tls={"frontend": {"default": validation(m.core_ref("ca"))}}, extra=[ca])
    assert served(s_client(site.port, version, *identify(authority, "client.test")))
    assert not served(s_client(site.port, version, *identify(strangers, "client.test")))
    assert not served(s_client(site.port, version))


def test_client_certificates_by_port(authority, strangers, one, serve):
    """An entry for a port stands for the whole port: also one that asks for nothing."""
    authority.issue("client.test")
    strangers.issue("client.test")
    ports = [free_port() for _ in range(4)]
    listeners = [m.listener(port, f"l{i}", None, "HTTPS", ["one"]) for i, port in enumerate(ports)]
    maps = [m.config_map("ca", ca_crt=authority.certificate.read_text())]
    maps += [m.config_map("strangers", ca_crt=strangers.certificate.read_text())]
    per_port = [
        {"port": ports[1], "tls": {}},
        {"port": ports[2], "tls": validation(m.core_ref("ca"), m.core_ref("strangers"))},
        {"port": ports[3], "tls": validation(m.core_ref("ca"), mode="AllowInsecureFallback")},
    ]
    frontend = {"default": validation(m.core_ref("ca")), "perPort": per_port}
    site = serve(one, tls={"frontend": frontend}, extra=maps, listeners=listeners)
    known, stranger = identify(authority, "client.test"), identify(strangers, "client.test")
    table = {0: (True, False, False), 1: (True, True, True), 2: (True, True, False), 3: (True, True, True)}
    for i, expected in table.items():
        assert tuple(served(s_client(ports[i], *args)) for args in (known, stranger, [])) == expected, i
    assert "(ConfigurationChanged)" in site.gateway.log()


@pytest.mark.parametrize("mode", ["sanitize", "sanitize-set", "append-forward", "forward-only", "always-forward-only"])
def test_forwarded_client_certificate(authority, strangers, serve, mode):
    ours = m.tls_secret("one", *authority.issue("a.test", "URI:spiffe://td/ns/gw"))
    authority.issue("client.test", "URI:spiffe://td/ns/client")
    strangers.issue("client.test")
    asked = {"frontend": {"default": validation(m.core_ref("ca"), mode="AllowInsecureFallback")}}
    ca = m.config_map("ca", ca_crt=authority.certificate.read_text())
    args = ("--forward-client-cert", mode, "--trusted-proxies", "none")
    site = serve([ours], tls=asked, extra=[ca], args=args)
    request = "GET / HTTP/1.1\r\nHost: a.test\r\nX-Forwarded-Client-Cert: Hash=forged\r\nConnection: close\r\n\r\n"
    digest = subprocess.run(
        ["openssl", "x509", "-in", authority.file("client.test", "crt"), "-noout", "-fingerprint", "-sha256"],
        capture_output=True,
        text=True,
    ).stdout
    hashed = digest.strip().partition("=")[2].replace(":", "").lower()
    own = f'By=spiffe://td/ns/gw;Hash={hashed};Subject="CN=client.test";URI=spiffe://td/ns/client;DNS=client.test'
    known = {"sanitize-set": [own], "append-forward": ["Hash=forged," + own], "forward-only": ["Hash=forged"]}.get(mode, [])
    for who, expected in ((identify(authority, "client.test"), known), (identify(strangers, "client.test"), []), ([], [])):
        assert served(s_client(site.port, *who, send=request))
        assert site.upstream.requests[-1].all("x-forwarded-client-cert") == expected


@pytest.mark.parametrize(
    "ref, why",
    [
        (m.core_ref("missing"), "(InvalidCACertificateRef)"),
        (m.core_ref("junk"), "(InvalidCACertificateRef)"),
        (m.core_ref("svc", "Service"), "(InvalidCACertificateKind)"),
        (m.core_ref("far", namespace="far"), "(RefNotPermitted)"),
    ],
)
def test_without_a_usable_ca_nobody_gets_in(authority, one, serve, ref, why):
    authority.issue("client.test")
    maps = [m.config_map("junk", ca_crt="junk"), m.config_map("far", "far", ca_crt=authority.certificate.read_text())]
    site = serve(one, tls={"frontend": {"default": validation(ref)}}, extra=maps)
    for args in ([], identify(authority, "client.test")):
        assert not served(s_client(site.port, *args))
    assert why in site.gateway.log() and "(NoValidCACertificate)" in site.gateway.log()


def test_a_new_ca_takes_effect_and_old_tickets_do_not_go_round_it(authority, strangers, one, serve, tmp_path):
    authority.issue("client.test")
    strangers.issue("client.test")
    frontend = {"frontend": {"default": validation(m.core_ref("ca"))}}
    site = serve(one, tls=frontend, extra=[m.config_map("ca", ca_crt=authority.certificate.read_text())])
    session = str(tmp_path / "session")
    known = identify(authority, "client.test")
    assert served(s_client(site.port, *known, "-sess_out", session))
    again = s_client(site.port, *known, "-sess_in", session)
    assert served(again) and "Reused, TLSv1.3" in again
    site.gateway.apply(site.objects[:-1], m.config_map("ca", ca_crt=strangers.certificate.read_text()))
    eventually(lambda: served(s_client(site.port, *identify(strangers, "client.test"))))
    assert not served(s_client(site.port, *known, "-sess_in", session))


# --- resumption ---


@pytest.mark.parametrize("version", [OLD, NEW])
def test_tickets_are_good_on_every_worker_and_after_reloads(authority, one, serve, tmp_path, version):
    site = serve(one, workers=4)
    session, next_session = str(tmp_path / "session"), str(tmp_path / "next")
    assert served(s_client(site.port, version, "-sess_out", session))
    for _ in range(24):  # the kernel spreads them: all on one of four workers is one in 4 ** 23
        text = s_client(site.port, version, "-sess_in", session, "-sess_out", next_session)
        assert served(text) and re.search("^Reused, TLS", text, re.MULTILINE)
    renewed = m.tls_secret("one", *authority.issue("a.test"))
    site.gateway.apply(*site.objects[:1], renewed, *site.objects[2:])
    serial = subprocess.run(
        ["openssl", "x509", "-in", authority.file("a.test", "crt"), "-noout", "-serial"], capture_output=True, text=True
    ).stdout.strip()

    def is_served():
        command = f"openssl s_client -connect 127.0.0.1:{site.port} -servername a.test </dev/null 2>&1 | openssl x509 -noout -serial"
        return subprocess.run(["sh", "-c", command], capture_output=True, text=True).stdout.strip() == serial

    eventually(is_served)
    text = s_client(site.port, version, "-sess_in", session)
    assert served(text) and re.search("^Reused, TLS", text, re.MULTILINE)


# --- stapled OCSP answers ---


def test_stapled_answer(authority, serve):
    secret = m.tls_secret("one", *authority.issue("staple.test"))
    secret["data"] = {"tls.ocsp-staple": base64.b64encode(authority.ocsp("staple.test")).decode()}
    site = serve([secret])
    text = s_client(site.port, "-status", name="staple.test")
    assert "OCSP Response Status: successful (0x0)" in text and "Cert Status: good" in text
    assert "OCSP response: no response sent" not in text


def test_an_answer_about_another_certificate_is_left_out(authority, one, serve):
    authority.issue("staple.test")
    secret = {**one[0], "data": {"tls.ocsp-staple": base64.b64encode(authority.ocsp("staple.test")).decode()}}
    site = serve([secret])
    assert "OCSP response: no response sent" in s_client(site.port, "-status")
    assert "tls.ocsp-staple is left out" in site.gateway.log()


# --- from a control plane ---


@pytest.fixture
def fed_https(authority, fed, plane, b):
    """fed_https(tls={}, policies=()): a gateway fed with one HTTPS listener."""

    def start(tls=None, policies=()):
        port = free_port()
        certificate, key = (part.encode() for part in authority.issue("a.test"))
        config = {"cert": certificate, "private_key": key, **(tls or {})}
        site = fed(
            b.bind(port, protocol="TLS"),
            b.listener(port, "https", protocol="HTTPS", tls=config),
            b.route("s", backend_ref("v1"), listener="https"),
            *policies,
        )
        return SimpleNamespace(port=port, site=site)

    return start


def test_listener_settings_from_the_wire(authority, strangers, fed_https):
    authority.issue("client.test")
    root = authority.certificate.read_bytes()
    made = fed_https({"root": root, "min_version": "TLS_V1_3", "key_exchange_groups": ["P256"]})
    known = identify(authority, "client.test")
    assert served(s_client(made.port, *known))
    assert not served(s_client(made.port))
    assert not served(s_client(made.port, *known, OLD))
    assert not served(s_client(made.port, *known, "-groups", "X25519"))


def frontend(b, key="front", where=(), **tls):
    target = {"gateway": {"name": b.gw, "namespace": b.ns, **dict(where)}}
    return b._resource("policy", key, target=target, frontend={"tls": tls})


def test_frontend_policy(b, fed_https, plane):
    made = fed_https(policies=[frontend(b, alpn={"protocols": ["http/1.1"]}, max_version="TLS_V1_2")])
    text = s_client(made.port, "-alpn", "h2,http/1.1")
    assert served(text) and "ALPN protocol: http/1.1" in text and "TLSv1.2" in text
    assert not served(s_client(made.port, NEW))
    plane.ask(frontend(b, min_version="TLS_V1_3"))
    assert not served(s_client(made.port, OLD))
    assert served(s_client(made.port, NEW))


def test_frontend_policy_names_the_protocols_of_relayed_connections(b, authority, fed):
    """No HTTP is spoken there: any protocol may be agreed on, and none is unless a policy says so."""
    port, (certificate, key) = free_port(), (part.encode() for part in authority.issue("a.test"))
    listener = b.listener(port, "tls", host="a.test", protocol="TLS", tls={"cert": certificate, "private_key": key})
    site = fed(b.bind(port, protocol="TLS"), listener, b.tcp_route("t", backend_ref("v1"), hosts=["a.test"], listener="tls"))

    def agreed(*offer):
        with tls_connect(authority, port, "a.test", alpn=offer) as sock:
            return sock.selected_alpn_protocol()

    assert agreed("mqtt", "h2") is None
    site.plane.ask(frontend(b, alpn={"protocols": ["mqtt", "h2"]}))
    assert agreed("h2", "mqtt") == "mqtt" and agreed("h2") == "h2"
    with pytest.raises(ssl.SSLError, match="(?i)no.application.protocol"):
        agreed("smtp")


def test_of_frontend_policies_the_most_specific_counts(b, fed_https, plane):
    made = fed_https(policies=[frontend(b, max_version="TLS_V1_2")])
    assert served(s_client(made.port, OLD)) and not served(s_client(made.port, NEW))
    plane.ask(frontend(b, "port", {"port": made.port}, min_version="TLS_V1_3"))
    assert served(s_client(made.port, NEW)) and not served(s_client(made.port, OLD))
    plane.ask(frontend(b, "listener", {"listener": "https"}, alpn={"protocols": ["http/1.1"]}))
    assert served(s_client(made.port, NEW)) and served(s_client(made.port, OLD))  # whole kinds, not fields


def test_bad_frontend_policy_is_refused_alone(b, fed_https, plane):
    made = fed_https()
    assert served(s_client(made.port))
    answer = plane.ask(frontend(b, alpn={"protocols": ["smtp"]}))
    assert "smtp" in answer.error and "is not served, h2 and http/1.1 are" in answer.error
    assert served(s_client(made.port))  # as before


def test_handshake_timeout(b, fed_https):
    made = fed_https(policies=[frontend(b, handshake_timeout={"nanos": 300_000_000})])
    with Connection(made.port) as connection:
        connection.socket.settimeout(5)  # the usual limit is 15 s
        assert connection.stream.read() == b""
    assert served(s_client(made.port))
