"""The verdict: the cause first, what follows from it folded, and one sentence at the end."""

import pytest

from gfattach.core.engine import Report, StageResult
from gfattach.core.finding import Status, fail, ok, unknown, warn
from gfattach.doctor.verdict import verdict


def report(*findings):
    """A report with these findings, each under a probe of the code's first two parts."""
    named = {".".join(finding.code.split(".")[:2]): finding for finding in findings}
    return Report((StageResult("all", "all", named, 0.0, 1.0),), 1.0)


def bad(code):
    return fail(code, f"seen {code}", "")


def doubt(code):
    return warn(code, f"seen {code}", "why")


@pytest.mark.parametrize(
    ("findings", "root", "folded"),
    [
        ([bad("cluster.reach.refused"), bad("cache.port.refused")], "cluster.reach", {"cache.port"}),
        ([bad("cache.port.refused"), bad("agent.ended.now")], "agent.ended", {"cache.port"}),
        ([bad("trial.ended.now"), bad("cache.port.refused"), bad("substituter.port.refused")], "trial.ended",
         {"cache.port", "substituter.port"}),
        ([doubt("cluster.clock.ahead"), bad("certificates.validity.expired"), bad("cache.protocol.time")],
         "cluster.clock", {"certificates.validity", "cache.protocol"}),
        ([doubt("machine.proxy.loopback"), bad("substituter.protocol.other")], "machine.proxy",
         {"substituter.protocol"}),
        ([bad("machine.disk.full"), bad("bazel.starts.crashed"), doubt("nix.starts.hung")], "machine.disk",
         {"bazel.starts", "nix.starts"}),
        ([bad("nix.mode.daemon-dead"), bad("nix.trust.untrusted")], "nix.mode", {"nix.trust"}),
    ],
)  # fmt: skip
def test_the_cause_is_the_root_and_what_follows_is_folded_under_it(findings, root, folded):
    found = verdict(report(*findings))
    assert found.roots[0] == root and found.state is Status.FAIL
    assert {probe for probe, cause in found.folded if cause == root} == folded
    assert found.sentence.startswith(f"seen {root}")


def test_two_causes_that_have_nothing_to_do_with_each_other_are_both_roots():
    found = verdict(report(bad("cache.port.refused"), bad("nix.program.missing")))
    assert found.roots == ("cache.port", "nix.program") and found.folded == ()
    assert found.sentence == "seen cache.port.refused, and 1 more"


def test_a_warning_that_explains_nothing_is_not_the_cause_of_a_failure():
    found = verdict(report(doubt("machine.memory.small"), bad("cache.port.refused")))
    assert found.roots[0] == "cache.port"


def test_warnings_alone_do_not_fail_unless_that_is_asked_for():
    doubtful = report(ok("a.b.ok", "fine"), doubt("machine.memory.small"))
    assert verdict(doubtful).state is Status.WARN
    assert verdict(doubtful).sentence == "it works, with one warning: seen machine.memory.small"
    assert verdict(doubtful, strict=True).state is Status.FAIL


def test_when_all_is_well_it_says_how_much_was_looked_at_and_what_was_not():
    found = verdict(report(ok("a.b.ok", "fine"), unknown("cluster.rights.unknown", "may not list pods")))
    assert found.state is Status.OK and found.roots == ()
    assert found.sentence == "all of 2 checks are good or do not apply; 1 could not be looked at"
