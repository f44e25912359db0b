"""`inputs check`: the contract against what covers it, and against what the workspace needs now."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from msgspec import Struct

from gfattach.bazel.external.repository_cache import cached_file
from gfattach.core.engine import Run
from gfattach.core.errors import ExitCode
from gfattach.core.finding import Finding, fail, ok, skip, warn
from gfattach.inputs.contract.coverage import Coverage, Covered, Shelf, cover
from gfattach.inputs.contract.document import Contract, read_contract
from gfattach.inputs.inventory.inventory import Inventory
from gfattach.inputs.inventory.listing import take_inventory
from gfattach.inputs.inventory.observe import Supply
from gfattach.inputs.inventory.workbench import bench_of
from gfattach.inputs.model.host import platform_name
from gfattach.inputs.model.input import Input, Kind
from gfattach.inputs.place import InputsOptions


class Checked(Struct, frozen=True):
    """`covered` has every input of the contract; the other two are None where Bazel was not asked."""

    contract: Contract
    covered: tuple[Covered, ...]
    unneeded: tuple[str, ...] | None
    undeclared: tuple[str, ...] | None

    def rows(self) -> Iterator[tuple[str, str, str, str]]:
        """For a table: name, class, state, why."""
        for each in self.covered:
            accepted = self.contract.accepted.get(each.input.name)
            state = each.coverage.value
            if self.unneeded is not None and each.input.name in self.unneeded:
                state += ", not needed any more"
            why = f"accepted: {accepted}" if accepted and each.coverage is Coverage.UNCOVERABLE else each.why
            yield each.input.name, each.input.kind.value, state, why
        for name in self.undeclared or ():
            yield name, "", "not declared", "the workspace needs it, and the contract does not have it"

    @property
    def holes(self) -> tuple[Covered, ...]:
        """Inputs that nothing covers, those that somebody lives with left out."""
        return tuple(
            each
            for each in self.covered
            if each.coverage is not Coverage.COVERED
            and not (each.coverage is Coverage.UNCOVERABLE and each.input.name in self.contract.accepted)
        )

    @property
    def exit_code(self) -> ExitCode:
        """1 with a hole, or with something that is not declared."""
        return ExitCode.FAILED if self.holes or self.undeclared else ExitCode.GOOD

    def as_json(self) -> dict[str, Any]:
        """The command's part of the document."""
        return {
            "covered": sum(each.coverage is Coverage.COVERED for each in self.covered),
            "holes": len(self.holes),
            "inputs": [
                {
                    "name": each.input.name,
                    "class": each.input.kind.value,
                    "state": each.coverage.value,
                    "place": None if each.place is None else str(each.place),
                    "why": each.why,
                    "accepted": self.contract.accepted.get(each.input.name),
                }
                for each in self.covered
            ],
            "unneeded": None if self.unneeded is None else list(self.unneeded),
            "undeclared": None if self.undeclared is None else list(self.undeclared),
        }

    def markdown(self) -> Iterator[str]:
        """The table for a job's summary or a pull request."""
        yield "| input | class | state | why |"
        yield "|---|---|---|---|"
        for row in self.rows():
            yield "| " + " | ".join(cell.replace("|", "\\|").replace("\n", " ") for cell in row) + " |"


def check_inputs(options: InputsOptions, run: Run, *, ask_bazel: bool = True) -> Checked:
    """Compare. Raises GfattachError; what is not covered is no error."""
    contract = read_contract(options.contract_file)
    shelf = options.shelf()
    inputs = contract.on(platform_name())
    covered: list[Covered] = []

    def look(progress: Callable[[str], None]) -> Mapping[str, Finding]:
        progress(f"{len(inputs)} inputs")
        covered.extend(cover(inputs, shelf))
        return dict(_findings(contract, covered))

    run.step("coverage", "what covers the contract", look)
    if not ask_bazel:
        return Checked(contract, tuple(covered), None, None)
    with bench_of(options) as bench:
        supply = Supply(shelf.distdirs, False, seed_of(inputs, shelf, registry_only=False))
        inventory = take_inventory(bench, options.targets or contract.targets, run, supply)
    found: list[Checked] = []

    def compare(progress: object) -> Mapping[str, Finding]:
        found.append(_compared(contract, tuple(covered), inputs, inventory))
        return dict(_drift(found[0], inventory.complete))

    run.step("contract", "what the workspace needs, against the contract", compare)
    return found[0]


