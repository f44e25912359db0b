"""What is missing before an operator may promote a target to `proved`. Nothing here writes that word."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

#: What a promotion wants, and where evidence has it. The order is that in which a proof is described.
WANTED = (
    ("the run's id", ("run", "id")),
    ("the target", ("target",)),
    ("the command", ("command",)),
    ("the commit", ("repository", "commit")),
    ("the checkout authority", ("checkout_authority",)),
    ("the executor's endpoint", ("endpoints", "executor")),
    ("the cache's endpoint", ("endpoints", "cache")),
    ("the digest of the worker's image", ("image_digest",)),
    ("worker pods that were seen before and after", ("workers",)),
)


def missing(evidence: Mapping[str, Any] | None) -> Iterator[str]:
    """What a promotion of a target lacks, given the evidence of a proof that was verified, if any."""
    if evidence is None:
        yield "a proof: gfattach rbe prove"
        yield from (name for name, _ in WANTED)
        yield "more than zero remote processes, forced, without local fallback"
        return
    for name, path in WANTED:
        value: Any = evidence
        for key in path:
            value = value.get(key) if isinstance(value, Mapping) else None
        if not value:
            yield name
    if not evidence.get("forced"):
        yield "a forced execution"
    if evidence.get("run", {}).get("source") == "local":
        yield "a run of a workflow: this one was made on a developer's machine"
    if not all(control.get("held") for control in evidence.get("controls", ())):
        yield "negative controls that hold"
