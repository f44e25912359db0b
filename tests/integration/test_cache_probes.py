"""Stage "cache": for every code a server that earns it, over real sockets, TLS, HTTP and gRPC."""

import contextlib
import json
import subprocess
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import grpc
import pytest

from gfattach.deadline import Deadline
from gfattach.endpoint import Endpoint
from gfattach.engine import Run
from gfattach.finding import Inquiry, Status
from gfattach.firsthit import protocol
from gfattach.probes.cache import STAGE
from gfattach.reapi import remote_cache_pb2 as pb
from gfattach.reapi.target import CacheTarget, TlsFiles
from gfattach.trial.cache_server import CacheServer
from tests.integration import faults
from tests.integration.faults import Authority
from tests.integration.reapi_server import METHODS, NOT_SERVING, Faults, capable, reapi

PAGE = b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nConnection: close\r\n\r\n<!doctype html>Log in"
EVERY_REAPI_METHOD = frozenset(METHODS) - {"Check"}


@dataclass(frozen=True)
class Bench:
    """What the cases are made with: a directory for files, our authority, and one that nobody trusts."""

    directory: Path
    ours: Authority
    theirs: Authority

    def trusting(self, **files: Any) -> TlsFiles:
        return TlsFiles(ca_file=self.ours.ca, **files)

    def client(self) -> TlsFiles:
        certificate, key = self.ours.issue("client")
        return self.trusting(certificate=certificate, key=key)

    def client_with_old_key(self) -> TlsFiles:
        """As older versions of openssl make keys: not PKCS#8."""
        certificate, key = self.ours.issue("old-client")
        old = key.with_suffix(".sec1")
        subprocess.run(["openssl", "ec", "-in", key, "-out", old], check=True, capture_output=True)
        return self.trusting(certificate=certificate, key=old)


@pytest.fixture(scope="module")
def bench(tmp_path_factory):
    directories = [tmp_path_factory.mktemp(name) for name in ("files", "ours", "theirs")]
    return Bench(directories[0], Authority(directories[1]), Authority(directories[2]))


@contextlib.contextmanager
def serving(credentials=None, **wrong):
    """A REAPI server with these faults."""
    with reapi(Faults(**wrong), credentials) as (port, _):
        yield port


@contextlib.contextmanager
def trial(directory, **options):
    server = CacheServer(directory / "cache", **options)
    server.start()
    try:
        yield server.port
    finally:
        server.stop()


def talking_http2(connection):
    """What an ingress does that sends every stranger to a login page: over HTTP/2, and over HTTP/1.1."""
    if not connection.recv(65536).startswith(b"PRI"):
        connection.sendall(PAGE)
        return
    connection.sendall(b"\0\0\0\4\0\0\0\0\0")
    connection.recv(65536)
    status = b"\x08\x03302"  # HPACK: the name :status by its index, the value as it is
    connection.sendall(len(status).to_bytes(3, "big") + b"\1\5\0\0\0\1" + status)
    connection.recv(65536)


Server = Callable[[Bench], AbstractContextManager[int]]


@dataclass(frozen=True)
class Case:
    """A server, how it is asked (scheme, and fields of the target), and the codes that have to come."""

    name: str
    server: Server
    codes: set[str]
    options: Mapping[str, Any] = field(default_factory=dict)
    scheme: str = "grpc"
    tls: Callable[[Bench], TlsFiles] | None = None


API_3 = pb.ServerCapabilities(
    cache_capabilities=pb.CacheCapabilities(),
    low_api_version=pb.SemVer(major=3),
    high_api_version=pb.SemVer(major=3),
)
DEPRECATED = pb.ServerCapabilities()
DEPRECATED.CopyFrom(API_3)
DEPRECATED.deprecated_api_version.major = 2
EXECUTING = capable()
EXECUTING.execution_capabilities.exec_enabled = True
READ_ONLY = capable(action_cache_update_capabilities=pb.ActionCacheUpdateCapabilities())