def seed_of(inputs: Sequence[Input], shelf: Shelf, *, registry_only: bool) -> Callable[[Path], None] | None:
    """What copies the contract's files out of the shelf's repository cache into an empty one.

    None where there is no such cache. Links stand for copies: Bazel only reads them.
    """
    cache = shelf.repository_cache
    if cache is None:
        return None
    wanted = [each for each in inputs if each.kind is Kind.REGISTRY or not registry_only]

    def seed(empty: Path) -> None:
        for each in wanted:
            if each.checksum is None:
                continue
            source = cached_file(cache, each.checksum.algorithm, each.checksum.hex)
            target = cached_file(empty, each.checksum.algorithm, each.checksum.hex)
            if source.is_file() and not target.exists():
                target.parent.mkdir(parents=True)
                for file in source.parent.iterdir():
                    (target.parent / file.name).symlink_to(file.absolute())

    return seed


def _compared(
    contract: Contract, covered: tuple[Covered, ...], inputs: Sequence[Input], inventory: Inventory
) -> Checked:
    known = {each.identity for each in contract.inputs}
    needed = {each.identity for each in inventory.needed}
    undeclared = sorted({each.name for each in inventory.needed if each.identity not in known})
    if not inventory.complete:  # what could not be loaded may need the rest
        return Checked(contract, covered, None, tuple(undeclared))
    unneeded = sorted({each.name for each in inputs if each.identity not in needed})
    return Checked(contract, covered, tuple(unneeded), tuple(undeclared))


def _findings(contract: Contract, covered: Sequence[Covered]) -> Iterator[tuple[str, Finding]]:
    good = sum(each.coverage is Coverage.COVERED for each in covered)
    yield "coverage", ok("inputs.covered", f"{good} of {len(covered)} inputs are covered", covered=good)
    for each in covered:
        if each.coverage is Coverage.COVERED:
            continue
        name = each.input.name
        seen = f"{name}: {each.coverage.value}"
        if each.place is not None:
            seen += f" ({each.place})"
        key = f"coverage.{name}"
        if each.coverage is Coverage.UNCOVERABLE and name in contract.accepted:
            yield key, warn("inputs.uncoverable", seen, f"{each.why}; accepted: {contract.accepted[name]}")
        elif each.coverage is Coverage.UNCOVERABLE:
            yield key, fail("inputs.uncoverable", seen, each.why)
        else:
            yield key, _uncovered(each, seen)


def _drift(checked: Checked, complete: bool) -> Iterator[tuple[str, Finding]]:
    for name in checked.undeclared or ():
        yield (
            f"contract.{name}",
            fail(
                "inputs.undeclared",
                f"{name} is needed, and the contract does not have it",
                "nothing says that it is covered",
                "write the contract anew: gfattach inputs contract --write FILE",
            ),
        )
    for name in checked.unneeded or ():
        yield (
            f"contract.{name}",
            warn(
                "inputs.unneeded",
                f"{name} is not needed any more",
                "it keeps a proof from passing: what is declared has to be used",
                "write the contract anew: gfattach inputs contract --write FILE",
            ),
        )
    if not complete:
        why = "not everything could be loaded from what is covered: whether the rest is still needed is open"
        yield "contract", skip("inputs.incomplete", why)
    elif not checked.undeclared and not checked.unneeded:
        yield "contract", ok("inputs.same", "the contract is what the workspace needs")


def _uncovered(covered: Covered, seen: str) -> Finding:
    fetch = "fetch it: gfattach inputs fetch --distdir DIR"
    match covered.coverage:
        case Coverage.WRONG_BYTES:
            return fail("inputs.wrong-bytes", seen, covered.why, f"remove it first; {fetch}")
        case Coverage.COLLIDES:
            return fail("inputs.collides", seen, covered.why, fetch)
    return fail("inputs.missing", seen, covered.why, fetch)
