"""Stage "cache": for every code a server that earns it, over real sockets, TLS, HTTP and gRPC."""

import contextlib
import json

import grpc
import pytest

from gfattach.endpoint import Endpoint
from gfattach.engine import ENGINE_CODES, Run
from gfattach.finding import Status
from gfattach.probes.cache import STAGE
from gfattach.reapi import remote_cache_pb2 as pb
from gfattach.reapi.target import CacheTarget, TlsFiles
from gfattach.trial.cache_server import CacheServer
from tests.integration import faults

HTML = faults.saying(
    b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nConnection: close\r\n\r\n<!doctype html>Log in"
)
SERVING, NOT_SERVING = 1, 2


@pytest.fixture(scope="module")
def authority(tmp_path_factory):
    return faults.Authority(tmp_path_factory.mktemp("authority"))


def ask(port, scheme="grpc", **options):
    target = CacheTarget(Endpoint(scheme, options.pop("host", "127.0.0.1"), port), **options)
    return Run().stage(STAGE, target).findings


@contextlib.contextmanager
def trial(tmp_path, **options):
    server = CacheServer(tmp_path / "cache", **options)
    server.start()
    try:
        yield server.port
    finally:
        server.stop()


@contextlib.contextmanager
def good(**options):
    with faults.grpc_server(faults.capable(), serving=SERVING, **options) as port:
        yield port


#: A server, what is asked of it (scheme and target options), and the codes that have to come.
CASES = [
    ("nothing listens", faults.refusing, {}, {"cache.resolve.found", "cache.port.refused"}),
    ("an unknown name", faults.refusing, {"host": "no-such-host.invalid"}, {"cache.resolve.unknown"}),
    ("no way there", faults.refusing, {"host": "255.255.255.255"}, {"cache.port.unreachable"}),
    (
        "a silent port",
        lambda: faults.talking(faults.silent),
        {},
        {"cache.port.open", "cache.protocol.silent"},
    ),
    ("a port that hangs up", lambda: faults.talking(lambda c: None), {}, {"cache.protocol.unknown"}),
    (
        "an ssh server",
        lambda: faults.talking(faults.saying(b"SSH-2.0-x\r\n")),
        {},
        {"cache.protocol.unknown"},
    ),
    ("a login page", lambda: faults.talking(HTML), {}, {"cache.protocol.page"}),
    ("http for grpc", lambda: faults.http({}), {}, {"cache.protocol.http-for-grpc"}),
    ("grpc for http", good, {"scheme": "http"}, {"cache.protocol.grpc-for-http"}),
    ("plaintext for tls", good, {"scheme": "grpcs"}, {"cache.protocol.plain-for-tls"}),
    (
        "a good cache",
        good,
        {},
        {
            "cache.protocol.right",
            "cache.capabilities.good",
            "cache.executor.none",
            "cache.lookup.quick",
            "cache.blob.reading",
            "cache.health.serving",
            "cache.status.none",
        },
    ),
    (
        "a server of API 3",
        lambda: faults.grpc_server(
            pb.ServerCapabilities(
                cache_capabilities=pb.CacheCapabilities(),
                low_api_version=pb.SemVer(major=3),
                high_api_version=pb.SemVer(major=3),
            )
        ),
        {},
        {"cache.capabilities.version", "cache.health.none"},
    ),
    (
        "a server without SHA-256",
        lambda: faults.grpc_server(faults.capable(digest_functions=[pb.DigestFunction.BLAKE3])),
        {},
        {"cache.capabilities.digest"},
    ),
    (
        "an executor without a cache",
        lambda: faults.grpc_server(pb.ServerCapabilities(low_api_version=pb.SemVer(major=2))),
        {},
        {"cache.capabilities.none"},
    ),
    ("another gRPC service", lambda: faults.grpc_server(None), {}, {"cache.capabilities.none"}),
    (
        "a cache that executes",
        lambda: faults.grpc_server(
            pb.ServerCapabilities(
                cache_capabilities=faults.capable().cache_capabilities,
                execution_capabilities=pb.ExecutionCapabilities(exec_enabled=True),
                low_api_version=pb.SemVer(major=2),
                high_api_version=pb.SemVer(major=2),
            )
        ),
        {},
        {"cache.executor.offers"},
    ),
    (
        "no token",
        lambda: faults.grpc_server(grpc.StatusCode.UNAUTHENTICATED),
        {},
        {"cache.call.unauthenticated"},
    ),
    ("no permission", lambda: good(lookup=grpc.StatusCode.PERMISSION_DENIED), {}, {"cache.call.permission"}),
    (
        "a wrong instance",
        lambda: good(lookup=grpc.StatusCode.INVALID_ARGUMENT),
        {},
        {"cache.lookup.instance"},
    ),
    ("a broken server", lambda: good(lookup=grpc.StatusCode.INTERNAL), {}, {"cache.call.failed"}),
    ("a server that goes", lambda: good(lookup=grpc.StatusCode.UNAVAILABLE), {}, {"cache.call.unavailable"}),
    ("a slow server", lambda: good(lookup=0.2), {}, {"cache.lookup.slow"}),
    ("a server that hangs", lambda: good(lookup=6.0), {}, {"cache.call.deadline"}),
    (
        "a server that does not serve",
        lambda: faults.grpc_server(faults.capable(), serving=NOT_SERVING),
        {},
        {"cache.health.not-serving"},
    ),
    (
        "an HTTP cache",
        lambda: faults.http({"/status": (200, "application/json", json.dumps({"CurrSize": 1}).encode())}),
        {"scheme": "http", "may_write": True},
        {"cache.protocol.right", "cache.capabilities.http", "cache.blob.returned", "cache.status.told"},
    ),
]


