"""Rules on the text of one file: limits, banned words, syntax. Each returns a list of problems."""

import json
import re
import subprocess

import yaml

import csource

FILE_LINES = 800
FUNCTION_LINES = 70
COMPLEXITY = 15
FOLDER_FILES = 12

CODE = {".c", ".h", ".cc", ".py", ".sh", ".mjs", ".build"}

BANNED = {
    "strcpy": "agw_str_*", "strcat": "agw_buf_*", "sprintf": "snprintf", "vsprintf": "vsnprintf", "gets": "fgets",
    "strncpy": "memcpy", "strncat": "agw_buf_*", "strtok": "agw_str_*", "atoi": "a parser that reports errors",
    "atol": "a parser that reports errors", "atoll": "a parser that reports errors",
    "atof": "a parser that reports errors", "alloca": "the arena",
}
BANNED_CALL = re.compile(r"\b(" + "|".join(BANNED) + r")\s*\(")
STRUCT_TYPEDEF = re.compile(r"\btypedef\s+(?:struct|union)\b")
# Split, so that this file does not name what it forbids.
UNFINISHED = re.compile(r"\b(TO" + r"DO|FIX" + r"ME|XX" + r"X|HA" + r"CK)\b")
PLACES = re.compile(
    r"(?<![\w.$}])/(?:work|root|home)/\w|/tm" r"p/b-|\b(?:registry\." + r"npmjs|py" + r"pi\.org|crates" + r"\.io"
    r"|deb\.deb" + r"ian|proxy\.gol" + r"ang)"
)


def line_of(text, at):
    return text.count("\n", 0, at) + 1


def c_limits(path, text):
    found = []
    for function in csource.functions_of(text):
        where = f"{path}:{function.line}: {function.name}"
        if function.lines > FUNCTION_LINES:
            found.append(f"{where} has {function.lines} lines, the limit is {FUNCTION_LINES}")
        if function.complexity > COMPLEXITY:
            found.append(f"{where} has complexity {function.complexity}, the limit is {COMPLEXITY}")
    return found


def c_banned(path, text):
    code = csource.code_of(text)
    found = [
        f"{path}:{line_of(code, m.start())}: {m.group(1)} is banned, use {BANNED[m.group(1)]}"
        for m in BANNED_CALL.finditer(code)
    ]
    found += [
        f"{path}:{line_of(code, m.start())}: a struct is named by its tag, not by a typedef"
        for m in STRUCT_TYPEDEF.finditer(code)
    ]
    return found


def any_text(path, text):
    found = []
    if len(text.splitlines()) > FILE_LINES and path.suffix in CODE and not path.name.endswith("_gen.c"):
        found.append(f"{path}: {len(text.splitlines())} lines, the limit is {FILE_LINES}")
    for match in UNFINISHED.finditer(text):
        found.append(f"{path}:{line_of(text, match.start())}: unfinished work ({match.group(1)})")
    for match in PLACES.finditer(text):
        found.append(f"{path}:{line_of(text, match.start())}: names a machine's path or a registry's host")
    return found


def lock_file(path, text):
    packages = json.loads(text)["packages"]
    return [f"{path}: {name} carries a registry address" for name, entry in packages.items() if "resolved" in entry]


def syntax(path, text):
    if path.suffix == ".py":
        return python_syntax(path, text)
    if path.suffix in (".yaml", ".yml"):
        return yaml_syntax(path, text)
    if path.suffix == ".json":
        return json_syntax(path, text)
    if path.suffix == ".sh" or text.startswith("#!/bin/bash"):
        return tool_syntax(path, ["bash", "-n", "-s"], text)
    return []


def python_syntax(path, text):
    try:
        compile(text, str(path), "exec")
        return []
    except SyntaxError as error:
        return [f"{path}:{error.lineno}: {error.msg}"]


def yaml_syntax(path, text):
    try:
        list(yaml.safe_load_all(text))
        return []
    except yaml.YAMLError as error:
        return [f"{path}: {' '.join(str(error).split())}"]


def json_syntax(path, text):
    try:
        json.loads(text)
        return []
    except ValueError as error:
        return [f"{path}: {error}"]


def tool_syntax(path, command, text):
    result = subprocess.run(command, input=text, capture_output=True, text=True)
    return [f"{path}: {result.stderr.strip()}"] if result.returncode else []


def folder_sizes(paths):
    sizes = {}
    for path in paths:
        if path.suffix == ".c" and path.parts[0] != "tests" and not path.name.endswith("_gen.c"):
            sizes[path.parent] = sizes.get(path.parent, 0) + 1
    return [f"{folder}: {n} .c files, the limit is {FOLDER_FILES}" for folder, n in sizes.items() if n > FOLDER_FILES]


def unnamed_files(paths, meson_of):
    """C files that their folder's meson.build does not name are dead."""
    found = []
    for path in paths:
        if path.suffix not in (".c", ".cc") or path.parts[:2] == ("tests", "fuzz") or len(path.parts) < 3:
            continue
        if path.parts[0] == "tests" and (path.parts[1] != "unit" or len(path.parts) == 3):
            continue
        if not re.search(r"['/]" + re.escape(path.name) + "'", meson_of(path.parent)):
            found.append(f"{path}: not named in {path.parent}/meson.build")
    return found


def fuzz_seeds(paths):
    seeds = {path.parts[3] for path in paths if path.parts[:3] == ("tests", "fuzz", "corpus") and len(path.parts) > 4}
    return [
        f"{path}: no seeds in tests/fuzz/corpus/{path.stem}"
        for path in paths
        if path.parts[:2] == ("tests", "fuzz") and path.suffix == ".c" and "_" in path.stem and path.stem not in seeds
    ]
