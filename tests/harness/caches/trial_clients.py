"""A bare client of a REAPI cache over real gRPC, and the trial's Bazel cache to use it with.

A module that uses `serve` or `client` imports both fixtures by name.
"""

import uuid

import grpc
import pytest

from gfattach.reapi import remote_cache_pb2 as pb
from gfattach.reapi.digest import Digest
from gfattach.trial.cache_server import CacheServer

REAPI = "/build.bazel.remote.execution.v2"
STREAM = "/google.bytestream.ByteStream"
BOUND = 32 * 1024 * 1024

OK, INVALID, NOT_FOUND = 0, 3, 5
CALL_SECONDS = 30

CONTENT = b"what a build made\n" * 100_000  # several messages long


class Client:
    """The calls of the protocol, bare, with the types that they take and give."""

    def __init__(self, port: int) -> None:
        self.channel = grpc.insecure_channel(f"127.0.0.1:{port}")

    def call(self, method, request, answer):
        stub = self.channel.unary_unary(
            method,
            request_serializer=type(request).SerializeToString,
            response_deserializer=answer.FromString,
        )
        return stub(request, timeout=CALL_SECONDS)

    def capabilities(self, instance: str = ""):
        request = pb.GetCapabilitiesRequest(instance_name=instance)
        return self.call(f"{REAPI}.Capabilities/GetCapabilities", request, pb.ServerCapabilities)

    def get_action(self, action, instance: str = ""):
        request = pb.GetActionResultRequest(instance_name=instance, action_digest=action.message())
        return self.call(f"{REAPI}.ActionCache/GetActionResult", request, pb.ActionResult)

    def update_action(self, action, result, instance: str = ""):
        request = pb.UpdateActionResultRequest(
            instance_name=instance, action_digest=action.message(), action_result=result
        )
        return self.call(f"{REAPI}.ActionCache/UpdateActionResult", request, pb.ActionResult)

    def missing(self, *digests):
        request = pb.FindMissingBlobsRequest(blob_digests=[digest.message() for digest in digests])
        answer = self.call(
            f"{REAPI}.ContentAddressableStorage/FindMissingBlobs", request, pb.FindMissingBlobsResponse
        )
        return [Digest.read(message) for message in answer.missing_blob_digests]

    def batch_update(self, *blobs):
        request = pb.BatchUpdateBlobsRequest(
            requests=[pb.BatchUpdateBlobsRequest.Request(digest=d.message(), data=data) for d, data in blobs]
        )
        return self.batch_update_request(request)

    def batch_update_request(self, request):
        method = f"{REAPI}.ContentAddressableStorage/BatchUpdateBlobs"
        answer = self.call(method, request, pb.BatchUpdateBlobsResponse)
        return [(Digest.read(one.digest), one.status.code) for one in answer.responses]

    def batch_read(self, *digests):
        request = pb.BatchReadBlobsRequest(digests=[digest.message() for digest in digests])
        method = f"{REAPI}.ContentAddressableStorage/BatchReadBlobs"
        answer = self.call(method, request, pb.BatchReadBlobsResponse)
        return [(Digest.read(one.digest), one.status.code, one.data) for one in answer.responses]

    def read(self, name: str, offset: int = 0, limit: int = 0):
        stub = self.channel.unary_stream(
            f"{STREAM}/Read",
            request_serializer=pb.ReadRequest.SerializeToString,
            response_deserializer=pb.ReadResponse.FromString,
        )
        request = pb.ReadRequest(resource_name=name, read_offset=offset, read_limit=limit)
        return b"".join(message.data for message in stub(request, timeout=CALL_SECONDS))

    def write_requests(self, requests):
        stub = self.channel.stream_unary(
            f"{STREAM}/Write",
            request_serializer=pb.WriteRequest.SerializeToString,
            response_deserializer=pb.WriteResponse.FromString,
        )
        return stub(iter(requests), timeout=CALL_SECONDS).committed_size

    def write(self, digest, content, instance: str = "", chunk=64 * 1024):
        name = upload_name(digest, instance)
        offsets = range(0, max(1, len(content)), chunk)
        return self.write_requests(
            pb.WriteRequest(
                resource_name=name if offset == 0 else "",
                write_offset=offset,
                data=content[offset : offset + chunk],
                finish_write=offset == offsets[-1],
            )
            for offset in offsets
        )

    def query(self, name: str):
        request = pb.QueryWriteStatusRequest(resource_name=name)
        answer = self.call(f"{STREAM}/QueryWriteStatus", request, pb.QueryWriteStatusResponse)
        return answer.committed_size, answer.complete

    def health(self, service: str = ""):
        request = pb.HealthCheckRequest(service=service)
        return self.call("/grpc.health.v1.Health/Check", request, pb.HealthCheckResponse).status


def upload_name(digest, instance: str = "") -> str:
    return f"{prefix(instance)}uploads/{uuid.uuid4()}/blobs/{digest.hash}/{digest.size}"


def blob_name(digest, instance: str = "") -> str:
    return f"{prefix(instance)}blobs/{digest.hash}/{digest.size}"


def prefix(instance):
    return f"{instance}/" if instance else ""


def refused(call, *args, **kwargs):
    """The status of a call that has to fail, and what it says."""
    with pytest.raises(grpc.RpcError) as caught:
        call(*args, **kwargs)
    return caught.value.code().name, caught.value.details()


@pytest.fixture
def serve(tmp_path):
    running = []

    def start(**options):
        server = CacheServer(tmp_path / "bazel", **{"max_bytes": BOUND, **options})
        server.start()
        client = Client(server.port)
        running.append((server, client))
        return server, client

    yield start
    for server, client in running:
        client.channel.close()
        server.stop()


@pytest.fixture
def client(serve):
    return serve()[1]
