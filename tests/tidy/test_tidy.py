"""The checks of `./dev lint` themselves: each must find what it is for and leave good code alone."""

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))
import csource  # noqa: E402
import layers  # noqa: E402
import rules  # noqa: E402
import symbols  # noqa: E402

LAYERS = {"lib/base": [], "lib/net": ["lib/base"], "lib/tls": ["lib/base", "lib/net"], "proto": ["lib/base"]}
SAMPLE = """
#include "base/str.h"
#define TWICE(x) \\
    do { x; } while (0)
// int not_this(void) {
static const char *const brace = "{";
struct thing { int (*call)(int); };
static int table[] = {1, 2};

__attribute__((noinline)) static int
short_one(int a)
{
    return a ? '{' : 2;
}

int agw_long(int a)
{
%s
}
"""


def test_functions_are_found_with_their_size_and_complexity():
    body = "\n".join("    if (a && a > 1) a++;" for _ in range(5))
    found = csource.functions_of(SAMPLE % body)
    assert [f.name for f in found] == ["short_one", "agw_long"]
    assert found[0].complexity == 2
    assert found[0].lines == 5
    assert found[1].lines == 8
    assert found[1].complexity == 11


def test_extern_c_block_does_not_hide_functions():
    found = csource.functions_of('extern "C" {\nint agw_a(void)\n{\n    return 1;\n}\n}\n')
    assert [f.name for f in found] == ["agw_a"]


def test_long_function_is_reported():
    assert rules.c_limits(Path("a.c"), SAMPLE % ("    a++;\n" * 66)) == []
    problems = rules.c_limits(Path("a.c"), SAMPLE % ("    a++;\n" * 67))
    assert problems == ["a.c:16: agw_long has 71 lines, the limit is 70"]


def test_complex_function_is_reported_but_a_wide_switch_is_not():
    branches = "    if (a) a++;\n" * 15
    assert "complexity 16" in rules.c_limits(Path("a.c"), SAMPLE % branches)[0]
    switch = "switch (a) {" + "".join(f" case {n}: a++; break;\n" for n in range(30)) + "}"
    assert rules.c_limits(Path("a.c"), SAMPLE % switch) == []


@pytest.mark.parametrize("call", ["strcpy(a, b)", "sprintf (a, b)", "atoi(s)", "strtok(s, d)", "alloca(n)", "gets(s)"])
def test_banned_calls_are_reported(call):
    assert rules.c_banned(Path("a.c"), f"void f(void) {{ {call}; }}")


@pytest.mark.parametrize("text", ["snprintf(a, n, b)", "// strcpy(a, b)", '"atoi(s)"', "my_strcpy(a)"])
def test_other_calls_are_not(text):
    assert rules.c_banned(Path("a.c"), text) == []


def test_struct_typedef_is_reported():
    assert rules.c_banned(Path("a.h"), "typedef struct x x_t;")
    assert rules.c_banned(Path("a.h"), "typedef int agw_fn(void *);") == []


def test_unfinished_work_and_machine_paths_are_reported():
    assert rules.any_text(Path("a.c"), "// TO" + "DO: later\n") == ["a.c:1: unfinished work (TO" + "DO)"]
    assert rules.any_text(Path("a.md"), "\nsee /wo" + "rk/main/x\n") == ["a.md:2: names a machine's path or a registry's host"]
    assert rules.any_text(Path("a.md"), "https://registry." + "npmjs.org/x")
    assert rules.any_text(Path("a.md"), "lib/root/x, http://host/work/x and $HOME/home/x\n") == []


def test_long_file_is_reported():
    assert rules.any_text(Path("a.c"), "x\n" * 801)
    assert rules.any_text(Path("a.c"), "x\n" * 800) == []
    assert rules.any_text(Path("a.proto"), "x\n" * 801) == []


@pytest.mark.parametrize(
    "name, bad, good",
    [
        ("a.py", "def f(:", "def f(): pass"),
        ("a.yaml", "a: [", "a: [1]"),
        ("a.json", "{,}", "{}"),
        ("a.sh", "if true; then", "true"),
        ("run", "#!/bin/bash\nfor", "#!/bin/bash\ntrue"),
    ],
)
def test_syntax_errors_are_reported(name, bad, good):
    assert rules.syntax(Path(name), bad)
    assert rules.syntax(Path(name), good) == []


