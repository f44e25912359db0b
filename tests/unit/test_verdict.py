"""Verdicts: what phases prove, what they do not, and which moment is the first hit."""

import pytest
from msgspec.structs import replace

from gfattach.core.engine import Report, StageResult
from gfattach.proof.evidence import Client, Phase, PhaseName
from gfattach.proof.measure import describe
from gfattach.proof.record import conclude
from gfattach.proof.verdict import Verdict, first_hit, judge


def phase(name=PhaseName.HIT, client=Client.BAZEL, asked=20, hits=20, first=1.0, violations=()):
    return Phase(
        client,
        name,
        0.0,
        1.0,
        asked,
        hits,
        asked - hits,
        first if hits else None,
        rpcs={},
        violations=violations,
    )


CONTROL = phase(PhaseName.CONTROL, hits=0)


@pytest.mark.parametrize(
    ("phases", "verdict"),
    [
        ([phase(PhaseName.FILL, hits=0), phase(), CONTROL], Verdict.PROVED),
        ([phase(hits=19)], Verdict.PROVED),
        ([phase(hits=18)], Verdict.UNPROVED),
        ([phase(hits=0), CONTROL], Verdict.NOTHING_TO_HIT),
        ([phase(), phase(PhaseName.CONTROL, hits=1)], Verdict.VOID),
        ([phase(violations=("an executor was called",)), CONTROL], Verdict.VOID),
        ([phase(), phase(PhaseName.CONTROL, hits=0, violations=("a disk cache",))], Verdict.VOID),
        ([phase(PhaseName.FILL, hits=0)], Verdict.UNPROVED),
        ([], Verdict.UNPROVED),
        ([phase(client=Client.NIX)], Verdict.UNPROVED),
    ],
)
def test_the_verdict_of_legs(phases, verdict):
    judged = judge(Client.BAZEL, phases)
    assert judged.verdict is verdict
    assert judged.reason


def report(*stages):
    results, started = [], 0.0
    for name, seconds in stages:
        results.append(StageResult(name, name, {}, started, seconds))
        started += seconds
    return Report(tuple(results), started)


def test_the_first_hit_is_that_of_the_build_tool_and_its_stages_add_up_to_it():
    seen = report(("start", 0.1), ("cache", 0.2), ("bazel", 5.0), ("nix", 1.0))
    phases = [
        phase(client=Client.PROTOCOL, first=100.25),
        phase(first=102.0),
        phase(client=Client.NIX, first=105.4),
    ]
    found = first_hit(seen, phases, origin=100.0)
    assert (found["client"], found["seconds"]) == ("bazel", 2.0)
    assert [stage["name"] for stage in found["stages"]] == ["start", "cache", "bazel"]
    assert sum(stage["seconds"] for stage in found["stages"]) == pytest.approx(found["seconds"])


def test_without_a_build_tool_the_protocol_s_hit_counts_and_without_any_none():
    seen = report(("start", 0.5))
    assert first_hit(seen, [phase(client=Client.PROTOCOL, first=0.25)], 0.0)["client"] == "protocol"
    assert first_hit(seen, [phase(hits=0)], 0.0) is None
    assert first_hit(seen, [phase(violations=("void",))], 0.0) is None
    assert first_hit(seen, [CONTROL, phase(PhaseName.FILL)], 0.0) is None


def test_a_leg_s_record_counts_its_moments_from_the_origin():
    record = phase(first=3.5).record(origin=-1.0)
    assert (record["started"], record["first_hit"], record["to_first_hit"]) == (1.0, 4.5, 3.5)


def test_what_is_missing_is_called_a_target_or_the_probe_and_only_the_probe_is_filled_by_warming():
    for detail, what, hinted in (({}, "the probe", True), ({"targets": ["//:x"]}, "these targets", False)):
        found = conclude([replace(phase(hits=0), detail=detail)], report(("start", 0.1)), 0.0, {})
        assert found.clients[0].reason.endswith(f"holds nothing of {what}")
        assert any("site warm" in hint for hint in found.hints) is hinted


@pytest.mark.parametrize(
    ("client", "detail", "hints"),
    [
        (
            Client.BAZEL,
            {"targets": ["//:x", "//y:all"]},
            [
                "to fill it, from a lane that may write: GF_BAZEL_REMOTE_UPLOAD=true gfattach bazel build"
                " //:x //y:all",
                'a lane may write where the site says cache.upload = "trusted": gfattach site show',
            ],
        ),
        (
            Client.PROTOCOL,
            {},
            ["to fill it, an operator runs, from a lane that may write: gfattach site warm --upload"],
        ),
        (Client.NIX, {}, []),
        (Client.NIX, {"remedies": ("push it",)}, ["push it"]),
    ],
)
def test_where_nothing_hit_the_checklist_and_the_proof_say_alike_how_it_is_filled(client, detail, hints):
    empty = replace(phase(hits=0, client=client), detail=detail)
    assert [*describe(empty).hints] == hints
    assert [*conclude([empty], report(("start", 0.1)), 0.0, {}).hints] == hints
