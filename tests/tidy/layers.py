"""Checks #includes against layers.txt: allowed edges, private headers, full names."""

import re
from pathlib import Path

INCLUDE = re.compile(r'^[ \t]*#[ \t]*include[ \t]*"([^"]+)"', re.MULTILINE)


def read(text):
    """layers.txt as {folder: [folders it may include]}, and what is wrong with it."""
    layers, problems = {}, []
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip() or line.startswith("#"):
            continue
        folder, _, below = line.partition(":")
        folder = folder.strip()
        if folder in layers:
            problems.append(f"layers.txt:{number}: {folder} has two lines")
        for name in below.split():
            if name not in layers:
                problems.append(f"layers.txt:{number}: {folder} may include only folders above it, {name} is not")
        layers[folder] = below.split()
    return layers, problems


def folder_of(path, layers):
    """The folder whose rules hold for a file: its own, or for a test the one under test."""
    parent = path.parent.as_posix()
    if parent in layers:
        return parent
    if parent.startswith("tests/unit/"):
        room = parent[len("tests/unit/"):]
        return room if room in layers else "lib/" + room
    if parent == "tests/fuzz" and "_" in path.stem:
        room = path.stem.split("_")[0]
        return "xds/" + room if "xds/" + room in layers else "lib/" + room
    return None


def target_of(name, layers):
    folder = Path(name).parent.as_posix()
    for candidate in ("lib/" + folder, folder):
        if candidate in layers:
            return candidate
    return None


def check_include(path, name, layers):
    folder = folder_of(path, layers)
    test = path.parts[0] == "tests"
    if "/" not in name:
        return None if test else f'"{name}" must be named with its folder'
    target = target_of(name, layers)
    if target is None:
        return None if test else f'"{name}" is in no folder of layers.txt'
    # A unit test may look inside what stands below the folder that it tests: a state that nothing public tells.
    if name.endswith("_int.h") and target != folder and not (test and folder):
        return f'"{name}" is private to {target}'
    if folder and target != folder and target not in layers.get(folder, []):
        return f"{folder} may not include {target}"
    return None


def check(path, text, layers):
    """Problems of one file; path is relative to the root."""
    if path.parts[0] != "tests" and path.parent.as_posix() not in layers:
        return [f"{path}: its folder is not in layers.txt"]
    found = []
    for match in INCLUDE.finditer(text):
        problem = check_include(path, match.group(1), layers)
        if problem:
            found.append(f"{path}:{text.count(chr(10), 0, match.start()) + 1}: {problem}")
    return found


def dot(layers):
    """The graph in Graphviz's language; an edge that another path implies is left out."""
    def reach(folder):
        return set(layers[folder]).union(*(reach(below) for below in layers[folder]))

    lines = ["digraph layers {", "  rankdir=BT; node [shape=box];"]
    for folder, below in layers.items():
        implied = set().union(*(reach(name) for name in below))
        lines += [f'  "{folder}" -> "{name}";' for name in below if name not in implied]
    return "\n".join(lines + ["}"])
