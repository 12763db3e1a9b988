"""The wire's messages in Python, made from proto/*.proto when a test needs them, and the names of the gRPC methods.

A peer built on these and grpcio shares nothing with the C code but the .proto files.
"""

import importlib
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

REPO = Path(__file__).resolve().parents[2]

SERVICE = "envoy.service.discovery.v3.AggregatedDiscoveryService"
DELTA_METHOD = f"/{SERVICE}/DeltaAggregatedResources"
STREAM_METHOD = f"/{SERVICE}/StreamAggregatedResources"
DELTA_NAME = "DeltaAggregatedResources"

ADDRESS_TYPE = "type.googleapis.com/istio.workload.Address"
RESOURCE_TYPE = "type.googleapis.com/agentgateway.dev.resource.Resource"

FILES = ["resource.proto", "workload.proto", "shared_envoy.proto", "spiffe.proto", "xds.proto", "protobuf-c/protobuf-c.proto"]


def include_dir():
    """Where protobuf-c/protobuf-c.proto and google/protobuf/*.proto are installed."""
    command = ["pkg-config", "--variable=includedir", "libprotobuf-c"]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip() or "/usr/include"


def load(tmp_dir):
    """Makes the modules in |tmp_dir| (once a process) and returns them: .xds, .resource, .workload, .any, .status."""
    if "xds_pb2" not in sys.modules:
        out = Path(tmp_dir)
        out.mkdir(parents=True, exist_ok=True)
        command = ["protoc", f"-I{REPO / 'proto'}", f"-I{include_dir()}", f"--python_out={out}", *FILES]
        subprocess.run(command, check=True)
        sys.path.insert(0, str(out))
    named = {"xds": "xds_pb2", "resource": "resource_pb2", "workload": "workload_pb2", "status": "shared_envoy_pb2", "spiffe": "spiffe_pb2"}
    modules = {name: importlib.import_module(module) for name, module in named.items()}
    return SimpleNamespace(any=importlib.import_module("google.protobuf.any_pb2"), **modules)
