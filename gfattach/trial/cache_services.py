"""The services Capabilities, ActionCache, ContentAddressableStorage and Health of the embedded cache.

Source: build/bazel/remote/execution/v2/remote_execution.proto and grpc/health/v1/health.proto.
There is no Execution service: a call to it is answered with UNIMPLEMENTED.
"""

from __future__ import annotations

from collections.abc import Iterator

import grpc
from google.protobuf.message import DecodeError

from gfattach.reapi import remote_cache_pb2 as pb
from gfattach.reapi.digest import Digest
from gfattach.trial.actions import ActionStore
from gfattach.trial.blob_store import BlobStoreError
from gfattach.trial.blobs import ContentStore, DigestError, checked
from gfattach.trial.rpc import Call, Refusal

#: Bytes of blobs in one batch. With digests and framing it stays below gRPC's default limit of 4 MiB.
MAX_BATCH_BYTES = 3 * 1024 * 1024

REAPI = "build.bazel.remote.execution.v2"
SERVICES = (
    f"{REAPI}.Capabilities",
    f"{REAPI}.ActionCache",
    f"{REAPI}.ContentAddressableStorage",
    "google.bytestream.ByteStream",
    "grpc.health.v1.Health",
)

LOW_API, HIGH_API = (2, 0), (2, 3)


class Capabilities:
    """What this server is: a cache, and nothing that executes."""

    def __init__(self, *, writable: bool) -> None:
        self._writable = writable

    def get(self, request: pb.GetCapabilitiesRequest, call: Call) -> pb.ServerCapabilities:
        """The same for every instance."""
        return pb.ServerCapabilities(
            cache_capabilities=pb.CacheCapabilities(
                digest_functions=[pb.DigestFunction.SHA256],
                action_cache_update_capabilities=pb.ActionCacheUpdateCapabilities(
                    update_enabled=self._writable
                ),
                max_batch_total_size_bytes=MAX_BATCH_BYTES,
                symlink_absolute_path_strategy=pb.SymlinkAbsolutePathStrategy.ALLOWED,
            ),
            low_api_version=pb.SemVer(major=LOW_API[0], minor=LOW_API[1]),
            high_api_version=pb.SemVer(major=HIGH_API[0], minor=HIGH_API[1]),
        )


class ActionCache:
    """Action results, served only while every blob that they name is here."""

    def __init__(self, actions: ActionStore, blobs: ContentStore, *, writable: bool) -> None:
        self._actions = actions
        self._blobs = blobs
        self._writable = writable

    def get(self, request: pb.GetActionResultRequest, call: Call) -> pb.ActionResult:
        """The result, all of whose blobs count as used just now: the client reads them next."""
        action = _digest(request.action_digest)
        stored = self._actions.get(request.instance_name, action)
        if stored is None:
            raise Refusal(grpc.StatusCode.NOT_FOUND, f"no result for the action {action.hash}")
        result = pb.ActionResult.FromString(stored)
        if not all(self._blobs.has(digest) for digest in self._contents(result)):
            raise Refusal(grpc.StatusCode.NOT_FOUND, f"the result for the action {action.hash} lacks blobs")
        return result

    def update(self, request: pb.UpdateActionResultRequest, call: Call) -> pb.ActionResult:
        """Keep the result. Its blobs may come later: it is served once they are here."""
        if not self._writable:
            raise Refusal(grpc.StatusCode.PERMISSION_DENIED, "this cache is read-only")
        action = _digest(request.action_digest)
        for _ in _named(request.action_result):
            pass  # each digest is checked as it is named
        content = request.action_result.SerializeToString()
        self._actions.put(request.instance_name, action, content)
        return request.action_result

    def _contents(self, result: pb.ActionResult) -> Iterator[Digest]:
        yield from _named(result)
        for directory in result.output_directories:
            tree_digest = _digest(directory.tree_digest)
            yield from _files_of(tree_digest, self._blobs.read(tree_digest))


