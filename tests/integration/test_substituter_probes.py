"""Stage "substituter": every code, for the cache on loopback that earns it, over real sockets and TLS."""

import pytest

from gfattach.core.endpoint import parse_endpoint
from gfattach.core.finding import Status
from gfattach.nixcache.target import SubstituterTarget
from gfattach.probes.substituter.stage import STAGE
from gfattach.trial.nix_server import NixCacheServer
from tests.harness.machine import faulty_servers as faults
from tests.harness.substituters.binary_caches import INFO, PROBE, answer
from tests.harness.substituters.cases import CASES
from tests.harness.substituters.cases_reach import through_a_proxy
from tests.harness.substituters.stage import ask, authority, rig

__all__ = ["authority", "rig"]


def test_every_code_that_is_declared_has_a_case_and_no_other_has():
    assert set(CASES) == {code for probe in STAGE.probes for code in probe.codes}


@pytest.mark.parametrize("code", sorted(CASES))
def test_the_code_is_given_for_the_cache_that_earns_it(rig, code):
    target = CASES[code](rig)
    findings = ask(target, rig.seconds)
    probe = code.rpartition(".")[0]
    assert findings[probe].code == code, findings[probe]
    for name, finding in findings.items():
        # What does not pass says why, and what to do next; nothing is ever a defect of the probes.
        assert finding.code.startswith(f"{name}.") or finding.code == "engine.needs", finding
        if finding.status in (Status.WARN, Status.FAIL):
            assert finding.why and finding.hints, finding
        said = (finding.seen, finding.why, *finding.hints)
        assert "s3cret" not in f"{said} {finding.data}"
        for text in filter(None, said):
            assert not text.endswith("."), text
            assert "\n" not in text


def test_what_fails_ends_what_depends_on_it(rig):
    findings = ask(rig.target(rig.stack.enter_context(faults.refusing())))
    asked = [name for name, finding in findings.items() if finding.status is not Status.SKIP]
    unasked = ["substituter.store", "substituter.token"]  # they are answered here, and ask nobody
    assert asked == [*unasked, "substituter.proxy", "substituter.resolve", "substituter.port"]


def test_the_trial_passes_all_of_it(tmp_path, rig):
    with NixCacheServer(tmp_path / "trial") as server:
        target = SubstituterTarget(
            parse_endpoint(server.url), (server.public_key,), signed_path=server.signed_path
        )
        findings = ask(target)
    assert {finding.status for finding in findings.values()} == {Status.OK}
    assert findings["substituter.signature"].data["path"] == server.signed_path
    assert set(findings["substituter.nar"].data["hops"]) == {server.signed_path, server.probe_path}


def test_a_cache_with_nothing_published_is_attached_all_the_same(rig):
    """Nothing to hit is no failure: the operator's next command is what helps."""
    findings = ask(rig.cache({"/nix-cache-info": answer(INFO)}, probe_path=str(PROBE)))
    assert not [finding for finding in findings.values() if finding.failed]
    assert findings["substituter.narinfo"].status is Status.WARN
    assert "gfattach-probe-v1" in findings["substituter.narinfo"].hints[0]


def test_tls_all_the_way_passes_all_of_it(rig):
    findings = ask(rig.cache(rig.good(), "https"))
    assert {finding.status for finding in findings.values()} == {Status.OK}


def test_a_proxy_all_the_way_passes_all_of_it(rig):
    findings = ask(through_a_proxy(rig))
    assert {finding.status for finding in findings.values()} == {Status.OK}
