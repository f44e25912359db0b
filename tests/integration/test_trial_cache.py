"""The trial's Bazel cache over real gRPC: every call, every status that it may answer with."""

import threading

import grpc
import pytest

from gfattach.core.errors import UsageError
from gfattach.reapi import remote_cache_pb2 as pb
from gfattach.reapi.digest import Digest
from gfattach.trial.cache_server import CacheServer
from gfattach.trial.cache_services import MAX_BATCH_BYTES, SERVICES
from tests.harness.caches.trial_clients import (
    CALL_SECONDS,
    CONTENT,
    INVALID,
    NOT_FOUND,
    OK,
    REAPI,
    STREAM,
    blob_name,
    client,
    refused,
    serve,
    upload_name,
)
from tests.harness.caches.trial_processes import wait_for

__all__ = ["client", "serve"]


class TestCapabilities:
    def test_it_is_a_sha256_cache_that_takes_updates_and_executes_nothing(self, client):
        said = client.capabilities("any/instance")
        cache = said.cache_capabilities
        assert list(cache.digest_functions) == [pb.DigestFunction.SHA256]
        assert cache.action_cache_update_capabilities.update_enabled
        assert cache.max_batch_total_size_bytes == MAX_BATCH_BYTES
        assert list(cache.supported_compressors) == []
        assert not said.HasField("execution_capabilities")
        assert (said.low_api_version.major, said.low_api_version.minor) == (2, 0)
        assert (said.high_api_version.major, said.high_api_version.minor) == (2, 3)

    def test_there_is_no_execution_service(self, client):
        execute = client.channel.unary_stream(f"{REAPI}.Execution/Execute")
        assert refused(lambda: list(execute(b"", timeout=CALL_SECONDS)))[0] == "UNIMPLEMENTED"

    def test_a_read_only_cache_says_so_and_refuses_every_write(self, serve):
        server, filling = serve()
        digest = Digest.of(b"kept")
        filling.batch_update((digest, b"kept"))
        filling.update_action(digest, pb.ActionResult(exit_code=0, stdout_raw=b"kept"))
        server.stop()
        client = serve(update_enabled=False)[1]
        update = client.capabilities().cache_capabilities.action_cache_update_capabilities
        assert not update.update_enabled
        other = Digest.of(b"other")
        assert {
            refused(client.update_action, other, pb.ActionResult())[0],
            refused(client.batch_update, (other, b"other"))[0],
            refused(client.write, other, b"other")[0],
        } == {"PERMISSION_DENIED"}
        assert client.read(blob_name(digest)) == b"kept"
        assert client.get_action(digest).stdout_raw == b"kept"

    @pytest.mark.parametrize("service", ["", *SERVICES])
    def test_it_is_healthy(self, client, service):
        assert client.health(service) == pb.HealthCheckResponse.SERVING

    def test_the_health_of_a_service_that_is_not_there_is_not_known(self, client):
        assert refused(client.health, "build.bazel.remote.execution.v2.Execution")[0] == "NOT_FOUND"