class ContentAddressableStorage:
    """Blobs, several in a message."""

    def __init__(self, blobs: ContentStore, *, writable: bool) -> None:
        self._blobs = blobs
        self._writable = writable

    def find_missing(self, request: pb.FindMissingBlobsRequest, call: Call) -> pb.FindMissingBlobsResponse:
        """The digests that are not here; those that are count as used just now."""
        missing = [message for message in request.blob_digests if not self._blobs.has(_digest(message))]
        return pb.FindMissingBlobsResponse(missing_blob_digests=missing)

    def update(self, request: pb.BatchUpdateBlobsRequest, call: Call) -> pb.BatchUpdateBlobsResponse:
        """Keep each blob, or say of each why not."""
        if not self._writable:
            raise Refusal(grpc.StatusCode.PERMISSION_DENIED, "this cache is read-only")
        _refuse_large_batch(sum(len(one.data) for one in request.requests))
        response = pb.BatchUpdateBlobsResponse()
        for one in request.requests:
            response.responses.add(digest=one.digest, status=self._keep(one))
        return response

    def read(self, request: pb.BatchReadBlobsRequest, call: Call) -> pb.BatchReadBlobsResponse:
        """Each blob, or why not."""
        digests = [_digest(message) for message in request.digests]
        _refuse_large_batch(sum(digest.size for digest in digests))
        response = pb.BatchReadBlobsResponse()
        for message, digest in zip(request.digests, digests, strict=True):
            data = self._blobs.read(digest)
            if data is None:
                response.responses.add(
                    digest=message, status=_status(grpc.StatusCode.NOT_FOUND, "no such blob")
                )
            else:
                response.responses.add(digest=message, data=data, status=pb.Status())
        return response

    def _keep(self, one: pb.BatchUpdateBlobsRequest.Request) -> pb.Status:
        try:
            if one.compressor != pb.Compressor.IDENTITY:
                raise DigestError("compression is not offered")
            digest = _digest(one.digest)
            if not self._blobs.has(digest):
                self._blobs.put(digest, [one.data])
        except DigestError as error:
            return _status(grpc.StatusCode.INVALID_ARGUMENT, str(error))
        except BlobStoreError as error:
            return _status(grpc.StatusCode.RESOURCE_EXHAUSTED, str(error))
        return pb.Status()


def check_health(request: pb.HealthCheckRequest, call: Call) -> pb.HealthCheckResponse:
    """SERVING for the server as a whole and for each of its services."""
    if request.service not in ("", *SERVICES):
        raise Refusal(grpc.StatusCode.NOT_FOUND, f"no service {request.service!r}")
    return pb.HealthCheckResponse(status=pb.HealthCheckResponse.SERVING)


def _named(result: pb.ActionResult) -> Iterator[Digest]:
    """The digests that stand in the result itself. Raises DigestError."""
    for file in result.output_files:
        yield _digest(file.digest)
    for directory in result.output_directories:
        yield _digest(directory.tree_digest)
    for present, digest in (
        (result.HasField("stdout_digest"), result.stdout_digest),
        (result.HasField("stderr_digest"), result.stderr_digest),
    ):
        if present and digest.hash:  # an empty message here means that there was no output
            yield _digest(digest)


def _files_of(digest: Digest, content: bytes | None) -> Iterator[Digest]:
    """The files of a tree, or the tree itself while it cannot be read."""
    if content is None:
        yield digest
        return
    try:
        tree = pb.Tree.FromString(content)
    except DecodeError as error:
        raise Refusal(grpc.StatusCode.NOT_FOUND, f"the blob {digest.hash} is no tree") from error
    for directory in (tree.root, *tree.children):
        for file in directory.files:
            yield _digest(file.digest)


def _digest(message: pb.Digest) -> Digest:
    return checked(Digest.read(message))


def _refuse_large_batch(size: int) -> None:
    if size > MAX_BATCH_BYTES:
        raise Refusal(
            grpc.StatusCode.INVALID_ARGUMENT, f"the batch has {size} bytes, and may have {MAX_BATCH_BYTES}"
        )


def _status(code: grpc.StatusCode, message: str) -> pb.Status:
    number: int = code.value[0]
    return pb.Status(code=number, message=message)
