"""The ByteStream service: blobs as streams (google/bytestream/bytestream.proto, and REAPI on names)."""

from __future__ import annotations

from collections.abc import Iterator

import grpc

from gfattach.reapi import remote_cache_pb2 as pb
from gfattach.trial.blobs import ContentStore
from gfattach.trial.resource_names import blob_to_read, blob_to_write
from gfattach.trial.rpc import Call, Refusal

#: Bytes of blob in one message. Below gRPC's default limit of 4 MiB by far; larger ones are no faster.
CHUNK_BYTES = 512 * 1024


class ByteStream:
    """The calls of the service on `blobs`."""

    def __init__(self, blobs: ContentStore, *, writable: bool) -> None:
        self._blobs = blobs
        self._writable = writable

    def read(self, request: pb.ReadRequest, call: Call) -> Iterator[pb.ReadResponse]:
        """The blob from `read_offset` on, `read_limit` bytes of it or, for 0, all."""
        digest = blob_to_read(request.resource_name)
        if request.read_limit < 0:
            raise Refusal(
                grpc.StatusCode.INVALID_ARGUMENT, f"the read limit {request.read_limit} is negative"
            )
        if not 0 <= request.read_offset <= digest.size:
            raise Refusal(
                grpc.StatusCode.OUT_OF_RANGE,
                f"the read offset {request.read_offset} is not within {digest.size} bytes",
            )
        file = self._blobs.open(digest)
        if file is None:
            raise Refusal(grpc.StatusCode.NOT_FOUND, f"no blob {digest.hash} of {digest.size} bytes")
        with file:
            file.seek(request.read_offset)
            rest = digest.size - request.read_offset
            if request.read_limit:
                rest = min(rest, request.read_limit)
            while rest:
                data = file.read(min(rest, CHUNK_BYTES))
                if not data:
                    raise Refusal(grpc.StatusCode.DATA_LOSS, f"the blob {digest.hash} was cut short on disk")
                rest -= len(data)
                yield pb.ReadResponse(data=data)

    def write(self, requests: Iterator[pb.WriteRequest], call: Call) -> pb.WriteResponse:
        """Keep a blob. One that is here already is answered at once, with its whole size."""
        first = next(requests, None)
        if first is None:
            raise Refusal(grpc.StatusCode.INVALID_ARGUMENT, "the stream ended before its first message")
        digest = blob_to_write(first.resource_name)
        if not self._writable:
            raise Refusal(grpc.StatusCode.PERMISSION_DENIED, "this cache is read-only")
        if not self._blobs.has(digest):
            self._blobs.put(digest, _received(first, requests, call))
        return pb.WriteResponse(committed_size=digest.size)

    def query_write_status(
        self, request: pb.QueryWriteStatusRequest, call: Call
    ) -> pb.QueryWriteStatusResponse:
        """Whole or nothing: a write that was broken off starts again from the beginning."""
        digest = blob_to_write(request.resource_name)
        complete = self._blobs.has(digest)
        return pb.QueryWriteStatusResponse(committed_size=digest.size if complete else 0, complete=complete)


def _received(first: pb.WriteRequest, rest: Iterator[pb.WriteRequest], call: Call) -> Iterator[bytes]:
    name, offset = first.resource_name, 0
    request: pb.WriteRequest | None = first
    while request is not None:
        call.progressed()
        if request.resource_name not in ("", name):
            raise Refusal(grpc.StatusCode.INVALID_ARGUMENT, "the resource name changed within the stream")
        if request.write_offset != offset:
            raise Refusal(
                grpc.StatusCode.OUT_OF_RANGE, f"the write offset is {request.write_offset} and not {offset}"
            )
        offset += len(request.data)
        yield request.data
        if request.finish_write:
            return
        request = next(rest, None)
    raise Refusal(grpc.StatusCode.INVALID_ARGUMENT, "the stream ended without finish_write")
