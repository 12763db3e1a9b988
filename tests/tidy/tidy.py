"""`./dev lint`: checks every file that git knows or would add. Prints the problems; exits 1 if there are any."""

import subprocess
import sys
from pathlib import Path

import layers
import rules
import symbols

ROOT = Path(__file__).resolve().parents[2]
BUILD = ROOT / "build" / "release"
C_FLAGS = ["-std=gnu17", "-D_GNU_SOURCE", "-Wall", "-Wextra", "-Wno-unused-parameter", "-Werror"]


def list_files():
    command = ["git", "ls-files", "-co", "--exclude-standard", "-z"]
    names = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout.split("\0")
    return sorted(Path(name) for name in names if name and (ROOT / name).is_file())


def text_of(path):
    """None for a binary file, such as a fuzz seed."""
    if path.parts[:3] == ("tests", "fuzz", "corpus"):
        return None
    data = (ROOT / path).read_bytes()
    return None if b"\0" in data else data.decode()


def is_c(path):
    return path.suffix in (".c", ".h") and path.parts[0] in ("lib", "cmd", "proto", "tests", "bench", "xds")


def named_in(texts):
    """What may name a folder's files: its meson.build; a test's helper may serve the tests of other folders too."""
    tests = "".join(text for path, text in texts.items() if path.name == "meson.build" and path.parts[:2] == ("tests", "unit"))
    return lambda folder: tests if folder.parts[0] == "tests" else texts.get(folder / "meson.build", "")


def check_texts(texts, graph):
    found = []
    for path, text in texts.items():
        found += rules.any_text(path, text)
        found += rules.syntax(path, text)
        if path.name == "package-lock.json":
            found += rules.lock_file(path, text)
        if is_c(path) and not path.name.endswith("_gen.c"):
            found += rules.c_limits(path, text)
            found += rules.c_banned(path, text)
        if is_c(path) and path.parts[0] != "bench":
            found += layers.check(path, text, graph)
    return found


def check_format(paths):
    sources = [str(path) for path in paths if path.suffix in (".c", ".h", ".cc") and not path.name.endswith("_gen.c")]
    if not sources:
        return []
    command = ["clang-format", "--dry-run", "-Werror", *sources]
    result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    if result.returncode == 0:
        return []
    bad = sorted({line.split(":")[0] for line in result.stderr.splitlines() if "error:" in line})
    return [f"{name}: not formatted, run ./dev fmt" for name in bad] or [result.stderr.strip()]


def check_scripts(paths):
    node = ROOT / "examples/quickstart/servers/node_modules/.bin/node"
    if not node.exists():
        return []
    scripts = [path for path in paths if path.suffix in (".mjs", ".js")]
    runs = [(path, subprocess.run([node, "--check", path], cwd=ROOT, capture_output=True, text=True)) for path in scripts]
    return [f"{path}: {run.stderr.strip()}" for path, run in runs if run.returncode]


def check_headers(paths):
    """Each header compiles alone; those of generated code are found in the build."""
    roots = [f"-I{path}" for path in (ROOT, ROOT / "lib", BUILD, BUILD / "proto")]
    found = []
    for path in paths:
        if path.suffix != ".h" or path.parts[0] not in ("lib", "cmd", "xds"):
            continue
        command = ["gcc", *C_FLAGS, "-Wno-pragma-once-outside-header", "-fsyntax-only", *roots, "-x", "c", str(path)]
        result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
        if result.returncode:
            found.append(f"{path}: does not compile alone: {result.stderr.strip()}")
    return found


def check_symbols(graph):
    may_write = symbols.allowed((ROOT / "tests/tidy/globals.txt").read_text())
    found = []
    for folder in graph:
        library = BUILD / f"lib{folder.replace('/', '_')}.a"
        if folder.startswith("lib/") and library.exists():
            found += symbols.check(folder, symbols.nm(library), may_write)
    return found


def main():
    paths = list_files()
    texts = {path: text for path in paths if (text := text_of(path)) is not None}
    graph, found = layers.read(texts[Path("layers.txt")])
    if sys.argv[1:] == ["--dot"]:
        print(layers.dot(graph))
        return 0
    found += check_texts(texts, graph)
    found += rules.folder_sizes(paths)
    found += rules.unnamed_files(paths, named_in(texts))
    found += rules.fuzz_seeds(paths)
    found += check_format(paths)
    found += check_scripts(paths)
    found += check_headers(paths)
    found += check_symbols(graph)
    print("\n".join(found) if found else f"{len(paths)} files, no problem found")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
