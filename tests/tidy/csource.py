"""A C file without comments, strings and preprocessor lines, and the functions found in it."""

import re
from dataclasses import dataclass

NOISE = re.compile(
    r"""//(?:[^\n\\]|\\.)*|/\*.*?\*/|"(?:\\.|[^"\\\n])*"|'(?:\\.|[^'\\\n])*'""",
    re.DOTALL,
)
DIRECTIVE = re.compile(r"^[ \t]*#(?:[^\n\\]|\\.)*", re.MULTILINE | re.DOTALL)
# A switch counts once, however many cases it has: the length limit keeps it readable.
BRANCH = re.compile(r"\b(?:if|for|while|switch)\b|&&|\|\||\?")
NAME = re.compile(r"(\w+)\s*\(")
NOT_FUNCTIONS = {"if", "for", "while", "switch", "__attribute__", "__asm__"}


@dataclass
class Function:
    name: str
    line: int
    lines: int
    complexity: int


def blank(match):
    """Spaces for text, so that line numbers and columns stay as they are."""
    text = match.group(0)
    if text[0] in "\"'":
        return text[0] + " " * (len(text) - 2) + text[0]
    return re.sub(r"[^\n]", " ", text)


def code_of(text):
    return DIRECTIVE.sub(blank, NOISE.sub(blank, text))


def functions_of(text):
    """The function definitions of a C file, in order."""
    code = code_of(text)
    found = []
    depth = 0
    head_start = 0
    opened_at = None
    for at, char in enumerate(code):
        if char == "{":
            if depth == 0:
                head = code[head_start:at]
                if re.search(r'\bextern\s*"[^"]*"\s*$', head):
                    head_start = at + 1
                    continue
                opened_at = (at, head) if is_function(head) else None
            depth += 1
        elif char == "}":
            depth = max(0, depth - 1)
            if depth == 0:
                if opened_at:
                    found.append(make(code, head_start, opened_at, at))
                    opened_at = None
                head_start = at + 1
        elif char == ";" and depth == 0:
            head_start = at + 1
    return found


def is_function(head):
    return head.rstrip().endswith(")") and "=" not in head.split("(")[0]


def make(code, head_start, opened_at, end):
    at, head = opened_at
    first = head_start + len(head) - len(head.lstrip())
    names = [name for name in NAME.findall(head) if name not in NOT_FUNCTIONS]
    line = code.count("\n", 0, first) + 1
    return Function(
        name=names[0] if names else "?",
        line=line,
        lines=code.count("\n", first, end) + 1,
        complexity=1 + len(BRANCH.findall(code, at, end)),
    )
