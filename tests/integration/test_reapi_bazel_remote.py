"""A real bazel-remote, asked as gfattach asks it: probes and phases over gRPC, HTTP and TLS."""

import base64

import pytest

from gfattach.core.deadline import Deadline
from gfattach.core.endpoint import Endpoint
from gfattach.core.engine import Run
from gfattach.core.finding import Status
from gfattach.probes.cache.stage import STAGE
from gfattach.proof import protocol
from gfattach.reapi.digest import Digest
from gfattach.reapi.errors import Kind, ReapiError
from gfattach.reapi.target import CacheTarget, TlsFiles
from tests.harness.caches.bazel_remote import bazel_remote, password_file
from tests.harness.machine.faulty_servers import Authority

NONCE = "a nonce of this test"


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    with bazel_remote(tmp_path_factory.mktemp("bazel-remote")) as server:
        yield server


def target_of(server, scheme, **options):
    port = server.grpc if scheme.startswith("grpc") else server.http
    return CacheTarget(Endpoint(scheme, "127.0.0.1", port), **({"may_write": True} | options))


def ask(target):
    return Run().stage(STAGE, target).findings


def soon():
    return Deadline.after(20)


@pytest.mark.parametrize("scheme", ["grpc", "http"])
def test_it_passes_every_probe_that_its_protocol_has(server, scheme):
    findings = ask(target_of(server, scheme))
    assert {finding.status for finding in findings.values()} <= {Status.OK, Status.SKIP}
    found = {finding.code for finding in findings.values()}
    assert {"cache.protocol.ok", "cache.lookup.ok", "cache.blob.ok"} <= found
    own = {"cache.capabilities.ok", "cache.executor.ok", "cache.health.ok"}
    assert (own if scheme == "grpc" else {"cache.status.ok"}) <= found


@pytest.mark.parametrize("scheme", ["grpc", "http"])
def test_an_action_cache_that_answers_for_an_evicted_blob_is_told(tmp_path, scheme):
    """A server that was told not to look; the blob's file is removed, as an eviction does it."""
    unchecked = ("--disable_grpc_ac_deps_check", "--disable_http_ac_validation")
    with bazel_remote(tmp_path, *unchecked) as server:
        target = target_of(server, scheme)
        protocol.fill(target, soon())
        assert ask(target)["cache.outputs"].code == "cache.outputs.ok"
    name = Digest.of(protocol.OUTPUT).hash
    evicted = [path for path in (tmp_path / "cache").rglob(f"*{name}*") if path.is_file()]
    assert evicted
    for path in evicted:
        path.unlink()
    with bazel_remote(tmp_path, *unchecked) as server:
        finding = ask(target_of(server, scheme))["cache.outputs"]
    assert (finding.code, finding.status) == ("cache.outputs.gone", Status.WARN)


def test_a_server_that_looks_answers_for_no_evicted_blob(tmp_path):
    with bazel_remote(tmp_path) as server:
        protocol.fill(target_of(server, "grpc"), soon())
    for path in (tmp_path / "cache").rglob(f"*{Digest.of(protocol.OUTPUT).hash}*"):
        path.unlink()
    with bazel_remote(tmp_path) as server:
        assert ask(target_of(server, "grpc"))["cache.outputs"].code == "cache.outputs.none"


def test_it_says_what_it_can_do(server):
    data = ask(target_of(server, "grpc"))["cache.capabilities"].data
    assert data["digest_functions"] == ["SHA256"] and "ZSTD" in data["compressors"]
    assert data["update_enabled"] is True and data["executes"] is False


def test_its_status_page_says_how_much_it_holds(server):
    data = ask(target_of(server, "http"))["cache.status"].data
    assert data["limit"] == 2**30 and 0 <= data["size"] < data["limit"] and data["files"] >= 0


def test_its_two_ports_are_told_apart_and_the_right_endpoint_is_named(server):
    for scheme, port, right in (("grpc", server.http, "http"), ("http", server.grpc, "grpc")):
        finding = ask(CacheTarget(Endpoint(scheme, "127.0.0.1", port)))["cache.protocol"]
        assert finding.code.startswith(f"cache.protocol.{right}-for-")
        assert finding.hints[0].startswith(f"use {right}://127.0.0.1:{port}")


@pytest.mark.parametrize(
    ("filled_over", "asked_over"), [("grpc", "grpc"), ("http", "http"), ("grpc", "http"), ("http", "grpc")]
)
def test_what_was_filled_over_one_protocol_is_hit_over_either(server, filled_over, asked_over):
    nonce = f"{NONCE} {filled_over} {asked_over}"
    before = protocol.hit(target_of(server, asked_over), soon(), nonce)
    filled = protocol.fill(target_of(server, filled_over), soon(), nonce)
    after = protocol.hit(target_of(server, asked_over, may_write=False), soon(), nonce)
    control = protocol.control(target_of(server, asked_over), soon(), nonce)
    assert (before.hits, filled.hits, after.hits, control.hits) == (0, 0, 1, 0)
    assert after.violations == control.violations == ()


