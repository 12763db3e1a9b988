"""What the static libraries of a build export, and what they can write to."""

import re
import subprocess

PREFIX = "agw_"
WRITABLE = "DdBbCSs"
CONSTANT = ".data.rel.ro"  # tables of pointers: read-only once the loader has filled them


def nm(library):
    """(kind, name) of each symbol; constants with pointers count as read-only."""
    command = ["gcc-nm", "--defined-only", "--format=sysv", library]
    result = subprocess.run(command, capture_output=True, text=True, check=True)
    found = []
    for line in result.stdout.splitlines():
        fields = [field.strip() for field in line.split("|")]
        if len(fields) == 7 and len(fields[2]) == 1:
            found.append(("r" if fields[6].startswith(CONSTANT) else fields[2], fields[0]))
    return found


def plain(name):
    """A static's name without the number that the compiler adds."""
    return re.sub(r"\.\d+$", "", name)


def allowed(text):
    """globals.txt: `library symbol reason` a line."""
    lines = (line.split(None, 2) for line in text.splitlines() if line.strip() and not line.startswith("#"))
    return {(library, symbol) for library, symbol, _ in lines}


def check(name, symbols, may_write):
    """Problems of one library: symbols is nm's list, may_write what globals.txt allows."""
    found = []
    for kind, symbol in symbols:
        if kind.isupper() and kind not in "UWV" and not symbol.startswith((PREFIX, "_Z")):
            found.append(f"{name}: exports {symbol}, which does not start with {PREFIX}")
        if kind in WRITABLE and (name, plain(symbol)) not in may_write and not symbol.startswith("_Z"):
            found.append(f"{name}: {plain(symbol)} is a writable global that tests/tidy/globals.txt does not allow")
    return found
