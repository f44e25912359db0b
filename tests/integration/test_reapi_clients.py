"""The gRPC client of a cache, and what holds for both, over real sockets: what they send, take and trust."""

import subprocess
import sys

import grpc
import pytest

from gfattach import __version__
from gfattach.core.deadline import Deadline
from gfattach.core.endpoint import Endpoint
from gfattach.reapi import remote_cache_pb2 as pb
from gfattach.reapi.digest import Digest
from gfattach.reapi.errors import Kind
from gfattach.reapi.grpc_client import GrpcCache
from gfattach.reapi.headers import HeaderError
from gfattach.reapi.target import CacheTarget, TlsFiles
from gfattach.reapi.tls import TlsFileError
from tests.harness.caches.reapi_requests import ACTION, CONTENT, LARGE, RESULT, failing_with, http_at, soon
from tests.harness.caches.reapi_server import NOT_SERVING, Faults, capable, reapi
from tests.harness.machine import faulty_servers as faults
from tests.harness.machine.faulty_servers import Authority

#: What a client may take to notice that nobody answers; what bounds it is the deadline given to it.
PATIENCE = 60.0


def grpc_at(port, scheme="grpc", host="127.0.0.1", **options):
    return GrpcCache(CacheTarget(Endpoint(scheme, host, port), **options))


@pytest.fixture(scope="module")
def authority(tmp_path_factory):
    return Authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture
def nowhere(monkeypatch):
    """An environment whose proxies refuse: whoever uses them fails."""
    with faults.refusing() as port:
        for name in ("http_proxy", "https_proxy", "grpc_proxy", "all_proxy", "HTTP_PROXY", "HTTPS_PROXY"):
            monkeypatch.setenv(name, f"http://127.0.0.1:{port}")
        monkeypatch.delenv("no_proxy", raising=False)
        monkeypatch.delenv("NO_PROXY", raising=False)
        yield


# over gRPC


def test_an_action_result_is_none_until_it_is_stored():
    with reapi() as (port, _), grpc_at(port) as cache:
        assert cache.get_action_result(ACTION, soon()) is None
        cache.update_action_result(ACTION, RESULT, soon())
        assert cache.get_action_result(ACTION, soon()) == RESULT


@pytest.mark.parametrize("content", [b"", CONTENT, LARGE], ids=["empty", "small", "of several messages"])
@pytest.mark.parametrize("instance", ["", "main", "team/one"])
def test_a_blob_comes_back_as_it_was_stored(content, instance):
    with reapi() as (port, state), grpc_at(port, instance_name=instance) as cache:
        cache.write(content, soon())
        assert cache.read(Digest.of(content), soon()) == content
        assert (instance, Digest.of(content).hash) in state.blobs


def test_of_many_blobs_those_that_are_missing_are_found():
    with reapi() as (port, _), grpc_at(port) as cache:
        for blob in (CONTENT, b"another"):
            cache.write(blob, soon())
        asked = [Digest.of(CONTENT), Digest.of(b"absent"), Digest.of(b"another")]
        assert cache.find_missing(asked, soon()) == [Digest.of(b"absent")]


def test_every_call_says_who_asks_and_carries_the_headers():
    with reapi() as (port, state), grpc_at(port, headers=(("Authorization", "Bearer x"),)) as cache:
        cache.capabilities(soon())
        cache.get_action_result(ACTION, soon())
        cache.write(CONTENT, soon())
        cache.read(Digest.of(CONTENT), soon())
        assert sum(state.calls.values()) == len(state.metadata) == 4
        for metadata in state.metadata:
            who = pb.RequestMetadata.FromString(
                metadata["build.bazel.remote.execution.v2.requestmetadata-bin"]
            )
            assert (who.tool_details.tool_name, who.tool_details.tool_version) == ("gfattach", __version__)
            assert metadata["authorization"] == "Bearer x"


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (grpc.StatusCode.UNAVAILABLE, Kind.UNAVAILABLE),
        (grpc.StatusCode.DEADLINE_EXCEEDED, Kind.DEADLINE),
        (grpc.StatusCode.UNAUTHENTICATED, Kind.UNAUTHENTICATED),
        (grpc.StatusCode.PERMISSION_DENIED, Kind.PERMISSION),
        (grpc.StatusCode.INVALID_ARGUMENT, Kind.INVALID),
        (grpc.StatusCode.UNIMPLEMENTED, Kind.UNIMPLEMENTED),
        (grpc.StatusCode.RESOURCE_EXHAUSTED, Kind.EXHAUSTED),
        (grpc.StatusCode.INTERNAL, Kind.OTHER),
    ],
)
def test_a_status_becomes_an_error_of_its_kind_with_what_the_server_says(status, kind):
    wrong = Faults(failing={"GetActionResult": status, "Read": status, "Write": status})
    with reapi(wrong) as (port, _), grpc_at(port) as cache:
        with failing_with(kind) as caught:
            cache.get_action_result(ACTION, soon())
        assert "GetActionResult" in caught.value.fact and "made to fail" in caught.value.fact
        with failing_with(kind):
            cache.read(ACTION, soon())
        with failing_with(kind):
            cache.write(CONTENT, soon())