CASES = [
    # names and ports
    Case("nothing listens", lambda b: faults.refusing(), {"cache.resolve.found", "cache.port.refused"}),
    Case(
        "a name that no resolver takes",
        lambda b: faults.refusing(),
        {"cache.resolve.unknown"},
        {"host": "a" * 64 + ".invalid"},
    ),
    Case(
        "a name of inside the cluster",
        lambda b: faults.refusing(),
        {"cache.resolve.cluster"},
        {"host": "bazel-cache.no-such-namespace.svc.cluster.local"},
    ),
    Case(
        "no way there",
        lambda b: faults.refusing(),
        {"cache.port.unreachable"},
        {"host": "255.255.255.255"},
    ),
    Case(
        "a socket that is not there",
        lambda b: faults.refusing(),
        {"cache.resolve.socket", "cache.port.socket"},
        {"host": "cache.example", "socket": Path("/nonexistent/socket")},
    ),
    # what the port speaks
    Case(
        "a silent port",
        lambda b: faults.talking(faults.silent),
        {"cache.port.open", "cache.tls.plain", "cache.protocol.silent"},
    ),
    Case(
        "a silent port for TLS",
        lambda b: faults.talking(faults.silent),
        {"cache.protocol.silent"},
        scheme="grpcs",
    ),
    Case("a port that hangs up", lambda b: faults.talking(lambda c: None), {"cache.protocol.closed"}),
    Case(
        "an ssh server",
        lambda b: faults.talking(faults.saying(b"SSH-2.0-x\r\n")),
        {"cache.protocol.unknown"},
    ),
    Case("a login page", lambda b: faults.talking(faults.saying(PAGE)), {"cache.protocol.page"}),
    Case(
        "a login page over HTTP",
        lambda b: faults.http({"*": (200, "text/html", b"<html>log in</html>")}),
        {"cache.protocol.page"},
        scheme="http",
    ),
    Case(
        "a redirect to a login",
        lambda b: faults.http(
            {"*": (302, "text/plain", b"")}, headers={"Location": "https://login.example/?to=secret"}
        ),
        {"cache.protocol.page"},
        scheme="http",
    ),
    Case(
        "a gateway with nothing behind it",
        lambda b: faults.http({"*": (503, "text/html", b"<html>no upstream</html>")}),
        {"cache.protocol.gateway"},
        scheme="http",
    ),
    Case("HTTP for gRPC", lambda b: faults.http({}), {"cache.protocol.http-for-grpc"}),
    Case("gRPC for HTTP", lambda b: serving(), {"cache.protocol.grpc-for-http"}, scheme="http"),
    Case("plaintext gRPC for TLS", lambda b: serving(), {"cache.protocol.plain-for-tls"}, scheme="grpcs"),
    Case(
        "plaintext HTTP for TLS", lambda b: faults.http({}), {"cache.protocol.plain-for-tls"}, scheme="https"
    ),
    Case(
        "TLS for plaintext gRPC",
        lambda b: serving(b.ours.credentials("127.0.0.1")),
        {"cache.protocol.tls-for-plain"},
    ),
    Case(
        "TLS for plaintext HTTP",
        lambda b: faults.http({}, b.ours.context("127.0.0.1")),
        {"cache.protocol.tls-for-plain"},
        scheme="http",
    ),
    # TLS
    Case(
        "TLS with the site's authority",
        lambda b: serving(b.ours.credentials("127.0.0.1")),
        {"cache.tls.good", "cache.protocol.right", "cache.instance.accepted", "cache.capabilities.good"},
        scheme="grpcs",
        tls=Bench.trusting,
    ),
    Case(
        "TLS without the site's authority",
        lambda b: serving(b.ours.credentials("127.0.0.1")),
        {"cache.tls.good", "cache.protocol.untrusted"},
        scheme="grpcs",
    ),
    Case(
        "TLS with somebody else's authority",
        lambda b: serving(b.theirs.credentials("127.0.0.1")),
        {"cache.protocol.untrusted"},
        scheme="grpcs",
        tls=Bench.trusting,
    ),
    Case(
        "a certificate for another name",
        lambda b: serving(b.ours.credentials("cache.example", "other.example")),
        {"cache.protocol.name"},
        scheme="grpcs",
        tls=Bench.trusting,
    ),
    Case(
        "a certificate that has expired",
        lambda b: serving(b.ours.credentials("127.0.0.1", days=-1)),
        {"cache.protocol.time"},
        scheme="grpcs",
        tls=Bench.trusting,
    ),
    Case(
        "a client without a certificate where one is wanted",
        lambda b: faults.http({}, b.ours.context("127.0.0.1", mutual=True)),
        {"cache.protocol.client-certificate"},
        scheme="https",
        tls=Bench.trusting,
    ),
    Case(
        "a client without a certificate where one is wanted silently, as gRPC's own server does",
        lambda b: serving(b.ours.credentials("127.0.0.1", mutual=True)),
        {"cache.protocol.closed"},
        scheme="grpcs",
        tls=Bench.trusting,
    ),
    Case(
        "a client with its certificate",
        lambda b: serving(b.ours.credentials("127.0.0.1", mutual=True)),
        {"cache.tls.good", "cache.protocol.right", "cache.lookup.quick"},
        scheme="grpcs",
        tls=Bench.client,
    ),
    Case(
        "a client's key that Bazel does not take",
        lambda b: serving(b.ours.credentials("127.0.0.1", mutual=True)),
        {"cache.tls.key-form", "cache.protocol.right", "cache.lookup.quick"},
        scheme="grpcs",
        tls=Bench.client_with_old_key,
    ),
    Case(
        "an authority's file that is not there",
        lambda b: serving(b.ours.credentials("127.0.0.1")),
        {"cache.tls.file"},
        scheme="grpcs",
        tls=lambda b: TlsFiles(ca_file=b.directory / "missing.pem"),
    ),
    Case(
        "a server that breaks the handshake off",
        lambda b: faults.talking(faults.saying(b"\x15\x03\x03\x00\x02\x02\x28")),
        {"cache.protocol.handshake"},
        scheme="grpcs",
    ),
    Case(
        "an ingress that passes no HTTP/2 on",
        lambda b: faults.http({}, b.ours.context("127.0.0.1", alpn=("http/1.1",))),
        {"cache.protocol.http-for-grpc"},
        scheme="grpcs",
        tls=Bench.trusting,
    ),
    # what the cache says of itself
    Case(
        "a good cache",
        lambda b: serving(),
        {
            "cache.protocol.right",
            "cache.instance.accepted",
            "cache.capabilities.good",
            "cache.executor.none",
            "cache.lookup.quick",
            "cache.blob.reading",
            "cache.health.serving",
            "cache.status.grpc",
        },
    ),
    Case("a server of API 3", lambda b: serving(capabilities=API_3), {"cache.capabilities.version"}),
    Case(
        "a server where API 2 is deprecated",
        lambda b: serving(capabilities=DEPRECATED),
        {"cache.capabilities.deprecated"},
    ),
    Case(
        "a server without SHA-256",
        lambda b: serving(capabilities=capable(digest_functions=[pb.DigestFunction.BLAKE3])),
        {"cache.capabilities.digest"},
    ),
    Case(
        "a server that takes no results from the lane that was to write",
        lambda b: serving(capabilities=READ_ONLY),
        {"cache.capabilities.read-only", "cache.blob.returned"},
        {"may_write": True},
    ),
    Case(
        "an executor without a cache",
        lambda b: serving(capabilities=pb.ServerCapabilities(low_api_version=pb.SemVer(major=2))),
        {"cache.capabilities.none"},
    ),
    Case(
        "a cache that executes",
        lambda b: serving(capabilities=EXECUTING),
        {"cache.executor.offers", "cache.capabilities.good"},
    ),
    Case(
        "a wrong instance name",
        lambda b: serving(instances=frozenset({"main"})),
        {"cache.instance.refused"},
        {"instance_name": "mian"},
    ),
    Case(
        "no instance name where one is wanted",
        lambda b: serving(instances=frozenset({"main"})),
        {"cache.instance.required"},
    ),
    Case(
        "the right instance name",
        lambda b: serving(instances=frozenset({"main"})),
        {"cache.instance.accepted", "cache.capabilities.good", "cache.blob.returned"},
        {"instance_name": "main", "may_write": True},
    ),
    # what the cache does
    Case(
        "another gRPC service",
        lambda b: serving(without=EVERY_REAPI_METHOD),
        {"cache.call.unimplemented", "cache.health.serving"},
    ),
    Case("no token", lambda b: serving(token="s3cret"), {"cache.call.unauthenticated"}),
    Case(
        "a token",
        lambda b: serving(token="s3cret"),
        {"cache.capabilities.good", "cache.lookup.quick"},
        {"headers": (("Authorization", "Bearer s3cret"),)},
    ),
    Case(
        "no permission",
        lambda b: serving(failing={"GetActionResult": grpc.StatusCode.PERMISSION_DENIED}),
        {"cache.call.permission"},
    ),
    Case("a login page behind HTTP/2", lambda b: faults.talking(talking_http2), {"cache.call.page"}),
    Case(
        "a broken server",
        lambda b: serving(failing={"GetActionResult": grpc.StatusCode.INTERNAL}),
        {"cache.call.failed"},
    ),
    Case(
        "a server that goes",
        lambda b: serving(failing={"GetActionResult": grpc.StatusCode.UNAVAILABLE}),
        {"cache.call.unavailable"},
    ),
    Case("a slow server", lambda b: serving(slow={"GetActionResult": 0.2}), {"cache.lookup.slow"}),
    Case("a server that hangs", lambda b: serving(slow={"GetActionResult": 60.0}), {"cache.call.deadline"}),
    Case(
        "a server that changes what it keeps",
        lambda b: serving(corrupts=True),
        {"cache.call.corrupt"},
        {"may_write": True},
    ),
    Case(
        "a server that loses what it keeps",
        lambda b: serving(forgets=True),
        {"cache.blob.lost"},
        {"may_write": True},
    ),
    Case("a server that does not serve", lambda b: serving(health=NOT_SERVING), {"cache.health.not-serving"}),
    Case(
        "a server without a health service",
        lambda b: serving(without=frozenset({"Check"})),
        {"cache.health.none", "cache.lookup.quick"},
    ),
    # HTTP caches
    Case(
        "an HTTP cache",
        lambda b: faults.http({"/status": (200, "application/json", json.dumps({"CurrSize": 1}).encode())}),
        {
            "cache.protocol.right",
            "cache.instance.accepted",
            "cache.capabilities.http",
            "cache.lookup.quick",
            "cache.blob.returned",
            "cache.health.http",
            "cache.status.told",
        },
        {"may_write": True},
        scheme="http",
    ),
    Case(
        "an HTTP cache whose error pages are for people",
        lambda b: faults.http({"*": (404, "text/html", b"<html>404</html>")}),
        {"cache.protocol.right", "cache.lookup.quick", "cache.status.none"},
        scheme="http",
    ),
    Case(
        "an HTTP cache over TLS",
        lambda b: faults.http({}, b.ours.context("127.0.0.1")),
        {"cache.protocol.right", "cache.lookup.quick", "cache.status.none"},
        scheme="https",
        tls=Bench.trusting,
    ),
    Case(
        "an HTTP cache and an instance name",
        lambda b: faults.http({}),
        {"cache.instance.path", "cache.lookup.quick"},
        {"instance_name": "main"},
        scheme="http",
    ),
    Case(
        "an HTTP cache that wants a token",
        lambda b: faults.http({"*": (401, "text/html", b"<html>401</html>")}),
        {"cache.protocol.right", "cache.call.unauthenticated"},
        scheme="http",
    ),
]