def test_lock_file_with_a_registry_address_is_reported():
    assert rules.lock_file(Path("package-lock.json"), '{"packages": {"node_modules/a": {"resolved": "x"}}}')
    assert rules.lock_file(Path("package-lock.json"), '{"packages": {"node_modules/a": {"version": "1"}}}') == []


def test_unit_test_may_look_inside():
    graph = {"lib/base": [], "lib/net": ["lib/base"], "lib/tls": ["lib/base", "lib/net"]}
    assert layers.check_include(Path("tests/unit/tls/a_test.c"), "net/conn_int.h", graph) is None
    assert layers.check_include(Path("tests/unit/net/a_test.c"), "tls/tls_int.h", graph) is not None


def test_crowded_folder_is_reported():
    files = [Path(f"lib/x/{n}.c") for n in range(12)] + [Path("lib/x/words_gen.c")]
    assert rules.folder_sizes(files) == []
    assert rules.folder_sizes(files + [Path("lib/x/13.c")]) == ["lib/x: 13 .c files, the limit is 12"]


def test_file_that_meson_does_not_name_is_reported():
    files = [Path("lib/x/a.c"), Path("lib/x/b.c"), Path("tests/unit/x/a_test.c"), Path("tests/fuzz/replay.c")]
    meson = {Path("lib/x"): "sources = files('a.c')", Path("tests/unit/x"): "['x/a_test.c']"}
    assert rules.unnamed_files(files, lambda folder: meson[folder]) == ["lib/x/b.c: not named in lib/x/meson.build"]


def test_fuzz_target_without_seeds_is_reported():
    target, seed = Path("tests/fuzz/h1_parse.c"), Path("tests/fuzz/corpus/h1_parse/get")
    assert rules.fuzz_seeds([target, Path("tests/fuzz/replay.c")])
    assert rules.fuzz_seeds([target, seed]) == []


def test_layers_file():
    graph, problems = layers.read("# x\nlib/base:\nlib/net: lib/base\n")
    assert graph == {"lib/base": [], "lib/net": ["lib/base"]} and problems == []
    assert layers.read("lib/net: lib/base\nlib/base:\n")[1]
    assert layers.read("lib/a:\nlib/a:\n")[1]


@pytest.mark.parametrize(
    "path, include, problem",
    [
        ("lib/net/a.c", "base/str.h", None),
        ("lib/net/a.c", "net/conn_int.h", None),
        ("lib/tls/a.c", "proto/x.pb-c.h", "lib/tls may not include proto"),
        ("lib/net/a.c", "tls/tls.h", "lib/net may not include lib/tls"),
        ("lib/tls/a.c", "net/conn_int.h", '"net/conn_int.h" is private to lib/net'),
        ("lib/net/a.c", "conn.h", '"conn.h" must be named with its folder'),
        ("lib/net/a.c", "gone/x.h", '"gone/x.h" is in no folder of layers.txt'),
        ("tests/unit/net/a_test.c", "tls/tls.h", "lib/net may not include lib/tls"),
        ("tests/unit/net/a_test.c", "failmalloc.h", None),
        ("tests/unit/net/a_test.c", "net/conn_int.h", None),
        ("tests/fuzz/net_x.c", "tls/tls.h", "lib/net may not include lib/tls"),
    ],
)
def test_includes(path, include, problem):
    found = layers.check(Path(path), f'#include <stdio.h>\n#include "{include}"\n', LAYERS)
    assert found == ([f"{path}:2: {problem}"] if problem else [])


def test_file_outside_the_layers_is_reported():
    assert layers.check(Path("lib/new/a.c"), "", LAYERS)


def test_graph_leaves_out_implied_edges():
    drawn = layers.dot(LAYERS)
    assert '"lib/tls" -> "lib/net"' in drawn and '"lib/tls" -> "lib/base"' not in drawn


def test_symbols():
    listed = [("T", "agw_ok"), ("T", "oops"), ("t", "mine"), ("b", "cache.0"), ("D", "agw_level"), ("R", "agw_table")]
    problems = symbols.check("lib/x", listed, {("lib/x", "agw_level")})
    assert len(problems) == 2 and "oops" in problems[0] and "cache" in problems[1]


def test_globals_file_needs_a_reason():
    assert symbols.allowed("# c\nlib/x level set once\n") == {("lib/x", "level")}
    with pytest.raises(ValueError):
        symbols.allowed("lib/x level\n")
