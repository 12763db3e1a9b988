"""Adds up what the test runners left in a directory and prints `N passed, N failed`; exits 1 if any failed.

unit-*.json is meson's test log (a cmocka program counts as many tests as it reports), pytest-*.xml is JUnit XML,
fuzz.txt has a line `NAME passed` or `NAME failed` for each fuzz target. status.txt has a line `FILE EXIT-CODE` for each
runner: one that failed and left no failed test behind, or left nothing at all, counts as one failure.
"""

import json
import re
import sys
import xml.etree.ElementTree as ElementTree
from pathlib import Path

COUNTS = ("passed", "failed", "skipped")


def count_unit(path):
    passed = failed = 0
    for line in path.read_text().splitlines():
        test = json.loads(line)
        output = (test.get("stdout") or "") + (test.get("stderr") or "")
        ran = output.count("[       OK ]")
        passed += ran
        if test["result"] == "OK":
            passed += ran == 0
            continue
        bad = re.findall(r"^\[  FAILED  \] (?:\w+: )?(\d+) test\(s\)", output, re.MULTILINE)
        failed += max(1, sum(map(int, bad)))
    return passed, failed, 0


def count_pytest(path):
    suites = ElementTree.parse(path).getroot().iter("testsuite")
    passed = failed = skipped = 0
    for suite in suites:
        bad = int(suite.get("failures")) + int(suite.get("errors"))
        left_out = int(suite.get("skipped"))
        passed += int(suite.get("tests")) - bad - left_out
        failed += bad
        skipped += left_out
    return passed, failed, skipped


def count_fuzz(path):
    words = [line.split()[1] for line in path.read_text().splitlines()]
    return words.count("passed"), words.count("failed"), 0


COUNTERS = (("unit-*.json", count_unit), ("pytest-*.xml", count_pytest), ("fuzz.txt", count_fuzz))


def count(results):
    counted = {}
    for pattern, counter in COUNTERS:
        for path in sorted(results.glob(pattern)):
            counted[path.name] = counter(path)
    status = results / "status.txt"
    for line in status.read_text().splitlines() if status.exists() else []:
        name, code = line.split()
        passed, failed, skipped = counted.get(name, (0, 0, 0))
        if name not in counted or (code != "0" and not failed):
            counted[name] = (passed, failed + 1, skipped)
    return counted


def say(counts):
    return ", ".join(f"{n} {word}" for n, word in zip(counts, COUNTS) if n or word != "skipped")


if __name__ == "__main__":
    counted = count(Path(sys.argv[1]))
    for name, counts in counted.items():
        print(f"{Path(name).stem}: {say(counts)}")
    total = [sum(column) for column in zip(*counted.values())] or [0, 0, 0]
    print(say(total))
    sys.exit(total[1] > 0 or total[0] == 0)