def test_a_blob_that_is_not_there_is_not_found():
    with reapi() as (port, _), grpc_at(port) as cache, failing_with(Kind.NOT_FOUND):
        cache.read(Digest.of(CONTENT), soon())


def test_content_that_is_not_what_its_digest_says_is_corrupt_and_never_returned():
    with reapi(Faults(corrupts=True)) as (port, _), grpc_at(port) as cache:
        cache.write(CONTENT, soon())
        with failing_with(Kind.CORRUPT):
            cache.read(Digest.of(CONTENT), soon())


def test_a_blob_that_is_longer_than_its_digest_says_is_not_read_to_its_end():
    with reapi() as (port, state), grpc_at(port) as cache:
        state.blobs["", Digest.of(CONTENT).hash] = LARGE
        with failing_with(Kind.CORRUPT):
            cache.read(Digest.of(CONTENT), soon())


def test_a_server_that_hangs_is_left_at_the_deadline():
    with (
        reapi(Faults(slow={"GetActionResult": PATIENCE, "Read": PATIENCE})) as (port, _),
        grpc_at(port) as cache,
    ):
        with failing_with(Kind.DEADLINE):
            cache.get_action_result(ACTION, Deadline.after(0.3))
        with failing_with(Kind.DEADLINE):
            cache.read(ACTION, Deadline.after(0.3))


def test_with_no_time_left_nothing_is_asked():
    """With a timeout of 0 gRPC asks, and may even be answered."""
    with reapi() as (port, state), grpc_at(port) as cache:
        with failing_with(Kind.DEADLINE):
            cache.capabilities(Deadline.after(-1))
        assert not state.calls
    heard = []
    with faults.http({}, heard=heard) as port, http_at(port) as cache, failing_with(Kind.DEADLINE):
        cache.get_action_result(ACTION, Deadline.after(-1))
    assert not heard


def test_a_port_that_refuses_is_unavailable_and_used_as_soon_as_it_listens():
    """No client waits because another one failed before."""
    with faults.refusing() as port:
        for _ in range(2):
            with grpc_at(port) as cache, failing_with(Kind.UNAVAILABLE) as caught:
                cache.capabilities(soon())
            assert "refused" in caught.value.fact.lower()


def test_health_is_what_the_server_says():
    with reapi() as (port, _), grpc_at(port) as cache:
        assert cache.serving(soon()) is True
    with reapi(Faults(health=NOT_SERVING)) as (port, _), grpc_at(port) as cache:
        assert cache.serving(soon()) is False


def test_proxies_of_the_environment_are_not_used(nowhere):
    with reapi() as (port, _), grpc_at(port) as cache:
        assert cache.capabilities(soon()) == capable()
    with faults.http({}) as port, http_at(port) as cache:
        assert cache.get_action_result(ACTION, soon()) is None


def test_a_unix_socket_leads_to_an_endpoint_that_keeps_its_name(authority, tmp_path):
    path = tmp_path / "s"
    options = {"host": "cache.example", "socket": path, "tls": TlsFiles(ca_file=authority.ca)}
    with reapi(credentials=authority.credentials("cache.example"), socket=str(path)) as (_, state):
        with grpc_at(9092, "grpcs", **options) as cache:
            assert cache.capabilities(soon()) == capable()
        with (
            grpc_at(9092, "grpcs", **(options | {"host": "other.example"})) as cache,
            failing_with(Kind.UNAVAILABLE),
        ):
            cache.capabilities(soon())
    assert state.calls["GetCapabilities"] == 1


