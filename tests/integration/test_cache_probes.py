"""Stage "cache": for every code a server that earns it, over real sockets, TLS, HTTP and gRPC."""

import json

import pytest

from gfattach.core.deadline import Deadline
from gfattach.core.endpoint import Endpoint
from gfattach.core.engine import Run
from gfattach.core.finding import Inquiry, Status
from gfattach.probes.cache.stage import STAGE
from gfattach.proof import protocol
from gfattach.reapi.target import CacheTarget, TlsFiles
from tests.harness.caches.cases import ask, bench, serving, trial
from tests.harness.caches.cases_answers import ANSWERS
from tests.harness.caches.cases_reach import ROUTES
from tests.harness.caches.reapi_server import Faults, capable, reapi
from tests.harness.machine import faulty_servers as faults

__all__ = ["bench"]

CASES = [*ROUTES, *ANSWERS]


#: Earned where a real server cannot earn them: tests/unit/test_cache_probes.py.
BY_UNIT_TESTS = {"cache.port.silent", "cache.resolve.unanswered", "cache.outputs.none"}


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
        ("grpcs", lambda b: serving(), "use the plaintext scheme (grpc, http)"),
        ("https", lambda b: faults.http({}), "use the plaintext scheme (grpc, http)"),
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
    assert wrong["cache.protocol"].code == "cache.protocol.closed"
    assert plain["cache.protocol"].code == "cache.protocol.tls-for-plain"


def test_a_socket_whose_server_has_ended_says_so(tmp_path):
    path = tmp_path / "s"
    with faults.unix_listener(path):
        pass
    finding = ask(1, host="cache.example", socket=path)["cache.port"]
    assert finding.code == "cache.port.socket" and "no process serves it any more" in finding.seen


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
    assert writer["cache.blob"].code == "cache.blob.ok"
    assert reader["cache.blob"].code == "cache.blob.reading"


def test_an_embedded_cache_that_takes_no_results_warns_the_lane_that_was_to_write(tmp_path):
    with trial(tmp_path, update_enabled=False) as port:
        assert ask(port, may_write=True)["cache.capabilities"].code == "cache.capabilities.read-only"
        assert ask(port)["cache.capabilities"].code == "cache.capabilities.ok"
