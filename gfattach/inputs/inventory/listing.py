"""`inputs list` and `inputs contract`: ask everything that knows, and put it together."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from msgspec import Struct

from gfattach.bazel.external.lockfile import read_lock
from gfattach.bazel.external.module_file import read_module_file
from gfattach.bazel.external.query import read_external
from gfattach.bazel.external.repository_cache import cached_file
from gfattach.core.engine import Run
from gfattach.core.errors import ExitCode, UsageError
from gfattach.core.files import read_bytes
from gfattach.core.finding import Finding, fail, ok, skip, warn
from gfattach.inputs.contract.document import Contract, made_of, read_contract, write_contract
from gfattach.inputs.inventory.inventory import Inventory, put_together
from gfattach.inputs.inventory.mentions import (
    MODULE,
    WORKSPACE,
    Mention,
    declared_by_lock,
    declared_by_workspace,
)
from gfattach.inputs.inventory.observe import Supply, ask_external, observe
from gfattach.inputs.inventory.workbench import Workbench, bench_of
from gfattach.inputs.model.host import platform_name
from gfattach.inputs.place import InputsOptions

#: The targets that are looked at where nobody names any.
ALL_TARGETS = ("//...",)


def list_inputs(options: InputsOptions, run: Run, *, observed: bool = True) -> Inventory:
    """What the workspace needs from outside. Raises GfattachError."""
    with bench_of(options) as bench:
        run.account("start", "find the workspace and its Bazel")
        return take_inventory(bench, options.targets or ALL_TARGETS, run, Supply() if observed else None)


def take_inventory(bench: Workbench, targets: Sequence[str], run: Run, supply: Supply | None) -> Inventory:
    """The inventory of `targets`; without a `supply` nothing is observed, and what is declared is all."""
    found: list[Inventory] = []

    def look(progress: Callable[[str], None]) -> Mapping[str, Finding]:
        mentions: list[Mention] = []
        seen = None if supply is None else observe(bench, targets, supply, progress=progress, attribute=True)
        text = ask_external(bench) if seen is None else seen.external
        if text is not None:
            mentions += declared_by_workspace(read_external(text), WORKSPACE)
        mentions += declared_by_workspace(read_module_file(bench.workspace), MODULE)
        mentions += _locked(bench.workspace, None if seen is None else seen.cache)
        found.append(put_together(mentions, seen))
        return dict(_findings(found[0]))

    run.step("inputs", f"what {' '.join(targets)} needs from outside", look)
    return found[0]


def _locked(workspace: Path, cache: Path | None) -> list[Mention]:
    lock = read_lock(workspace)
    if lock is None:
        return []

    def read(url: str, digest: str) -> bytes | None:
        if cache is not None and digest:
            content = read_bytes(cached_file(cache, "sha256", digest))
            if content is not None:
                return content
        parts = urlsplit(url)
        content = read_bytes(Path(unquote(parts.path))) if parts.scheme == "file" else None
        good = content is not None and (not digest or hashlib.sha256(content).hexdigest() == digest)
        return content if good else None

    return list(declared_by_lock(lock, read))


def _findings(inventory: Inventory) -> Iterator[tuple[str, Finding]]:
    count = len(inventory.needed)
    said = "1 input" if count == 1 else f"{count} inputs"
    if inventory.complete:
        yield "inputs", ok("inputs.listed", f"needed: {said}", inputs=count)
    elif inventory.observed:
        yield (
            "inputs",
            warn(
                "inputs.incomplete",
                f"seen before Bazel ended: {said}",
                "what could not be loaded may need more",
                f"Bazel said: {inventory.said}",
                inputs=count,
            ),
        )
    else:
        why = "nothing was observed: what macros, extensions and rules of their own ask for is not known"
        yield "inputs", skip("inputs.declared", f"declared: {said}; {why}")
    for name, why in inventory.unreachable.items():
        yield (
            f"inputs.{name}",
            fail(
                "inputs.unreachable",
                f"{name}: {why}",
                "a build on a fresh machine ends here",
                "stage it by its checksum: gfattach inputs fetch --distdir DIR --from DIR",
            ),
        )
    for name in inventory.credentials:
        yield (
            f"inputs.{name}.credential",
            fail(
                "inputs.credential.url",
                f"{name}: its URL holds a credential",
                "URLs are logged, shown and committed",
                "put it into a netrc or a credential helper, and replace it where it is in use",
            ),
        )


class Written(Struct, frozen=True):
    """The contract, where it was written (None: nowhere), and whether it differs from what was there."""

    contract: Contract
    path: Path | None
    changed: bool

    def as_json(self) -> dict[str, Any]:
        """The command's part of the document."""
        where = None if self.path is None else str(self.path)
        return {"written": where, "changed": self.changed, "contract": self.contract.as_json()}


def write_declared(options: InputsOptions, write: Path | None, run: Run) -> Written:
    """The contract for the workspace as it is now, written to `write` where that is given.

    Raises UsageError (`inputs.contract.incomplete`) when not everything could be seen, and GfattachError.
    """
    path = None if write is None else options.directory / write
    before: Contract | None = None
    if path is not None and path.exists():
        before = read_contract(path)
    targets = options.targets or (ALL_TARGETS if before is None else before.targets)
    with bench_of(options) as bench:
        run.account("start", "find the workspace and its Bazel")
        inventory = take_inventory(bench, targets, run, Supply())
        if not inventory.complete:
            raise UsageError(
                "the contract would not be whole: Bazel could not load every target",
                f"Bazel said: {inventory.said}",
                "name the targets that are meant, or mend what is missing: gfattach inputs list",
                code="inputs.contract.incomplete",
            )
        made = made_of(inventory.needed, targets, bench.bazel.label, before, platform_name())
    changed = before is None or before.as_json() != made.as_json()
    if path is not None and changed:
        write_contract(path, made)
    return Written(made, path, changed)


def exit_code(inventory: Inventory) -> ExitCode:
    """1 where something was unreachable or not seen."""
    bad = inventory.unreachable or inventory.credentials or (inventory.observed and not inventory.complete)
    return ExitCode.FAILED if bad else ExitCode.GOOD
