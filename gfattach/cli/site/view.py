"""A site in words: its settings, the faults of its file, what was published, what was stored."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from gfattach.cli.execute import Outcome
from gfattach.cli.views.proof import phase_lines, proof_lines
from gfattach.core.errors import ExitCode

if TYPE_CHECKING:
    from gfattach.operator.allow import AllowedSite
    from gfattach.operator.publish import Linted, Published
    from gfattach.operator.site import ShownSite
    from gfattach.proof.record import Proof


def shown_site(shown: ShownSite) -> Outcome:
    """Every setting with its value and source, in columns, and what became of the ConfigMap."""
    rows = [(key, _value(entry["value"]), entry["source"]) for key, entry in shown.settings.items()]
    width = max((len(value) for _, value, _ in rows), default=0)
    lines = [f"{key:<18} {value:<{width}}  from {source}" for key, value, source in rows]
    document = {"site": shown.settings, "profile": shown.profile}
    return Outcome(ExitCode.GOOD, document, [*lines, shown.profile])


def linted(done: Linted) -> Outcome:
    """What `site lint` found; the findings themselves are above, line by line."""
    warnings = len(done.findings) - done.faults
    line = f"{done.file}: {_count(done.faults, 'fault')}, {_count(warnings, 'warning')}"
    return Outcome(done.exit_code, done.as_json(), [line])


def allowed_site(done: AllowedSite) -> Outcome:
    """What `site allow` allowed, shown, or that it forgot."""
    if done.forgotten:
        return Outcome(ExitCode.GOOD, done.as_json(), [f"nothing of {done.workspace} is allowed any more"])
    lines = [f"allowed: {done.workspace}"]
    for item in done.files:
        lines += [f"  {item.name}", *(f"    {said}" for said in item.said)]
    return Outcome(ExitCode.GOOD, done.as_json(), lines)


def published(done: Published) -> Outcome:
    """What `site publish` wrote and how to undo it, or with --dry-run the manifest alone."""
    if done.server is None:
        from gfattach.operator.publish import as_yaml

        return Outcome(ExitCode.GOOD, done.as_json(), as_yaml(done.manifest).splitlines())
    lines = [f"published: the ConfigMap {done.name} on {done.server}", f"  to undo it: {done.undo}"]
    return Outcome(ExitCode.GOOD, done.as_json(), lines)


def warmed(proof: Proof) -> Outcome:
    """What `site warm` came to: the same phases, read as filling."""
    lines = [*phase_lines(proof.phases), *proof_lines(proof)]
    return Outcome(proof.exit_code, proof.as_json(), lines)


def _count(number: int, what: str) -> str:
    return f"{number or 'no'} {what}{'' if number == 1 else 's'}"


def _value(value: Any) -> str:
    if isinstance(value, list):
        return " ".join(map(str, value))
    text = str(value)
    first, _, rest = text.partition("\n")
    return (f"{first} ..." if rest else text) or '""'
