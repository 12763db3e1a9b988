"""The proxies that are measured, each with one worker pinned to the first CPU, and the backend they share."""
import os
import shutil
import signal
import socket
import subprocess
import time
from pathlib import Path

import envoy as envoy_peer
from ports import free_port

PROXY_CPU, LOAD_CPU = 0, 1
TICK = os.sysconf("SC_CLK_TCK")
NGINX = shutil.which("nginx", path=os.environ["PATH"] + ":/usr/sbin") or "nginx"
HAPROXY = shutil.which("haproxy", path=os.environ["PATH"] + ":/usr/sbin") or "haproxy"
WS_PEER = Path(__file__).parent.parent / "build/release/bench/micro/ws_peer"
NGHTTPX = shutil.which("nghttpx", path=os.environ["PATH"] + ":/usr/sbin") or "nghttpx"


def wait_port(port, seconds=10):
    end = time.time() + seconds
    while time.time() < end:
        try:
            socket.create_connection(("127.0.0.1", port), 0.2).close()
            return
        except OSError:
            time.sleep(0.05)
    raise RuntimeError(f"nothing listens on 127.0.0.1:{port}")


def tree(pid):
    """The process and all below it."""
    pids = [pid]
    for task in Path(f"/proc/{pid}/task").glob("*/children"):
        for child in task.read_text().split():
            pids += tree(int(child))
    return pids


class Process:
    """A child in its own session, ended by the process group it leads."""

    def __init__(self, args, log, cpu=None, env=None):
        pin = ["taskset", "-c", str(cpu)] if cpu is not None else []
        with open(log, "ab") as out:
            self.child = subprocess.Popen(pin + args, stdout=out, stderr=out, stdin=subprocess.DEVNULL,
                                          start_new_session=True, env={**os.environ, **(env or {})})

    def cpu_us(self):
        total = 0
        for pid in tree(self.child.pid):
            fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
            total += int(fields[11]) + int(fields[12])
        return total * 1e6 / TICK

    def memory(self, field="Rss"):
        """Bytes of all processes: Rss, Anonymous, ..."""
        total = 0
        for pid in tree(self.child.pid):
            for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
                if line.startswith(field + ":"):
                    total += int(line.split()[1]) * 1024
        return total

    def stop(self):
        if self.child.poll() is None:
            os.killpg(self.child.pid, signal.SIGTERM)
            try:
                self.child.wait(5)
            except subprocess.TimeoutExpired:
                os.killpg(self.child.pid, signal.SIGKILL)
                self.child.wait()


def certificate(work):
    """One P-256 certificate for all peers."""
    cert, key, both = work / "cert.pem", work / "key.pem", work / "both.pem"
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2",
                    "-subj", "/CN=bench.test", "-addext", "subjectAltName=DNS:bench.test,IP:127.0.0.1", "-keyout", key,
                    "-out", cert], check=True, capture_output=True)
    both.write_text(cert.read_text() + key.read_text())
    return cert, key, both


LARGE = 1 << 20


def backend(work, size=1024):
    """nginx with a body in memory and LARGE bytes at /large, on the CPU of the load generator."""
    port = free_port()
    (work / "large").write_bytes(b"x" * LARGE)
    conf = work / "backend.conf"
    conf.write_text(f"""
worker_processes 1; daemon off; pid {work}/backend.pid; error_log {work}/backend.err;
events {{ worker_connections 8192; }}
http {{ access_log off; keepalive_requests 1000000000; keepalive_timeout 600s;
  server {{ listen 127.0.0.1:{port} backlog=4096; location = /large {{ root {work}; sendfile on; }} location / {{ return 200 "{'x' * size}"; }} }} }}
""")
    p = Process([NGINX, "-e", f"{work}/backend.err", "-c", str(conf)], work / "backend.log", LOAD_CPU)
    wait_port(port)
    p.port = port
    return p


