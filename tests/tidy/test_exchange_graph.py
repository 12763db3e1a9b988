"""docs/exchange.dot shows the edges that the code has."""
import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def functions(path):
    """Name and body of each function that starts in column 0."""
    text = (ROOT / path).read_text()
    for m in re.finditer(r"^[a-z][^;{}()]*?\b(\w+)\([^;{}]*\)\n\{\n(.*?)^\}", text, re.M | re.S):
        yield m.group(1), m.group(2)


def targets(body):
    return set(re.findall(r"(?:agw_exchange_next\(x, |x->step = )AGW_STEP_([A-Z_]+)", body))


def edges_in_code():
    bodies = dict(functions("lib/proxy/exchange_steps.c"))
    edges = set()
    for name, body in bodies.items():
        if not name.startswith("agw_step_"):
            continue
        step = name[len("agw_step_"):].upper()
        edges |= {(step, t) for t in targets(body)}
        if "agw_exchange_delay(" in body:
            edges.add((step, "PAUSE"))
        if "policy_reply(" in body:
            edges |= {(step, t) for t in targets(bodies["policy_reply"])}
    edges |= {("FAIL", t) for t in targets(dict(functions("lib/proxy/exchange.c"))["agw_exchange_fail"])}
    for _, body in functions("lib/proxy/exchange_up.c"):
        edges |= {("AWAIT", t) for t in targets(body)}
    for name, body in functions("lib/proxy/exchange_retry.c"):
        edges |= {("PAUSE", t) for t in re.findall(r"p->next = AGW_STEP_([A-Z_]+)", body)}
        if name != "agw_exchange_delay":  # which a step calls
            edges |= {("AWAIT", t) for t in targets(body)}
    return edges


def edges_in_drawing():
    return set(re.findall(r"^\s*([A-Z_]+) -> ([A-Z_]+)", (ROOT / "docs/exchange.dot").read_text(), re.M))


def test_drawing_matches_code():
    assert edges_in_drawing() == edges_in_code()


def test_every_step_is_drawn():
    listed = set(re.findall(r"X\(([A-Z_]+), \w+\)", (ROOT / "lib/proxy/exchange_int.h").read_text()))
    drawn = {step for edge in edges_in_drawing() for step in edge} - {"FAIL"}
    assert listed == drawn
