"""Stage "substituter" as it is declared, and its judgement of every failure that its client knows."""

import itertools

import pytest

from gfattach.core.deadline import Deadline
from gfattach.core.endpoint import Endpoint
from gfattach.core.finding import Inquiry, Status, warn
from gfattach.nixcache.errors import Kind, NixCacheError
from gfattach.nixcache.narinfo import parse
from gfattach.nixcache.target import SubstituterTarget
from gfattach.probes.substituter import nar as substituter_nar
from gfattach.probes.substituter import signature as substituter_signature
from gfattach.probes.substituter.faults import DOCUMENT_FAULTS, fault, fault_codes
from gfattach.probes.substituter.stage import STAGE
from tests.unit.test_nixcache_narinfo import RECORDED

ENDPOINT = Endpoint("http", "cache.example", 80)
TARGET = SubstituterTarget(ENDPOINT)
STATUSES = (None, 301, 400, 401, 403, 404, 410, 418, 429, 500, 502, 503, 504)
HOPS = (("http://cache.example/x",), ("http://cache.example/x", "http://elsewhere.example/y"))


def every_error():
    for kind, status, hops in itertools.product(Kind, STATUSES, HOPS):
        yield NixCacheError(kind, "a fact", status=status, host="elsewhere.example", hops=hops)


def test_probes_are_named_after_the_stage_and_codes_after_their_probe():
    for probe in STAGE.probes:
        assert probe.name.startswith("substituter.")
        assert probe.question and not probe.question.endswith(("?", "."))
        for code, meaning in probe.codes.items():
            assert code.rpartition(".")[0] == probe.name
            assert meaning and not meaning.endswith(".")


def test_what_a_probe_needs_stands_before_it():
    before = set()
    for probe in STAGE.probes:
        assert set(probe.needs) <= before
        before.add(probe.name)


def test_every_failure_of_a_document_has_a_code_that_is_declared_and_a_next_command():
    declared = fault_codes("substituter.info", DOCUMENT_FAULTS)
    for error in every_error():
        finding = fault("substituter.info", error, TARGET)
        assert finding.code in declared, error.kind
        assert finding.hints and (error.kind is Kind.COMPRESSION or (finding.failed and finding.why))


def test_every_failure_of_a_nar_has_a_code_that_is_declared_and_a_next_command():
    info, target = parse(RECORDED), SubstituterTarget(ENDPOINT)
    for error in every_error():
        finding = substituter_nar._unfetched(info, error, target)
        assert finding.code in substituter_nar.NAR.codes, error.kind
        assert finding.hints and (error.kind is Kind.COMPRESSION or (finding.failed and finding.why))


@pytest.mark.parametrize(
    ("status", "end"),
    [(401, "unauthorised"), (403, "forbidden"), (418, "status"), (500, "error"), (503, "error")],
)
def test_a_status_is_judged_by_whoever_gave_it(status, end):
    """What an object store answers at the end of a redirect says nothing of the cache's own doors."""
    own, onward = (
        NixCacheError(Kind.STATUS, f"it answers {status}", status=status, hops=hops) for hops in HOPS
    )
    assert fault("substituter.nar", own, TARGET).code == f"substituter.nar.{end}"
    judged = fault("substituter.nar", onward, TARGET)
    assert judged.code == "substituter.nar.redirect"
    assert "http://elsewhere.example/y" in judged.seen


@pytest.mark.parametrize(
    ("kind", "host", "end"),
    [
        (Kind.DNS, "minio.storage.svc.cluster.local", "in-cluster"),
        (Kind.TIMEOUT, "10.43.0.7", "in-cluster"),
        (Kind.REFUSED, "rustfs.storage.svc", "in-cluster"),
        (Kind.TIMEOUT, "s3.example.org", "redirect"),
        (Kind.REFUSED, "127.0.0.1", "redirect"),
        (Kind.STATUS, "10.43.0.7", "redirect"),
    ],
)
def test_a_redirect_into_the_cluster_is_known_by_what_it_leads_to(kind, host, end):
    hops = ("http://cache.example/x", f"http://{host}/y")
    finding = fault("substituter.nar", NixCacheError(kind, "a fact", host=host, hops=hops), TARGET)
    assert finding.code == f"substituter.nar.{end}"
    assert end == "redirect" or host in finding.hints[0]


def test_a_forward_is_looked_at_first_where_one_leads_to_the_cache():
    error = NixCacheError(Kind.TIMEOUT, "a fact", hops=HOPS[0])
    here = Endpoint("http", "127.0.0.1", 8080)
    forwarded = SubstituterTarget(here, real_host="attic.nix-cache.svc")
    assert "gfattach status" in fault("substituter.info", error, forwarded).hints[0]
    for target in (TARGET, SubstituterTarget(here)):
        assert not any("gfattach status" in hint for hint in fault("substituter.info", error, target).hints)


@pytest.mark.parametrize("probe", [substituter_signature.SIGNATURE, substituter_nar.NAR])
def test_without_a_narinfo_nothing_is_asked_and_nothing_passes(probe):
    known = {"substituter.narinfo": warn("substituter.narinfo.absent", "", "", narinfos={})}
    finding = probe.ask(Inquiry(SubstituterTarget(ENDPOINT), Deadline.after(1), known))
    assert finding.status is Status.SKIP
    assert finding.code == f"{probe.name}.nothing"
