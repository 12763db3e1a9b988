"""The documentation says what is there: its examples are valid, its links and file names exist, its lists are complete."""

import os
import re
import subprocess
from pathlib import Path

import pytest

from controller import CONTROLLER
from gateway import ROOT, run, sanitizer_environment

PAGES = sorted(
    path
    for pattern in ("*.md", "docs/**/*.md", "examples/**/*.md")
    for path in ROOT.glob(pattern)
    if "node_modules" not in path.parts
)
CONFIGURATION = ROOT / "docs/configuration.md"
OPERATIONS = ROOT / "docs/operations.md"

BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
FILE_NAME = re.compile(r"`((?:lib|cmd|proto|tests|docs|examples|bench|dev)/[\w./-]+)`")
PLACEHOLDER = re.compile(r"FOLDER|FILE|NAME")


def name_of(path):
    return str(path.relative_to(ROOT))


def examples():
    """{heading: [(language, text)]} of the sections of docs/configuration.md that hold YAML."""
    found = {}
    for section in re.split(r"^#+ ", CONFIGURATION.read_text(), flags=re.MULTILINE):
        blocks = BLOCK.findall(section)
        if any(language == "yaml" for language, _ in blocks):
            found[section.splitlines()[0]] = blocks
    return found


def anchors(text):
    """The names that headings get as link targets."""
    headings = re.findall(r"^#+ (.*)$", BLOCK.sub("", text), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading).lower().replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("heading", examples())
def test_examples_are_valid(heading, tmp_path):
    """The YAML of a section is one configuration; shell commands beside it make files for it."""
    for number, (language, text) in enumerate(examples()[heading]):
        if language == "yaml":
            (tmp_path / f"{number}.yaml").write_text(text)
        elif language == "sh":
            subprocess.run(["sh", "-eu", "-c", text], cwd=tmp_path, check=True, capture_output=True, timeout=60)
    result = run("-f", str(tmp_path), "--validate")
    assert result.returncode == 0, result.stderr
    assert not result.stderr, "an example must give no warning"


def test_all_wanted_examples_are_there():
    assert len(examples()) >= 9


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_links_lead_somewhere(page):
    for link in LINK.findall(BLOCK.sub("", page.read_text())):
        if re.match(r"[a-z]+:", link):
            continue
        path, _, anchor = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        assert target.exists(), f"{link} leads nowhere"
        if anchor and target.suffix == ".md":
            assert anchor in anchors(target.read_text()), f"{link}: no such heading"


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_named_files_exist(page):
    names = {name for name in FILE_NAME.findall(page.read_text()) if not PLACEHOLDER.search(name)}
    assert [name for name in names if not (ROOT / name).exists()] == []


def test_limits_are_those_of_the_code():
    """Rows of the tables of limits: | what | value | `CONSTANT` in `file` | ... |"""
    rows = re.findall(r"\| ([^|]+) \| `([\w.]+)` in `([\w./]+)` \|", OPERATIONS.read_text())
    assert len(rows) > 40
    for value, constant, file in rows:
        text = (ROOT / file).read_text()
        word = re.escape(constant.split(".")[-1])
        match = re.search(r"(?:#define\s+%s\s*(?:\\\n\s*)?|\.%s\s*=\s*)(.*)" % (word, word), text)
        assert match, f"{file} has no {constant}"
        written = set(re.findall(r"[0-9]+", value.replace(" ", "")))
        assert any(matches(int(number), match.group(1)) for number in written), f"{constant}: {value}, {match.group(0)}"


def matches(number, expression):
    """True if the C expression says |number|, plainly, in KiB or MiB, or in milliseconds for seconds."""
    code = re.split(r"/\*|//|,\s|[;}]", expression)[0].strip().strip(",")
    names = {"AGW_STREAM_WINDOW": "65536", "AGW_NS_PER_S": "1000"}
    for name, plain in names.items():
        code = code.replace(name, plain)
    code = re.sub(r"(?<=\d)[uUlL]+", "", code)
    if not re.fullmatch(r"[\d\s()*<+]+", code):
        return False
    return eval(code) in (number, number * 1000, number << 10, number << 20)  # digits and operators alone


def test_every_own_answer_has_a_symptom():
    """What the gateway says when it answers by itself stands in the table of symptoms, with its words."""
    text = OPERATIONS.read_text().split("## Troubleshooting")[1]
    code = "".join(path.read_text() for path in sorted((ROOT / "lib/proxy").glob("*.c")))
    said = re.findall(r'agw_exchange_fail\([^;]*?"([^"]+)"\)', code)
    for name in "reason_of", "check_websocket":
        body = re.search(r"^static \w+ (?:\w+ )?\*?%s\(.*?^}" % name, code, re.MULTILINE | re.DOTALL).group(0)
        said += re.findall(r'"([a-zA-Z][^"]+)"', body)
    assert len(said) > 30
    assert sorted({words for words in said if f"`{words}`" not in text}) == []


def test_every_room_is_on_the_map():
    lines = [line for line in (ROOT / "layers.txt").read_text().splitlines() if ":" in line and not line.startswith("#")]
    text = (ROOT / "docs/architecture.md").read_text()
    assert len(lines) > 20
    assert [line.split(":")[0] for line in lines if f"`{line.split(':')[0]}`" not in text] == []


def test_every_metric_is_described():
    families = re.findall(r'"(agentgateway_\w+)"', (ROOT / "lib/telemetry/metrics.h").read_text())
    text = OPERATIONS.read_text()
    assert families
    assert [name for name in families if f"`{name}`" not in text] == []


def test_every_field_of_the_access_log_is_described():
    header = (ROOT / "lib/telemetry/access_log.h").read_text()
    fields = re.findall(r"X\((\w+), \d+\)", header)
    text = OPERATIONS.read_text()
    assert fields
    assert [name for name in fields if f"`{name}`" not in text] == []


def test_every_option_is_described():
    options = set(re.findall(r"--[a-z-]+|[A-Z]+(?:_[A-Z]+)+", run("--help").stdout))
    text = OPERATIONS.read_text()
    assert len(options) > 8
    assert [name for name in options if name not in text] == []


def test_every_option_of_the_controller_is_described():
    command = [CONTROLLER, "--help"]
    said = subprocess.run(command, capture_output=True, text=True, timeout=60, env={**os.environ, **sanitizer_environment()})
    section = OPERATIONS.read_text().split("## The controller")[1].split("\n## ")[0]
    options = set(re.findall(r"--[a-z-]+", said.stdout))
    assert len(options) > 8
    assert [name for name in options if name not in section] == []
