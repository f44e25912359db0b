"""The verdict of a diagnosis: one root cause first, what follows from it folded under it. Pure.

Stages come in the order in which things depend on each other, so the first failure is the root of those that
it explains. A warning may be the root of failures, too: a wrong clock makes certificates look expired.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from msgspec import Struct

from gfattach.core.engine import Report
from gfattach.core.finding import Finding, Status

#: What a code explains, both as prefixes: a finding of the second kind follows from one of the first. A cause
#: that stands further up wins over one below it.
_EXPLAINS: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("machine.disk.", ("storage", "state.", "bazel.", "nix.starts", "fragment.", "agent.", "trial.")),
    ("machine.inodes.", ("storage", "state.", "bazel.", "nix.starts", "fragment.", "agent.", "trial.")),
    ("hazard.rc.import", ("bazel.",)),
    ("state.record.", ("fragment.", "agent.", "forward.", "cache.", "substituter.", "certificates.")),
    ("state.site.", ("cluster.", "agent.", "forward.", "cache.", "substituter.", "certificates.")),
    ("state.agent.", ("agent.", "forward.", "cache.", "substituter.", "certificates.")),
    ("cluster.clock.", ("cluster.tls.expired", "cluster.tls.not-yet", "certificates.", "credential.")),
    ("cluster.tls.", ("certificates.",)),
    ("cluster.", ("cluster.", "site.service", "agent.", "forward.", "cache.", "substituter.")),
    ("site.", ("cache.", "substituter.", "certificates.")),
    ("trial.", ("agent.", "forward.", "cache.", "substituter.", "fragment.")),
    ("agent.", ("forward.", "cache.", "substituter.", "certificates.", "fragment.")),
    ("forward.", ("cache.", "substituter.", "certificates.")),
    ("machine.proxy.", ("substituter.",)),
    (
        "credential.",
        ("cache.call.", "substituter."),
    ),
    ("certificates.", ("cache.", "substituter.", "bazel.transport", "nix.ca")),
    ("bazel.program.", ("bazel.",)),
    ("bazel.starts.", ("bazel.",)),
    ("nix.program.", ("nix.",)),
    ("nix.starts.", ("nix.",)),
    ("nix.mode.", ("nix.trust", "nix.substituters", "nix.keys")),
    ("nix.trust.", ("nix.substituters", "nix.keys")),
)


class Verdict(Struct, frozen=True):
    """`roots` are the causes, the first one first; `folded` says of every other failed or doubtful probe
    which root it follows from. Both go by names of probes.
    """

    state: Status
    sentence: str
    roots: tuple[str, ...] = ()
    folded: tuple[tuple[str, str], ...] = ()

    def as_json(self) -> dict[str, Any]:
        """For programs."""
        return {
            "state": self.state.value,
            "sentence": self.sentence,
            "roots": list(self.roots),
            "folded": dict(self.folded),
        }


def verdict(report: Report, *, strict: bool = False) -> Verdict:
    """What the findings amount to. `strict` takes a warning for a failure."""
    bad = {
        probe: finding
        for probe, finding in report.findings.items()
        if finding.status in (Status.FAIL, Status.WARN)
    }
    folded = _to_the_top(dict(_folded(bad)))
    roots = [probe for probe in bad if probe not in folded]
    failing = [probe for probe in roots if bad[probe].failed or _hides_failure(probe, folded, bad)]
    doubtful = [probe for probe in roots if probe not in failing]
    ordered = (*failing, *doubtful)
    hidden = sum(finding.status is Status.UNKNOWN for finding in report.findings.values())
    return Verdict(
        Status.FAIL if failing or (strict and doubtful) else Status.WARN if doubtful else Status.OK,
        _sentence(bad, failing, doubtful, hidden, len(report.findings)),
        ordered,
        tuple(folded.items()),
    )


def _folded(bad: dict[str, Finding]) -> Iterator[tuple[str, str]]:
    """Each probe that follows from another, with that other: the highest in the table that explains it."""
    for probe, finding in bad.items():
        for cause, follows in _EXPLAINS:
            root = next((name for name, other in bad.items() if other.code.startswith(cause)), None)
            if root is None or root == probe or not finding.code.startswith(follows):
                continue
            if bad[root].failed or (finding.failed and _may_explain(bad[root])):
                yield probe, root
                break


def _to_the_top(folded: dict[str, str]) -> dict[str, str]:
    """Each with the root that nothing explains: what follows from a consequence follows from its cause."""
    for probe in folded:
        seen = {probe}
        while (root := folded[probe]) in folded and root not in seen:
            seen.add(root)
            folded[probe] = folded[root]
    return folded


def _may_explain(warning: Finding) -> bool:
    """Whether a warning can be the cause of a failure: a clock, a proxy, a small disk, a dead import."""
    return warning.code.startswith(("cluster.clock.", "machine.", "hazard.rc.import"))


def _hides_failure(root: str, folded: dict[str, str], bad: dict[str, Finding]) -> bool:
    return any(bad[probe].failed for probe, cause in folded.items() if cause == root)


def _sentence(
    bad: dict[str, Finding], failing: list[str], doubtful: list[str], hidden: int, asked: int
) -> str:
    """One sentence: the cause, or that all is well, and what could not be looked at."""
    unseen = f"; {hidden} could not be looked at" if hidden else ""
    if failing:
        more = f", and {len(failing) - 1} more" if len(failing) > 1 else ""
        return f"{bad[failing[0]].seen}{more}{unseen}"
    if doubtful:
        count = "one warning" if len(doubtful) == 1 else f"{len(doubtful)} warnings"
        return f"it works, with {count}: {bad[doubtful[0]].seen}{unseen}"
    return f"all of {asked} checks are good or do not apply{unseen}"
