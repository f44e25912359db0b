"""What the commands on inputs came to, in words."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING

from gfattach.cli.execute import Outcome
from gfattach.core.errors import ExitCode
from gfattach.report.text import seconds, size

if TYPE_CHECKING:
    from gfattach.inputs.authority.gate import Authority
    from gfattach.inputs.check.check import Checked
    from gfattach.inputs.inventory.inventory import Inventory
    from gfattach.inputs.inventory.listing import Written
    from gfattach.inputs.materialise.fetching import Fetched
    from gfattach.inputs.prove.verdict import Proved
    from gfattach.operator.authority import BackendAuthority


def table(rows: Iterable[Sequence[str]]) -> Iterator[str]:
    """Rows of texts, each column as wide as its widest, the last as it comes."""
    held = [tuple(row) for row in rows]
    widths = (
        [max((len(row[at]) for row in held), default=0) for at in range(len(held[0]) - 1)] if held else []
    )
    for row in held:
        cells = [cell.ljust(width) for cell, width in zip(row, widths, strict=False)]
        yield "  ".join([*cells, row[-1]]).rstrip()


def listed(inventory: Inventory) -> Outcome:
    """What `inputs list` found."""
    from gfattach.inputs.inventory.listing import exit_code

    return Outcome(exit_code(inventory), inventory.as_json(), [*_inventory_lines(inventory)])


def _inventory_lines(inventory: Inventory) -> Iterator[str]:
    needed = set(inventory.needed)
    yield from table(
        (
            each.name,
            each.kind.value,
            "distdir"
            if each.by_distdir
            else "repository cache"
            if each.by_repository_cache
            else "not coverable",
            "?" if each.size is None else size(each.size),
            "-" if each.checksum is None else each.checksum.sri,
            " ".join(each.urls) or "-",
        )
        for each in inventory.inputs
        if each in needed
    )
    for disagreement in inventory.disagreements:
        yield f"{disagreement.name}: {disagreement.what}"
    for name, why in inventory.unreachable.items():
        yield f"{name}: {why}"
    yield f"{len(needed)} inputs, {sum(each.by_distdir for each in needed)} of them for a distdir"


def declared(written: Written) -> Outcome:
    """What `inputs contract` made: the document itself on stdout where it was not written."""
    import json

    if written.path is None:
        lines = json.dumps(written.contract.as_json(), indent=2).splitlines()
    else:
        what = "written" if written.changed else "is the same as before"
        lines = [f"{written.path}: {len(written.contract.inputs)} inputs, {what}"]
    return Outcome(ExitCode.GOOD, written.as_json(), lines)


def checked(found: Checked, *, markdown: bool) -> Outcome:
    """What `inputs check` found."""
    lines = [*found.markdown()] if markdown else [*table(found.rows()), _check_line(found)]
    return Outcome(found.exit_code, found.as_json(), lines)


def _check_line(found: Checked) -> str:
    good = sum(each.coverage.value == "covered" for each in found.covered)
    said = f"{good} of {len(found.covered)} inputs are covered"
    if found.undeclared:
        said += f", {len(found.undeclared)} are not declared"
    return said + (f", {len(found.unneeded)} are not needed any more" if found.unneeded else "")


def fetched(done: Fetched) -> Outcome:
    """What `inputs fetch` came to."""
    return Outcome(done.exit_code, done.as_json(), [*_fetched_lines(done)])


def _fetched_lines(done: Fetched) -> Iterator[str]:
    for bad in done.bad:
        yield f"{bad.task.input.name}: {bad.why}"
    for item in done.uncoverable:
        yield f"{item.name}: {item.kind.value}, not fetched: gfattach inputs check says why"
    good = len(done.results) - len(done.bad)
    took = f"{size(done.received)} received  ({seconds(done.seconds)})"
    yield f"{good} of {len(done.results)} files are there, {took}"
    for layer in done.layers:
        yield f"  --distdir={layer}"
    if done.repository_cache is not None:
        yield f"  --repository_cache={done.repository_cache}"


def proved(proof: Proved) -> Outcome:
    """What `inputs prove` came to."""
    return Outcome(proof.exit_code, proof.as_json(), [*_proof_lines(proof)])


def _proof_lines(proof: Proved) -> Iterator[str]:
    for hole in proof.holes:
        yield f"{hole.name}: {hole.what}"
    for url in proof.fetches:
        yield f"fetched: {url}"
    for option in proof.foreign:
        yield f"taken from elsewhere: {option}"
    control = proof.control
    if control is not None:
        ended = (
            "fails and asks for it" if control.failed and control.named else "does not fail for want of it"
        )
        yield f"control: without {control.taken} the build {ended}"
    isolation = {"namespace": "in a network namespace of its own", "proxy": "behind a proxy that refuses"}
    what = f"{' '.join(proof.targets)} on {proof.platform}, {isolation[proof.isolation]}"
    count = f"{proof.used} of {proof.declared} declared inputs used"
    yield f"{'proved' if proof.good else 'not proved'}: {what}: {count}"


def backend_authority(found: BackendAuthority) -> Outcome:
    """What `site authority` found."""
    return Outcome(found.exit_code, found.as_json(), [*table(found.rows())])


def authorised(found: Authority) -> Outcome:
    """What `inputs authority` found."""
    return Outcome(found.exit_code, found.as_json(), [*_authority_lines(found)])


def _authority_lines(found: Authority) -> Iterator[str]:
    yield from table(
        (
            each.input.name,
            each.state.value,
            "-" if each.verified is None else f"{each.verified:%Y-%m-%d %H:%M} UTC",
            each.why or (each.offer.key if each.offer else ""),
        )
        for each in found.gate.standings
    )
    if not found.offers:
        yield "the site names no place that holds inputs: gfattach help site, inputs.*"
    yield f"gate: {'open' if found.gate.open else 'shut'}: {found.gate.answer}"