@pytest.mark.parametrize(
    ("server", "options", "codes"), [case[1:] for case in CASES], ids=[c[0] for c in CASES]
)
def test_each_fault_is_named_by_its_code_with_what_to_do(server, options, codes):
    with server() as port:
        findings = ask(port, **options)
    found = {finding.code for finding in findings.values()}
    assert codes <= found, {name: finding.seen for name, finding in findings.items()}
    for finding in findings.values():
        if finding.status is Status.FAIL:
            assert finding.why and finding.hints


def test_tls_with_the_site_s_authority_is_right_and_without_it_untrusted(authority):
    credentials = authority.credentials("cache.localhost", "127.0.0.1")
    with faults.grpc_server(faults.capable(), serving=SERVING, credentials=credentials) as port:
        trusted = ask(port, "grpcs", tls=TlsFiles(ca_file=authority.ca))
        distrusted = ask(port, "grpcs")
        plain = ask(port, "grpc")
    assert trusted["cache.protocol"].code == "cache.protocol.right"
    assert trusted["cache.capabilities"].code == "cache.capabilities.good"
    assert distrusted["cache.protocol"].code == "cache.protocol.untrusted"
    assert any("--ca-file" in hint for hint in distrusted["cache.protocol"].hints)
    assert plain["cache.protocol"].code == "cache.protocol.tls-for-plain"
    assert plain["cache.protocol"].hints == (f"use grpcs://127.0.0.1:{port}",)


def test_a_certificate_for_another_name_is_untrusted_for_this_one(authority):
    with faults.grpc_server(faults.capable(), credentials=authority.credentials("other.example")) as port:
        finding = ask(port, "grpcs", tls=TlsFiles(ca_file=authority.ca))["cache.protocol"]
    assert finding.code == "cache.protocol.untrusted"
    assert "127.0.0.1" in finding.seen


def test_an_ingress_without_http2_is_http_for_grpc(authority):
    with faults.http({}, authority.context("127.0.0.1")) as port:
        # http.server agrees on no ALPN at all; one that insists on HTTP/1.1 is what misleads Bazel.
        findings = ask(port, "https", tls=TlsFiles(ca_file=authority.ca))
    assert findings["cache.protocol"].code == "cache.protocol.right"
    assert findings["cache.lookup"].code == "cache.lookup.quick"


def test_the_embedded_cache_passes_every_probe_and_tells_a_reader_from_a_writer(tmp_path):
    with trial(tmp_path) as port:
        writer, reader = ask(port, may_write=True), ask(port)
    assert {f.status for f in writer.values()} == {Status.OK, Status.SKIP}
    assert writer["cache.blob"].code == "cache.blob.returned"
    assert reader["cache.blob"].code == "cache.blob.reading"


def test_a_cache_that_takes_no_results_warns_the_lane_that_was_to_write(tmp_path):
    with trial(tmp_path, update_enabled=False) as port:
        assert ask(port, may_write=True)["cache.capabilities"].code == "cache.capabilities.read-only"
        assert ask(port)["cache.capabilities"].code == "cache.capabilities.good"


def test_a_socket_that_nobody_serves_is_named(tmp_path):
    stale = tmp_path / "s"
    findings = ask(1, host="cache.example", socket=stale)
    assert findings["cache.resolve"].code == "cache.resolve.socket"
    assert findings["cache.port"].code == "cache.port.socket"


def test_every_declared_code_is_earned_by_a_test_above():
    """Codes that need an outside network, or that another test of this file names, are listed by hand."""
    elsewhere = {
        "cache.port.silent",  # needs a host that drops packets: tests/unit/test_cache_probes.py
        "cache.protocol.untrusted",
        "cache.protocol.tls-for-plain",
        "cache.protocol.socket",
        "cache.resolve.socket",
        "cache.port.socket",
        "cache.capabilities.read-only",
    }
    declared = {code for probe in STAGE.probes for code in probe.codes}
    earned = {code for case in CASES for code in case[3]} | elsewhere
    assert declared <= earned, declared - earned
    assert earned <= declared | set(ENGINE_CODES)