def test_the_platform_s_trust_store_is_trusted_by_both(authority, monkeypatch):
    """An authority that an organisation installed on its machines is in neither library's own bundle."""
    monkeypatch.setenv("SSL_CERT_FILE", str(authority.ca))
    with (
        reapi(credentials=authority.credentials("127.0.0.1")) as (port, _),
        grpc_at(port, "grpcs") as cache,
    ):
        assert cache.capabilities(soon()) == capable()
    with faults.http({}, authority.context("127.0.0.1")) as port, http_at(port, "https") as cache:
        assert cache.get_action_result(ACTION, soon()) is None


def test_without_trust_nothing_is_asked(authority):
    with reapi(credentials=authority.credentials("127.0.0.1")) as (port, state):
        with grpc_at(port, "grpcs") as cache, failing_with(Kind.UNAVAILABLE):
            cache.capabilities(soon())
        assert not state.calls
    heard = []
    with faults.http({}, authority.context("127.0.0.1"), heard=heard) as port:
        with http_at(port, "https") as cache, failing_with(Kind.UNAVAILABLE):
            cache.get_action_result(ACTION, soon())
        assert not heard


def test_a_client_certificate_is_shown_by_both(authority):
    certificate, key = authority.issue("client")
    identity = TlsFiles(authority.ca, certificate, key)
    with (
        reapi(credentials=authority.credentials("127.0.0.1", mutual=True)) as (port, _),
        grpc_at(port, "grpcs", tls=identity) as cache,
    ):
        assert cache.capabilities(soon()) == capable()
    with (
        faults.http({}, authority.context("127.0.0.1", mutual=True)) as port,
        http_at(port, "https", tls=identity) as cache,
    ):
        assert cache.get_action_result(ACTION, soon()) is None


@pytest.mark.parametrize("open_cache", [grpc_at, http_at])
def test_files_and_headers_that_cannot_be_used_are_refused_before_anything_is_sent(
    open_cache, tmp_path, authority
):
    scheme = "grpcs" if open_cache is grpc_at else "https"
    with pytest.raises(TlsFileError):
        open_cache(1, scheme, tls=TlsFiles(ca_file=tmp_path / "missing"))
    with pytest.raises(HeaderError) as caught:
        open_cache(1, headers=(("authorization", "s3cr\net"),))
    assert "s3cr" not in str(caught.value)


def test_a_key_of_another_certificate_or_with_a_password_is_a_bad_file(authority, tmp_path):
    """An encrypted key must not make OpenSSL ask at the terminal."""
    certificate, key = authority.issue("client")
    _, other = authority.issue("another-client")
    locked = tmp_path / "locked.key"
    command = ["openssl", "pkcs8", "-topk8", "-in", key, "-out", locked, "-passout", "pass:word"]
    subprocess.run(command, check=True, capture_output=True)
    for wrong in (other, locked):
        with pytest.raises(TlsFileError, match="does not open, or does not belong"):
            http_at(1, "https", tls=TlsFiles(authority.ca, certificate, wrong))


def test_what_fails_is_said_by_errors_alone(authority):
    """gRPC's own log would be written across what a person is shown."""
    with reapi(credentials=authority.credentials("127.0.0.1")) as (port, _):
        program = f"""
from gfattach.core.deadline import Deadline
from gfattach.core.endpoint import Endpoint
from gfattach.reapi.errors import ReapiError
from gfattach.reapi.grpc_client import GrpcCache
from gfattach.reapi.target import CacheTarget
try:
    with GrpcCache(CacheTarget(Endpoint("grpcs", "127.0.0.1", {port}))) as cache:
        cache.capabilities(Deadline.after(20))
except ReapiError as error:
    print(error.kind)
"""
        done = subprocess.run(
            [sys.executable, "-c", program], capture_output=True, text=True, timeout=PATIENCE
        )
    assert (done.stdout, done.stderr) == ("unavailable\n", "")
