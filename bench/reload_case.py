"""A thousand reloads in a minute at full request rate: no request may fail."""
import threading
import time

import load
import mcp_case
import peers

RELOADS, SECONDS = 1000, 60

FILTER = """
    filters:
    - type: ResponseHeaderModifier
      responseHeaderModifier: {{set: [{{name: x-generation, value: "{n}"}}]}}
"""


def rewrite(gateway, text, n):
    """Replaces the manifest in one step, as an editor or a ConfigMap volume does."""
    part = gateway.folder / ".gateway.yaml.new"
    part.write_text(text.replace("  - backendRefs:", "  -" + FILTER.format(n=n).rstrip("\n").replace("\n    filters", " filters", 1)
                                 + "\n    backendRefs:"))
    part.rename(gateway.folder / "gateway.yaml")


def measure(work):
    backend = peers.backend(work)
    folder = work / "agentgateway"
    folder.mkdir(exist_ok=True)
    peer = None
    try:
        peer = peers.Peer("agentgateway", work, backend.port)
        gateway = peer.process
        text = (gateway.folder / "gateway.yaml").read_text()
        result = {}
        thread = threading.Thread(target=lambda: result.update(load.wrk(f"http://127.0.0.1:{peer.h1}/", SECONDS + 2)))
        thread.start()
        begin = time.monotonic()
        for n in range(RELOADS):
            rewrite(gateway, text, n)
            time.sleep(max(0, begin + (n + 1) * SECONDS / RELOADS - time.monotonic()))
        thread.join()
        time.sleep(0.5)
        result["generations"] = mcp_case.metric(gateway.stats_port, "agentgateway_config_version")
        result["memory_anon_bytes"] = gateway.memory("Anonymous")
        return result
    finally:
        if peer:
            peer.stop()
        backend.stop()
