"""The public JSON schemas of MCP, which lie beside the project."""

import json
from functools import lru_cache

import jsonschema
import pytest

from gateway import ROOT

FOLDER = ROOT.parent / "shared/testdata/mcp"
LEGACY = ["2024-11-05", "2025-03-26", "2025-06-18", "2025-11-25"]
needed = pytest.mark.skipif(not FOLDER.is_dir(), reason="the schemas are not beside the project")


@lru_cache(maxsize=None)
def _load(version):
    schema = json.loads((FOLDER / f"schema-{version}.json").read_text())
    return schema, "$defs" if "$defs" in schema else "definitions"


def has(version, name):
    schema, key = _load(version)
    return name in schema[key]


@lru_cache(maxsize=None)
def _validator(version, name):
    schema, key = _load(version)
    kind = jsonschema.validators.validator_for(schema)
    return kind({**schema, "$ref": f"#/{key}/{name}"})


def validate(version, name, value):
    """|value| is a |name| of that revision."""
    wrong = [f"{'/'.join(map(str, error.absolute_path))}: {error.message}" for error in _validator(version, name).iter_errors(value)]
    assert not wrong, f"{name} of {version}: {wrong} in {json.dumps(value)[:2000]}"


def validate_error(version, message):
    validate(version, "JSONRPCErrorResponse" if has(version, "JSONRPCErrorResponse") else "JSONRPCError", message)


def validate_result(version, message, name):
    """|message| is an answer whose result is a |name|."""
    validate(version, "JSONRPCResultResponse" if has(version, "JSONRPCResultResponse") else "JSONRPCResponse", message)
    validate(version, name, message["result"])
