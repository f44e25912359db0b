"""A cache over gRPC: the calls of REAPI v2 that a cache client makes.

No stubs are generated: a method is its full name. Proxies of the environment are never used,
because a cache behind a forward is on this machine and a cache in a cluster is not behind a
web proxy.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from typing import Any
from uuid import uuid4

from gfattach import __version__
from gfattach.core.deadline import Deadline
from gfattach.reapi.digest import Digest
from gfattach.reapi.errors import Kind, ReapiError
from gfattach.reapi.headers import headers_of
from gfattach.reapi.target import CacheTarget
from gfattach.reapi.tls import client_certificate, root_certificates

REAPI = "/build.bazel.remote.execution.v2"
BYTESTREAM = "/google.bytestream.ByteStream"
HEALTH = "/grpc.health.v1.Health"

#: Bytes of one ByteStream message: well below gRPC's default limit of 4 MiB.
CHUNK = 1024 * 1024

#: What gRPC says before the reason, whenever it cannot connect.
_CONNECT_PREFIX = "failed to connect to all addresses; last error: "

_KINDS = {
    "UNAVAILABLE": Kind.UNAVAILABLE,
    "DEADLINE_EXCEEDED": Kind.DEADLINE,
    "UNAUTHENTICATED": Kind.UNAUTHENTICATED,
    "PERMISSION_DENIED": Kind.PERMISSION,
    "NOT_FOUND": Kind.NOT_FOUND,
    "INVALID_ARGUMENT": Kind.INVALID,
    "UNIMPLEMENTED": Kind.UNIMPLEMENTED,
    "RESOURCE_EXHAUSTED": Kind.EXHAUSTED,
}


class GrpcCache:
    """A connection to the cache `target`; close it, or use it in a `with`.

    Raises HeaderError and TlsFileError for a target that cannot be used as it is. Every call takes
    a deadline and raises ReapiError.
    """

    def __init__(self, target: CacheTarget) -> None:
        from gfattach.reapi import remote_cache_pb2

        self.target = target
        self._pb: Any = remote_cache_pb2
        self._channel = _channel(target)
        self._metadata = self._request_metadata()

    def __enter__(self) -> GrpcCache:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """End the connection."""
        self._channel.close()

    def capabilities(self, deadline: Deadline) -> Any:
        """The `ServerCapabilities`."""
        request = self._pb.GetCapabilitiesRequest(instance_name=self.target.instance_name)
        return self._call(f"{REAPI}.Capabilities/GetCapabilities", request, "ServerCapabilities", deadline)

    def get_action_result(self, action: Digest, deadline: Deadline) -> Any | None:
        """The `ActionResult` stored for `action`; None when there is none."""
        request = self._pb.GetActionResultRequest(
            instance_name=self.target.instance_name, action_digest=action.message()
        )
        try:
            return self._call(f"{REAPI}.ActionCache/GetActionResult", request, "ActionResult", deadline)
        except ReapiError as error:
            if error.kind is Kind.NOT_FOUND:
                return None
            raise

    def update_action_result(self, action: Digest, result: Any, deadline: Deadline) -> None:
        """Store `result` for `action`."""
        request = self._pb.UpdateActionResultRequest(
            instance_name=self.target.instance_name, action_digest=action.message(), action_result=result
        )
        self._call(f"{REAPI}.ActionCache/UpdateActionResult", request, "ActionResult", deadline)

    def find_missing(self, digests: Iterable[Digest], deadline: Deadline) -> list[Digest]:
        """Those of `digests` that the cache does not hold."""
        request = self._pb.FindMissingBlobsRequest(
            instance_name=self.target.instance_name, blob_digests=[d.message() for d in digests]
        )
        method = f"{REAPI}.ContentAddressableStorage/FindMissingBlobs"
        answer = self._call(method, request, "FindMissingBlobsResponse", deadline)
        return [Digest.read(digest) for digest in answer.missing_blob_digests]

    def write(self, blob: bytes, deadline: Deadline) -> None:
        """Store one blob of any size through ByteStream."""
        digest = Digest.of(blob)
        name = self._resource(f"uploads/{uuid4()}/blobs/{digest.hash}/{digest.size}")

        def chunks() -> Iterator[Any]:
            for offset in range(0, max(1, len(blob)), CHUNK):
                data = blob[offset : offset + CHUNK]
                last = offset + CHUNK >= len(blob)
                yield self._pb.WriteRequest(
                    resource_name=name if offset == 0 else "",
                    write_offset=offset,
                    finish_write=last,
                    data=data,
                )

        answer = self._invoke("stream_unary", f"{BYTESTREAM}/Write", chunks(), "WriteResponse", deadline)
        if answer.committed_size not in (digest.size, -1):
            raise ReapiError(
                Kind.OTHER, "Write", f"{answer.committed_size} of {digest.size} bytes were taken"
            )

    def read(self, digest: Digest, deadline: Deadline) -> bytes:
        """The blob `digest` through ByteStream, checked against it."""
        import grpc

        request = self._pb.ReadRequest(resource_name=self._resource(f"blobs/{digest.hash}/{digest.size}"))
        content = bytearray()
        stream = self._invoke("unary_stream", f"{BYTESTREAM}/Read", request, "ReadResponse", deadline)
        try:
            for answer in stream:
                content += answer.data
                if len(content) > digest.size:
                    break
        except grpc.RpcError as error:
            raise _typed("Read", error) from error
        finally:
            stream.cancel()
        if Digest.of(bytes(content)) != digest:
            raise ReapiError(Kind.CORRUPT, "Read", "the content does not have the digest that was asked for")
        return bytes(content)

    def serving(self, deadline: Deadline) -> bool:
        """What the health service says of the whole server."""
        answer = self._call(f"{HEALTH}/Check", self._pb.HealthCheckRequest(), "HealthCheckResponse", deadline)
        return bool(answer.status == self._pb.HealthCheckResponse.SERVING)

    def _resource(self, name: str) -> str:
        instance = self.target.instance_name
        return f"{instance}/{name}" if instance else name

    def _call(self, method: str, request: Any, answer: str, deadline: Deadline) -> Any:
        return self._invoke("unary_unary", method, request, answer, deadline)

    def _invoke(self, shape: str, method: str, request: Any, answer: str, deadline: Deadline) -> Any:
        import grpc

        name = method.rpartition("/")[2]
        timeout = deadline.remaining()
        if timeout <= 0:
            raise ReapiError(Kind.DEADLINE, name, "no time was left to ask")
        callable_ = getattr(self._channel, shape)(
            method,
            request_serializer=lambda message: message.SerializeToString(),
            response_deserializer=getattr(self._pb, answer).FromString,
        )
        try:
            return callable_(request, timeout=timeout, metadata=self._metadata)
        except grpc.RpcError as error:
            raise _typed(name, error) from error

    def _request_metadata(self) -> list[tuple[str, str | bytes]]:
        """REAPI asks every client to name itself, so that an operator can tell who asks."""
        details = self._pb.RequestMetadata.ToolDetails(tool_name="gfattach", tool_version=__version__)
        metadata = self._pb.RequestMetadata(tool_details=details)
        key = "build.bazel.remote.execution.v2.requestmetadata-bin"
        return [(key, metadata.SerializeToString()), *headers_of(self.target)]


def _channel(target: CacheTarget) -> Any:
    # What fails is said by findings; gRPC's own log would go to stderr, across them.
    os.environ.setdefault("GRPC_VERBOSITY", "NONE")
    import grpc

    endpoint = target.endpoint
    options: list[tuple[str, Any]] = [
        ("grpc.enable_http_proxy", 0),
        ("grpc.enable_retries", 0),
        ("grpc.use_local_subchannel_pool", 1),  # a probe must not find another probe's broken connection
        ("grpc.max_receive_message_length", 16 * 1024 * 1024),
    ]
    address = endpoint.authority
    if target.socket is not None:
        address = f"unix:{target.socket}"
        options.append(("grpc.default_authority", endpoint.authority))
        if endpoint.tls:
            options.append(("grpc.ssl_target_name_override", endpoint.host))
    if not endpoint.tls:
        return grpc.insecure_channel(address, options)
    key, certificate = client_certificate(target.tls) or (None, None)
    credentials = grpc.ssl_channel_credentials(root_certificates(target.tls), key, certificate)
    return grpc.secure_channel(address, credentials, options)


def _typed(call: str, error: Any) -> ReapiError:
    detail = (error.details() or error.code().name).removeprefix(_CONNECT_PREFIX)
    return ReapiError(_KINDS.get(error.code().name, Kind.OTHER), call, detail)
