"""The embedded Bazel cache: a REAPI v2 server on loopback, over a blob store on disk."""

from __future__ import annotations

import errno
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import grpc

from gfattach.reapi import remote_cache_pb2 as pb
from gfattach.trial import actions, blobs
from gfattach.trial.actions import ActionStore
from gfattach.trial.blob_store import BlobStore
from gfattach.trial.blobs import ContentStore
from gfattach.trial.bytestream import ByteStream
from gfattach.trial.cache_services import (
    REAPI,
    ActionCache,
    Capabilities,
    ContentAddressableStorage,
    check_health,
)
from gfattach.trial.ports import LOOPBACK, check_port, port_error
from gfattach.trial.rpc import Activity, answer, answer_stream
from gfattach.trial.state import DEFAULT_MAX_BYTES

#: Calls that are served at once; more wait their turn. A transfer holds one for as long as it lasts.
THREADS = 16

#: Seconds that calls get to end when the server stops.
GRACE_SECONDS = 0.5

_OPTIONS = (
    # Without this a second server on the port would be let in, and get half of the calls.
    ("grpc.so_reuseport", 0),
    # Clients may send a large chunk of a stream in one message.
    ("grpc.max_receive_message_length", 8 * 1024 * 1024),
    # A client that is stopped or gone without a word holds a thread for this long at most.
    ("grpc.keepalive_time_ms", 30_000),
    ("grpc.keepalive_timeout_ms", 10_000),
    # A client's own keepalive is no attack here.
    ("grpc.keepalive_permit_without_calls", 1),
    ("grpc.http2.max_ping_strikes", 0),
)


class CacheServer:
    """A REAPI v2 cache for `directory`, of at most `max_bytes` on disk, on 127.0.0.1.

    `port` 0 means any; after `start` it is the one that was bound. With `update_enabled` False it is
    a read-only cache. `start` raises UsageError for a port that cannot be had, StorageError and OSError
    for a directory that cannot be used. A server is started once.
    """

    def __init__(
        self,
        directory: Path,
        port: int = 0,
        *,
        max_bytes: int = DEFAULT_MAX_BYTES,
        update_enabled: bool = True,
    ) -> None:
        self.port = port
        self.activity = Activity()
        self._directory = directory
        self._max_bytes = max_bytes
        self._writable = update_enabled
        self._server: grpc.Server | None = None
        self._threads = ThreadPoolExecutor(THREADS, thread_name_prefix="cache")

    def start(self) -> None:
        """Bind the port, take stock of the directory, and serve."""
        server = grpc.server(self._threads, options=_OPTIONS)
        try:
            self.port = server.add_insecure_port(f"{LOOPBACK}:{self.port}")
        except RuntimeError as error:  # all that gRPC says is that it failed
            check_port(self.port)
            raise port_error(self.port, OSError(errno.EADDRINUSE, "just released")) from error
        kinds = {blobs.KIND: blobs.is_blob, actions.KIND: actions.is_action}
        store = BlobStore(self._directory, self._max_bytes, kinds)
        server.add_generic_rpc_handlers(self._handlers(ContentStore(store), ActionStore(store)))
        server.start()
        self._server = server

    def stop(self) -> None:
        """End the calls that run and close the port. Whatever was kept before stays kept."""
        if self._server is not None:
            self._server.stop(GRACE_SECONDS).wait()
        self._threads.shutdown()

    def _handlers(self, store: ContentStore, results: ActionStore) -> tuple[grpc.GenericRpcHandler, ...]:
        capabilities = Capabilities(writable=self._writable)
        cache = ActionCache(results, store, writable=self._writable)
        storage = ContentAddressableStorage(store, writable=self._writable)
        stream = ByteStream(store, writable=self._writable)
        unary = grpc.unary_unary_rpc_method_handler

        def one(handler: Any, request: Any, *, used: bool = True) -> grpc.RpcMethodHandler:
            return unary(
                answer(handler, self.activity if used else None),
                request_deserializer=request.FromString,
                response_serializer=_serialized,
            )

        services = {
            f"{REAPI}.Capabilities": {"GetCapabilities": one(capabilities.get, pb.GetCapabilitiesRequest)},
            f"{REAPI}.ActionCache": {
                "GetActionResult": one(cache.get, pb.GetActionResultRequest),
                "UpdateActionResult": one(cache.update, pb.UpdateActionResultRequest),
            },
            f"{REAPI}.ContentAddressableStorage": {
                "FindMissingBlobs": one(storage.find_missing, pb.FindMissingBlobsRequest),
                "BatchUpdateBlobs": one(storage.update, pb.BatchUpdateBlobsRequest),
                "BatchReadBlobs": one(storage.read, pb.BatchReadBlobsRequest),
            },
            "google.bytestream.ByteStream": {
                "Read": grpc.unary_stream_rpc_method_handler(
                    answer_stream(stream.read, self.activity),
                    request_deserializer=pb.ReadRequest.FromString,
                    response_serializer=_serialized,
                ),
                "Write": grpc.stream_unary_rpc_method_handler(
                    answer(stream.write, self.activity),
                    request_deserializer=pb.WriteRequest.FromString,
                    response_serializer=_serialized,
                ),
                "QueryWriteStatus": one(stream.query_write_status, pb.QueryWriteStatusRequest),
            },
            # Whoever only looks whether the server lives does not keep it alive.
            "grpc.health.v1.Health": {"Check": one(check_health, pb.HealthCheckRequest, used=False)},
        }
        return tuple(
            grpc.method_handlers_generic_handler(name, methods) for name, methods in services.items()
        )


def _serialized(message: Any) -> bytes:
    content: bytes = message.SerializeToString()
    return content