class TestActionCache:
    ACTION = Digest.of(b"an action")

    def test_what_was_put_comes_back_and_instances_are_apart(self, client):
        result = pb.ActionResult(exit_code=0, stdout_raw=b"said")
        assert client.update_action(self.ACTION, result, "main") == result
        assert client.get_action(self.ACTION, "main") == result
        assert refused(client.get_action, self.ACTION)[0] == "NOT_FOUND"

    def test_fields_that_the_messages_here_do_not_name_come_back_too(self, client):
        # Field 12, output_symlinks: an OutputSymlink with path "a" and target "b".
        symlink = bytes([12 << 3 | 2, 6, 0x0A, 1, ord("a"), 0x12, 1, ord("b")])
        client.update_action(self.ACTION, pb.ActionResult.FromString(symlink))
        assert client.get_action(self.ACTION).SerializeToString() == symlink

    def test_the_last_one_that_was_put_counts(self, client):
        for text in (b"first", b"second"):
            client.update_action(self.ACTION, pb.ActionResult(stdout_raw=text))
        assert client.get_action(self.ACTION).stdout_raw == b"second"

    @pytest.mark.parametrize("lacking", ["output", "stdout", "stderr", "tree", "in the tree", "in a child"])
    def test_a_result_is_served_only_while_every_blob_is_there(self, client, lacking):
        """Each blob of a result is left out in turn; then it is uploaded, and the result is served."""
        texts = {name: name.encode() for name in ("output", "stdout", "stderr", "in the tree", "in a child")}
        digests = {name: Digest.of(text) for name, text in texts.items()}
        file = pb.FileNode(name="f", digest=digests["in the tree"].message())
        deeper = pb.FileNode(name="g", digest=digests["in a child"].message())
        tree = pb.Tree(root=pb.Directory(files=[file]), children=[pb.Directory(files=[deeper])])
        texts["tree"] = tree.SerializeToString()
        digests["tree"] = Digest.of(texts["tree"])
        result = pb.ActionResult(
            output_files=[pb.OutputFile(path="out", digest=digests["output"].message())],
            output_directories=[pb.OutputDirectory(path="dir", tree_digest=digests["tree"].message())],
            stdout_digest=digests["stdout"].message(),
            stderr_digest=digests["stderr"].message(),
        )
        client.batch_update(*((digests[name], text) for name, text in texts.items() if name != lacking))
        client.update_action(self.ACTION, result)
        assert refused(client.get_action, self.ACTION)[0] == "NOT_FOUND"
        client.batch_update((digests[lacking], texts[lacking]))
        assert client.get_action(self.ACTION) == result

    def test_a_tree_that_is_none_makes_a_miss(self, client):
        digest = Digest.of(b"\xff\xff not a tree")
        client.batch_update((digest, b"\xff\xff not a tree"))
        directory = pb.OutputDirectory(path="dir", tree_digest=digest.message())
        client.update_action(self.ACTION, pb.ActionResult(output_directories=[directory]))
        assert refused(client.get_action, self.ACTION)[0] == "NOT_FOUND"

    def test_bad_digests_are_refused(self, client):
        assert refused(client.get_action, Digest("abc", 1))[0] == "INVALID_ARGUMENT"
        assert refused(client.update_action, Digest("A" * 64, 1), pb.ActionResult())[0] == "INVALID_ARGUMENT"
        bad = pb.ActionResult(
            output_files=[pb.OutputFile(path="out", digest=pb.Digest(hash="no", size_bytes=1))]
        )
        assert refused(client.update_action, self.ACTION, bad)[0] == "INVALID_ARGUMENT"

    def test_a_result_that_is_served_keeps_its_blobs_in_use(self, serve):
        """The oldest blob is the result's; asking for the result makes another one the oldest."""
        client = serve(max_bytes=16 * 1024 * 1024)[1]
        size = 1024 * 1024
        contents = [bytes([n]) * size for n in range(20)]
        client.write(Digest.of(contents[0]), contents[0])
        file = pb.OutputFile(path="out", digest=Digest.of(contents[0]).message())
        client.update_action(self.ACTION, pb.ActionResult(output_files=[file]))
        for content in contents[1:]:
            client.get_action(self.ACTION)
            client.write(Digest.of(content), content)
        assert client.missing(Digest.of(contents[0])) == []
        assert client.missing(Digest.of(contents[1])) == [Digest.of(contents[1])]