#: Earned where a real server cannot earn them: tests/unit/test_cache_probes.py.
BY_UNIT_TESTS = {"cache.port.silent", "cache.resolve.unanswered"}


def ask(port, scheme="grpc", host="127.0.0.1", **options):
    return Run().stage(STAGE, CacheTarget(Endpoint(scheme, host, port), **options)).findings


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_each_fault_is_named_by_its_code_with_what_to_do(case, bench):
    options = dict(case.options) | ({"tls": case.tls(bench)} if case.tls else {})
    with case.server(bench) as port:
        findings = ask(port, case.scheme, **options)
    assert case.codes <= {finding.code for finding in findings.values()}, {
        name: f"{finding.code}: {finding.seen}" for name, finding in findings.items()
    }
    failed = [finding.code for finding in findings.values() if finding.failed]
    assert len(failed) <= 1, "one cause is one failure: what depends on it is not asked"
    for finding in findings.values():
        if finding.status in (Status.WARN, Status.FAIL):
            assert finding.why and finding.hints
        assert "s3cret" not in repr(finding) and "secret" not in repr(finding)


def test_every_declared_code_is_earned_by_a_case_above():
    declared = {code for probe in STAGE.probes for code in probe.codes}
    earned = {code for case in CASES for code in case.codes} | BY_UNIT_TESTS
    assert declared == earned, (declared - earned, earned - declared)


