"""A REAPI cache in memory, over real gRPC, that can be wrong in one way at a time."""

from __future__ import annotations

import contextlib
import hashlib
import threading
from collections import Counter
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

import grpc

from gfattach.reapi import remote_cache_pb2 as pb

REAPI = "build.bazel.remote.execution.v2"
SERVING, NOT_SERVING = pb.HealthCheckResponse.SERVING, pb.HealthCheckResponse.NOT_SERVING

#: Every method that there is, by its short name: service, request, and whether requests and answers stream.
METHODS = {
    "GetCapabilities": (f"{REAPI}.Capabilities", pb.GetCapabilitiesRequest, False, False),
    "GetActionResult": (f"{REAPI}.ActionCache", pb.GetActionResultRequest, False, False),
    "UpdateActionResult": (f"{REAPI}.ActionCache", pb.UpdateActionResultRequest, False, False),
    "FindMissingBlobs": (f"{REAPI}.ContentAddressableStorage", pb.FindMissingBlobsRequest, False, False),
    "Read": ("google.bytestream.ByteStream", pb.ReadRequest, False, True),
    "Write": ("google.bytestream.ByteStream", pb.WriteRequest, True, False),
    "Check": ("grpc.health.v1.Health", pb.HealthCheckRequest, False, False),
}


def capable(**changes: Any) -> pb.ServerCapabilities:
    """The capabilities of a good cache, changed in some field of its cache part."""
    cache = {
        "digest_functions": [pb.DigestFunction.SHA256],
        "action_cache_update_capabilities": pb.ActionCacheUpdateCapabilities(update_enabled=True),
    }
    return pb.ServerCapabilities(
        cache_capabilities=pb.CacheCapabilities(**(cache | changes)),
        low_api_version=pb.SemVer(major=2),
        high_api_version=pb.SemVer(major=2, minor=3),
    )


@dataclass
class Faults:
    """What is wrong. `failing` maps methods to the status that they end with, `slow` to seconds that
    they take before they answer; `without` are methods that the server does not have."""

    capabilities: pb.ServerCapabilities = field(default_factory=capable)
    failing: Mapping[str, grpc.StatusCode] = field(default_factory=dict)
    slow: Mapping[str, float] = field(default_factory=dict)
    without: frozenset[str] = frozenset()
    instances: frozenset[str] | None = None
    token: str | None = None
    health: int = SERVING
    corrupts: bool = False
    forgets: bool = False


class ReapiServer:
    """The server's state: what it holds, whom it has heard, and how it is wrong."""

    def __init__(self, faults: Faults) -> None:
        self.faults = faults
        self.blobs: dict[tuple[str, str], bytes] = {}
        self.actions: dict[tuple[str, str], pb.ActionResult] = {}
        self.calls = Counter[str]()
        self.metadata: list[dict[str, str | bytes]] = []
        self.ended = threading.Event()

    def serve(self, name: str, request: Any, context: grpc.ServicerContext) -> Any:
        """One call: its fault first, then its answer."""
        self.calls[name] += 1
        metadata = dict(context.invocation_metadata())
        self.metadata.append(metadata)
        if name in self.faults.slow:
            self.ended.wait(self.faults.slow[name])
        if name in self.faults.failing:
            context.abort(self.faults.failing[name], "made to fail")
        if self.faults.token and metadata.get("authorization") != f"Bearer {self.faults.token}":
            context.abort(grpc.StatusCode.UNAUTHENTICATED, "no token, or a wrong one")
        answer = getattr(self, f"_{name}")(request, context)
        known = self.faults.instances
        instance = getattr(request, "instance_name", None)
        if known is not None and instance is not None and instance not in known:
            context.abort(grpc.StatusCode.INVALID_ARGUMENT, f"no instance {instance!r}")
        return answer

    def _GetCapabilities(self, request: Any, context: Any) -> Any:
        return self.faults.capabilities

    def _GetActionResult(self, request: Any, context: Any) -> Any:
        found = self.actions.get((request.instance_name, request.action_digest.hash))
        if found is None:
            context.abort(grpc.StatusCode.NOT_FOUND, "no such action")
        return found

    def _UpdateActionResult(self, request: Any, context: Any) -> Any:
        self.actions[request.instance_name, request.action_digest.hash] = request.action_result
        return request.action_result

    def _FindMissingBlobs(self, request: Any, context: Any) -> Any:
        missing = [d for d in request.blob_digests if (request.instance_name, d.hash) not in self.blobs]
        return pb.FindMissingBlobsResponse(missing_blob_digests=missing)

    def _Read(self, request: Any, context: Any) -> Any:
        instance, _, rest = request.resource_name.rpartition("blobs/")
        content = self.blobs.get((instance.rstrip("/"), rest.split("/")[0]))
        if content is None or self.faults.forgets:
            context.abort(grpc.StatusCode.NOT_FOUND, "no such blob")
        if self.faults.corrupts:
            content = bytes(255 - byte for byte in content)
        # In pieces, so that a client has to put them together.
        return iter([pb.ReadResponse(data=content[at : at + 1000]) for at in range(0, len(content), 1000)])  # type: ignore[arg-type]

    def _Write(self, requests: Iterator[Any], context: Any) -> Any:
        name, content = "", b""
        for request in requests:
            name = name or request.resource_name
            content += request.data
        instance, _, rest = name.rpartition("uploads/")
        digest = rest.split("/")[2]
        assert hashlib.sha256(content).hexdigest() == digest
        self.blobs[instance.rstrip("/"), digest] = content
        return pb.WriteResponse(committed_size=len(content))

    def _Check(self, request: Any, context: Any) -> Any:
        return pb.HealthCheckResponse(status=self.faults.health)


@contextlib.contextmanager
def reapi(
    faults: Faults | None = None, credentials: grpc.ServerCredentials | None = None, socket: str = ""
) -> Iterator[tuple[int, ReapiServer]]:
    """A server on loopback (or on the unix socket `socket`): its port and its state."""
    state = ReapiServer(faults or Faults())
    server = grpc.server(ThreadPoolExecutor(8))
    services: dict[str, dict[str, grpc.RpcMethodHandler]] = {}
    for name, (service, request, stream_in, stream_out) in METHODS.items():
        if name not in state.faults.without:
            services.setdefault(service, {})[name] = _handler(state, name, request, stream_in, stream_out)
    server.add_generic_rpc_handlers(
        tuple(grpc.method_handlers_generic_handler(service, methods) for service, methods in services.items())
    )
    address = f"unix:{socket}" if socket else "127.0.0.1:0"
    if credentials is None:
        port = server.add_insecure_port(address)
    else:
        port = server.add_secure_port(address, credentials)
    server.start()
    try:
        yield port, state
    finally:
        state.ended.set()
        server.stop(0).wait(5)


def _handler(state: ReapiServer, name: str, request: Any, stream_in: bool, stream_out: bool) -> Any:
    shape = f"{'stream' if stream_in else 'unary'}_{'stream' if stream_out else 'unary'}_rpc_method_handler"
    return getattr(grpc, shape)(
        lambda message, context: state.serve(name, message, context),
        request_deserializer=request.FromString,
        response_serializer=lambda message: message.SerializeToString(),
    )