def grpc_backend(work):
    """nginx as a gRPC server: HTTP/2 without TLS, a message of 64 bytes and trailers. Nobody on the way reads messages."""
    port = free_port()
    conf = work / "grpc.conf"
    conf.write_text(f"""
worker_processes 1; daemon off; pid {work}/grpc.pid; error_log {work}/grpc.err;
events {{ worker_connections 8192; }}
http {{ access_log off; keepalive_requests 1000000000; keepalive_timeout 600s;
  server {{ listen 127.0.0.1:{port} http2 backlog=4096; http2_max_concurrent_streams 256;
    location / {{ default_type application/grpc; add_trailer grpc-status 0; return 200 "{'x' * 64}"; }} }} }}
""")
    p = Process([NGINX, "-e", f"{work}/grpc.err", "-c", str(conf)], work / "grpc.log", LOAD_CPU)
    wait_port(port)
    p.port = port
    return p


def websocket_backend(work):
    """Sends every message back, on the CPU of the load generator."""
    port = free_port()
    p = Process([str(WS_PEER), "echo", str(port)], work / "echo.log", LOAD_CPU)
    wait_port(port)
    p.port = port
    return p


BACKENDS = {"grpc": grpc_backend, "websocket": websocket_backend}


def nginx(work, upstream):
    plain, tls = free_port(), free_port()
    cert, key, _ = certificate(work)
    conf = work / "nginx.conf"
    conf.write_text(f"""
worker_processes 1; daemon off; pid {work}/nginx.pid; error_log {work}/nginx.err;
events {{ worker_connections 19000; }}
http {{ access_log off; keepalive_requests 1000000000; keepalive_timeout 600s;
  upstream b {{ server 127.0.0.1:{upstream}; keepalive 1024; keepalive_requests 1000000000; }}
  server {{ listen 127.0.0.1:{plain} backlog=4096; location / {{ proxy_pass http://b; proxy_http_version 1.1;
    proxy_set_header Connection ""; }}
    location /ws {{ proxy_pass http://b; proxy_http_version 1.1; proxy_read_timeout 600s;
      proxy_set_header Upgrade websocket; proxy_set_header Connection upgrade; }} }}
  server {{ listen 127.0.0.1:{tls} ssl http2 backlog=4096; ssl_certificate {cert}; ssl_certificate_key {key};
    ssl_protocols TLSv1.2 TLSv1.3; ssl_session_cache shared:s:1m;
    location / {{ proxy_pass http://b; proxy_http_version 1.1; proxy_set_header Connection ""; }} }} }}
""")
    h2 = free_port()
    conf.write_text(conf.read_text().rstrip()[:-1] + f"""
  server {{ listen 127.0.0.1:{h2} http2 backlog=4096; http2_max_requests 1000000000; http2_max_concurrent_streams 256;
    location / {{ proxy_pass http://b; proxy_http_version 1.1; proxy_set_header Connection ""; }}
    location /bench.Echo/ {{ grpc_pass grpc://b; }} }} }}
""")
    return Process([NGINX, "-e", f"{work}/nginx.err", "-c", str(conf)], work / "nginx.log", PROXY_CPU), plain, h2, tls


def haproxy(work, upstream):
    plain, tls = free_port(), free_port()
    _, _, both = certificate(work)
    conf = work / "haproxy.cfg"
    conf.write_text(f"""
global
  nbthread 1
  maxconn 9000
  tune.h2.max-concurrent-streams 256
defaults
  mode http
  timeout client 600s
  timeout server 600s
  timeout tunnel 600s
  timeout connect 5s
  timeout http-keep-alive 600s
  http-reuse always
frontend f
  bind 127.0.0.1:{plain} backlog 4096
  bind 127.0.0.1:{tls} ssl crt {both} alpn h2,http/1.1 backlog 4096
  default_backend b
backend b
  server s 127.0.0.1:{upstream} pool-max-conn 2048
""")
    return Process([HAPROXY, "-db", "-f", str(conf)], work / "haproxy.log", PROXY_CPU), plain, plain, tls