@pytest.mark.parametrize(
    ("scheme", "server", "hint"),
    [
        ("grpc", lambda b: faults.http({}), "use http://127.0.0.1:{port}, or the server's gRPC port"),
        ("http", lambda b: serving(), "use grpc://127.0.0.1:{port}"),
        ("grpcs", lambda b: serving(), "use grpc://127.0.0.1:{port}, if the way"),
        ("https", lambda b: faults.http({}), "use http://127.0.0.1:{port}, if the way"),
        ("grpc", lambda b: serving(b.ours.credentials("127.0.0.1")), "use grpcs://127.0.0.1:{port}"),
        (
            "grpc",
            lambda b: faults.http({}, b.ours.context("127.0.0.1", alpn=("http/1.1",))),
            "use https://127.0.0.1:{port}",
        ),
        ("http", lambda b: faults.http({}, b.ours.context("127.0.0.1")), "use https://127.0.0.1:{port}"),
    ],
)
def test_a_wrong_scheme_is_answered_with_the_endpoint_that_is_right(bench, scheme, server, hint):
    with server(bench) as port:
        finding = ask(port, scheme)["cache.protocol"]
    assert finding.hints[0].startswith(hint.format(port=port))


def test_a_certificate_for_other_names_is_answered_with_these_names(bench):
    with serving(bench.ours.credentials("cache.example", "10.0.0.1")) as port:
        finding = ask(port, "grpcs", tls=bench.trusting())["cache.protocol"]
    assert "is for cache.example, 10.0.0.1, and not for 127.0.0.1" in finding.seen
    assert finding.hints[0].startswith(f"use grpcs://cache.example:{port}")