class TestContentAddressableStorage:
    def test_what_is_missing_is_named_in_the_order_of_the_question(self, client):
        here, gone, empty = Digest.of(b"here"), Digest.of(b"gone"), Digest.of(b"")
        other_size = Digest(here.hash, here.size + 1)
        client.batch_update((here, b"here"))
        assert client.missing(gone, here, empty, other_size) == [gone, other_size]

    def test_each_blob_of_a_batch_has_a_status_of_its_own(self, client):
        good, wrong, short = Digest.of(b"good"), Digest.of(b"right"), Digest(Digest.of(b"x").hash, 2)
        answers = client.batch_update(
            (good, b"good"), (wrong, b"wrong"), (short, b"x"), (Digest("no", 1), b"x")
        )
        assert answers == [(good, OK), (wrong, INVALID), (short, INVALID), (Digest("no", 1), INVALID)]
        assert client.batch_read(good, wrong) == [(good, OK, b"good"), (wrong, NOT_FOUND, b"")]

    def test_a_blob_that_never_fits_is_refused_for_want_of_room(self, serve):
        client = serve(max_bytes=2_500_000)[1]
        content = bytes(2_000_000)
        assert client.batch_update((Digest.of(content), content)) == [(Digest.of(content), 8)]
        assert refused(client.write, Digest.of(content), content)[0] == "RESOURCE_EXHAUSTED"

    def test_compression_is_not_offered(self, client):
        one = pb.BatchUpdateBlobsRequest.Request(
            digest=Digest.of(b"x").message(), data=b"x", compressor=pb.Compressor.ZSTD
        )
        assert client.batch_update_request(pb.BatchUpdateBlobsRequest(requests=[one])) == [
            (Digest.of(b"x"), INVALID)
        ]

    def test_batches_beyond_the_announced_size_are_refused(self, client):
        half = bytes(MAX_BATCH_BYTES // 2), b"\1" * (MAX_BATCH_BYTES // 2 + 1)
        digests = [Digest.of(content) for content in half]
        both = zip(digests, half, strict=True)
        assert refused(client.batch_update, *both)[0] == "INVALID_ARGUMENT"
        for digest, content in zip(digests, half, strict=True):
            assert client.batch_update((digest, content)) == [(digest, OK)]
        assert refused(client.batch_read, *digests)[0] == "INVALID_ARGUMENT"
        assert client.batch_read(digests[0]) == [(digests[0], OK, half[0])]

    def test_a_batch_of_exactly_the_announced_size_comes_and_goes(self, client):
        content = bytes(MAX_BATCH_BYTES)
        assert client.batch_update((Digest.of(content), content)) == [(Digest.of(content), OK)]
        assert client.batch_read(Digest.of(content)) == [(Digest.of(content), OK, content)]

    def test_bad_digests_are_refused(self, client):
        assert refused(client.missing, Digest.of(b"x"), Digest("x", 1))[0] == "INVALID_ARGUMENT"
        assert refused(client.batch_read, Digest("a" * 64, -1))[0] == "INVALID_ARGUMENT"


class TestServer:
    def test_blobs_and_results_outlive_the_server(self, serve):
        server, client = serve()
        digest = Digest.of(CONTENT)
        client.write(digest, CONTENT)
        client.update_action(digest, pb.ActionResult(stdout_digest=digest.message()))
        server.stop()
        client = serve()[1]
        assert client.read(blob_name(digest)) == CONTENT
        assert client.get_action(digest).stdout_digest == digest.message()

    def test_a_port_is_not_shared(self, serve, tmp_path):
        port = serve()[0].port
        with pytest.raises(UsageError, match=f"port {port} on 127.0.0.1 is in use") as caught:
            CacheServer(tmp_path / "other", port).start()
        assert any("ss -ltnp" in hint for hint in caught.value.hints)

    def test_it_listens_on_loopback_alone(self, serve):
        """127.0.0.2 is this machine too, and a wildcard would answer there."""
        channel = grpc.insecure_channel(f"127.0.0.2:{serve()[0].port}")
        with channel, pytest.raises(grpc.FutureTimeoutError):
            grpc.channel_ready_future(channel).result(1.0)

    def test_a_call_that_moves_nothing_is_cancelled_and_gives_its_room_back(self, serve, tmp_path):
        server, client = serve()
        done, digest = threading.Event(), Digest.of(CONTENT)

        def stalls():
            yield pb.WriteRequest(resource_name=upload_name(digest), data=CONTENT[:10])
            done.wait(CALL_SECONDS)

        stub = client.channel.stream_unary(
            f"{STREAM}/Write",
            request_serializer=pb.WriteRequest.SerializeToString,
            response_deserializer=pb.WriteResponse.FromString,
        )
        answer = stub.future(stalls(), timeout=CALL_SECONDS)
        while not list((tmp_path / "bazel" / "tmp").iterdir()):
            assert not answer.done()
        assert server.activity.cancel_stalled(3600) == 0
        while not answer.done():
            server.activity.cancel_stalled(0)
        assert answer.code() is grpc.StatusCode.CANCELLED
        done.set()
        client.write(digest, CONTENT)
        wait_for(lambda: list((tmp_path / "bazel" / "tmp").iterdir()) == [])

    def test_only_use_counts_as_use(self, serve):
        server, client = serve()
        before = server.activity.last_use
        client.health()
        assert server.activity.last_use == before
        client.capabilities()
        assert server.activity.last_use > before