@pytest.mark.parametrize("scheme", ["grpc", "http"])
def test_with_mangled_keys_an_instance_has_hits_of_its_own(tmp_path, scheme):
    with bazel_remote(tmp_path, "--enable_ac_key_instance_mangling") as server:
        filled = protocol.fill(target_of(server, scheme, instance_name="team/one"), soon())
        same = protocol.hit(target_of(server, scheme, instance_name="team/one"), soon())
        other = protocol.hit(target_of(server, scheme, instance_name="team/two"), soon())
    assert (filled.hits, same.hits, other.hits) == (0, 1, 0)


def test_over_http_an_instance_name_is_the_beginning_of_the_path(tmp_path):
    """So that what gRPC stores under a name is found at the path that Bazel would ask over HTTP."""
    with bazel_remote(tmp_path, "--enable_ac_key_instance_mangling") as server:
        protocol.fill(target_of(server, "grpc", instance_name="team/one"), soon())
        path = CacheTarget(Endpoint("http", "127.0.0.1", server.http, "/team/one"))
        assert protocol.hit(path, soon()).hits == 1


@pytest.mark.parametrize("scheme", ["grpc", "http"])
def test_a_reader_without_a_password_is_told_that_one_is_wanted(tmp_path, scheme):
    with bazel_remote(tmp_path, f"--htpasswd_file={password_file(tmp_path)}") as server:
        failed = [finding.code for finding in ask(target_of(server, scheme)).values() if finding.failed]
    assert failed == ["cache.call.unauthenticated"]


@pytest.mark.parametrize("scheme", ["grpc", "http"])
def test_a_password_in_a_header_lets_in_and_is_never_shown(tmp_path, scheme):
    word = base64.b64encode(b"reader:s3cret").decode()
    with bazel_remote(tmp_path, f"--htpasswd_file={password_file(tmp_path)}") as server:
        findings = ask(target_of(server, scheme, headers=(("Authorization", f"Basic {word}"),)))
    assert not [finding for finding in findings.values() if finding.failed]
    assert word not in repr(findings)


@pytest.mark.parametrize("scheme", ["grpc", "http"])
def test_where_strangers_may_only_read_writing_is_what_fails(tmp_path, scheme):
    options = [f"--htpasswd_file={password_file(tmp_path)}", "--allow_unauthenticated_reads"]
    with bazel_remote(tmp_path, *options) as server:
        reader = ask(target_of(server, scheme, may_write=False))
        writer = ask(target_of(server, scheme))
        with pytest.raises(ReapiError) as caught:
            protocol.fill(target_of(server, scheme), soon())
    assert not [finding for finding in reader.values() if finding.failed]
    assert writer["cache.blob"].code == "cache.call.unauthenticated"
    assert caught.value.kind is Kind.UNAUTHENTICATED


@pytest.mark.parametrize("scheme", ["grpcs", "https"])
def test_over_tls_it_is_used_with_the_site_s_authority_and_a_client_certificate(tmp_path, scheme):
    ours = Authority(tmp_path)
    certificate, key = ours.issue("127.0.0.1")
    client_certificate, client_key = ours.issue("client")
    files = TlsFiles(ca_file=ours.ca)
    identity = TlsFiles(ca_file=ours.ca, certificate=client_certificate, key=client_key)
    options = [f"--tls_cert_file={certificate}", f"--tls_key_file={key}"]
    with bazel_remote(tmp_path / "open", *options) as server:
        trusting, distrusting = ask(target_of(server, scheme, tls=files)), ask(target_of(server, scheme))
        filled = protocol.fill(target_of(server, scheme, tls=files), soon())
        hit = protocol.hit(target_of(server, scheme, tls=files), soon())
    with bazel_remote(tmp_path / "mutual", *options, f"--tls_ca_file={ours.ca}") as server:
        nobody, known = (
            ask(target_of(server, scheme, tls=files)),
            ask(target_of(server, scheme, tls=identity)),
        )
    assert not [finding for finding in trusting.values() if finding.failed]
    assert distrusting["cache.protocol"].code == "cache.protocol.closed"
    assert (filled.hits, hit.hits) == (0, 1)
    # It lets everybody in to the handshake, and asks who it is at each call.
    assert [finding.code for finding in nobody.values() if finding.failed] == ["cache.call.unauthenticated"]
    assert not [finding for finding in known.values() if finding.failed]