def test_a_redirect_is_shown_without_what_it_carries(bench):
    answer = {"*": (302, "text/plain", b"")}
    with faults.http(answer, headers={"Location": "https://login.example/start?token=s3cret"}) as port:
        finding = ask(port, "http")["cache.protocol"]
    assert "https://login.example/start" in finding.seen
    assert "s3cret" not in repr(finding)


def test_a_unix_socket_is_asked_as_its_endpoint_is_named(bench, tmp_path):
    """The certificate is checked against the endpoint's name, whatever leads there."""
    path = tmp_path / "s"
    target = {"host": "cache.example", "socket": path, "tls": bench.trusting()}
    with reapi(credentials=bench.ours.credentials("cache.example"), socket=str(path)):
        right = ask(9092, "grpcs", **target)
        wrong = ask(9092, "grpcs", **(target | {"host": "cache.other.example"}))
        plain = ask(9092, "grpc", **(target | {"tls": TlsFiles()}))
    assert {right[name].status for name in ("cache.protocol", "cache.capabilities", "cache.lookup")} == {
        Status.OK
    }
    assert wrong["cache.protocol"].code == "cache.protocol.name"
    assert plain["cache.protocol"].code == "cache.protocol.tls-for-plain"


def test_a_socket_whose_server_has_ended_says_so(tmp_path):
    path = tmp_path / "s"
    with faults.unix_listener(path):
        pass
    finding = ask(1, host="cache.example", socket=path)["cache.port"]
    assert finding.code == "cache.port.socket" and "nobody serves it any more" in finding.seen