def nghttpx(work, upstream):
    plain, tls = free_port(), free_port()
    cert, key, _ = certificate(work)
    args = [NGHTTPX, "--conf=/dev/null", "--workers=1", "--log-level=ERROR", "--backlog=4096",
            f"--frontend=127.0.0.1,{plain};no-tls", f"--frontend=127.0.0.1,{tls}", f"--backend=127.0.0.1,{upstream}",
            "--frontend-http2-max-concurrent-streams=256", "--backend-keep-alive-timeout=600s",
            "--frontend-read-timeout=600s", "--frontend-http2-read-timeout=600s", "--no-add-x-forwarded-proto", "--no-via",
            "--no-server-rewrite", "--no-ocsp", str(key), str(cert)]
    return Process(args, work / "nghttpx.log", PROXY_CPU), plain, plain, tls


def envoy(work, upstream):
    plain, tls = free_port(), free_port()
    cert, key, _ = certificate(work)
    return Process(envoy_peer.command(work, upstream, plain, tls, cert, key), work / "envoy.log", PROXY_CPU), plain, plain, tls


MANIFEST = """
apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: {{name: bench}}
spec:
  gatewayClassName: agentgateway
  addresses: [{{type: IPAddress, value: 127.0.0.1}}]
  listeners:
  - {{name: plain, port: {plain}, protocol: HTTP}}
  - name: tls
    port: {tls}
    protocol: HTTPS
    tls: {{certificateRefs: [{{name: cert}}]}}
---
apiVersion: v1
kind: Secret
metadata: {{name: cert}}
type: kubernetes.io/tls
stringData:
  tls.crt: |
{cert}
  tls.key: |
{key}
---
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {{name: all}}
spec:
  parentRefs: [{{name: bench}}]
  rules:
  - backendRefs: [{{group: agentgateway.dev, kind: AgentgatewayBackend, name: b}}]
---
apiVersion: agentgateway.dev/v1alpha1
kind: AgentgatewayBackend
metadata: {{name: b}}
spec:
  static: {{host: 127.0.0.1, port: {upstream}}}
"""


def indent(path):
    return "".join("    " + line + "\n" for line in path.read_text().splitlines())


def agentgateway(work, upstream, manifest=MANIFEST, binary=None, args=("--access-log", "off"), env=None):
    plain, tls = free_port(), free_port()
    stats, ready, admin = free_port(), free_port(), free_port()
    cert, key, _ = certificate(work)
    folder = work / "manifests"
    folder.mkdir(exist_ok=True)
    (folder / "gateway.yaml").write_text(
        manifest.format(plain=plain, tls=tls, upstream=upstream, cert=indent(cert), key=indent(key)))
    binary = binary or os.environ.get("AGW_BIN") or str(Path(__file__).parent.parent / "build/bin/agentgateway")
    env = {**(env or {}), "STATS_ADDR": f"127.0.0.1:{stats}", "READINESS_ADDR": f"127.0.0.1:{ready}", "ADMIN_ADDR": f"127.0.0.1:{admin}"}
    p = Process([binary, "-f", str(folder), "--workers", "1", *args], work / "agentgateway.log", PROXY_CPU, env)
    p.stats_port = stats
    p.folder = folder
    return p, plain, plain, tls


PEERS = {"agentgateway": agentgateway, "nginx": nginx, "haproxy": haproxy, "nghttpx": nghttpx}
if envoy_peer.BINARIES:
    PEERS["envoy"] = envoy


class Peer:
    def __init__(self, name, work, upstream, **more):
        folder = work / name
        folder.mkdir(exist_ok=True)
        self.name = name
        self.process, self.h1, self.h2, self.tls = PEERS[name](folder, upstream, **more)
        try:
            for port in {self.h1, self.h2, self.tls}:
                wait_port(port)
        except RuntimeError as e:
            self.stop()
            log = (folder / f"{name}.log").read_text()
            raise RuntimeError(f"{name}: {e}\n{log}") from e

    def stop(self):
        self.process.stop()
