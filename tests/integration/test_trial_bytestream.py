"""The trial's Bazel cache over ByteStream: blobs that come in parts, come twice, come wrong or never end."""

import threading

import pytest

from gfattach.reapi import remote_cache_pb2 as pb
from gfattach.reapi.digest import Digest
from tests.harness.caches.trial_clients import (
    CALL_SECONDS,
    CONTENT,
    STREAM,
    blob_name,
    client,
    refused,
    serve,
    upload_name,
)

__all__ = ["client", "serve"]


class TestByteStream:
    DIGEST = Digest.of(CONTENT)

    @pytest.mark.parametrize("instance", ["", "main", "team/project"])
    def test_a_blob_goes_up_and_comes_down(self, client, instance):
        assert client.write(self.DIGEST, CONTENT, instance) == len(CONTENT)
        assert client.read(blob_name(self.DIGEST, instance)) == CONTENT

    @pytest.mark.parametrize(
        ("offset", "limit"),
        [(0, 0), (0, 1), (1, 0), (700_000, 600_000), (len(CONTENT) - 1, 5), (len(CONTENT), 0), (3, 10**12)],
    )
    def test_a_part_is_read(self, client, offset, limit):
        client.write(self.DIGEST, CONTENT)
        expected = CONTENT[offset : offset + limit] if limit else CONTENT[offset:]
        assert client.read(blob_name(self.DIGEST), offset, limit) == expected

    def test_what_lies_outside_is_out_of_range(self, client):
        client.write(self.DIGEST, CONTENT)
        name = blob_name(self.DIGEST)
        assert refused(client.read, name, len(CONTENT) + 1)[0] == "OUT_OF_RANGE"
        assert refused(client.read, name, -1)[0] == "OUT_OF_RANGE"
        assert refused(client.read, name, 0, -1)[0] == "INVALID_ARGUMENT"

    def test_a_blob_that_is_not_there_is_not_found(self, client):
        assert refused(client.read, blob_name(self.DIGEST))[0] == "NOT_FOUND"

    def test_the_empty_blob_is_there(self, client):
        empty = Digest.of(b"")
        assert client.read(blob_name(empty)) == b""
        assert client.write(empty, b"") == 0
        assert client.query(upload_name(empty)) == (0, True)

    @pytest.mark.parametrize(
        "name",
        [
            "",
            "blobs",
            "main",
            "blobs/xyz/3",
            f"blobs/{'a' * 64}",
            f"blobs/{'a' * 64}/-1",
            f"blobs/{'a' * 64}/ 1",
            f"blobs/{'a' * 64}/1/more",
            f"blobs/{'A' * 64}/1",
            f"blobs/../{'a' * 64}/1",
            f"compressed-blobs/zstd/{'a' * 64}/1",
            f"uploads/1/blobs/{'a' * 64}/1",
        ],
    )
    def test_a_name_that_is_no_blobs_is_refused_for_reading(self, client, name):
        assert refused(client.read, name)[0] == "INVALID_ARGUMENT"

    @pytest.mark.parametrize(
        "name",
        [
            "",
            f"blobs/{'a' * 64}/1",
            f"uploads/blobs/{'a' * 64}/1",
            f"uploads//blobs/{'a' * 64}/1",
            f"uploads/1/blobs/{'a' * 64}",
            f"uploads/1/blobs/{'a' * 64}/{2**63}",
            f"uploads/1/compressed-blobs/zstd/{'a' * 64}/1",
        ],
    )
    def test_a_name_that_is_no_uploads_is_refused_for_writing(self, client, name):
        request = pb.WriteRequest(resource_name=name, data=b"x", finish_write=True)
        assert refused(client.write_requests, [request])[0] == "INVALID_ARGUMENT"
        assert refused(client.query, name)[0] == "INVALID_ARGUMENT"

    def test_what_follows_the_size_of_an_upload_is_ignored(self, client):
        request = pb.WriteRequest(
            resource_name=f"{upload_name(Digest.of(b'x'))}/any/thing", data=b"x", finish_write=True
        )
        assert client.write_requests([request]) == 1

    def test_a_blob_that_is_there_is_answered_before_it_was_sent(self, client):
        """The second upload sends one message, and waits for the answer with the stream open."""
        client.write(self.DIGEST, CONTENT)
        answered = threading.Event()

        def requests():
            yield pb.WriteRequest(resource_name=upload_name(self.DIGEST), data=CONTENT[:10])
            answered.wait(CALL_SECONDS)

        stub = client.channel.stream_unary(
            f"{STREAM}/Write",
            request_serializer=pb.WriteRequest.SerializeToString,
            response_deserializer=pb.WriteResponse.FromString,
        )
        answer = stub.future(requests(), timeout=CALL_SECONDS)
        try:
            assert answer.result().committed_size == len(CONTENT)
        finally:
            answered.set()

    def test_content_that_is_not_the_digests_is_refused_and_not_kept(self, client):
        wrong = CONTENT[:-1] + b"?"
        assert refused(client.write, self.DIGEST, wrong)[0] == "INVALID_ARGUMENT"
        assert refused(client.write, self.DIGEST, CONTENT[:-1])[0] == "INVALID_ARGUMENT"
        assert refused(client.write, self.DIGEST, CONTENT + b"?")[0] == "INVALID_ARGUMENT"
        assert client.missing(self.DIGEST) == [self.DIGEST]

    def test_offsets_have_to_follow_on(self, client):
        def messages(*offsets):
            name = upload_name(self.DIGEST)
            return [
                pb.WriteRequest(resource_name=name, write_offset=offset, data=CONTENT[:10])
                for offset in offsets
            ]

        for offsets in [(5,), (0, 5), (0, 11), (0, 0), (0, 10, -1)]:
            assert refused(client.write_requests, messages(*offsets))[0] == "OUT_OF_RANGE", offsets

    def test_a_stream_that_ends_early_keeps_nothing(self, client):
        name = upload_name(self.DIGEST)
        unfinished = [pb.WriteRequest(resource_name=name, data=CONTENT)]
        assert refused(client.write_requests, unfinished)[0] == "INVALID_ARGUMENT"
        assert refused(client.write_requests, [])[0] == "INVALID_ARGUMENT"
        renamed = [*unfinished, pb.WriteRequest(resource_name=name + "/x", write_offset=len(CONTENT))]
        assert refused(client.write_requests, renamed)[0] == "INVALID_ARGUMENT"
        assert client.missing(self.DIGEST) == [self.DIGEST]

    def test_the_state_of_a_write_is_whole_or_nothing(self, client):
        assert client.query(upload_name(self.DIGEST)) == (0, False)
        client.write(self.DIGEST, CONTENT)
        assert client.query(upload_name(self.DIGEST, "main")) == (len(CONTENT), True)

    def test_many_uploads_of_one_blob_at_once_all_succeed(self, client):
        sizes = []
        threads = [
            threading.Thread(target=lambda: sizes.append(client.write(self.DIGEST, CONTENT)))
            for _ in range(12)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(CALL_SECONDS)
        assert sizes == [len(CONTENT)] * 12
        assert client.read(blob_name(self.DIGEST)) == CONTENT