def test_what_is_found_out_is_there_for_programs():
    with reapi(Faults(capabilities=capable(max_batch_total_size_bytes=4096))) as (port, _):
        cache = CacheTarget(Endpoint("grpc", "127.0.0.1", port), may_write=True)
        before = Run().stage(STAGE, cache).findings
        protocol.fill(cache, Deadline.after(10))
        after = Run().stage(STAGE, cache).findings
    assert before["cache.capabilities"].data == {
        "low_api": "2.0",
        "high_api": "2.3",
        "digest_functions": ["SHA256"],
        "compressors": [],
        "update_enabled": True,
        "max_batch_bytes": 4096,
        "executes": False,
    }
    assert before["cache.lookup"].data["found"] is False
    assert after["cache.lookup"].data["found"] is True
    assert 0 < after["cache.lookup"].data["median_ms"] < 60_000
    json.dumps({name: dict(finding.data) for name, finding in after.items()})


def test_a_value_that_is_newer_than_this_program_is_shown_as_its_number():
    with serving(capabilities=capable(supported_compressors=[1, 77])) as port:
        assert ask(port)["cache.capabilities"].data["compressors"] == ["ZSTD", "77"]


def test_a_probe_of_writing_stores_something_new_each_time():
    with reapi() as (port, state):
        ask(port, may_write=True)
        first = len(state.blobs)
        ask(port, may_write=True)
        assert len(state.blobs) == first + 1
        ask(port)
        assert len(state.blobs) == first + 1


@pytest.mark.parametrize("scheme", ["grpc", "grpcs", "http", "https"])
def test_a_silent_port_is_a_finding_of_its_own_and_never_the_engine_s(scheme):
    """The deadline is kept by the probe, so that it is the port that is named."""
    with faults.talking(faults.silent) as port:
        [probe] = [probe for probe in STAGE.probes if probe.name == "cache.protocol"]
        target = CacheTarget(Endpoint(scheme, "127.0.0.1", port))
        finding = probe.ask(Inquiry(target, Deadline.after(1.5), {}))
    assert finding.code == "cache.protocol.silent"


def test_the_embedded_cache_passes_every_probe_and_tells_a_reader_from_a_writer(tmp_path):
    with trial(tmp_path) as port:
        writer, reader = ask(port, may_write=True), ask(port)
    assert {f.status for f in writer.values()} == {Status.OK, Status.SKIP}
    assert writer["cache.blob"].code == "cache.blob.returned"
    assert reader["cache.blob"].code == "cache.blob.reading"


def test_an_embedded_cache_that_takes_no_results_warns_the_lane_that_was_to_write(tmp_path):
    with trial(tmp_path, update_enabled=False) as port:
        assert ask(port, may_write=True)["cache.capabilities"].code == "cache.capabilities.read-only"
        assert ask(port)["cache.capabilities"].code == "cache.capabilities.good"
